/**
 * One of two systems that talk over a broker on a server, to be killed: it writes down what it was told, outside of the broker, before it
 * does anything else. Arguments: server's URL, broker, its own id, the other's id, file.
 *
 * Lines of the file: `publish id` (about to), `accepted id`, `begin id`, `end id`, `settled id`, `answered n`; at the end `open id` for
 * each of its own whose receipt does not say that it was handled. On `stop` it sends no more, waits until all it has sent is settled, and
 * says `stopped`; on `end` it ends.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { SystemConnector } from '../../actors/connector/system-connector.ts';
import { MessageBroker } from '../../runtime/broker/message-broker.ts';
import { until } from './until.ts';

const [url = '', name = '', id = '', other = '', file = ''] = process.argv.slice(2);
const UNDER_WAY = 10;
const ACK_TIMEOUT_MS = 1_500;
const DRAIN_MS = 60_000;

const before = readFileSync(file, { encoding: 'utf8', flag: 'a+' }).split('\n');
const log = openSync(file, 'a');
const note = (what: string, about: string): void => void writeSync(log, `${what} ${about}\n`);

const broker = await MessageBroker.start({
  name,
  url,
  env: {},
  retry: { initialMs: 1, maxMs: 10, maxAttempts: 1_000 },
});
broker.on('dead_letter', ({ messageId, error }) => note('dead', `${messageId} ${error.message}`));
const system = new SystemConnector(id, broker, { commands: { ackTimeoutMs: ACK_TIMEOUT_MS } });
let handled = 0;
const handle = (message: string): void => {
  note('begin', message);
  handled += 1;
  if (handled % 13 === 0) throw new Error('now and then');
  note('end', message);
};
await system.onCommand('charge', (_payload, { message }) => handle(message.id));
await system.onEvent('*.sold', (_data, { message }) => void (message.source === id || handle(message.id)), {
  ackTimeoutMs: ACK_TIMEOUT_MS,
});
await system.onQuery<number>('double', (n) => n * 2);

const mine = new Set(
  before.filter((line) => line.startsWith(`accepted ${id}-`)).map((line) => line.split(' ')[1] ?? ''),
);
let number = before.filter((line) => line.startsWith(`publish ${id}-`)).length;
let isStopped = false;
const lines = createInterface({ input: process.stdin });
const lineOf = async (wanted: string): Promise<void> => {
  for (;;) {
    const [line] = (await once(lines, 'line')) as [string];
    if (line === wanted) return;
  }
};
void lineOf('stop').then(() => {
  isStopped = true;
});

const send = async (): Promise<void> => {
  while (!isStopped) {
    const message = `${id}-${number++}`;
    const options = { id: message, delivery: 'EXACTLY_ONCE' } as const;
    note('publish', message);
    // The other may not have come up for the first time, and then nobody takes it.
    const receipt = await (number % 2 === 0
      ? system.sendCommand(other, 'charge', { cents: number }, options)
      : system.publishEvent(`${id}.sold`, { cents: number }, options)
    ).catch((error: unknown) => note('refused', `${message} ${String(error)}`));
    if (receipt === undefined) continue;
    note('accepted', message);
    mine.add(message);
    await receipt.settled();
    note('settled', message);
  }
};
const ask = async (): Promise<void> => {
  for (let n = 1; !isStopped; n++) {
    try {
      const answer = await system.query<number>(other, 'double', n, { timeoutMs: 500 });
      note(answer === 2 * n ? 'answered' : 'wrong', `${id}-${n}`);
    } catch {
      // The other is away.
    }
  }
};

console.log('up');
await lineOf('go');
await Promise.all([ask(), ...Array.from({ length: UNDER_WAY }, send)]);
for (const message of mine) {
  const isHandled = async (): Promise<boolean> => (await broker.receipt(message))?.status === 'handled';
  await until(message, isHandled, DRAIN_MS).catch(() => note('open', message));
}
console.log('stopped');
await lineOf('end');
await system[Symbol.asyncDispose]();
await broker.close();
closeSync(log);
process.exit(0);
