/**
 * A process whose handler kills it. Arguments: data folder, file, number of messages to publish, and the death: `count:n` (the nth
 * message that this process begins, whichever it is), `id:x` (message x), or `none`.
 *
 * Lines of the file: `begin id`, `end id`; of dead letters, when everything is over: `dead id reason message`.
 */
import { openSync, writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MessageBroker } from '../../runtime/broker/message-broker.ts';
import { ActorSystem } from '../../runtime/index.ts';

const [dataDir = '', file = '', count = '0', death = 'none'] = process.argv.slice(2);
const log = openSync(file, 'a');
const note = (line: string): void => void writeSync(log, `${line}\n`);
const [kind, what] = death.split(':');

const system = await ActorSystem.start({ dataDir, threads: 0 });
const broker = await MessageBroker.start({ system, env: {} });
let begun = 0;
let goOn = (): void => undefined;
const published = new Promise<void>((resolve) => {
  goOn = resolve;
});
await broker.subscribe(
  'work',
  async ({ id }) => {
    // The first run begins when all of it is there.
    await published;
    begun += 1;
    note(`begin ${id}`);
    if (kind === 'count' ? begun === Number(what) : id === what) process.kill(process.pid, 'SIGKILL');
    await nextTurn();
    note(`end ${id}`);
  },
  { name: 'work', concurrency: 4 },
);
const drafts = Array.from({ length: Number(count) }, (_, n) => ({
  type: 'work',
  id: `m${n}`,
  source: `s${n % 7}`,
  payload: n,
}));
await Promise.all(drafts.map((draft) => broker.publish(draft)));
goOn();
while ([...(await broker.subscriptions()).values()].some(({ waiting }) => waiting > 0)) await nextTurn();
const { letters } = await broker.deadLetters.list();
for (const { message, reason, error } of letters) note(`dead ${message.id} ${reason} ${error.message}`);
await broker.close();
await system.stop();
