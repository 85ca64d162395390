/** Memory of many actors that wait. */
import type { Definition } from '../../runtime/kernel/definition.ts';
import { xstateStarted } from '../baselines/bare-xstate.ts';
import { breaker } from '../actors/breaker.ts';
import { counter, journaledCounter } from '../actors/counter.ts';
import type { Contender, Workload } from '../contract.ts';
import { heapBytes } from '../heap.ts';
import { IdleActors } from '../idle-actors.ts';

const COUNTS = [3_000, 10_000, 30_000, 100_000];
const QUICK_MOST = 10_000;

const at = (series: string, definition: Definition, passive: boolean, count: number): Contender => ({
  name: `${passive ? 'passive' : definition.name}-${count}`,
  point: { series, x: count },
  kind: 'ours',
  label: `${series}, ${count}`,
  execArgv: ['--expose-gc'],
  missing: (quick) => (quick && count > QUICK_MOST ? 'not in a quick run' : undefined),
  async open({ dir }) {
    const idle = await IdleActors.start({ dir, definition, passive });
    const before = heapBytes();
    await idle.add(count);
    return {
      sample: async () => ({ memory: Math.max(1_000, heapBytes() - before) / 1e6 }),
      close: () => idle.stop(),
    };
  },
});

export const memory: Workload = {
  name: 'growth-memory',
  title: 'Memory by number of idle actors',
  what: 'Heap and buffers of the process, after garbage collection, with so many more idle actors than before.',
  conditions: { durability: 'as said', messageBytes: 0, concurrency: 'idle', hosts: 1 },
  metrics: [{ name: 'memory', unit: 'MB', better: 'lower' }],
  axis: { label: 'idle actors', scale: 'log' },
  oneAtATime: true,
  contenders: COUNTS.flatMap((count) => [
    at('XState machine, in memory', breaker, false, count),
    at('reducer, in memory', counter, false, count),
    at('reducer, journaled', journaledCounter, false, count),
    at('reducer, passivated', journaledCounter, true, count),
    xstateStarted(count),
  ]),
};
