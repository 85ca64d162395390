/**
 * One verb for many runs: those that a filter finds, a page at a time.
 *
 * Owns: going through a page, so many at a time, and the report. The verbs are `run-operations.ts`.
 *
 * Invariants:
 * BO1. Every run of the page is in the report once: done, or failed with the reason. One that fails stops none of the others.
 * BO2. What was begun and not reported (a crash) may be begun again from the same `after`: a verb that was done is refused, or changes
 *      nothing; a signal with a key comes once.
 */
import { type EncodedError, encodeError, InvalidOptionsError } from '../../runtime/kernel/errors.ts';
import { nearest } from './expression-hints.ts';
import type { RunEntry } from './run-index.ts';
import type { RunOperations } from './run-operations.ts';

/** What is done with each run. */
export type BulkAction =
  | { readonly type: 'cancel'; readonly reason?: string }
  | { readonly type: 'pause' | 'resume' | 'retry' | 'delete' }
  /** Give an `idempotencyKey`, to be able to repeat it. */
  | { readonly type: 'signal'; readonly name: string; readonly payload?: unknown; readonly idempotencyKey?: string };

export interface BulkOptions {
  /** `after` of the report before: where to go on. */
  readonly after?: string;
  /** Runs looked at, 1 to 1,000. Default 1,000. */
  readonly limit?: number;
  /** Runs under way at a time. Default 32. */
  readonly concurrency?: number;
}

export interface BulkReport {
  readonly done: readonly string[];
  readonly failed: readonly { readonly runId: string; readonly error: EncodedError }[];
  /** Give it as `after` to go on; undefined when that was the last page. */
  readonly after: string | undefined;
}

const OPTIONS = ['after', 'limit', 'concurrency'];
const ACTIONS = ['cancel', 'pause', 'resume', 'retry', 'delete', 'signal'];
const CONCURRENCY = 32;

/** @throws InvalidOptionsError with every fault */
export function assertBulk(action: BulkAction, options: BulkOptions): void {
  const faults = Object.keys(options)
    .filter((name) => !OPTIONS.includes(name))
    .map((name) => `${name}: no such option: ${nearest(name, OPTIONS) ?? `known: ${OPTIONS.join(', ')}`}`);
  const { type, name } = Object(action) as { type?: unknown; name?: unknown };
  if (typeof type !== 'string' || !ACTIONS.includes(type)) {
    faults.push(`type: ${JSON.stringify(type)} is none of ${ACTIONS.join(', ')}`);
  } else if (type === 'signal' && (typeof name !== 'string' || name === '')) {
    faults.push(`name: ${JSON.stringify(name)} is no name of a signal`);
  }
  const { concurrency = CONCURRENCY } = options;
  if (!Number.isInteger(concurrency) || concurrency < 1)
    faults.push(`concurrency: ${String(concurrency)} is no whole number of 1 or more`);
  if (faults.length > 0) throw new InvalidOptionsError(`bulk: ${faults.join('; ')}`, { details: { faults } });
}

/** Children are left to their parents. `limit`: how many a full page has. */
export async function bulkOver(
  runs: RunOperations,
  page: readonly RunEntry[],
  action: BulkAction,
  { concurrency = CONCURRENCY, limit }: { readonly concurrency?: number | undefined; readonly limit: number },
): Promise<BulkReport> {
  const queue = page.filter(({ parent }) => parent === undefined).map(({ runId }) => runId);
  const errors = new Map<string, EncodedError>();
  const ids = [...queue];
  const work = async (): Promise<void> => {
    for (let runId = queue.shift(); runId !== undefined; runId = queue.shift()) {
      try {
        await once(runs, runId, action);
      } catch (error) {
        errors.set(runId, encodeError(error));
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, ids.length) }, work));
  return {
    done: ids.filter((runId) => !errors.has(runId)),
    failed: [...errors].map(([runId, error]) => ({ runId, error })),
    after: page.length < limit ? undefined : page.at(-1)?.runId,
  };
}

function once(runs: RunOperations, runId: string, action: BulkAction): Promise<void> {
  switch (action.type) {
    case 'cancel':
      return runs.cancel(runId, action.reason);
    case 'signal': {
      const { name, payload, idempotencyKey } = action;
      return runs.signal(runId, name, payload, idempotencyKey === undefined ? {} : { idempotencyKey });
    }
    case 'pause':
    case 'resume':
    case 'retry':
    case 'delete':
      return runs[action.type](runId);
  }
}
