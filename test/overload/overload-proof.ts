/**
 * Proof: far more than can be handled, for as long as one likes.
 *
 *     npm run proof -- --only overload --size full        ten minutes; --amount 3600: an hour
 *
 * Owns: the process that is flooded, and the controls. What must be true is `overload-report.ts`.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { REPOSITORY } from '../../bench/environment.ts';
import type { Control, Proof, ProofOutcome, ProofRun } from '../proof/proof.ts';
import type { OverloadOrder } from './overload-process.ts';
import { judgeOverload, type LaneReport, type OverloadReport } from './overload-report.ts';
import { FRUGAL_ALLOCATOR } from './process-memory.ts';

const PROCESS = join(REPOSITORY, 'test', 'overload', 'overload-process.ts');
const THREAD_MEMORY = new URL('thread-memory.ts', import.meta.url).href;
const COMPILED = join(REPOSITORY, '.tmp', 'compile-cache');
/** What was accepted in the flood is handled after it, and takes its time on a busy machine. */
const GIVE_UP_AFTER_MS = 240_000;

async function flood(run: ProofRun, planted: OverloadOrder['planted']): Promise<OverloadReport | string> {
  const order: OverloadOrder = {
    dataDir: join(run.scratch, 'data'),
    backups: join(run.scratch, 'backups'),
    seconds: run.amount,
    seed: run.seed,
    callsLimit: run.amount < 60 ? 1_000 : 20_000,
    planted,
  };
  const child = spawn(process.execPath, ['--expose-gc', '--import', THREAD_MEMORY, PROCESS, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...FRUGAL_ALLOCATOR, NODE_COMPILE_CACHE: COMPILED },
  });
  let said = '';
  let complaints = '';
  child.stdout.on('data', (text) => (said += String(text)));
  child.stderr.on('data', (text) => (complaints += String(text)));
  const timer = setTimeout(() => child.kill('SIGKILL'), run.amount * 1_000 + GIVE_UP_AFTER_MS);
  const code = await new Promise((resolve) => child.once('close', (exit, signal) => resolve(exit ?? signal)));
  clearTimeout(timer);
  if (said === '') return `the process ended with ${String(code)}: ${complaints.slice(-2_000)}`;
  return JSON.parse(said) as OverloadReport;
}

let last: OverloadReport | undefined;

async function outcomeOf(run: ProofRun, planted: OverloadOrder['planted']): Promise<ProofOutcome> {
  const report = await flood(run, planted);
  if (typeof report === 'string') return { cases: run.amount, faults: [report], figures: {} };
  if (planted === 'none') last = report;
  return { cases: run.amount, faults: judgeOverload(report), figures: figuresOf(report) };
}

function figuresOf(report: OverloadReport): ProofOutcome['figures'] {
  const sum = (lanes: readonly LaneReport[], what: 'sent' | 'handled' | 'refused' | 'parked' | 'expired'): number =>
    lanes.reduce((total, lane) => total + lane[what], 0);
  const { lanes, pumped, samples, baseline, control, seconds } = report;
  const attempts = sum(lanes, 'sent');
  const handled = sum(lanes, 'handled');
  const settled = samples.slice(Math.floor(samples.length / 4));
  const range = (what: 'heldMb' | 'heapMb' | 'fileMb'): string => {
    const values = settled.map((sample) => sample[what]);
    return `${Math.min(...values)} to ${Math.max(...values)}`;
  };
  const delays = Object.entries({ 'an idle thread': baseline, ...control }).map(([call, { p50Ms, p99Ms, maxMs }]) => [
    `${call}: p50, p99, max ms`,
    `${p50Ms}, ${p99Ms}, ${maxMs}`,
  ]);
  return {
    'calls from outside': attempts,
    'calls a second': Math.round(attempts / seconds),
    'asked for each one handled': Math.round(attempts / Math.max(1, handled)),
    'handled of them': handled,
    refused: sum(lanes, 'refused'),
    parked: sum(lanes, 'parked'),
    expired: sum(lanes, 'expired'),
    'processor share': report.processorShare,
    'between actors': sum(pumped, 'sent'),
    'memory held after a quarter, MB': range('heldMb'),
    'heap after a quarter, MB': range('heapMb'),
    'database file after a quarter, MB': range('fileMb'),
    ...Object.fromEntries(delays),
  };
}

/** The report of the run itself serves, when there is one: it is the judgement that is tried. */
const lostMessage: Control = {
  name: 'a lost message',
  what: 'one message that was handled is left out of the count',
  amount: 1,
  async run(run) {
    const report = last ?? (await flood(run, 'none'));
    if (typeof report === 'string') return { cases: 0, faults: [], figures: {} };
    const lanes = report.lanes.map((lane) => ({ ...lane, handled: lane.handled - 1 }));
    const before = judgeOverload(report).length;
    return { cases: 1, faults: judgeOverload({ ...report, lanes }).slice(before), figures: {} };
  },
};

const control = (planted: OverloadOrder['planted'], what: string): Control => ({
  name: planted,
  what,
  amount: 3,
  run: (run) => outcomeOf(run, planted),
});

export const overload: Proof = {
  name: 'overload',
  title: 'Overload',
  what:
    'Two hosts with slow actors, journaled and in memory, are sent far more than they can handle: by tells, asks and sends from outside, with long, ' +
    'short and expiring deadlines, some of them poison, and by actors of the same and the other host; backups, history and checkpoints go on. Sent = handled + refused + parked ' +
    'for every lane, none twice, in order; memory within 10 % from the second quarter of the run to the last, the database file bounded, ' +
    'inspection, statistics, spawn and stop answered within 100 ms (of the processor share that the process had, and four times what an idle thread took). ' +
    'Memory is what is resident, but for the pages of mapped files, after each thread has collected its garbage and given its free pages back; the allocator has one arena ' +
    'and gives back what is freed',
  unit: 'seconds',
  sizes: { quick: 3, ci: 30, full: 600 },
  run: (run) => outcomeOf(run, 'none'),
  controls: [
    control('no back-pressure', 'mailboxes and calls without a limit'),
    control('no trim', 'every turn is kept'),
    control('native leak', 'the process keeps a buffer, which no heap counts, of every turn of its loop'),
    lostMessage,
  ],
};
