/**
 * The process whose machine fails: tells, asks, timers, effects and spawns under way all the time, each acknowledgement a line at once.
 * What is refused because the disk is full it says again, the same; any other refusal ends that line of work, and says so.
 *
 * On standard input it is told to use up its file handles, to give them back, and to make a copy. With `settle` it adds nothing, waits
 * until what was begun is finished, and says what there is.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { ActorSystem } from '../../runtime/index.ts';
import { journey, type JourneyState } from '../support/actors/journey.ts';
import { ledger, type LedgerState } from '../support/actors/ledger.ts';

export interface MachineOrder {
  readonly dataDir: string;
  readonly sink: string;
  readonly task: 'work' | 'settle';
  /** Spawned by processes before this one. */
  readonly spawned: number;
  /** A control: it says what it has asked for as if it had been acknowledged. */
  readonly early: boolean;
  /** Journeys write files, which nobody can without handles: an actor whose effect fails has failed, and rightly. */
  readonly journeys: number;
}

/** What a process finds when it has settled. */
export interface MachineWorld {
  readonly ledgers: readonly LedgerState[];
  readonly journeys: readonly JourneyState[];
  /** Of those that were spawned, how many are there. */
  readonly spawned: number;
}

const LEDGERS = 3;
const PATIENT = { timeoutMs: 120_000 } as const;

const order = JSON.parse(process.argv[2] ?? '{}') as MachineOrder;
const say = (word: string, value: unknown = null): void => {
  const line = Buffer.from(`${JSON.stringify([word, value])}\n`);
  for (let at = 0; at < line.length; ) {
    try {
      at += writeSync(1, line, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
};
const refusalOf = (error: unknown): unknown => {
  const { code, message } = error as { code?: string; message?: string };
  return { code: code ?? 'none', message: message ?? String(error) };
};

let system: ActorSystem;
try {
  system = await ActorSystem.start({
    dataDir: order.dataDir,
    threads: 1,
    checkpointEveryTurns: 400,
    retention: 'trim',
    actors: ['ledger', 'journey'].map((name) => new URL(`../support/actors/${name}.ts`, import.meta.url)),
  });
} catch (error) {
  say('NOT STARTED', refusalOf(error));
  process.exit(3);
}
system.on('failed', ({ error }) => say('FAILED', refusalOf(error)));
system.on('storage', ({ state }) => say('STORAGE', state));
system.on('blocked', ({ key, error }) => say('BLOCKED', { key, ...(refusalOf(error) as object) }));
process.on('unhandledRejection', (error) => say('UNHANDLED', refusalOf(error)));

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const attach = { ifExists: 'attach', ...PATIENT } as const;

/** Again while the disk is full; nothing of it was taken. */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if ((error as { code?: string }).code !== 'STORAGE_FULL') throw error;
      await pause(20);
    }
  }
}

async function begin(): Promise<void> {
  const ledgers = await Promise.all(
    numbers(LEDGERS).map((i) => insist(() => system.spawn(ledger, { id: `l${i}`, ...attach }))),
  );
  const journeys = await Promise.all(
    numbers(order.journeys).map((i) =>
      insist(() =>
        system.spawn(journey, { id: `j${i}`, input: { sink: order.sink, name: `journey/j${i}` }, ...attach }),
      ),
    ),
  );
  const look = async (): Promise<MachineWorld> => ({
    ledgers: await Promise.all(ledgers.map((ref) => ref.ask<LedgerState>({ type: 'GET' }, PATIENT))),
    journeys: await Promise.all(journeys.map((ref) => ref.ask<JourneyState>({ type: 'GET' }, PATIENT))),
    spawned: (
      await Promise.all(numbers(order.spawned).map((i) => system.ref(ledger, `s${i}`).snapshot(PATIENT)))
    ).filter(({ status }) => status === 'running').length,
  });
  const found = await look();
  say('FOUND', found);
  if (order.task === 'settle') {
    let last = found;
    const isSettled = (): boolean =>
      last.journeys.every(({ asked, done }) => done >= asked) &&
      last.ledgers.every(({ peer }, i) => peer >= (last.ledgers[(i + LEDGERS - 1) % LEDGERS]?.n ?? 0));
    for (let tries = 0; !isSettled() && tries < 400; tries++) {
      await pause(25);
      last = await look();
    }
    say('SETTLED', last);
    await system.stop();
    process.exit(0);
  }

  const write = async (i: number): Promise<void> => {
    const to = `ledger/l${(i + 1) % LEDGERS}`;
    for (let n = (found.ledgers[i]?.n ?? 0) + 1; ; n++) {
      const message = { type: 'ADD', n, to } as const;
      if (order.early) say('ADDED', { i, n });
      await insist(
        () =>
          (n % 3 === 0 ? ledgers[i]?.ask(message, PATIENT) : ledgers[i]?.tell(message, PATIENT)) as Promise<unknown>,
      );
      if (!order.early) say('ADDED', { i, n });
    }
  };
  const roam = async (i: number): Promise<void> => {
    for (let n = (found.journeys[i]?.asked ?? 0) + 1; ; n++) {
      await insist(
        () => journeys[i]?.ask({ type: 'TRIP' }, { idempotencyKey: `trip-${n}`, ...PATIENT }) as Promise<unknown>,
      );
      say('ASKED', { i, n });
      await pause(3);
    }
  };
  const spawn = async (): Promise<void> => {
    for (let n = order.spawned; ; n++) {
      await insist(() => system.spawn(ledger, { id: `s${n}`, ...attach }));
      say('SPAWNED', n);
      await pause(5);
    }
  };
  for (const work of [...numbers(LEDGERS).map(write), ...numbers(order.journeys).map(roam), spawn()])
    work.catch((error: unknown) => say('REFUSED', refusalOf(error)));
}

begin().catch((error: unknown) => {
  say('REFUSED', refusalOf(error));
  // One that only looks has nothing to do any more; one that works is ended from outside.
  if (order.task === 'settle') process.exit(4);
});

const handles: number[] = [];
createInterface({ input: process.stdin }).on('line', (line) => {
  const [word] = line.split(' ', 1);
  const argument = line.slice(5);
  if (word === 'EXHAUST') {
    try {
      for (;;) handles.push(openSync('/dev/null', 'r'));
    } catch (error) {
      say('EXHAUSTED', (error as NodeJS.ErrnoException).code);
    }
  } else if (word === 'RELEASE') {
    for (const fd of handles.splice(0)) closeSync(fd);
    say('RELEASED');
  } else if (word === 'COPY') {
    system.backup(argument).then(
      () => say('COPIED'),
      (error: unknown) => say('NOT COPIED', refusalOf(error)),
    );
  }
});
