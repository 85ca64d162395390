/** Supervision: whatever dies, every supervised child runs in the end, and every end is heard of once. */
import { allForOne, oneForOne, type ParentState, parent } from './family-actors.ts';
import { attempt, fault, insist, pick, type Workload } from './workload.ts';

const SUPERVISED = ['o1', 'o2', 'a1', 'a2', 'a3'];
const ALWAYS = ['o1', 'a1', 'a2', 'a3'];
const PARENTS = 2;

export const family: Workload = {
  name: 'family',
  actors: [new URL('./family-actors.ts', import.meta.url).href],
  async run(sim) {
    await insist(sim, (system) => system.spawn(oneForOne, { id: 's', ifExists: 'attach' }));
    await insist(sim, (system) => system.spawn(allForOne, { id: 's', ifExists: 'attach' }));
    for (let i = 0; i < PARENTS; i++) {
      await insist(sim, (system) => system.spawn(parent, { id: `p${i}`, ifExists: 'attach' }));
    }
    sim.client(async () => {
      for (let i = 0; i < 15; i++) {
        const key = `child/${SUPERVISED[pick(sim, SUPERVISED.length)]}`;
        const type = (['WORK', 'WORK', 'FAIL', 'FINISH'] as const)[pick(sim, 4)];
        await attempt(async () => (await sim.up()).refOf(key).tell({ type }, { timeoutMs: 2_000 }));
        if (sim.random.next() < 0.4) await sim.advance(pick(sim, 300));
      }
    });
    sim.client(async () => {
      for (let i = 0; i < 25; i++) {
        const number = pick(sim, 6);
        const kind = sim.random.next() < 0.7 ? 'child' : 'brief';
        const messages = [
          { type: 'SPAWN', kind },
          { type: 'STOP', number },
          { type: 'POKE', number, what: (['WORK', 'FINISH', 'FAIL'] as const)[pick(sim, 3)] },
          { type: 'WATCH', key: `child/${SUPERVISED[pick(sim, SUPERVISED.length)]}` },
        ];
        await attempt(async () =>
          (await sim.up()).refOf(`parent/p${pick(sim, PARENTS)}`).tell(messages[pick(sim, messages.length)]),
        );
        if (sim.random.next() < 0.3) await sim.advance(pick(sim, 200));
      }
    });
    sim.atEnd(async (system) => {
      if (sim.lostCommits > 0) return;
      for (const id of ALWAYS) {
        const { status } = await system.refOf(`child/${id}`).snapshot();
        if (status !== 'running') fault(sim, 'family', `child/${id} is ${status}, though it is permanent`);
      }
      for (let i = 0; i < PARENTS; i++) {
        const state = (await system.refOf(`parent/p${i}`).snapshot()).view as ParentState;
        if (new Set(state.ended).size !== state.ended.length)
          fault(sim, 'family', `parent/p${i} heard of an end twice: ${state.ended.join()}`);
        for (let number = 0; number < state.spawned; number++) {
          const { status } = await system.refOf(`child/p${i}.${number}`).snapshot();
          if (status === 'stopped' && !state.ended.includes(`n${number}`))
            fault(sim, 'family', `parent/p${i} did not hear of the end of n${number}`);
        }
      }
    });
  },
};
