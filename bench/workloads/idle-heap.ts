/** Memory of an actor that waits: reducer and machine, in memory and journaled. */
import type { Definition } from '../../runtime/kernel/definition.ts';
import { erlang } from '../baselines/erlang.ts';
import { xstateHeap } from '../baselines/bare-xstate.ts';
import { breaker, journaledBreaker } from '../actors/breaker.ts';
import { counter, journaledCounter } from '../actors/counter.ts';
import type { Contender, Workload } from '../contract.ts';
import { nactHeap } from '../peers/nact.ts';
import { heapBytes } from '../heap.ts';
import { IdleActors } from '../idle-actors.ts';

/** On the calling thread, whose heap can be read; the journal, if any, is on disk. */
const idle = (
  name: string,
  label: string,
  definition: Definition,
  beside: readonly string[],
  passive = false,
): Contender => ({
  name,
  kind: 'ours',
  label,
  beside,
  execArgv: ['--expose-gc'],
  async open({ dir, quick }) {
    const count = quick ? 2_000 : 20_000;
    const actors = await IdleActors.start({ dir, definition, passive });
    await actors.add(count);
    let before = heapBytes();
    return {
      async sample() {
        await actors.add(count);
        const after = heapBytes();
        // Of passivated ones nothing stays: what is measured then is what the garbage collector happens to leave.
        const heap = Math.max(1, (after - before) / count);
        before = after;
        return { heap };
      },
      close: () => actors.stop(),
    };
  },
});

export const idleHeap: Workload = {
  name: 'idle-heap',
  title: 'Heap of an idle actor',
  what: 'Growth of the heap and of buffers by another 20,000 actors (quick: 2,000), after garbage collection, over their number.',
  conditions: { durability: 'as said', messageBytes: 0, concurrency: 'idle', hosts: 1 },
  metrics: [{ name: 'heap', unit: 'B', better: 'lower' }],
  contenders: [
    idle('reducer', 'reducer, in memory', counter, ['erlang', 'nact']),
    idle('machine', 'machine, in memory', breaker, ['xstate-actor', 'erlang']),
    idle('reducer-journaled', 'reducer, journaled', journaledCounter, ['erlang', 'nact']),
    idle('machine-journaled', 'machine, journaled', journaledBreaker, ['xstate-actor', 'erlang']),
    idle('passivated', 'reducer, journaled, passivated', journaledCounter, [], true),
    xstateHeap,
    erlang('heap', 1, 'Erlang process'),
    nactHeap,
  ],
};
