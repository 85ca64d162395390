/** How long a restart takes by how much was journaled: bounded by checkpoints, and not. */
import { sizeOf } from '../actors/messages.ts';
import type { Workload } from '../contract.ts';
import { restartOf } from '../workloads/replay.ts';

const QUICK_MOST = 10_000;
const TURNS = [10_000, 30_000, 100_000, 300_000, 1_000_000];

const missingOf = (turns: number) => (quick: boolean) =>
  quick && turns > QUICK_MOST ? 'not in a quick run' : undefined;

export const recovery: Workload = {
  name: 'growth-recovery',
  title: 'Restart after a kill by turns journaled',
  what:
    'A killed process left so many turns of 1,000 actors. From ActorSystem.start to the first answer, in a fresh process; loading ' +
    'Node and the modules is not measured.',
  conditions: { durability: 'journal, fsync', messageBytes: sizeOf('order'), concurrency: '1,000 actors', hosts: 2 },
  metrics: [{ name: 'first', unit: 'ms', better: 'lower' }],
  axis: { label: 'turns in the log', scale: 'log' },
  inOtherProcesses: true,
  oneAtATime: true,
  limitMs: 300_000,
  contenders: TURNS.flatMap((turns) => [
    {
      ...restartOf('default', 'checkpoints as by default', undefined, turns),
      name: `default-${turns}`,
      missing: missingOf(turns),
      point: { series: 'checkpoints as by default', x: turns },
    },
    {
      ...restartOf('no-checkpoint', 'never checkpointed', 1e12, turns),
      name: `no-checkpoint-${turns}`,
      missing: missingOf(turns),
      point: { series: 'never checkpointed', x: turns },
    },
  ]),
};
