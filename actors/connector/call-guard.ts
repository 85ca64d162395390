/**
 * The policies around the calls of one dependency, in their order.
 *
 * From outside to inside: deadline of the whole call → bulkhead → retries → rate limit → circuit breaker → deadline of one try → the call.
 * Why so: a call holds one place however often it is tried; every try costs a token; what the bulkhead and the rate limit refuse never
 * reached the other side, so the breaker neither counts it nor sees the waits; and each try is counted and timed for itself.
 * (resilience4j's default order has the bulkhead innermost: there a full bulkhead opens the breaker.)
 *
 * Owns: the order, what is a failure of the other side, what may be tried again, and the counts. Each policy is its own file.
 *
 * Invariants:
 * CG1. A call that is not repeatable is tried once, whatever came of it.
 * CG2. What a policy refuses is never tried again by this guard: the refusal is the caller's at once, or, for one with patience, is
 *      waited out.
 * CG3. calls = succeeded + failed + cancelled + the three refusals + those under way.
 */
import { type Backoff, delayMs } from '../../runtime/kernel/backoff.ts';
import type { Clock } from '../../runtime/kernel/clock.ts';
import {
  BlocksError,
  BulkheadFullError,
  CircuitOpenError,
  HandlerError,
  NoHandlerError,
  NoSubscriberError,
  RateLimitedError,
  RemoteError,
  RequestTimeoutError,
} from '../../runtime/kernel/errors.ts';
import type { Random } from '../../runtime/kernel/random.ts';
import { Bulkhead, type BulkheadOptions } from './bulkhead.ts';
import { type DegradedOptions, ErrorRate } from './error-rate.ts';
import { pause, timedCall } from './timed-call.ts';
import { type RateLimitOptions, TokenBucket } from './token-bucket.ts';

/** The least that a connector needs of a circuit breaker; `CircuitBreaker` has it. */
export interface CallBreaker {
  readonly state: string;
  /** Runs the call, or throws `CircuitOpenError` without running it. What it rejects with counts as a failure. */
  execute<T>(
    call: (signal: AbortSignal | undefined) => Promise<T>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<T>;
}

/** Each is optional; without it nothing is limited. */
export interface CallPolicies {
  /** Of the whole call, retries and waits included, ms. Default 5,000 for queries and requests, else none. */
  readonly timeoutMs?: number;
  /** Of one try, ms. Default: none. */
  readonly tryTimeoutMs?: number;
  readonly bulkhead?: BulkheadOptions;
  readonly rateLimit?: RateLimitOptions;
  /** One breaker, or what gives the breaker of a dependency. */
  readonly breaker?: CallBreaker | ((dependency: string) => CallBreaker | Promise<CallBreaker>);
  /**
   * Of calls that may be repeated: queries, and what has an id or an idempotency key of the caller's. Default: no retries; of
   * `maxAttempts`, where the rest is given: `MAX_RETRY_ATTEMPTS`, or 3. Waits: 100 ms, doubling, 30 s at most, full jitter; never shorter
   * than the other side asked for.
   */
  readonly retry?: Backoff & { readonly maxAttempts?: number };
  /** What counts as a failure of the other side. Default: everything but this library's errors that are not `retryable`. */
  readonly isFailure?: (error: unknown) => boolean;
}

/** What one guard has seen since it was made. */
export interface CallFigures {
  readonly calls: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Given up by their callers. */
  readonly cancelled: number;
  readonly refused: { readonly bulkhead: number; readonly rateLimit: number; readonly breaker: number };
  /** Of the failed ones: those that ran over a deadline. */
  readonly timedOut: number;
  /** Tries beyond the first ones. */
  readonly retries: number;
  readonly running: number;
  readonly waiting: number;
  /** Share of the last calls that failed. */
  readonly errorRate: number;
  readonly breaker?: string;
}

export interface GuardedCall {
  /** Whether it may be made again without harm. */
  readonly repeatable: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** How long refusals of rate limit and breaker may be waited out, ms. Default 0: they are the caller's at once. */
  readonly patienceMs?: number | undefined;
}

export interface GuardSeams {
  readonly clock: Clock;
  readonly random: Random;
}

type Counts = Omit<CallFigures, 'refused' | 'running' | 'waiting' | 'errorRate' | 'breaker'> & {
  readonly refused: CallFigures['refused'];
};
type Writable<T> = { -readonly [K in keyof T]: T[K] extends object ? Writable<T[K]> : T[K] };

/** What came of a call that the breaker is not to hear of as a failure. */
type Seen<T> = { readonly kind: 'done'; readonly value: T } | { readonly kind: 'refused'; readonly error: unknown };

export class CallGuard {
  readonly dependency: string;
  readonly #policies: CallPolicies;
  readonly #seams: GuardSeams;
  readonly #bulkhead: Bulkhead | undefined;
  readonly #bucket: TokenBucket | undefined;
  readonly #rate: ErrorRate;
  readonly #counts: Writable<Counts> = {
    calls: 0,
    succeeded: 0,
    failed: 0,
    cancelled: 0,
    refused: { bulkhead: 0, rateLimit: 0, breaker: 0 },
    timedOut: 0,
    retries: 0,
  };
  /** Of this guard's own policies: what comes from the other side may look the same. */
  readonly #refusals = new WeakSet<Error>();
  #underWay = 0;
  #breaker: CallBreaker | Promise<CallBreaker> | undefined;
  #breakerState: (() => string) | undefined;

