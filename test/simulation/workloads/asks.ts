/** Requests between actors and from outside: one outcome each, the same key the same answer, also across crashes. */
import type { ReplierState, RequesterState } from './asks-actors.ts';
import { attempt, insist, pick, type Workload } from './workload.ts';

const ACTORS = 4;
const HOW = ['now', 'now', 'later', 'never', 'fail'] as const;

export const asks: Workload = {
  name: 'asks',
  actors: [new URL('./asks-actors.ts', import.meta.url).href],
  hosts: 2,
  system: { checkpointEveryTurns: 80 },
  async run(sim) {
    const keyed = new Map<string, string>();
    for (let client = 0; client < 3; client++) {
      sim.client(async () => {
        for (let i = 0; i < 14; i++) {
          const to = `replier/${pick(sim, ACTORS)}`;
          if (sim.random.next() < 0.5) {
            const how = HOW[pick(sim, HOW.length)];
            await attempt(async () => (await sim.up()).refOf(`requester/${pick(sim, ACTORS)}`).tell({ type: 'GO', to, how }));
          } else {
            const name = `out${client}-${i}`;
            const how = sim.random.next() < 0.5 ? 'now' : 'later';
            const ask = () => insist(sim, (system) => system.refOf(to).ask({ type: 'ADD', name, amount: 1, how }, { idempotencyKey: name }));
            const twice = sim.random.next() < 0.4;
            for (const outcome of await Promise.all(twice ? [ask(), ask()] : [ask()])) {
              if (outcome.kind === 'failed') {
                sim.violated('asks', `${name}: ${outcome.code}`);
                continue;
              }
              const answer = JSON.stringify(outcome.value);
              if ((keyed.get(`${to} ${name}`) ?? answer) !== answer) sim.violated('asks', `${name} got ${answer} after ${keyed.get(name)}`);
              keyed.set(`${to} ${name}`, answer);
            }
            if (sim.random.next() < 0.3) await sim.advance(pick(sim, 800));
          }
        }
      });
    }
    sim.atEnd(async (system) => {
      let handled = 0;
      for (let i = 0; i < ACTORS; i++) {
        const { view } = await system.refOf(`replier/${i}`).snapshot();
        if (view === undefined) continue;
        const state = view as ReplierState;
        if (state.kept.length > 0) sim.violated('asks', `replier/${i} keeps ${state.kept.length} answers`);
        for (const [name, times] of Object.entries(state.handled)) {
          handled += 1;
          if (times !== 1) sim.violated('asks', `${name} was handled ${times} times`);
        }
      }
      for (let i = 0; i < ACTORS; i++) {
        const { view } = await system.refOf(`requester/${i}`).snapshot();
        if (view === undefined) continue;
        const { asked, outcomes } = view as RequesterState;
        for (let n = 0; n < asked; n++) {
          const outcome = outcomes[`requester/${i}#${n}`];
          if (outcome === undefined || outcome.includes(',')) sim.violated('asks', `requester/${i}#${n} has the outcome ${outcome}`);
        }
      }
      if (handled === 0) sim.violated('asks', 'nothing was handled');
    });
  },
};
