/**
 * `CircuitBreaker`: one circuit a dependency, shared by all threads of a system, durable.
 *
 * Owns: the public class, its definitions, and one mirror a thread and breaker. States are the actor's (`circuit-breaker-machine.ts`), the
 * check is the mirror's (`breaker-mirror.ts`).
 */
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import { type CellKey, keyOf } from '../../runtime/kernel/address.ts';
import { type Clock, systemClock } from '../../runtime/kernel/clock.ts';
import type { Definition } from '../../runtime/kernel/definition.ts';
import { InvalidDefinitionError } from '../../runtime/kernel/errors.ts';
import { type ActorDefinition, defineActor } from '../define-actor.ts';
import { BreakerMirror, type Pass } from './breaker-mirror.ts';
import {
  type BreakerSettings,
  type CircuitBreakerOptions,
  resolveBreaker,
  type ResolvedBreaker,
} from './breaker-settings.ts';
import { verdictOn } from './call-fault.ts';
import { tallyOf } from './call-window.ts';
import {
  CIRCUIT_VERSION,
  type CircuitChange,
  circuitBreakerMachine,
  type CircuitEvent,
  type CircuitState,
} from './circuit-breaker-machine.ts';
import { namedBreaker } from './named-breaker.ts';

/** What `defineCircuitBreaker` returns. */
export type CircuitBreakerDefinition = ActorDefinition<CircuitEvent>;

export interface CircuitBreakerUse {
  /** Where one definition has several breakers, one a region or tenant: which. Default `breaker`. */
  readonly id?: string;
  /** For tests: the clock of the test system. Default: the machine's. */
  readonly clock?: Clock;
}

export interface ExecuteOptions<TFallback = never> {
  /** Handed to the function. When it aborts, the call is not counted, unless the reason is a timeout. */
  readonly signal?: AbortSignal | undefined;
  /** Answers in place of the error, when the call was refused or has failed; not when the caller aborted it. */
  readonly fallback?: ((error: unknown) => TFallback | PromiseLike<TFallback>) | undefined;
}

/** What became of a call, for `record`. `unused`: it says nothing of the dependency. */
export type CallResult = 'success' | 'failure' | 'unused';

/** A breaker, for display. */
export interface CircuitBreakerSnapshot {
  readonly state: CircuitState;
  readonly generation: number;
  /** Why it is in this state, since when, and for `open` until when. */
  readonly reason: string;
  readonly sinceMs: number;
  readonly openUntilMs: number | null;
  /** Openings since it was last closed. */
  readonly openings: number;
  /** Of the calls in the window, as the actor has counted them. */
  readonly calls: number;
  readonly failures: number;
  readonly slowCalls: number;
  readonly failureRate: number;
  readonly slowCallRate: number;
  readonly probes: {
    readonly limit: number;
    readonly out: number;
    readonly succeeded: number;
    readonly failed: number;
  };
  /** This thread's own: calls refused so far, outcomes not reported yet, reports without an answer. */
  readonly here: { readonly refused: number; readonly unreported: number; readonly lostReports: number };
  readonly settings: BreakerSettings;
}

const BREAKERS = new WeakMap<Definition, ResolvedBreaker>();
/** One mirror a thread: of the application's system, or of the host that an effect runs on. */
const MIRRORS = new WeakMap<ActorHost, Map<CellKey, Promise<BreakerMirror>>>();

const DEFAULT_ID = 'breaker';
const NO_OPTIONS: ExecuteOptions = {};

/**
 * Defines a circuit breaker. Export the result from the module whose URL is given, so that every thread finds it and has the same
 * options. They may change from one deployment to the next: they are data of the breaker, not its code.
 *
 * @throws InvalidOptionsError with all faults
 * @example
 * export const payments = defineCircuitBreaker(import.meta.url, 'payments', {
 *   policy: { kind: 'count_window', size: 100, minimumCalls: 20, failureRate: 0.5 },
 *   slowCall: { durationMs: 2_000, rate: 0.8 },
 *   openMs: 30_000,
 *   halfOpen: { probes: 3 },
 * })
 */
export function defineCircuitBreaker(
  module: string,
  name: string,
  options?: CircuitBreakerOptions,
): CircuitBreakerDefinition {
  const resolved = resolveBreaker(`circuit breaker ${JSON.stringify(name)}`, options);
  const definition = defineActor(module, name, { machine: circuitBreakerMachine, version: CIRCUIT_VERSION });
  BREAKERS.set(definition, resolved);
  return definition;
}

