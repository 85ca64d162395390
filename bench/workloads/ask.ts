/** Round trips in memory, one at a time: inside a host, across hosts, and from the application. */
import { erlang } from '../baselines/erlang.ts';
import { postRoundTrip } from '../baselines/post-message.ts';
import { caller, type CallRun } from '../actors/driver.ts';
import { nactQuery } from '../peers/nact.ts';
import { echo } from '../actors/echo.ts';
import { order, sizeOf } from '../actors/messages.ts';
import { type Contender, P50, P99, type Sample, type Workload } from '../contract.ts';
import { idOn, startSystem } from '../own-system.ts';
import { roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';

/** From one actor to another, measured by the one that asks. */
const betweenActors = (name: string, label: string, threads: number, to: number): Contender => ({
  name,
  kind: 'ours',
  label,
  beside: threads === 1 ? ['erlang', 'nact'] : ['post-message'],
  async open({ sampleMs }) {
    const system = await startSystem({ threads });
    const target = await system.spawn(echo, { id: idOn(to, threads, 'echo') });
    const asking = await system.spawn(caller, { id: idOn(0, threads, 'caller') });
    const run = (forMs: number): Promise<Sample> =>
      asking.ask({ type: 'CALLS', target: target.key, forMs, least: 100 } satisfies CallRun);
    await run(sampleMs);
    return { sample: () => run(sampleMs), close: () => system.stop() };
  },
});

const fromOutside: Contender = {
  name: 'outside',
  kind: 'ours',
  label: 'application → host → application',
  beside: ['post-message'],
  async open({ sampleMs }) {
    const system = await startSystem({ threads: 1 });
    const target = await system.spawn(echo, { id: 'e' });
    let i = 0;
    const trip = (): Promise<unknown> => target.ask(order(i++));
    await roundTrips(sampleMs, 100, trip);
    return {
      sample: async () => latencies(await roundTrips(sampleMs, 100, trip)),
      close: () => system.stop(),
    };
  },
};

export const ask: Workload = {
  name: 'ask',
  title: 'Ask, round trip',
  what: 'One question at a time; the next is asked when the answer is there.',
  conditions: { durability: 'in memory', messageBytes: sizeOf('order'), concurrency: '1 under way', hosts: 2 },
  metrics: [P50, P99],
  contenders: [
    betweenActors('in-host', 'actor to actor, one host', 1, 0),
    betweenActors('across-hosts', 'actor to actor, two hosts', 2, 1),
    fromOutside,
    postRoundTrip,
    erlang('call', 1, 'Erlang call'),
    nactQuery,
  ],
};
