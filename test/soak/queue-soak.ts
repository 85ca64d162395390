/**
 * Proof: a hundred million queue operations, against the fault of LMDB's list of free pages (lmdb-js#321: "queue-like" use).
 *
 *     npm run proof -- --only queue-soak --size full
 *
 * Owns: the soak of the store itself, the same through durable actors, and the judgement of the file's size.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { type ActorRef, ActorSystem } from '../../runtime/index.ts';
import { openLmdbStore } from '../../runtime/journal/lmdb-store.ts';
import type { LogRow } from '../../runtime/journal/store.ts';
import { Dice } from '../hostile/dice.ts';
import type { Control, Proof, ProofOutcome, ProofRun } from '../proof/proof.ts';
import { type Counts, pump, sink } from '../support/actors/flooded.ts';
import { until } from '../support/until.ts';
import { type QueueFaults, QueueModel } from './queue-model.ts';

interface SoakFaults extends QueueFaults {
  /** A read transaction is open from the first commit on. */
  readonly endlessReader?: boolean | undefined;
}

const MB = 1 << 20;
/** The file may grow so much from the first half of the soak to the second. */
const GROWTH_SHARE = 1.1;
const SPARE_MB = 4;
/** Openings, copies and looks at the file in one soak. */
const OPENINGS = 8;
const LOOKS = 200;
/** Of the operations, those that go through actors: an enqueue and a consume each message. */
const ACTORS_SHARE = 0.1;

async function soakStore(run: ProofRun, faults: SoakFaults, operations: number): Promise<ProofOutcome> {
  const path = join(run.scratch, 'store');
  mkdirSync(path);
  const model = new QueueModel(new Dice(run.seed, 1), faults);
  const sizes: number[] = [];
  const startMs = performance.now();
  let store = openLmdbStore(path);
  let reader: Iterator<LogRow> | undefined;
  let copying: Promise<void> | undefined;
  let opening = 1;
  while (model.operations < operations && model.wrong.length === 0) {
    model.step(store);
    if (faults.endlessReader === true && reader === undefined) {
      reader = store.logFrom(0)[Symbol.iterator]();
      reader.next();
    }
    if (model.operations > (sizes.length * operations) / LOOKS) sizes.push(store.fileBytes() / MB);
    if (model.operations <= (opening * operations) / OPENINGS || faults.endlessReader === true) continue;
    opening++;
    run.say(`${model.operations} operations, file ${Math.round(sizes.at(-1) ?? 0)} MB`);
    await copying;
    model.check(store);
    await store.close();
    store = openLmdbStore(path);
    model.check(store);
    // A long reader: the copy is made while the queue goes on.
    const copy = join(run.scratch, `copy-${opening}`);
    copying = store.backup(copy).then(() => rmSync(copy, { recursive: true }));
    await turnOfTheLoop();
  }
  await copying;
  const seconds = (performance.now() - startMs) / 1_000;
  reader?.return?.();
  model.check(store);
  await store.close();
  return {
    cases: model.operations,
    faults: [...model.wrong, ...judgeSizes(sizes)],
    figures: {
      'operations in the store': model.operations,
      commits: model.commits,
      'operations a second': Math.round(model.operations / seconds),
      'largest file in the first half, MB': largest(sizes.slice(0, sizes.length / 2)),
      'largest file in the second half, MB': largest(sizes.slice(sizes.length / 2)),
    },
  };
}

