/** Requests between actors and from outside: one outcome each, the same key the same answer, also across crashes. */
import type { ReplierState, RequesterState } from './asks-actors.ts';
import { attempt, fault, insist, pick, type Workload } from './workload.ts';

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
            await attempt(async () =>
              (await sim.up()).refOf(`requester/${pick(sim, ACTORS)}`).tell({ type: 'GO', to, how }),
            );
          } else {
            const name = `out${client}-${i}`;
            const how = sim.random.next() < 0.5 ? 'now' : 'later';
            const ask = () =>
              insist(sim, (system) =>
                system.refOf(to).ask({ type: 'ADD', name, amount: 1, how }, { idempotencyKey: name }),
              );
            const twice = sim.random.next() < 0.4;
            for (const outcome of await Promise.all(twice ? [ask(), ask()] : [ask()])) {
              if (outcome.kind === 'failed') {
                fault(sim, 'asks', `${name}: ${outcome.code}`);
                continue;
              }
              const answer = JSON.stringify(outcome.value);
              const known = sim.lostCommits > 0 ? answer : (keyed.get(`${to} ${name}`) ?? answer);
              if (known !== answer) fault(sim, 'asks', `${name} got ${answer} after ${known}`);
              keyed.set(`${to} ${name}`, answer);
            }
            if (sim.random.next() < 0.3) await sim.advance(pick(sim, 800));
          }
        }
      });
    }
    sim.atEnd(async (system) => {
      if (sim.lostCommits > 0) return;
      let handled = 0;
      for (let i = 0; i < ACTORS; i++) {
        const { view } = await system.refOf(`replier/${i}`).snapshot();
        if (view === undefined) continue;
        const state = view as ReplierState;
        if (state.kept.length > 0) fault(sim, 'asks', `replier/${i} keeps ${state.kept.length} answers`);
        for (const [name, times] of Object.entries(state.handled)) {
          handled += 1;
          if (times !== 1) fault(sim, 'asks', `${name} was handled ${times} times`);
        }
      }
      for (let i = 0; i < ACTORS; i++) {
        const { view } = await system.refOf(`requester/${i}`).snapshot();
        if (view === undefined) continue;
        const { asked, outcomes } = view as RequesterState;
        for (let n = 0; n < asked; n++) {
          const outcome = outcomes[`requester/${i}#${n}`];
          if (outcome === undefined || outcome.includes(','))
            fault(sim, 'asks', `requester/${i}#${n} has the outcome ${outcome}`);
        }
      }
      if (handled === 0) fault(sim, 'asks', 'nothing was handled');
    });
  },
};
