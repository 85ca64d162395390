/** Memory of an actor that waits: reducer and machine, in memory and journaled. */
import { setTimeout } from 'node:timers/promises';
import type { Definition } from '../../runtime/kernel/definition.ts';
import { erlang } from '../baselines/erlang.ts';
import { xstateHeap } from '../baselines/bare-xstate.ts';
import { breaker, journaledBreaker } from '../actors/breaker.ts';
import { counter, journaledCounter } from '../actors/counter.ts';
import type { Contender, Workload } from '../contract.ts';
import { heapBytes } from '../heap.ts';
import { startSystem } from '../own-system.ts';
import { inFlight } from '../pace.ts';

const SPAWNS_UNDER_WAY = 2_000;
/** What spawning itself leaves behind (batches on their way, timers of calls) is gone a moment later. */
const SETTLE_MS = 100;

/** On the calling thread, whose heap can be read; the journal, if any, is on disk. */
const idle = (name: string, label: string, definition: Definition, durable: boolean): Contender => ({
  name,
  kind: 'ours',
  label,
  execArgv: ['--expose-gc'],
  async open({ dir, quick }) {
    const system = await startSystem({ threads: 0, ...(durable ? { dataDir: dir } : {}) });
    const actors = quick ? 5_000 : 20_000;
    let round = 0;
    const spawn = async (): Promise<void> => {
      round += 1;
      await inFlight(actors, SPAWNS_UNDER_WAY, (i) => system.spawn(definition, { id: `${round}-${i}` }));
      await setTimeout(SETTLE_MS);
    };
    // The first ones pay for what is there once.
    await spawn();
    await spawn();
    let before = heapBytes();
    return {
      async sample() {
        await spawn();
        const after = heapBytes();
        const heap = (after - before) / actors;
        before = after;
        return { heap };
      },
      close: () => system.stop(),
    };
  },
});

export const idleHeap: Workload = {
  name: 'idle-heap',
  title: 'Heap of an idle actor',
  what: 'Growth of the heap and of buffers by another 20,000 actors (quick: 5,000), after garbage collection, over their number.',
  conditions: { durability: 'as said', messageBytes: 0, concurrency: 'idle', hosts: 1 },
  metrics: [{ name: 'heap', unit: 'B', better: 'lower' }],
  contenders: [
    idle('reducer', 'reducer, in memory', counter, false),
    idle('machine', 'machine, in memory', breaker, false),
    idle('reducer-journaled', 'reducer, journaled', journaledCounter, true),
    idle('machine-journaled', 'machine, journaled', journaledBreaker, true),
    xstateHeap,
    erlang('heap', 1, 'Erlang process'),
  ],
};
