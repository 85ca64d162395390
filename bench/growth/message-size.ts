/** How the rate of messages falls with their size: where they cross threads, and where they are journaled. */
import { counter, journaledCounter } from '../actors/counter.ts';
import { type Contender, RATE, type Workload } from '../contract.ts';
import { type DrivenLoad, drivenLoad } from '../driven-load.ts';

const SIZES = [150, 500, 2_000, 8_000, 32_000, 128_000];
const WIDTH = 16;

const at = (series: string, bytes: number, load: (dir: string) => DrivenLoad): Contender => ({
  name: `${series}-${bytes}`,
  point: { series: series === 'durable' ? 'durable, inside two hosts' : 'in memory, host to host', x: bytes },
  kind: 'ours',
  label: `${series}, ${bytes} B`,
  open: (setting) => drivenLoad(load(setting.dir), setting),
});

export const messageSize: Workload = {
  name: 'growth-message-size',
  title: 'Messages a second by size',
  what: 'An actor sends orders whose note makes them as big as said, to 16 reducer actors: of the other host, or journaled ones of its own.',
  conditions: { durability: 'as said', messageBytes: 0, concurrency: '16 receivers a sender', hosts: 2 },
  metrics: [RATE],
  axis: { label: 'bytes a message, as JSON', scale: 'log' },
  contenders: SIZES.flatMap((bytes) => [
    at('across', bytes, () => ({
      system: { threads: 2 },
      target: counter,
      kind: 'order',
      bytes,
      width: WIDTH,
      routes: [[0, 1]],
    })),
    at('durable', bytes, (dataDir) => ({
      system: { threads: 2, dataDir },
      target: journaledCounter,
      kind: 'order',
      bytes,
      width: WIDTH,
      routes: [
        [0, 0],
        [1, 1],
      ],
    })),
  ]),
};
