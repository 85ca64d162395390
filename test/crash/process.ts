/**
 * The process that is killed: starts a system on the data folder, says what it finds, and works until it dies. With `settle` it adds
 * nothing, waits until all that was begun is finished, says what there is, and ends in good order.
 *
 * It speaks in lines on standard output, each written at once: what a killed process has said was true.
 */
import { writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { ActorSystem } from '../../runtime/index.ts';
import type { SystemOptions } from '../../runtime/system/options.ts';
import { ledger, type LedgerState } from '../support/actors/ledger.ts';
import { vault, type VaultState } from '../support/actors/vault.ts';
import type { World } from './world.ts';

export interface ProcessOrder {
  readonly options: SystemOptions & { readonly dataDir: string };
  readonly sink: string;
  readonly ledgers: number;
  readonly vaults: number;
  readonly settle: boolean;
}

/** Tells under way to one ledger. */
const WINDOW = 8;

const say = (word: string, value: unknown): void => {
  const line = Buffer.from(`${word} ${JSON.stringify(value)}\n`);
  for (let at = 0; at < line.length; ) {
    try {
      at += writeSync(1, line, at);
    } catch (error) {
      // The one who listens is slow; said it must be before anything else happens.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
};
const order = JSON.parse(process.argv[2] ?? '{}') as ProcessOrder;

const system = await ActorSystem.start({
  ...order.options,
  actors: [
    new URL('../support/actors/ledger.ts', import.meta.url),
    new URL('../support/actors/vault.ts', import.meta.url),
  ],
});
system.on('host_lost', (event) => say('TROUBLE', { host_lost: event }));
system.on('failed', (event) => say('TROUBLE', { failed: String(event.error.stack) }));
system.on('blocked', (event) => say('TROUBLE', { blocked: event.error.message }));
system.on('dead_letter', (event) => say('TROUBLE', { dead_letter: event.error.message }));
if (system.opened.damaged.length > 0) say('TROUBLE', { damaged: system.opened.damaged });

const ids = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const ledgers = await Promise.all(
  ids('l', order.ledgers).map((id) => system.spawn(ledger, { id, ifExists: 'attach', timeoutMs: 20_000 })),
);
const vaults = await Promise.all(
  ids('v', order.vaults).map((id) =>
    system.spawn(vault, { id, input: { sink: order.sink }, ifExists: 'attach', timeoutMs: 20_000 }),
  ),
);

const look = async (): Promise<World> => ({
  ledgers: await Promise.all(ledgers.map((ref) => ref.ask<LedgerState>({ type: 'GET' }, { timeoutMs: 20_000 }))),
  vaults: await Promise.all(vaults.map((ref) => ref.ask<VaultState>({ type: 'GET' }, { timeoutMs: 20_000 }))),
});

const world = await look();

const serve = async (i: number, n: number): Promise<void> => {
  const reply = await vaults[i]?.ask({ type: 'SERVE', n }, { idempotencyKey: `serve-${n}`, timeoutMs: 20_000 });
  say('SERVED', { i, n, reply });
};

/** Requests that were answered, or perhaps handled, by a process before this one: asked again under the same key. */
const serveAgain = async (i: number): Promise<void> => {
  const served = world.vaults[i]?.served ?? 0;
  for (let n = Math.max(1, served - 2); n <= served; n++) await serve(i, n);
};

const write = async (i: number): Promise<never> => {
  let n = world.ledgers[i]?.n ?? 0;
  const to = `ledger/l${(i + 3) % order.ledgers}`;
  for (const under: Promise<void>[] = []; ; ) {
    n += 1;
    const mine = n;
    const tell = ledgers[i]?.tell({ type: 'ADD', n: mine, to }, { timeoutMs: 20_000 }) ?? Promise.resolve();
    under.push(tell.then(() => say('WRITTEN', { i, n: mine })));
    if (under.length >= WINDOW) await under.shift();
  }
};

const work = async (i: number): Promise<never> => {
  await serveAgain(i);
  for (let n = (world.vaults[i]?.served ?? 0) + 1; ; n++) {
    await Promise.all([
      serve(i, n),
      vaults[i]?.tell({ type: 'TIMER', delayMs: (n * 37) % 400 }),
      vaults[i]?.tell({ type: n % 2 === 0 ? 'MOVE' : 'COPY' }),
    ]);
  }
};

const isSettled = ({ ledgers: found, vaults: kept }: World): boolean =>
  found.every((state, i) => state.peer >= (found[(i + order.ledgers - 3) % order.ledgers]?.n ?? 0)) &&
  kept.every(
    ({ timers, moves, copies }) =>
      Object.keys(timers.due).length === 0 &&
      moves.done + moves.unknown.length + moves.failed.length >= moves.started &&
      copies.done + copies.unknown.length + copies.failed.length >= copies.started,
  );

say('FOUND', world);
if (order.settle) {
  await Promise.all(vaults.map((_, i) => serveAgain(i)));
  let last = await look();
  // Gives up after a while: the one who asked then sees what is missing.
  for (let tries = 0; !isSettled(last) && tries < 100; tries++) {
    await pause(50);
    last = await look();
  }
  say('FINAL', last);
  await system.stop();
} else {
  await Promise.all([...ledgers.map((_, i) => write(i)), ...vaults.map((_, i) => work(i))]);
}
