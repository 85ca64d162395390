/**
 * A thread's mirror of a circuit breaker: what lets a call pass without asking anybody.
 *
 * Owns: this thread's view of the actor's committed state, the outcomes that the actor has not been told of, and asking it for tickets.
 * Decides nothing for other threads.
 *
 * How far a mirror may be behind:
 * - Of what this thread did, nothing: its own outcomes are in its estimate at once, and when they trip, it refuses at once.
 * - Of what others did: it hears of an opened circuit one commit and two hops between threads after the outcome that opened it. Calls
 *   that begin here in that time pass.
 * - Others' outcomes that did not trip by themselves reach the actor at most `reportDelayMs` late. So when the failures of several
 *   threads trip only together, that comes on top.
 *
 * Invariants:
 * BM1. `check` reads one field while calls pass: no message, no clock, no allocation.
 * BM2. Outcomes are reported in the order in which they were recorded, in one report at a time, within `reportDelayMs` (in a time window
 *      without failures: a tenth of it, as nothing is judged by them), or when there are 10,000 of them; one that trips at once. The
 *      outcomes of a report whose answer is lost are not sent again.
 * BM3. What a thread refuses on its own estimate it refuses until the actor has answered, and no longer than `openMs`: never for good.
 * BM4. While half open, no more tickets are asked for than there are. A ticket that nobody wants any more goes back unused.
 */
import type { ActorHandle, ActorSight } from '../../runtime/kernel/actor-host.ts';
import type { Clock, Wait } from '../../runtime/kernel/clock.ts';
import { ActorStoppedError, CircuitOpenError } from '../../runtime/kernel/errors.ts';
import type { BreakerSettings, ResolvedBreaker } from './breaker-settings.ts';
import {
  type CallOutcome,
  type CallWindow,
  countCalls,
  emptyWindow,
  isSaturated,
  type Run,
  tallyOf,
} from './call-window.ts';
import type { CircuitContext, CircuitEvent, CircuitState, ProbeAnswer } from './circuit-breaker-machine.ts';
import { UnreportedCalls } from './unreported-calls.ts';

/** The right to make one call. Hand it back to `record` with what became of the call. */
export interface Pass {
  readonly generation: number;
  /** Of a probe. */
  readonly ticket: number | undefined;
}

export interface MirrorPorts {
  readonly handle: ActorHandle;
  readonly clock: Clock;
  readonly breaker: ResolvedBreaker;
}

/** A report that the actor has, or will have. */
interface Report {
  readonly runs: readonly Run[];
  /** The actor's turn that counted it, once that is known. */
  sequence: number | undefined;
}

/** Wait before the actor is looked for again when it cannot be followed. */
const FOLLOW_AGAIN_MS = 1_000;
/** What a caller is told to wait while probes are under way. */
const PROBING_RETRY_MS = 1_000;

export class BreakerMirror {
  readonly handle: ActorHandle;
  readonly #clock: Clock;
  readonly #reportDelayMs: number;
  #settings: BreakerSettings;
  #context: CircuitContext | undefined;
  #state: CircuitState = 'closed';
  #sequence = 0;
  /** There while calls pass. */
  #pass: Pass | undefined;
  /** Outcomes from `slowMs` on are slow. */
  slowMs = Number.POSITIVE_INFINITY;

  readonly #unreported = new UnreportedCalls();
  #report: Report | undefined;
  /** Settles with the report that is under way. */
  #reported: Promise<void> = Promise.resolve();
  #wait: Wait | undefined;
  /** The wait is one for successes alone. */
  #isLazy = false;

  /** The window as the actor will have it, but for successes of the run that is being added to. */
  #estimate: CallWindow | undefined;
  /** Successes change nothing: none need be told. */
  #saturated = false;
  /** This thread refuses on its own estimate. */
  #tripped: { readonly untilMs: number } | undefined;

  #asking = 0;
  #refused = 0;
  #lostReports = 0;
  #ended = false;
  #waiters: { readonly sequence: number; readonly resolve: () => void }[] = [];
  #opening: { resolve(): void; reject(error: Error): void } | undefined;

