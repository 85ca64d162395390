/** How the rate of durable calls grows with how many are under way: a flush is shared by all that wait for it. */
import { lmdbPutsWith } from '../baselines/lmdb-put.ts';
import { TURNS, type Workload } from '../contract.ts';
import { sizeOf } from '../actors/messages.ts';
import { turnsFromOutsideWith } from '../workloads/durable-turns.ts';

const WIDTHS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384];

export const underWay: Workload = {
  name: 'growth-under-way',
  title: 'Durable messages a second by calls under way',
  what: 'The application tells 64 journaled reducer actors on two hosts; so many calls wait for their receipts at any time.',
  conditions: { durability: 'journal, fsync', messageBytes: sizeOf('order'), concurrency: 'as said', hosts: 2 },
  metrics: [TURNS],
  axis: { label: 'calls under way', scale: 'log' },
  contenders: WIDTHS.flatMap((width) => [
    {
      ...turnsFromOutsideWith(width),
      name: `tells-${width}`,
      beside: [`lmdb-${width}`],
      point: { series: 'await ref.tell', x: width },
    },
    {
      ...lmdbPutsWith(width),
      name: `lmdb-${width}`,
      point: { series: 'bare LMDB put', x: width },
    },
  ]),
};
