/**
 * Many seeds in several processes: each takes a stripe at a time, and is replaced after some, so that memory stays where it is.
 *
 * Owns: the processes, and what is made of one that ends or stands still: the seed that it was at is a find.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { addTally, findOf, newTally, type Stripe, type Tally } from './stripe.ts';

const PROCESS = fileURLToPath(new URL('./stripe-process.ts', import.meta.url));
/** Seeds that a process is given at once: few enough that the others do not wait long for the last one. */
const STRIPE_SEEDS = 50;
/** Stripes after which a process is replaced by a fresh one. */
const STRIPES_A_PROCESS = 200;
/** A seed takes milliseconds. One that takes this long goes round in circles between two virtual tasks. */
const LONGEST_SEED_MS = 120_000;
/** Between two reports on the way. */
const SAY_EVERY_MS = 30_000;

interface Work {
  readonly tally: Tally;
  readonly end: number;
  next: number;
  /** What processes that ended have left of their stripes. */
  readonly left: Stripe[];
}

function takeStripe(work: Work): Stripe | undefined {
  const left = work.left.pop();
  if (left !== undefined) return left;
  const first = work.next;
  if (first >= work.end) return undefined;
  work.next = Math.min(work.end, first + STRIPE_SEEDS);
  return { first, count: work.next - first };
}

/** Runs `amount` seeds from `first` on in so many processes. */
export async function runStripes(
  { first, count }: Stripe,
  processes: number,
  say: (line: string) => void,
): Promise<Tally> {
  const work: Work = { tally: newTally(), end: first + count, next: first, left: [] };
  const startMs = performance.now();
  const report = setInterval(() => {
    const { seeds, finds, memoryMb } = work.tally;
    const rate = (seeds / ((performance.now() - startMs) / 1_000)).toFixed(1);
    say(`${seeds} of ${count} seeds, ${rate} a second, ${finds.length} finds, ${memoryMb} MB a process`);
  }, SAY_EVERY_MS);
  try {
    await Promise.all(Array.from({ length: processes }, () => workThrough(work, say)));
  } finally {
    clearInterval(report);
  }
  return work.tally;
}

async function workThrough(work: Work, say: (line: string) => void): Promise<void> {
  for (let stripe = takeStripe(work); stripe !== undefined; ) {
    const child = fork(PROCESS, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
    });
    let isAlive = true;
    for (let stripes = 0; isAlive && stripes < STRIPES_A_PROCESS && stripe !== undefined; stripes++) {
      const { tally, died } = await runIn(child, stripe);
      for (const find of tally.finds) say(`FOUND ${find}`);
      addTally(work.tally, tally);
      isAlive = !died;
      const unseen = stripe.count - tally.seeds;
      if (unseen > 0) work.left.push({ first: stripe.first + tally.seeds, count: unseen });
      stripe = takeStripe(work);
    }
    if (child.connected) child.disconnect();
    await ended;
  }
}

/** Of a process that dies or stands still, the tally says how far it came. */
function runIn(child: ChildProcess, stripe: Stripe): Promise<{ readonly tally: Tally; readonly died: boolean }> {
  return new Promise((resolve) => {
    let at = stripe.first;
    const give = (tally: Tally, died: boolean): void => {
      clearTimeout(watchdog);
      child.off('message', hear);
      child.off('exit', ended);
      resolve({ tally, died });
    };
    const lost = (what: string): void => {
      const tally = newTally();
      tally.seeds = at - stripe.first + 1;
      tally.finds.push(findOf(at, what));
      give(tally, true);
    };
    const ended = (code: number | null, signal: string | null): void => lost(`its process ended (${signal ?? code})`);
    const stuck = (): void => {
      child.kill('SIGKILL');
      lost(`its process stood still for ${LONGEST_SEED_MS} ms`);
    };
    const hear = (message: { readonly seed?: number; readonly tally?: Tally }): void => {
      watchdog.refresh();
      if (message.seed !== undefined) at = message.seed;
      if (message.tally !== undefined) give(message.tally, false);
    };
    const watchdog = setTimeout(stuck, LONGEST_SEED_MS);
    child.on('message', hear);
    child.once('exit', ended);
    child.send(stripe);
  });
}
