/**
 * The proof by hostile frames: mutated bytes at every door of the runtime.
 *
 * Owns: the threads that run the cases, the watch over those that hang, and the sum of what they found.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Control, Proof, ProofOutcome, ProofRun } from '../proof/proof.ts';
import { type CasesReport, type Planted, runCases } from './hostile-cases.ts';
import type { HostileOrder } from './hostile-entry.ts';

const THREADS = 2;
/** A case takes microseconds, and a machine with other work some milliseconds; this long is a loop without an end. */
const HANGS_AFTER_MS = 60_000;
const LOOK_EVERY_MS = 1_000;

/** Fewer than this are not worth a second thread. */
const ONE_THREAD_CASES = 20_000;

async function attack(run: ProofRun): Promise<ProofOutcome> {
  const threads = run.only === undefined && run.amount > ONE_THREAD_CASES ? THREADS : 1;
  const startMs = performance.now();
  const reports = await Promise.all(Array.from({ length: threads }, (_, i) => runThread(orderOf(run, i, threads))));
  const seconds = (performance.now() - startMs) / 1_000;
  const cases = reports.reduce((sum, report) => sum + report.cases, 0);
  const faults = reports.flatMap((report) => report.faults);
  const figures: Record<string, number | string> = {
    'cases a second': Math.round(cases / seconds),
    'slowest case, ms': Math.round(Math.max(...reports.map((report) => report.slowestMs))),
  };
  for (const [door, seen] of sumOf(reports)) {
    figures[door] = `${seen.refused} refused, ${seen.passed} valid and unharmed`;
    if (cases >= 5_000 && seen.refused + seen.passed === 0) faults.push(`nothing was tried at the door ${door}`);
  }
  return { cases, faults, figures };
}

function orderOf(run: ProofRun, thread: number, threads: number): HostileOrder {
  const scratch = join(run.scratch, String(thread));
  const at = new SharedArrayBuffer(4);
  const base = { seed: run.seed, scratch, planted: 'none' as const, at };
  if (run.only !== undefined) return { ...base, first: run.only, step: 1, end: run.only + 1 };
  return { ...base, first: thread, step: threads, end: run.amount };
}

function runThread(order: HostileOrder): Promise<CasesReport> {
  const worker = new Worker(new URL('hostile-entry.ts', import.meta.url), { workerData: order });
  const place = new Int32Array(order.at);
  return new Promise((resolve) => {
    let last = -1;
    let sinceMs = performance.now();
    const end = (report: CasesReport): void => {
      clearInterval(look);
      resolve(report);
      void worker.terminate();
    };
    const failed = (what: string): void =>
      end({ cases: 1, faults: [`case ${Atomics.load(place, 0)}: ${what}`], seen: new Map(), slowestMs: 0 });
    const look = setInterval(() => {
      const at = Atomics.load(place, 0);
      if (at !== last) {
        last = at;
        sinceMs = performance.now();
      } else if (performance.now() - sinceMs > HANGS_AFTER_MS) failed('it hangs');
    }, LOOK_EVERY_MS);
    worker.on('message', end);
    worker.on('error', (error) => failed(`its thread ended: ${error instanceof Error ? error.stack : String(error)}`));
    worker.on('exit', (code) => failed(`its thread ended with code ${code}`));
  });
}

function sumOf(reports: readonly CasesReport[]): Map<string, { refused: number; passed: number }> {
  const sum = new Map<string, { refused: number; passed: number }>();
  for (const { seen } of reports) {
    for (const [door, { refused, passed }] of seen) {
      const before = sum.get(door) ?? { refused: 0, passed: 0 };
      sum.set(door, { refused: before.refused + refused, passed: before.passed + passed });
    }
  }
  return sum;
}

const control = (planted: Planted, what: string): Control => ({
  name: planted,
  what,
  amount: 5_000,
  // On this thread: a control must not wait for another one to start.
  run: async ({ seed, scratch, amount }) => {
    const { cases, faults } = await runCases({ seed, scratch, planted, first: 0, step: 1, end: amount }, () => {});
    return { cases, faults, figures: {} };
  },
});

export const hostileFrames: Proof = {
  name: 'hostile-frames',
  title: 'Hostile frames and records',
  what:
    'Bytes that were flipped, cut, spliced, renumbered, nested, said to be huge, or replayed, at every place where bytes become values: ' +
    'messages, frames and ends of links, batches, turns, images, dead letters and parcels of the journal (with sums made right again), ' +
    'the file ahead of the database, batches of a host gone mad, and control calls. Each is refused with a typed error or is a value that ' +
    'comes back the same; no prototype is changed, no case hangs or takes memory beyond its bytes, and a link ends once.',
  unit: 'mutated inputs',
  sizes: { quick: 5_000, ci: 500_000, full: 20_000_000 },
  run: attack,
  controls: [
    control('scan off', 'the scan before decoding is left out'),
    control('numbers not checked', 'a replayed frame is given the number that is expected'),
    control('sums not checked', 'mutated batches get sums that fit, and are judged as if nobody could do that'),
    control('a merge that trusts keys', 'a decoder that merges whatever keys it is given'),
  ],
};