  constructor(dependency: string, policies: CallPolicies, degraded: DegradedOptions, seams: GuardSeams) {
    this.dependency = dependency;
    this.#policies = policies;
    this.#seams = seams;
    this.#rate = new ErrorRate(degraded);
    if (policies.bulkhead !== undefined) this.#bulkhead = new Bulkhead(dependency, policies.bulkhead);
    if (policies.rateLimit !== undefined) {
      this.#bucket = new TokenBucket(policies.rateLimit, seams.clock.monotonicMs());
    }
  }

  /** Whether so many of the last calls failed that whoever depends on it is degraded. */
  get isFaulty(): boolean {
    return this.#rate.isFaulty(this.#seams.clock.monotonicMs());
  }

  figures(): CallFigures {
    const { refused, ...counts } = this.#counts;
    return {
      ...counts,
      refused: { ...refused },
      running: this.#bulkhead?.running ?? this.#underWay,
      waiting: this.#bulkhead?.waiting ?? 0,
      errorRate: this.#rate.rate(this.#seams.clock.monotonicMs()),
      ...(this.#breakerState === undefined ? {} : { breaker: this.#breakerState() }),
    };
  }

  /**
   * Makes a call by the policies.
   *
   * @throws BulkheadFullError, RateLimitedError, CircuitOpenError, RequestTimeoutError, the signal's reason, and what the call throws
   */
  async run<T>(call: (signal: AbortSignal) => Promise<T>, options: GuardedCall): Promise<T> {
    const { clock } = this.#seams;
    const timeoutMs = options.timeoutMs ?? this.#policies.timeoutMs;
    const endMs = timeoutMs === undefined ? Number.POSITIVE_INFINITY : clock.monotonicMs() + timeoutMs;
    this.#counts.calls += 1;
    this.#underWay += 1;
    try {
      const value = await timedCall((signal) => this.#inBulkhead(call, { ...options, signal }, endMs), {
        clock,
        timeoutMs,
        signal: options.signal,
        overdue: () => this.#overdue(timeoutMs ?? 0, 'all its tries'),
      });
      this.#counts.succeeded += 1;
      return value;
    } catch (error) {
      this.#countFailed(error, options.signal);
      throw error;
    } finally {
      this.#underWay -= 1;
    }
  }

