/** Messages from actor to actor on one host, in memory: what the runtime itself costs a message. */
import { erlang } from '../baselines/erlang.ts';
import { mailboxLoop } from '../baselines/mailbox-loop.ts';
import { nactDispatch } from '../peers/nact.ts';
import { xstateReducer } from '../baselines/bare-xstate.ts';
import { counter } from '../actors/counter.ts';
import { sizeOf } from '../actors/messages.ts';
import { type Contender, RATE, type Workload } from '../contract.ts';
import { drivenLoad } from '../driven-load.ts';

const WIDTH = 16;

const ours = (threads: 0 | 1, name: string, label: string): Contender => ({
  name,
  kind: 'ours',
  label,
  ...(threads === 0 ? { beside: ['mailbox-loop', 'xstate-send'] } : {}),
  open: (setting) =>
    drivenLoad({ system: { threads }, target: counter, kind: 'add', width: WIDTH, routes: [[0, 0]] }, setting),
});

export const tellInHost: Workload = {
  name: 'tell-in-host',
  title: 'Tell inside a host',
  what: 'One actor sends to 16 reducer actors of the same host, 256 messages a turn; a batch ends when all have reported.',
  conditions: { durability: 'in memory', messageBytes: sizeOf('add'), concurrency: '1 sender, 16 receivers', hosts: 1 },
  metrics: [RATE],
  contenders: [
    ours(1, 'thread', 'a host thread'),
    ours(0, 'inline', 'threads: 0'),
    mailboxLoop(WIDTH),
    xstateReducer(WIDTH),
    erlang('tell', 1, 'Erlang send'),
    nactDispatch(WIDTH),
  ],
};