  private constructor({ handle, clock, breaker }: MirrorPorts) {
    this.handle = handle;
    this.#clock = clock;
    this.#reportDelayMs = breaker.reportDelayMs;
    this.#settings = breaker.settings;
  }

  /** Resolves when the mirror shows the actor. `force`: the settings are to be the actor's, whatever they were. */
  static async open(ports: MirrorPorts, force: boolean): Promise<BreakerMirror> {
    const mirror = new BreakerMirror(ports);
    await new Promise<void>((resolve, reject) => {
      mirror.#opening = { resolve, reject };
      void mirror.#follow();
    });
    await mirror.configure(ports.breaker.settings, force);
    return mirror;
  }

  get state(): CircuitState {
    return this.#tripped === undefined ? this.#state : 'open';
  }

  get context(): CircuitContext {
    return this.#context as CircuitContext;
  }

  get settings(): BreakerSettings {
    return this.#settings;
  }

  /** What concerns this thread alone. */
  get here(): { readonly refused: number; readonly unreported: number; readonly lostReports: number } {
    return {
      refused: this.#refused,
      unreported: this.#unreported.size,
      lostReports: this.#lostReports + this.#unreported.forgotten,
    };
  }

  /** Undefined unless calls pass without asking. */
  get pass(): Pass | undefined {
    return this.#pass;
  }

  /** A pass, or `CircuitOpenError`. */
  check(): Pass {
    return this.#pass ?? this.#checkAgain();
  }

