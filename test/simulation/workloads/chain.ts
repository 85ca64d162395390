/** Chains across hosts: order per sender, tiny mailboxes with backpressure, and a stash. Clients tell without waiting. */
import { type HeapState, heap, LINKS, type LinkState } from './chain-actors.ts';
import { attempt, fault, insist, pick, type Workload } from './workload.ts';

const CHAINS = 2;
const CLIENTS = 3;
const MESSAGES = 25;

export const chain: Workload = {
  name: 'chain',
  actors: [new URL('./chain-actors.ts', import.meta.url).href],
  async run(sim) {
    await insist(sim, (system) => system.spawn(heap, { id: 'h', ifExists: 'attach' }));
    for (let client = 0; client < CLIENTS; client++) {
      sim.client(async () => {
        // A client's numbers begin again with each process: after a crash it cannot know which of its last ones were taken.
        for (let life = 0, sent = 0; sent < MESSAGES; life++) {
          const system = await sim.up();
          const name = `c${client}.${life}`;
          const chainName = String(pick(sim, CHAINS));
          let alive = true;
          for (let number = 0; alive && sent < MESSAGES; number++) {
            sent += 1;
            const told = attempt(() =>
              system.refOf(`link/${chainName}-0`).tell({ type: 'PASS', client: name, number }),
            );
            const wait = sim.random.next() < 0.3;
            if (wait) {
              const outcome = await told;
              alive = outcome.kind === 'done';
            } else {
              void told;
            }
          }
          if (!alive) continue;
        }
      });
    }
    sim.client(async () => {
      let next = 0;
      for (let i = 0; i < 20; i++) {
        const toggle = sim.random.next() < 0.4;
        const message = toggle ? { type: 'TOGGLE' } : { type: 'ITEM', number: next };
        const outcome = await insist(sim, (system) =>
          system.refOf('heap/h').tell(message, { idempotencyKey: `k${i}` }),
        );
        if (outcome.kind === 'failed') fault(sim, 'chain', `the heap refused: ${outcome.code}`);
        if (!toggle) next += 1;
      }
    });
    sim.atEnd(async (system) => {
      if (sim.lostCommits > 0) return;
      for (let chainName = 0; chainName < CHAINS; chainName++) {
        const states: LinkState[] = [];
        for (let place = 0; place < LINKS; place++) {
          const { view } = await system.refOf(`link/${chainName}-${place}`).snapshot();
          if (view !== undefined) states.push(view as LinkState);
        }
        const [first] = states;
        if (first === undefined) continue;
        for (const [place, state] of states.entries()) {
          for (const what of state.faults) fault(sim, 'chain', `link ${chainName}-${place}: ${what}`);
          if (
            JSON.stringify(Object.entries(state.seen).toSorted(byName)) !==
            JSON.stringify(Object.entries(first.seen).toSorted(byName))
          ) {
            fault(
              sim,
              'chain',
              `link ${chainName}-${place} has seen ${JSON.stringify(state.seen)}, the first ${JSON.stringify(first.seen)}`,
            );
          }
        }
      }
      if (((await system.refOf('heap/h').snapshot()).view as HeapState).open === false)
        await system.refOf('heap/h').tell({ type: 'TOGGLE' });
      const { items } = (await system.refOf('heap/h').snapshot()).view as HeapState;
      if (items.join() !== items.map((_, i) => i).join()) fault(sim, 'chain', `the heap has ${items.join()}`);
    });
  },
};

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