/**
 * A circuit breaker, as one thread uses it. All threads of a system share its state, and so do runs of the process: a circuit that was
 * open when the process was killed is open when it comes back, until the moment it was to be.
 *
 * A check while calls pass costs this thread a few nanoseconds and no message. How far a thread may be behind the others is said in
 * `runtime/docs/circuit-breaker.md`.
 *
 * @example
 * const breaker = await CircuitBreaker.of(system, payments)
 * const receipt = await breaker.execute((signal) => charge(order, { signal }), { signal: AbortSignal.timeout(2_000) })
 */
export class CircuitBreaker {
  readonly #mirror: BreakerMirror;
  readonly #clock: Clock;
  readonly #isFailure: ((error: unknown) => boolean) | undefined;

  private constructor(mirror: BreakerMirror, clock: Clock, isFailure: ((error: unknown) => boolean) | undefined) {
    this.#mirror = mirror;
    this.#clock = clock;
    this.#isFailure = isFailure;
  }

  /**
   * The breaker of a definition, or of a name. `host`: the actor system, or `actors` in an effect. Starts its actor if need be, and
   * resolves when this thread knows its state. Calling it again costs next to nothing: a thread has one mirror of each breaker.
   *
   * A breaker of a name keeps the options that it was given last; without any it has the defaults.
   *
   * @throws InvalidOptionsError, InvalidDefinitionError, ActorBlockedError, ActorStoppedError
   * @example const breaker = await CircuitBreaker.of(system, 'payments', { openMs: 5_000 })
   */
  static of(host: ActorHost, definition: CircuitBreakerDefinition, use?: CircuitBreakerUse): Promise<CircuitBreaker>;
  static of(
    host: ActorHost,
    name: string,
    options?: CircuitBreakerOptions & Pick<CircuitBreakerUse, 'clock'>,
  ): Promise<CircuitBreaker>;
  static async of(
    host: ActorHost,
    what: CircuitBreakerDefinition | string,
    given: CircuitBreakerUse & CircuitBreakerOptions = {},
  ): Promise<CircuitBreaker> {
    const { clock = systemClock, id = DEFAULT_ID, ...options } = given;
    if (typeof what === 'string') {
      const resolved = resolveBreaker(`circuit breaker ${JSON.stringify(what)}`, options);
      const isTold = Object.keys(options).length > 0;
      return CircuitBreaker.#open(host, namedBreaker, what, clock, resolved, isTold);
    }
    const resolved = BREAKERS.get(what);
    if (resolved === undefined) {
      throw new InvalidDefinitionError(
        'CircuitBreaker.of needs what defineCircuitBreaker(import.meta.url, name, options) returned, or a name',
      );
    }
    return CircuitBreaker.#open(host, what, id, clock, resolved, true);
  }

