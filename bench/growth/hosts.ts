/** What more hosts bring. More hosts than cores cannot bring anything; the result says how many there are. */
import type { Definition } from '../../runtime/kernel/definition.ts';
import { breaker } from '../actors/breaker.ts';
import { counter, journaledCounter } from '../actors/counter.ts';
import type { MessageKind } from '../actors/messages.ts';
import { type Contender, TURNS, type Workload } from '../contract.ts';
import { drivenLoad } from '../driven-load.ts';

const HOSTS = [1, 2, 3, 4];
const WIDTH = 16;

const at = (series: string, target: Definition, kind: MessageKind, hosts: number): Contender => ({
  name: `${target.name}-${hosts}`,
  point: { series, x: hosts },
  kind: 'ours',
  label: `${series}, ${hosts} hosts`,
  open: (setting) =>
    drivenLoad(
      {
        system: { threads: hosts, ...(target.durability === 'none' ? {} : { dataDir: setting.dir }) },
        target,
        kind,
        width: WIDTH,
        routes: Array.from({ length: hosts }, (_, host) => [host, host] as const),
      },
      setting,
    ),
});

export const hosts: Workload = {
  name: 'growth-hosts',
  title: 'Turns a second by number of hosts',
  what: 'On each host one actor sends to 16 actors of the same host.',
  conditions: { durability: 'as said', messageBytes: 0, concurrency: '1 sender, 16 receivers a host', hosts: 4 },
  metrics: [TURNS],
  axis: { label: 'host threads', scale: 'linear' },
  contenders: HOSTS.flatMap((count) => [
    at('reducers, in memory', counter, 'add', count),
    at('XState machines, in memory', breaker, 'breaker', count),
    at('reducers, durable', journaledCounter, 'order', count),
  ]),
};