  async #inBulkhead<T>(
    call: (signal: AbortSignal) => Promise<T>,
    options: GuardedCall & { readonly signal: AbortSignal },
    endMs: number,
  ): Promise<T> {
    const leave = await this.#bulkhead?.enter(options.signal).catch((error: Error) => {
      if (error instanceof BulkheadFullError) this.#refusals.add(error);
      throw error;
    });
    try {
      return await this.#tries(call, options, endMs);
    } finally {
      leave?.();
    }
  }

  async #tries<T>(
    call: (signal: AbortSignal) => Promise<T>,
    options: GuardedCall & { readonly signal: AbortSignal },
    endMs: number,
  ): Promise<T> {
    const { clock, random } = this.#seams;
    const { retry = {} } = this.#policies;
    const maxAttempts = options.repeatable ? (retry.maxAttempts ?? 1) : 1;
    const patientUntilMs = clock.monotonicMs() + (options.patienceMs ?? 0);
    for (let attempt = 1; ; ) {
      await this.#token(options.signal, patientUntilMs);
      try {
        return await this.#throughBreaker(call, options.signal);
      } catch (error) {
        const refused = error instanceof Refusal;
        const cause = refused ? error.error : error;
        const backoffMs = refused ? 0 : delayMs(retry, attempt, random.next());
        const waitMs = Math.max(backoffMs, retryAfterOf(cause) ?? 0);
        const wakesMs = clock.monotonicMs() + waitMs;
        const again = refused
          ? waitMs > 0 && wakesMs <= patientUntilMs
          : attempt < maxAttempts && mayHelpToRepeat(cause);
        if (!again || wakesMs >= endMs || options.signal.aborted) throw cause;
        if (!refused) {
          attempt += 1;
          this.#counts.retries += 1;
        }
        await pause(waitMs, clock, options.signal);
      }
    }
  }

  async #token(signal: AbortSignal, patientUntilMs: number): Promise<void> {
    if (this.#bucket === undefined) return;
    const { clock } = this.#seams;
    for (;;) {
      const waitMs = this.#bucket.take(clock.monotonicMs());
      if (waitMs === 0) return;
      if (clock.monotonicMs() + waitMs > patientUntilMs) {
        const limited = this.#limited(waitMs);
        this.#refusals.add(limited);
        throw limited;
      }
      await pause(waitMs, clock, signal);
    }
  }

  async #throughBreaker<T>(call: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const breaker = await this.#breakerOf();
    if (breaker === undefined) return this.#counted(call, signal);
    let began = false;
    let seen: Seen<T>;
    try {
      seen = await breaker.execute(
        async (inner): Promise<Seen<T>> => {
          began = true;
          try {
            return { kind: 'done', value: await this.#counted(call, inner ?? signal) };
          } catch (error) {
            if (signal.aborted || !this.#isFailure(error)) return { kind: 'refused', error };
            throw error;
          }
        },
        { signal },
      );
    } catch (error) {
      if (!began && error instanceof CircuitOpenError) {
        this.#refusals.add(error);
        throw new Refusal(error);
      }
      throw error;
    }
    if (seen.kind === 'refused') throw seen.error;
    return seen.value;
  }

  /** One try, with its deadline; what came of it counts for the error rate. */
  async #counted<T>(call: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock } = this.#seams;
    const timeoutMs = this.#policies.tryTimeoutMs;
    try {
      const overdue = (): Error => this.#overdue(timeoutMs ?? 0, 'one try');
      const value = await timedCall(call, { clock, timeoutMs, signal, overdue });
      this.#rate.add(false, clock.monotonicMs());
      return value;
    } catch (error) {
      if (!signal.aborted) this.#rate.add(this.#isFailure(error), clock.monotonicMs());
      throw error;
    }
  }

  #breakerOf(): CallBreaker | Promise<CallBreaker> | undefined {
    const { breaker } = this.#policies;
    if (breaker === undefined || this.#breaker !== undefined) return this.#breaker;
    if (typeof breaker !== 'function') return this.#useBreaker(breaker);
    const made = breaker(this.dependency);
    if (!(made instanceof Promise)) return this.#useBreaker(made);
    this.#breaker = made.then(
      (ready) => this.#useBreaker(ready),
      (error: unknown) => {
        // The next call asks again.
        this.#breaker = undefined;
        throw error;
      },
    );
    return this.#breaker;
  }

  #useBreaker(breaker: CallBreaker): CallBreaker {
    this.#breaker = breaker;
    this.#breakerState = () => breaker.state;
    return breaker;
  }

  #isFailure(error: unknown): boolean {
    const { isFailure = isFailureOfOtherSide } = this.#policies;
    return isFailure(error);
  }

  #countFailed(error: unknown, signal: AbortSignal | undefined): void {
    const { refused } = this.#counts;
    if (signal?.aborted === true && error === signal.reason) this.#counts.cancelled += 1;
    else if (this.#refusals.has(error as Error)) {
      if (error instanceof BulkheadFullError) refused.bulkhead += 1;
      else if (error instanceof RateLimitedError) refused.rateLimit += 1;
      else refused.breaker += 1;
    } else {
      this.#counts.failed += 1;
      if (error instanceof RequestTimeoutError) this.#counts.timedOut += 1;
    }
  }

  #limited(retryAfterMs: number): RateLimitedError {
    const { permits, perMs = 1_000 } = this.#policies.rateLimit ?? { permits: 0 };
    return new RateLimitedError(
      `${this.dependency}: more than ${permits} calls in ${perMs} ms; the next may be made in ${retryAfterMs} ms`,
      { details: { dependency: this.dependency, permits, perMs, retryAfterMs } },
    );
  }

  #overdue(timeoutMs: number, what: string): RequestTimeoutError {
    return new RequestTimeoutError(`${this.dependency}: no answer within ${timeoutMs} ms, for ${what}`, {
      details: { dependency: this.dependency, timeoutMs },
    });
  }
}

/** The breaker did not let a try through: none of the dependency's failures. */
class Refusal extends Error {
  readonly error: CircuitOpenError;

  constructor(error: CircuitOpenError) {
    super(error.message);
    this.error = error;
  }
}

/** The wait that an error asks for, ms. */
export function retryAfterOf(error: unknown): number | undefined {
  const ms = error instanceof BlocksError ? error.details['retryAfterMs'] : undefined;
  return typeof ms === 'number' && ms >= 0 ? ms : undefined;
}

function isFailureOfOtherSide(error: unknown): boolean {
  if (!(error instanceof BlocksError)) return true;
  // A word that nobody there knows says nothing about how the other side is.
  if (error instanceof NoHandlerError || error instanceof NoSubscriberError) return false;
  // What a handler throws comes here as one of these.
  return error.retryable || error instanceof RemoteError || error instanceof HandlerError;
}

function mayHelpToRepeat(error: unknown): boolean {
  return error instanceof BlocksError ? error.retryable : true;
}
