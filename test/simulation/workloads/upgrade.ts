/**
 * New versions while work goes on, each of which does everything differently: stopped or killed, and started with newer code, also with
 * code that knows nothing of what was.
 */
import type { ActorSystem } from '../../../runtime/system/actor-system.ts';
import type { Simulation } from '../../../runtime/testing/simulation.ts';
import type { TillState } from './till-versions.ts';
import { fault, insist, parkedTimers, pick, type Workload } from './workload.ts';

const TILLS = 4;
const CLIENTS = 3;
const SALES = 9;
const VERSIONS = [1, 2, 3, 4].map((version) => [new URL(`./till-actors-${version}.ts`, import.meta.url).href]);
const [FIRST, SECOND, BROKEN, MENDED] = VERSIONS as [string[], string[], string[], string[]];

export const upgrade: Workload = {
  name: 'upgrade',
  actors: FIRST,
  upgrades: [SECOND, BROKEN, MENDED],
  async run(sim) {
    const sold = new Map<string, { readonly till: string; readonly amount: number }>();
    for (let client = 0; client < CLIENTS; client++) {
      sim.client(async () => {
        for (let i = 0; i < SALES; i++) {
          const name = `c${client}-${i}`;
          const sale = { till: `till/${pick(sim, TILLS)}`, amount: 1 + pick(sim, 100) };
          const message = { type: 'ADD', name, amount: sale.amount };
          const outcome = await insist(
            sim,
            (system) => system.refOf(sale.till).ask(message, { idempotencyKey: name }),
            ['ACTOR_BLOCKED'],
          );
          if (outcome.kind === 'failed') fault(sim, 'upgrade', `${name} failed: ${outcome.code}`);
          sold.set(name, sale);
          if (sim.random.next() < 0.4) await sim.advance(pick(sim, 400));
        }
      });
    }
    sim.client(() => deploy(sim));
    sim.atEnd(async (system) => {
      if (sim.lostCommits > 0) return;
      for (let i = 0; i < TILLS; i++) {
        const key = `till/${i}`;
        const { view } = await system.refOf(key).snapshot();
        const mine = [...sold].filter(([, sale]) => sale.till === key);
        const { names, amounts, rung, largest } = (view ?? { names: [], amounts: [], rung: 0 }) as TillState;
        const expected = mine.map(([name]) => name).toSorted();
        if (names.toSorted().join() !== expected.join())
          fault(sim, 'upgrade', `${key} has sold ${names.join()}, expected ${expected.join()}`);
        if (rung !== names.length && rung + (await parkedTimers(system, key)) !== names.length)
          fault(sim, 'upgrade', `${key} has rung ${rung} times for ${names.length} sales`);
        if (view !== undefined && largest !== Math.max(0, ...amounts))
          fault(sim, 'upgrade', `${key} says the largest of ${amounts.join()} is ${largest}`);
      }
      for (const name of sold.keys()) {
        const { view } = await system.refOf(`parcel/${name}`).snapshot();
        const { value, context } = view as { readonly value: unknown; readonly context: { readonly length?: number } };
        if (value !== 'posted') fault(sim, 'upgrade', `parcel/${name} is ${JSON.stringify(value)}`);
        if (context.length === undefined) fault(sim, 'upgrade', `parcel/${name} was not moved to the new version`);
      }
    });
  },
};

/** To the second version, and perhaps to the one that cannot read; then whoever is blocked says why, until the mended one comes. */
async function deploy(sim: Simulation): Promise<void> {
  await sim.advance(pick(sim, 900));
  await move(sim, SECOND);
  await sim.advance(pick(sim, 600));
  if (sim.random.next() < 0.5) return;
  const system = await move(sim, BROKEN);
  await sim.advance(pick(sim, 300));
  for (const [key, error] of system.blocked()) {
    if (
      error.code !== 'ACTOR_BLOCKED' ||
      !/version [12] .*(no migrate|no version [12] in previous)/.test(error.message)
    )
      fault(sim, 'upgrade', `${key} is blocked without saying why: ${error.code} ${error.message}`);
  }
  await move(sim, MENDED);
}

/** In peace or not. */
function move(sim: Simulation, modules: readonly string[]): Promise<ActorSystem> {
  return sim.random.next() < 0.5 ? sim.restart(modules) : sim.crash(modules);
}