  /** A pass; while half open, a ticket from the actor. */
  enter(signal: AbortSignal | undefined): Pass | Promise<Pass> {
    if (this.#pass !== undefined) return this.#pass;
    return this.#state === 'half_open' ? this.#probe(signal) : this.#checkAgain();
  }

  /** What became of the call that had the pass. `slow` is already in the outcome. */
  record(pass: Pass, outcome: CallOutcome): void {
    if (pass.ticket !== undefined) {
      this.#tell({ type: 'PROBED', ticket: pass.ticket, outcome });
      return;
    }
    // A late one, of an earlier generation.
    if (pass.generation !== this.#context?.generation) return;
    if (this.#saturated && outcome === 'success') return;
    const ended = this.#unreported.add(outcome);
    if (ended !== undefined) this.#include(ended);
    if (outcome !== 'success') this.#foresee(outcome);
    if (this.#wait === undefined && this.#report === undefined) this.#arm();
    if (this.#unreported.isFull) this.#flush();
  }

  /** The pass was not needed, or what came of it says nothing. */
  giveBack(pass: Pass): void {
    if (pass.ticket !== undefined) this.#tell({ type: 'PROBED', ticket: pass.ticket, outcome: 'unused' });
  }

  /** Says how the breaker is to be, unless it is so already. Without `force` only to one that was never told. */
  async configure(settings: BreakerSettings, force: boolean): Promise<void> {
    const present = this.context.settings;
    if (present !== null && (!force || JSON.stringify(present) === JSON.stringify(settings))) return;
    await this.command({ type: 'CONFIGURE', settings });
  }

  /** Sends an event to the actor; resolves when this mirror shows what came of it. */
  async command(event: CircuitEvent): Promise<void> {
    await this.#seen(await this.handle.ask<number>(event));
  }

  /** Reports what is still to be told; resolves when the actor has counted it. */
  async flush(): Promise<void> {
    while (!this.#ended && (this.#unreported.size > 0 || this.#report !== undefined)) {
      this.#flush();
      const report = this.#report;
      if (report === undefined) return;
      await this.#reported;
      if (this.#report === report) await this.#seen(report.sequence ?? 0);
    }
  }

  // The slow half of a check.

  #checkAgain(): Pass {
    if (this.#tripped !== undefined && this.#clock.now() >= this.#tripped.untilMs) {
      // The actor has not answered for as long as the circuit would have been open.
      this.#forget();
      this.#refold();
      if (this.#pass !== undefined) return this.#pass;
    }
    throw this.#refusal();
  }

  #refusal(cause?: unknown): CircuitOpenError {
    this.#refused += 1;
    const { key } = this.handle;
    const state = this.state;
    const nowMs = this.#clock.now();
    const reason = this.#tripped === undefined ? this.context.change.reason : 'failures in this thread';
    const untilMs = this.#tripped?.untilMs ?? this.context.openUntilMs;
    const retryAfterMs =
      state === 'isolated'
        ? undefined
        : state === 'half_open' || untilMs === null
          ? PROBING_RETRY_MS
          : Math.max(1, untilMs - nowMs);
    const when = retryAfterMs === undefined ? 'until reset()' : `for another ${Math.ceil(retryAfterMs)} ms`;
    const what = state === 'half_open' ? 'is half open, and its probes are under way' : `is ${state} ${when}`;
    return new CircuitOpenError(`circuit ${key} ${what}: ${reason}`, {
      cause,
      details: { circuit: key, state, reason, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
    });
  }

  async #probe(signal: AbortSignal | undefined): Promise<Pass> {
    const { probing, settings } = this.context;
    const { probes } = (settings ?? this.#settings).halfOpen;
    const taken = probing.out.length + probing.succeeded + probing.failed + this.#asking;
    if (taken >= probes) throw this.#refusal();
    this.#asking += 1;
    let answer: ProbeAnswer;
    try {
      answer = await this.handle.ask<ProbeAnswer>({ type: 'PROBE' } satisfies CircuitEvent);
    } catch (cause) {
      throw this.#refusal(cause);
    } finally {
      this.#asking -= 1;
    }
    if (!answer.granted) return this.check();
    const pass: Pass = { generation: answer.generation, ticket: answer.ticket };
    if (signal?.aborted === true) {
      this.giveBack(pass);
      throw signal.reason;
    }
    return pass;
  }

  // Outcomes on their way to the actor.

  /** Whether the actor will open the circuit for this. */
  #foresee(outcome: CallOutcome): void {
    this.#saturated = false;
    const nowMs = this.#clock.now();
    const settings = this.#settings;
    const counted = countCalls(this.#estimate ?? emptyWindow(settings.policy), [[outcome, 1]], settings, nowMs);
    this.#estimate = counted.window;
    if (counted.trip !== undefined) this.#trip(nowMs);
    else this.#hasten();
  }

  #trip(nowMs: number): void {
    if (this.#tripped !== undefined || this.#state !== 'closed') return;
    this.#pass = undefined;
    this.#tripped = { untilMs: nowMs + this.#settings.openMs };
    this.#flush();
  }

  /** A run of successes has ended: failures to come are judged beside it. Those of others are in the estimate one by one. */
  #include(run: Run): void {
    if (run[0] !== 'success') return;
    const settings = this.#settings;
    const estimate = this.#estimate ?? emptyWindow(settings.policy);
    this.#estimate = countCalls(estimate, [run], settings, this.#clock.now()).window;
  }

  #arm(): void {
    const { policy } = this.#settings;
    this.#isLazy = policy.kind === 'time_window' && this.#isHealthy();
    const delayMs = policy.kind === 'time_window' && this.#isLazy ? policy.durationMs / 10 : 0;
    this.#wait = this.#clock.wait(Math.max(this.#reportDelayMs, delayMs), () => {
      this.#wait = undefined;
      this.#flush();
    });
  }

  /** Successes that could take their time are wanted now: a failure is to be judged beside them. */
  #hasten(): void {
    if (this.#wait === undefined || !this.#isLazy || this.#isHealthy()) return;
    this.#wait.cancel();
    this.#arm();
  }

  /** Nothing speaks against the dependency. */
  #isHealthy(): boolean {
    if (this.#estimate === undefined) return true;
    const { failures, slow } = tallyOf(this.#estimate, this.#settings.policy, this.#clock.now());
    return failures === 0 && slow === 0;
  }

  #flush(): void {
    if (this.#report !== undefined || this.#context === undefined) return;
    const ended = this.#unreported.endRun();
    if (ended !== undefined) this.#include(ended);
    if (this.#unreported.size === 0) return;
    this.#wait?.cancel();
    this.#wait = undefined;
    const report: Report = { runs: this.#unreported.take(), sequence: undefined };
    const { generation } = this.#context;
    this.#report = report;
    const event: CircuitEvent = { type: 'REPORT', generation, runs: report.runs };
    this.#reported = this.handle.ask<number>(event).then(
      (sequence) => {
        report.sequence = sequence;
        if (this.#report === report && sequence <= this.#sequence) this.#reportDone();
      },
      () => {
        this.#lostReports += 1;
        if (this.#report === report) this.#reportDone();
      },
    );
  }

  /** The report is in the window that the mirror shows, or lost. */
  #reportDone(): void {
    this.#report = undefined;
    if (this.#unreported.size === 0) return;
    if (this.#tripped !== undefined || this.#unreported.isFull) this.#flush();
    else if (this.#wait === undefined) this.#arm();
  }

  #tell(event: CircuitEvent): void {
    // Nobody waits: what is lost of a probe is taken for failed when its time is over.
    this.handle.ask(event).catch(() => {});
  }

  // The actor's states.

  async #follow(): Promise<void> {
    try {
      for await (const sight of this.handle.changes()) this.#see(sight);
      this.#end();
    } catch (error) {
      if (this.#opening !== undefined) {
        this.#opening.reject(error instanceof Error ? error : new Error(String(error)));
        this.#opening = undefined;
        return;
      }
      this.#clock.wait(FOLLOW_AGAIN_MS, () => void this.#follow());
    }
  }

  /** The system has stopped: what is shown stays as it is. */
  #end(): void {
    this.#ended = true;
    this.#wait?.cancel();
    for (const { resolve } of this.#waiters.splice(0)) resolve();
    this.#opening?.reject(new ActorStoppedError(`circuit breaker ${this.handle.key}: its actor system has stopped`));
  }

  #see({ sequence, status, view }: ActorSight): void {
    if (status !== 'running' && status !== 'waiting') {
      this.#opening?.reject(
        new ActorStoppedError(`circuit breaker ${this.handle.key} cannot be used: its actor is ${status}`),
      );
      return;
    }
    const { value, context } = view as { readonly value: CircuitState; readonly context: CircuitContext };
    const isNew = context.generation !== this.#context?.generation;
    this.#state = value;
    this.#context = context;
    this.#sequence = sequence;
    if (context.settings !== null) this.#settings = context.settings;
    this.slowMs = this.#settings.slowCall?.durationMs ?? Number.POSITIVE_INFINITY;
    if (isNew) this.#forget();
    if (this.#report?.sequence !== undefined && this.#report.sequence <= sequence) this.#reportDone();
    this.#refold();
    this.#opening?.resolve();
    this.#opening = undefined;
    const due = this.#waiters.filter((waiter) => waiter.sequence <= sequence);
    if (due.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => waiter.sequence > sequence);
    for (const { resolve } of due) resolve();
  }

  /** Outcomes of an earlier generation are of no use to anybody. */
  #forget(): void {
    this.#unreported.clear();
    this.#tripped = undefined;
    this.#report = undefined;
  }

  /** The estimate anew, from what the actor has and what it will have. */
  #refold(): void {
    if (this.#state !== 'closed') {
      this.#pass = undefined;
      return;
    }
    const { generation, window } = this.context;
    const settings = this.#settings;
    const start = window ?? emptyWindow(settings.policy);
    const nowMs = this.#clock.now();
    const { ended, last } = this.#unreported;
    const unseen = [...(this.#report?.runs ?? []), ...ended];
    // Successes of the run that is being added to are included when it ends.
    if (last !== undefined && last[0] !== 'success') unseen.push(last);
    const { window: estimate, trip } = countCalls(start, unseen, settings, nowMs);
    this.#estimate = estimate;
    this.#saturated = unseen.length === 0 && last === undefined && isSaturated(start, settings.policy);
    if (trip !== undefined) {
      this.#trip(nowMs);
      return;
    }
    this.#tripped = undefined;
    this.#hasten();
    if (this.#pass?.generation !== generation) this.#pass = Object.freeze({ generation, ticket: undefined });
  }

  #seen(sequence: number): Promise<void> {
    if (sequence <= this.#sequence || this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ sequence, resolve });
    });
  }
}
