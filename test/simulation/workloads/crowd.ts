/** A crowd that does not fit into memory: actors come and go, checkpoints are made, messages fail, observers look on. */
import { forgetStumbles, PEOPLE, type PersonState } from './crowd-actors.ts';
import { attempt, fault, insist, pick, type Workload } from './workload.ts';

const RUMOURS = 16;

export const crowd: Workload = {
  name: 'crowd',
  actors: [new URL('./crowd-actors.ts', import.meta.url).href],
  async run(sim) {
    forgetStumbles();
    const steps = new Map<string, number>();
    const poisons: string[] = [];
    for (let client = 0; client < 3; client++) {
      sim.client(async () => {
        for (let i = 0; i < RUMOURS / 2; i++) {
          const name = `r${client}-${i}`;
          const to = `person/${pick(sim, PEOPLE)}`;
          if (sim.random.next() < 0.15) {
            poisons.push(name);
            const message = { type: 'POISON', name, left: 0 };
            await insist(sim, (system) => system.refOf(to).tell(message, { idempotencyKey: name }));
            continue;
          }
          const left = pick(sim, 12);
          steps.set(name, left);
          const outcome = await insist(sim, (system) =>
            system.refOf(to).ask({ type: 'RUMOUR', name, left }, { idempotencyKey: name }),
          );
          if (outcome.kind === 'failed') fault(sim, 'crowd', `${name} failed: ${outcome.code}`);
          if (sim.random.next() < 0.3) await sim.advance(pick(sim, 200));
        }
      });
    }
    sim.client(async () => {
      for (let i = 0; i < 4; i++) {
        await sim.advance(pick(sim, 300));
        await attempt(async () => (await sim.up()).checkpoint());
      }
    });
    sim.client(async () => {
      const system = await sim.up();
      let last = -1;
      const leave = new AbortController();
      void sim.advance(1_500).then(() => leave.abort());
      await attempt(async () => {
        for await (const { sequence } of system.refOf('person/0').changes({ signal: leave.signal })) {
          if (sequence < last) fault(sim, 'crowd', `an observer saw turn ${sequence} after turn ${last}`);
          last = sequence;
        }
      });
    });
    sim.atEnd(async (system) => {
      if (sim.lostCommits > 0) return;
      const heard = new Map<string, number>();
      for (let i = 0; i < PEOPLE; i++) {
        const { view } = await system.refOf(`person/${i}`).snapshot();
        for (const one of view === undefined ? [] : (view as PersonState).heard)
          heard.set(one, (heard.get(one) ?? 0) + 1);
      }
      let expected = 0;
      for (const [name, left] of steps) {
        for (let step = 0; step <= left; step++) {
          expected += 1;
          const times = heard.get(`${name}:${step}`) ?? 0;
          if (times !== 1) fault(sim, 'crowd', `${name}:${step} was heard ${times} times`);
        }
      }
      if (heard.size !== expected) fault(sim, 'crowd', `${heard.size} rumours were heard, ${expected} were told`);
      const letters = (await system.deadLetters.list({ limit: 1_000 })).filter(
        ({ reason }) => reason === 'handler_failed',
      );
      const dead = letters.map(({ message }) => (message as { readonly name: string }).name).toSorted();
      if (dead.join() !== poisons.toSorted().join())
        fault(sim, 'crowd', `dead letters ${dead.join()}, poison ${poisons.join()}`);
    });
  },
};
