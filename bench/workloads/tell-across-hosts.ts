/** Messages from an actor on one host to actors on another, in memory: what crossing threads costs. */
import { arrayPosts, singlePosts } from '../baselines/post-message.ts';
import { erlang } from '../baselines/erlang.ts';
import { counter } from '../actors/counter.ts';
import { sizeOf } from '../actors/messages.ts';
import { RATE, type Workload } from '../contract.ts';
import { drivenLoad } from '../driven-load.ts';

const WIDTH = 16;

export const tellAcrossHosts: Workload = {
  name: 'tell-across-hosts',
  title: 'Tell across hosts',
  what: 'One actor on host 0 sends to 16 reducer actors on host 1; a batch ends when all have reported back.',
  conditions: {
    durability: 'in memory',
    messageBytes: sizeOf('order'),
    concurrency: '1 sender, 16 receivers',
    hosts: 2,
  },
  metrics: [RATE],
  contenders: [
    {
      name: 'hosts',
      kind: 'ours',
      label: 'host to host',
      open: (setting) =>
        drivenLoad({ system: { threads: 2 }, target: counter, kind: 'order', width: WIDTH, routes: [[0, 1]] }, setting),
    },
    singlePosts,
    arrayPosts,
    erlang('orders', 2, 'Erlang send'),
  ],
};
