/**
 * A process with an embedded broker that is to be killed: it writes down what it was told, outside of the broker, before it does anything
 * else. Arguments: data folder, file, threads, `work` or `drain`.
 *
 * Lines of the file: `publish id` (about to), `accepted id`, `begin id`, `end id`, `settled id`.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MessageBroker } from '../../runtime/broker/message-broker.ts';
import { ActorSystem } from '../../runtime/index.ts';

const [dataDir = '', file = '', threads = '0', task = 'work'] = process.argv.slice(2);
const SOURCES = 3;
const UNDER_WAY = 40;

const before = readFileSync(file, { encoding: 'utf8', flag: 'a+' }).split('\n');
const log = openSync(file, 'a');
const note = (what: string, id: string): void => void writeSync(log, `${what} ${id}\n`);

const system = await ActorSystem.start({ dataDir, threads: Number(threads), checkpointEveryTurns: 500 });
const broker = await MessageBroker.start({ system, env: {}, retry: { initialMs: 1, maxMs: 10, maxAttempts: 1_000 } });
let handled = 0;
await broker.subscribe(
  'work',
  async ({ id }) => {
    note('begin', id);
    handled += 1;
    if (handled % 13 === 0) throw new Error('now and then');
    if (handled % 5 === 0) await nextTurn();
    note('end', id);
  },
  { name: 'work', concurrency: 4 },
);
console.log('up');

if (task === 'work') {
  const publish = async (source: string, from: number): Promise<void> => {
    const open = new Set<Promise<void>>();
    for (let n = from; ; n++) {
      const id = `${source}-${n}`;
      note('publish', id);
      const one = broker
        .publish({ type: 'work', id, source, delivery: 'EXACTLY_ONCE', payload: { n, filler: 'x'.repeat(100) } })
        .then((receipt) => {
          note('accepted', id);
          return receipt.settled();
        })
        .then(() => note('settled', id));
      const done = one.finally(() => open.delete(done));
      open.add(done);
      if (open.size >= UNDER_WAY) await Promise.race(open);
    }
  };
  for (let s = 0; s < SOURCES; s++) {
    const source = `s${s}`;
    const mine = before.filter((line) => line.startsWith(`publish ${source}-`));
    void publish(source, mine.length);
  }
} else {
  for (;;) {
    const waiting = [...(await broker.subscriptions()).values()].reduce((sum, row) => sum + row.waiting, 0);
    if (waiting === 0) break;
    await nextTurn();
  }
  await broker.close();
  await system.stop();
  closeSync(log);
}
