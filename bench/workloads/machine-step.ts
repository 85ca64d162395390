/** XState machines in memory: what our mailboxes, turns and addresses add to XState's own step. */
import { xstateMachine } from '../baselines/bare-xstate.ts';
import { breaker } from '../actors/breaker.ts';
import { sizeOf } from '../actors/messages.ts';
import { type Contender, TURNS, type Workload } from '../contract.ts';
import { drivenLoad } from '../driven-load.ts';

const WIDTH = 16;

const ours = (threads: 1 | 2): Contender => ({
  name: `hosts-${threads}`,
  kind: 'ours',
  label: threads === 1 ? 'one host' : 'two hosts',
  open: (setting) =>
    drivenLoad(
      {
        system: { threads },
        target: breaker,
        kind: 'breaker',
        width: WIDTH,
        routes:
          threads === 1
            ? [[0, 0]]
            : [
                [0, 0],
                [1, 1],
              ],
      },
      setting,
    ),
});

export const machineStep: Workload = {
  name: 'machine-step',
  title: 'XState machine, a step',
  what: 'On each host one actor sends events to 16 circuit breakers (3 states, a guard, assigned counters) of the same host.',
  conditions: {
    durability: 'in memory',
    messageBytes: sizeOf('breaker'),
    concurrency: '1 sender, 16 machines a host',
    hosts: 2,
  },
  metrics: [TURNS],
  contenders: [ours(1), ours(2), xstateMachine(WIDTH)],
};
