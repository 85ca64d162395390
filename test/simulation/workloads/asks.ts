/** Requests between actors and from outside: one outcome each, the same key the same answer, also across crashes. */
import type { ReplierState, RequesterState } from './asks-actors.ts';
import { type Attempt, attempt, fault, insist, pick, type Workload } from './workload.ts';

const ACTORS = 4;
const HOW = ['now', 'now', 'later', 'never', 'fail'] as const;

export const asks: Workload = {
  name: 'asks',
  actors: [new URL('./asks-actors.ts', import.meta.url).href],
  async run(sim) {
    /** What was answered under which key, and how to ask again. */
    const keyed = new Map<string, string>();
    const repeat = new Map<string, () => Promise<Attempt<unknown>>>();
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
              repeat.set(`${to} ${name}`, ask);
            }
            if (sim.random.next() < 0.3) await sim.advance(pick(sim, 800));
          }
        }
      });
    }
    sim.client(async () => {
      // Long after they were answered, also by another process, the same keys get the same answers.
      for (let i = 0; i < 6; i++) {
        await sim.advance(300 + pick(sim, 500));
        const names = [...repeat.keys()];
        const name = names[pick(sim, names.length)];
        if (name === undefined) continue;
        const before = keyed.get(name);
        if (sim.random.next() < 0.3) await attempt(() => sim.restart());
        const outcome = await (repeat.get(name) as () => Promise<Attempt<unknown>>)();
        const answer = outcome.kind === 'done' ? JSON.stringify(outcome.value) : outcome.code;
        if (answer !== before) fault(sim, 'asks', `${name}, repeated, got ${answer} after ${before}`);
      }
    });
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