async function soakActors(run: ProofRun, messages: number): Promise<ProofOutcome> {
  const startMs = performance.now();
  await using system = await ActorSystem.start({
    dataDir: join(run.scratch, 'actors'),
    threads: 2,
    retention: 'trim',
    checkpointEveryTurns: 5_000,
    actors: [new URL('../support/actors/flooded.ts', import.meta.url)],
  });
  const faults: string[] = [];
  system.on('failed', ({ error }) => faults.push(`the system failed: ${error.stack}`));
  system.on('host_lost', (event) => faults.push(`a host was lost: ${JSON.stringify(event)}`));
  const patient = { timeoutMs: 600_000 };
  const pairs = await Promise.all(
    ['a', 'b'].map(async (id) => {
      const to = await system.spawn(sink, { id, ...patient });
      const input = { to: to.key, lane: id, spin: 0, ballast: 'x'.repeat(80) };
      return { id, to, from: (await system.spawn(pump, { id, input, ...patient })) as ActorRef };
    }),
  );
  const handled = async (): Promise<number> => {
    const counts = await Promise.all(pairs.map(({ to }) => to.ask<Counts>({ type: 'COUNTS' }, patient)));
    return counts.reduce((sum, one, i) => sum + (one.handled[pairs[i]?.id ?? ''] ?? 0), 0);
  };
  for (const { from } of pairs) from.send({ type: 'PUMP' });
  const sizes: number[] = [];
  await until(
    `${messages} messages through actors`,
    async () => {
      const count = await handled();
      if (count > (sizes.length * messages) / LOOKS) sizes.push((await system.stats()).journal.fileBytes / MB);
      return count >= messages || faults.length > 0;
    },
    Number.POSITIVE_INFINITY,
  );
  for (const { from } of pairs) await from.tell({ type: 'STOP' }, patient);
  const sent = await Promise.all(pairs.map(({ from }) => from.ask<number>({ type: 'SENT' }, patient)));
  const total = sent.reduce((a, b) => a + b, 0);
  await until(`all ${total} handled`, async () => (await handled()) === total, 120_000).catch((error: unknown) =>
    faults.push(String(error)),
  );
  const seconds = (performance.now() - startMs) / 1_000;
  return {
    cases: total * 2,
    faults: [...faults, ...judgeSizes(sizes)],
    figures: {
      'messages through actors': total,
      'messages a second': Math.round(total / seconds),
      'largest file with actors, first half, MB': largest(sizes.slice(0, sizes.length / 2)),
      'largest file with actors, second half, MB': largest(sizes.slice(sizes.length / 2)),
    },
  };
}

async function soak(run: ProofRun): Promise<ProofOutcome> {
  const throughActors = Math.round(run.amount * ACTORS_SHARE);
  const store = await soakStore(run, {}, run.amount - throughActors);
  const actors = await soakActors(run, throughActors / 2);
  return {
    cases: store.cases + actors.cases,
    faults: [...store.faults, ...actors.faults],
    figures: { ...store.figures, ...actors.figures },
  };
}

function judgeSizes(sizes: readonly number[]): string[] {
  const early = largest(sizes.slice(0, sizes.length / 2));
  const late = largest(sizes.slice(sizes.length / 2));
  return late > early * GROWTH_SHARE + SPARE_MB ? [`the database file grew from ${early} to ${late} MB`] : [];
}

function largest(sizes: readonly number[]): number {
  return Math.round(Math.max(0, ...sizes) * 10) / 10;
}

const control = (name: string, what: string, faults: SoakFaults): Control => ({
  name,
  what,
  amount: 60_000,
  run: (run) => soakStore(run, faults, run.amount),
});

export const queueSoak: Proof = {
  name: 'queue-soak',
  title: 'Queue soak',
  what:
    'Rows of many sizes are put on a queue and taken off, letters and images beside them, in commits of one to hundreds, the queue growing and shrinking, ' +
    'with copies made meanwhile and the file opened again; a tenth of it as messages between durable actors with trimming. Every row that leaves and ' +
    'everything that stays is as it was written, and the file does not grow from the first half to the second (10 % and 4 MB)',
  unit: 'queue operations',
  sizes: { quick: 40_000, ci: 3_000_000, full: 100_000_000 },
  run: soak,
  controls: [
    control('no trim', 'nothing is taken off the queue', { noTrim: true }),
    control('an endless reader', 'a read transaction is open all the time', { endlessReader: true }),
    control('a lost row', 'a row disappears that nobody took', { lostRow: true }),
  ],
};
