/**
 * The process that is recorded: starts systems on the data folder, one after the other, loads them, and writes down each promise that it
 * is given, in a file that the recorder sees.
 *
 * node load-process.ts <order as JSON>
 */
import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ActorSystem } from '../../runtime/index.ts';
import type { RefOf } from '../../runtime/system/definition-inference.ts';
import { ACCOUNTS, account, accountKey, ASKED_EVERY, askKey, type AccountState, textOf } from './account.ts';
import { DATA, type LifeOrder, type LoadOrder } from './load.ts';
import { promisesFile } from './recording.ts';

/** Messages under way to one account. */
const WINDOW = 3;
/** Messages between two looks at what is stored. */
const LOOK_EVERY = 16;

const order = JSON.parse(process.argv[2] ?? '{}') as LoadOrder;
const file = openSync(promisesFile(order.root), 'a');
const promised = (...words: (string | number)[]): void => void writeSync(file, `${words.join(' ')}\n`);

const live = async (life: number, given: LifeOrder): Promise<void> => {
  const { sync, threads, retention, checkpointEveryTurns, messages, backup, stops } = given;
  const system = await ActorSystem.start({
    dataDir: join(order.root, DATA),
    sync,
    threads,
    retention,
    checkpointEveryTurns,
    actors: [new URL('./account.ts', import.meta.url)],
  });
  system.on('failed', ({ error }) => {
    throw error;
  });
  promised('RUN', life, sync);
  const damage = system.opened.damaged.find(({ error }) => error.details?.['table'] !== 'ahead');
  if (damage !== undefined) throw new Error(JSON.stringify(damage));
  let done = 0;

  const spawn = async (a: number): Promise<RefOf<typeof account>> => {
    const ref = await system.spawn(account, { id: `a${a}`, ifExists: 'attach' });
    promised('SPAWNED', a);
    return ref;
  };
  // Before anything is sent to one that is not there yet.
  const refs = await Promise.all(Array.from({ length: ACCOUNTS }, (_, a) => spawn(a)));

  const write = async (ref: RefOf<typeof account>, a: number): Promise<void> => {
    const { n } = await ref.ask<AccountState>({ type: 'GET' });
    promised('FOUND', a, n);
    const to = accountKey((a + 1) % ACCOUNTS);
    const under: Promise<void>[] = [];
    for (let i = n + 1; i <= n + messages; i++) {
      const text = textOf(life, a, i);
      const message = { type: 'ADD', n: i, text, to } as const;
      const sent = i % ASKED_EVERY === 0 ? ref.ask(message, { idempotencyKey: askKey(i) }) : ref.tell(message);
      under.push(
        sent.then(() => {
          promised('TOLD', a, i);
          done++;
          // To look at the past makes the journal give the database its share, which else it does once a second or five times.
          if (done % LOOK_EVERY === 0) void system.history(ref).turns({ from: 1, to: 1 });
        }),
      );
      if (under.length >= WINDOW) await under.shift();
    }
    await Promise.all(under);
  };

  const writers = Promise.all(refs.map(write));
  if (backup !== undefined) {
    while (done < (messages * ACCOUNTS) / 3) await new Promise((resolve) => setImmediate(resolve));
    promised('BACKUP', 'begins', backup);
    await system.backup(join(order.root, backup));
    promised('BACKUP', 'done', backup);
  }
  await writers;
  promised('CHECKPOINT', await system.checkpoint());
  if (!stops) return;
  await system.stop();
  promised('STOPPED');
};

for (const [i, given] of order.lives.entries()) await live(order.life + i, given);
process.exit(0);
