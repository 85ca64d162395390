/**
 * The embedded broker on a virtual clock: a cron schedule, times missed while no broker ran, and a handler that kills its
 * process at one message.
 */
import { expect, test } from 'vitest';
import { MessageBroker } from '../../runtime/broker/message-broker.ts';
import type { Simulation } from '../../runtime/testing/simulation.ts';
// Loaded before: a broker imports them when it needs them.
import '../../runtime/broker/adapters/embedded-adapter.ts';
import '../../runtime/broker/schedule.ts';
import { runSeed } from './seeds.ts';
import type { Workload } from './workloads/workload.ts';

const ACTORS = [new URL('../../runtime/broker/adapters/embedded-actors.ts', import.meta.url).href];
const MINUTE_MS = 60_000;

const run = async (work: (sim: Simulation) => Promise<void>): Promise<void> => {
  const workload: Workload = {
    name: 'broker-clockwork',
    actors: ACTORS,
    system: { sync: 'group' },
    // A client: virtual time goes on while a module is imported, which the simulation does not know of.
    run: (sim) => {
      sim.client(() => work(sim));
      return Promise.resolve();
    },
  };
  const { violations } = await runSeed(1, { workload, plan: 'calm' });
  expect(violations).toEqual([]);
};

test('cron: every time once, in its time zone; of the times that were missed the last one', async () => {
  const got: string[] = [];
  await run(async (sim) => {
    const start = async (): Promise<MessageBroker> => {
      const broker = await MessageBroker.start({ system: await sim.up(), env: {} });
      await broker.subscribe('tick', ({ id, timeMs }) => void got.push(`${id} ${timeMs}`), { name: 't' });
      return broker;
    };
    const first = await start();
    // Nepal is 5:45 ahead: its minutes 0, 4, 8 … are 3, 7, 11 … of UTC.
    await first.schedule('often', { cron: '0 */4 * * * *', timeZone: 'Asia/Kathmandu' }, { type: 'tick' });
    await sim.advance(10 * MINUTE_MS);
    await first.close();
    await sim.advance(10 * MINUTE_MS);
    await sim.restart();
    const second = await start();
    await sim.advance(8 * MINUTE_MS);
    await second.close();
  });
  const due = [3, 7, 19, 23, 27].map((minute) => Date.UTC(2030, 0, 1, 0, minute));
  expect(got.map((line) => Number(line.split(' ')[0]?.split(':')[2]))).toEqual(due);
  // On time, but for the one that was made up for.
  const lateMs = got.map((line, at) => Number(line.split(' ')[1]) - (due[at] as number));
  expect(lateMs.map((ms) => ms >= 1_000)).toEqual([false, false, true, false, false]);
});

test('a handler that kills its process at one message: that one is dead after 2 + maxAttempts deaths, all others are handled', async () => {
  const MESSAGES = 40;
  const handled = new Set<string>();
  let deaths = 0;
  await run(async (sim) => {
    const start = async (): Promise<{ readonly broker: MessageBroker; readonly died: Promise<void> }> => {
      const system = await sim.up();
      const broker = await MessageBroker.start({ system, env: {}, retry: { maxAttempts: 3 } });
      let die = (): void => undefined;
      const died = new Promise<void>((resolve) => (die = resolve));
      let isDead = false;
      await broker.subscribe(
        'work',
        ({ id }) => {
          // What a dead process still does in this thread did not happen.
          if (isDead) return new Promise(() => undefined);
          if (id !== 'm13') return void handled.add(id);
          isDead = true;
          deaths += 1;
          die();
          return new Promise(() => undefined);
        },
        { name: 'work', concurrency: 3 },
      );
      return { broker, died };
    };
    let { broker, died } = await start();
    const publishing = Array.from({ length: MESSAGES }, (_, n) =>
      broker.publish({ type: 'work', id: `m${n}`, source: `s${n % 5}` }).catch(() => undefined),
    );
    await Promise.race([Promise.all(publishing), died]);
    for (;;) {
      const isOver = await Promise.race([died.then(() => false), sim.advance(5_000).then(() => true)]);
      if (isOver || deaths > 20) break;
      await sim.crash();
      ({ broker, died } = await start());
    }
    const { letters } = await broker.deadLetters.list();
    expect(letters.map(({ message, reason }) => [message.id, reason])).toEqual([['m13', 'attempts']]);
    await broker.close();
  });
  expect(deaths).toBe(5);
  expect(handled.size).toBe(MESSAGES - 1);
});
