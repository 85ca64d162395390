/**
 * Messages that were set aside: looked at, sent again, thrown away.
 *
 * Owns: the public verbs, filters page by page, and the cap on sending again. Where letters are kept is the adapter's.
 *
 * Invariants:
 * BD1. `redrive` sends no letter again that has been redriven `redrivesLimit` times, whoever asks.
 * BD2. By filter, what is dead when the call is made is gone through once: one that dies again meanwhile is not sent again by the same call.
 */
import { type BlocksError, decodeError, InvalidOptionsError } from '../kernel/errors.ts';
import { decodeValue } from '../wire/value-codec.ts';
import type { BrokerAdapter, DeadLetterQuery, DeadLetterRecord, DeadReason } from './broker-adapter.ts';
import type { Message } from './contract/message.ts';
import { isPlainObject, OptionFaults, show } from '../kernel/option-faults.ts';
import { assertPattern } from './subjects.ts';

/** A message that was set aside, and why. */
export interface BrokerDeadLetter {
  readonly id: string;
  readonly subscription: string;
  /** The whole message; `payload` is undefined where it cannot be decoded. Its `traceparent` leads to its trace. */
  readonly message: Message;
  /** `attempts`: it failed, or its process died of it, as often as it may. `refused`: the handler said that it is of no use to try again. */
  readonly reason: DeadReason;
  /** The last failure, with its stack. */
  readonly error: BlocksError;
  readonly attempts: number;
  /** When it was handed out first; 0: never. */
  readonly firstDeliveredMs: number;
  readonly deadMs: number;
  /** How often it was sent again. */
  readonly redrives: number;
}

/** Which letters: all that is given must hold. */
export type DeadLetterFilter = Omit<DeadLetterQuery, 'limit' | 'after'>;

export interface DeadLetterPage {
  readonly letters: readonly BrokerDeadLetter[];
  /** Give it as `after` for the next page; undefined at the end. */
  readonly next: string | undefined;
}

const PAGE = 100;
/** By filter, letters at a time. */
const SWEEP = 256;
const REASONS: readonly DeadReason[] = ['attempts', 'expired', 'refused', 'contract', 'undecodable'];
const FILTERS: ReadonlySet<string> = new Set<keyof DeadLetterQuery>([
  'subscription',
  'subjectPattern',
  'type',
  'reason',
  'errorCode',
  'deadAfterMs',
  'deadBeforeMs',
  'limit',
  'after',
]);

export class BrokerDeadLetters {
  readonly #adapter: BrokerAdapter;
  readonly #redrivesLimit: number;
  readonly #nowMs: () => number;

  constructor(adapter: BrokerAdapter, redrivesLimit: number, nowMs: () => number) {
    this.#adapter = adapter;
    this.#redrivesLimit = redrivesLimit;
    this.#nowMs = nowMs;
  }

  /** Letters, oldest first within a subscription, a page at a time (default 100). @throws InvalidOptionsError */
  async list(
    filter: DeadLetterFilter & { readonly limit?: number; readonly after?: string } = {},
  ): Promise<DeadLetterPage> {
    assertFilter(filter);
    const { limit = PAGE } = filter;
    const records = await this.#adapter.deadLetters({ ...filter, limit });
    const letters = records.map(letterOf);
    return { letters, next: records.length < limit ? undefined : records.at(-1)?.id };
  }

  /** Sends letters again, each at the end of its subscription, as new: by id, by ids, or by filter. Resolves with how many. */
  redrive(which: string | readonly string[] | DeadLetterFilter): Promise<number> {
    return this.#each(which, (ids) => this.#adapter.redrive(ids, this.#redrivesLimit));
  }

  /** Throws letters away for good. Resolves with how many there were. */
  purge(which: string | readonly string[] | DeadLetterFilter): Promise<number> {
    return this.#each(which, (ids) => this.#adapter.purge(ids));
  }

  async #each(
    which: string | readonly string[] | DeadLetterFilter,
    act: (ids: readonly string[]) => Promise<number>,
  ): Promise<number> {
    if (typeof which === 'string') return act([which]);
    if (isIds(which)) {
      const faults = new OptionFaults();
      for (const [at, id] of which.entries())
        if (typeof id !== 'string') faults.add(`[${at}]`, id, 'the id of a letter');
      faults.throwIfAny('deadLetters');
      return act(which);
    }
    assertFilter(which);
    const deadBeforeMs = Math.min(which.deadBeforeMs ?? Number.POSITIVE_INFINITY, this.#nowMs() + 1);
    let count = 0;
    let after: string | undefined;
    for (;;) {
      const query = { ...which, deadBeforeMs, limit: SWEEP, ...(after === undefined ? {} : { after }) };
      const records = await this.#adapter.deadLetters(query);
      if (records.length === 0) return count;
      const ids = records.map(({ id }) => id);
      const done = await act(ids);
      count += done;
      // What was taken away cannot be gone on behind; what was left is gone past.
      after = done === ids.length ? undefined : (await this.#left(query, ids)).at(-1);
      if (done < ids.length && after === undefined) return count;
      if (records.length < SWEEP) return count;
    }
  }

  /** Those of `ids` that are still there. */
  async #left(query: DeadLetterQuery, ids: readonly string[]): Promise<readonly string[]> {
    const there = new Set((await this.#adapter.deadLetters(query)).map(({ id }) => id));
    return ids.filter((id) => there.has(id));
  }
}

function letterOf(record: DeadLetterRecord): BrokerDeadLetter {
  const { id, subscription, reason, attempts, firstDeliveredMs, deadMs, redrives } = record;
  let payload: unknown;
  try {
    payload = decodeValue(record.message.payload);
  } catch {
    // That is what it died of, mostly.
  }
  const message: Message = { ...record.message.header, payload };
  const error = decodeError(record.error);
  return { id, subscription, message, reason, error, attempts, firstDeliveredMs, deadMs, redrives };
}

function isIds(which: readonly string[] | DeadLetterFilter): which is readonly string[] {
  return Array.isArray(which);
}

function assertFilter(filter: unknown): asserts filter is object {
  if (!isPlainObject(filter)) {
    throw new InvalidOptionsError(
      `deadLetters: ${show(filter)} is neither the id of a letter, nor ids, nor a filter ({} for all)`,
    );
  }
  const faults = new OptionFaults();
  faults.unknown(filter, FILTERS, 'filter');
  const given = filter as Readonly<Partial<Record<keyof DeadLetterQuery, unknown>>>;
  for (const name of ['subscription', 'type', 'errorCode', 'after'] as const) {
    if (given[name] !== undefined && typeof given[name] !== 'string') faults.add(name, given[name], 'a text');
  }
  const { reason, subjectPattern, limit, deadAfterMs, deadBeforeMs } = given;
  if (reason !== undefined && !REASONS.includes(reason as DeadReason)) {
    faults.add('reason', reason, `one of ${REASONS.join(', ')}`);
  }
  if (subjectPattern !== undefined) {
    try {
      assertPattern(subjectPattern as string);
    } catch (error) {
      faults.found.push(`subjectPattern: ${(error as Error).message}`);
    }
  }
  faults.number('limit', limit, undefined, { least: 1, whole: true });
  faults.number('deadAfterMs', deadAfterMs, undefined, { least: 0 });
  faults.number('deadBeforeMs', deadBeforeMs, undefined, { least: 0, endless: true });
  faults.throwIfAny('deadLetters');
}