  static async #open(
    host: ActorHost,
    definition: Definition,
    id: string,
    clock: Clock,
    breaker: ResolvedBreaker,
    isTold: boolean,
  ): Promise<CircuitBreaker> {
    let mirrors = MIRRORS.get(host);
    if (mirrors === undefined) {
      mirrors = new Map();
      MIRRORS.set(host, mirrors);
    }
    const key = keyOf(definition.name, id);
    const known = mirrors.get(key);
    const opening = known ?? openMirror(host, definition, id, clock, breaker, isTold);
    mirrors.set(key, opening);
    let mirror: BreakerMirror;
    try {
      mirror = await opening;
    } catch (error) {
      if (mirrors.get(key) === opening) mirrors.delete(key);
      throw error;
    }
    if (known !== undefined) await mirror.configure(breaker.settings, isTold);
    return new CircuitBreaker(mirror, clock, breaker.isFailure);
  }

  /** `definition/id` of its actor. */
  get key(): CellKey {
    return this.#mirror.handle.key;
  }

  /** As this thread knows it; `open` also while this thread refuses on its own and the actor has not said so yet. */
  get state(): CircuitState {
    return this.#mirror.state;
  }

  /**
   * Calls `run` if the circuit lets it, and counts what becomes of it. While half open, as many calls as there are probes are let through
   * over all threads, and each first asks the actor for its ticket.
   *
   * @throws CircuitOpenError when it was refused (`details`: `state`, `reason`, and `retryAfterMs` unless it is isolated); what `run` throws
   * @example await breaker.execute(() => fetchRates(), { fallback: () => lastRates })
   */
  async execute<TResult, TFallback = never>(
    run: (signal: AbortSignal | undefined) => TResult | PromiseLike<TResult>,
    options: ExecuteOptions<TFallback> = NO_OPTIONS,
  ): Promise<TResult | TFallback> {
    const mirror = this.#mirror;
    const { signal, fallback } = options;
    signal?.throwIfAborted();
    let { pass } = mirror;
    if (pass === undefined) {
      try {
        pass = await mirror.enter(signal);
      } catch (refusal) {
        if (fallback === undefined || signal?.aborted === true) throw refusal;
        return fallback(refusal);
      }
    }
    const startMs = mirror.slowMs === Number.POSITIVE_INFINITY ? 0 : this.#clock.monotonicMs();
    try {
      const result = await run(signal);
      this.record(pass, 'success', this.#took(startMs));
      return result;
    } catch (error) {
      const verdict = verdictOn(error, signal, this.#isFailure);
      this.record(pass, verdict, this.#took(startMs));
      if (fallback === undefined || (verdict === 'unused' && signal?.aborted === true)) throw error;
      return fallback(error);
    }
  }

  /**
   * A pass for a call that `execute` cannot make, or an error. Give it back with `record`. While half open it is refused, since a probe
   * needs a ticket from the actor: see `enter`.
   *
   * @throws CircuitOpenError
   * @example
   * const pass = breaker.check()
   * send(request, (error) => breaker.record(pass, error === null ? 'success' : 'failure'))
   */
  check(): Pass {
    return this.#mirror.check();
  }

  /** As `check`, at once where that would pass; while half open it asks the actor for a ticket. */
  enter(signal?: AbortSignal): Pass | Promise<Pass> {
    return this.#mirror.enter(signal);
  }

  /** What became of the call that had the pass: once. A pass of an earlier generation of the circuit is ignored. */
  record(pass: Pass, result: CallResult, durationMs = 0): void {
    const isSlow = durationMs >= this.#mirror.slowMs;
    switch (result) {
      case 'success':
        return this.#mirror.record(pass, isSlow ? 'slow' : 'success');
      case 'failure':
        return this.#mirror.record(pass, isSlow ? 'slow_failure' : 'failure');
      case 'unused':
        return this.#mirror.giveBack(pass);
    }
  }

  /** As this thread knows it, without asking anybody. */
  snapshot(): CircuitBreakerSnapshot {
    const { context, settings, here } = this.#mirror;
    const { generation, change, openUntilMs, openings, window, probing } = context;
    const { calls, failures, slow } =
      window === null ? { calls: 0, failures: 0, slow: 0 } : tallyOf(window, settings.policy, this.#clock.now());
    return {
      state: this.state,
      generation,
      reason: change.reason,
      sinceMs: change.atMs,
      openUntilMs,
      openings,
      calls,
      failures,
      slowCalls: slow,
      failureRate: calls === 0 ? 0 : failures / calls,
      slowCallRate: calls === 0 ? 0 : slow / calls,
      probes: {
        limit: settings.halfOpen.probes,
        out: probing.out.length,
        succeeded: probing.succeeded,
        failed: probing.failed,
      },
      here,
      settings,
    };
  }

  /** Changes of state after this call, each once it is committed, with their reason. */
  async *events(options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<CircuitChange> {
    for await (const event of this.#mirror.handle.events(options)) yield event as CircuitChange;
  }

  /** Refuses every call, in all threads and after restarts, until `reset`. Resolves when that is durable and this thread refuses. */
  isolate(reason: string): Promise<void> {
    return this.#mirror.command({ type: 'ISOLATE', reason });
  }

  /** Closes the circuit and forgets what was counted. Resolves when that is durable and this thread lets calls pass. */
  reset(reason?: string): Promise<void> {
    return this.#mirror.command({ type: 'RESET', ...(reason === undefined ? {} : { reason }) });
  }

  /** Reports what this thread has kept to itself; resolves when the actor has counted it. Before `system.stop()`, if it matters. */
  flush(): Promise<void> {
    return this.#mirror.flush();
  }

  #took(startMs: number): number {
    return startMs === 0 ? 0 : this.#clock.monotonicMs() - startMs;
  }
}

async function openMirror(
  host: ActorHost,
  definition: Definition,
  id: string,
  clock: Clock,
  breaker: ResolvedBreaker,
  isTold: boolean,
): Promise<BreakerMirror> {
  const handle = await host.spawn(definition, { id, ifExists: 'attach' });
  return BreakerMirror.open({ handle, clock, breaker }, isTold);
}
