/**
 * `RunOperations`: what can be done with a run that was started, by whoever has its id.
 *
 * Owns: the verbs, as questions to the run's actor. Needs no definitions: a run carries its own. Starting runs is
 * `workflow-coordination-engine.ts`.
 *
 * Invariants:
 * RO1. A verb that resolves is on disk; one that rejects with `RunRefusedError` has changed nothing.
 */
import type { ActorHandle, ActorHost } from '../../runtime/kernel/actor-host.ts';
import { keyOf } from '../../runtime/kernel/address.ts';
import type { Clock } from '../../runtime/kernel/clock.ts';
import { AskTimeoutError, encodeError, UnknownRunError } from '../../runtime/kernel/errors.ts';
import { assertListOptions, assertRepeatOptions, assertWaitOptions, LIST_LIMIT } from './engine-options.ts';
import { assertBulk, type BulkAction, type BulkOptions, bulkOver, type BulkReport } from './bulk-operations.ts';
import { heartbeat, type WorkflowTry } from './heartbeat.ts';
import { readToken } from './promise-token.ts';
import type { RunMessage } from './run-behavior.ts';
import { RUN_DEFINITION, withoutStack } from './run-commands.ts';
import type { HeartbeatReply } from './run-heartbeats.ts';
import { INDEX_SHARDS, type IndexMessage, type RunEntry, type RunFilter } from './run-index.ts';
import type { PromiseOutcome } from './run-state.ts';
import type { TraceEntry } from './run-trace.ts';
import type { RunReport, RunStatus } from './run-view.ts';
import { sagaIndex } from './saga-actors.ts';
import { isRecord } from './value-shape.ts';
import { assertFits } from './value-size.ts';

export interface WaitOptions {
  /** Default: none, as long as it takes. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** How long one question for a result waits before it is asked again. */
const RESULT_WAIT_MS = 60_000;

export class RunOperations {
  protected readonly host: ActorHost;
  protected readonly clock: Clock;

  constructor(host: ActorHost, clock: Clock) {
    this.host = host;
    this.clock = clock;
  }

  /** Resolves with the result of a run once it is over. @throws as `executeWorkflow`; UnknownRunError */
  async result<TResult = unknown>(runId: string, options: WaitOptions = {}): Promise<TResult> {
    assertWaitOptions(options);
    return this.#result(runId, options, this.#endOf(options), undefined);
  }

  /** What is known of a run, step by step, with its trace; changes nothing. @throws UnknownRunError */
  async query(runId: string): Promise<RunReport> {
    const { status, view } = await this.#run(runId).snapshot();
    if (status === 'absent' || view === undefined || view === null) throw unknownRun(runId);
    return view as RunReport;
  }

  /** Where a run is. @throws UnknownRunError */
  async status(runId: string): Promise<RunStatus> {
    return (await this.query(runId)).status;
  }

  /** Everything that happened in a run, with times; `formatTrace` makes a table of it. @throws UnknownRunError */
  async trace(runId: string): Promise<readonly TraceEntry[]> {
    return (await this.query(runId)).trace;
  }

  /**
   * Runs in the order of their ids; `after` is the last id of the page before. What a run has said last of itself: a moment behind it.
   * All that are not over, and the latest of those that are.
   *
   * @throws InvalidOptionsError
   */
  async list(
    filter: RunFilter = {},
    page: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly RunEntry[]> {
    assertListOptions(filter, page);
    const { after = '', limit = LIST_LIMIT } = page;
    const question: IndexMessage = { type: 'list', filter, after, limit };
    const shards = Array.from({ length: INDEX_SHARDS }, (_, shard) =>
      this.host.refOf(keyOf(sagaIndex.name, String(shard))),
    );
    const pages = await Promise.all(shards.map((shard) => shard.ask<readonly RunEntry[]>(question)));
    return pages
      .flat()
      .sort((a, b) => (a.runId < b.runId ? -1 : 1))
      .slice(0, limit);
  }

  /**
   * Gives a signal to the step that waits for it, or will. With an `idempotencyKey` it may be repeated.
   *
   * @throws RunRefusedError (no step waits for it any more, or ever did; the run is over), UnknownRunError
   */
  async signal(
    runId: string,
    name: string,
    payload: unknown = null,
    options: { readonly idempotencyKey?: string } = {},
  ): Promise<void> {
    assertRepeatOptions('signal', options);
    assertFits(payload, `the payload of the signal "${name}"`);
    await this.#tell(runId, { type: 'signal', name, payload }, options.idempotencyKey);
  }

  /**
   * Settles the promise of a token with a value, from anywhere and at any time of the run: the result of its step. The same once more
   * changes nothing. One that comes before its step has begun is kept for it.
   *
   * @throws UnknownTokenError, TokenUsedError (it was settled otherwise, its step took too long or was skipped, the run is over or being
   *   undone), ContractViolationError (the step's `result` says what it takes), UnknownRunError (deleted)
   * @example await engine.resolvePromise(request.query.token, { approved: true, by: 'Ada' })
   */
  async resolvePromise(token: string, value: unknown = null): Promise<void> {
    assertFits(value, 'the value of a promise');
    await this.#settle(token, { kind: 'resolved', value });
  }

  /** Settles the promise of a token with an error, which fails its step: an `Error`, or one as JSON has it, `{ code, message }`. @throws as `resolvePromise` */
  async rejectPromise(token: string, error: unknown): Promise<void> {
    await this.#settle(token, { kind: 'rejected', error: withoutStack(encodeError(revived(error))) });
  }

  /**
   * Says that whoever handles a call of a step is alive, and how far it is; the next try is told the last `details`. For handlers elsewhere:
   * actors have `sendHeartbeat`, handlers of connectors `context.heartbeat`.
   *
   * @throws RunRefusedError (`TRY_OVER`: another try has begun, or the step is over: stop), UnknownRunError
   */
  async heartbeat(at: WorkflowTry, details: unknown = null): Promise<HeartbeatReply> {
    return this.#known(at.run, () => heartbeat(this.host, at, details));
  }

  /**
   * Changes variables of a run, as an update of its definition says, and resolves with what that answers. With an `idempotencyKey` it
   * may be repeated: the answer is the first one's.
   *
   * @throws RunRefusedError (`UNKNOWN_UPDATE`; `UPDATE_REFUSED`: its condition is false, or an expression has no value; the run is over),
   *   ContractViolationError (the payload), UnknownRunError
   * @example const { quantity } = await engine.update('order-42', 'changeQuantity', { quantity: 3 })
   */
  async update<TReply = unknown>(
    runId: string,
    name: string,
    payload: unknown = null,
    options: { readonly idempotencyKey?: string } = {},
  ): Promise<TReply> {
    assertRepeatOptions('update', options);
    assertFits(payload, `the payload of the update "${name}"`);
    return this.#tell<TReply>(runId, { type: 'update', name, payload }, options.idempotencyKey);
  }

  /**
   * Cancels one step; the run goes on as if it were skipped. One that waits is cancelled at once. Of a call that is under way the answer is
   * waited for: if it was done, so is the step.
   *
   * @throws RunRefusedError (`UNKNOWN_STEP`, `STEP_OVER`, `NOT_RUNNING`, `RUN_ENDED`), UnknownRunError
   */
  async cancelStep(runId: string, step: string, reason?: string): Promise<void> {
    await this.#tell(runId, { type: 'cancelStep', step, reason });
  }

  /**
   * What is done is undone; protected from being cancelled itself: once it is being undone this changes nothing.
   *
   * @throws RunRefusedError (past its pivot, over, stuck in a compensation), UnknownRunError
   */
  async cancel(runId: string, reason?: string): Promise<void> {
    await this.#tell(runId, { type: 'cancel', reason });
  }

  /** Nothing new starts; what is under way ends. @throws RunRefusedError (over), UnknownRunError */
  async pause(runId: string): Promise<void> {
    await this.#tell(runId, { type: 'pause' });
  }

  async resume(runId: string): Promise<void> {
    await this.#tell(runId, { type: 'resume' });
  }

  /** A stuck run tries again what has failed. @throws RunRefusedError (it is not stuck), UnknownRunError */
  async retry(runId: string): Promise<void> {
    await this.#tell(runId, { type: 'retry' });
  }

  /**
   * Tells a stuck run that somebody has done by hand what failed: `unit` is a step, an item `step#3`, or a compensation `step/undo`.
   *
   * @throws RunRefusedError (it is not stuck, or that has not failed), UnknownRunError
   */
  async resolve(runId: string, unit: string, result: unknown = null): Promise<void> {
    await this.#tell(runId, { type: 'resolve', unit, result });
  }

  /**
   * Forgets a run that is over, with its children. Its id is not used again: a start with it is a `RunConflictError`.
   *
   * @throws RunRefusedError (`NOT_OVER`; `IS_CHILD`: it goes with its parent), UnknownRunError (also once it is deleted)
   */
  async delete(runId: string): Promise<void> {
    await this.#tell(runId, { type: 'delete' });
  }

  /**
   * Does one thing with every run that a filter finds, children excepted, a page at a time: resolves when the page is done, with a report of
   * each. Bounded by `limit` and `concurrency`; `after` of a report is where the next call goes on, after a crash too.
   *
   * @throws InvalidOptionsError. What fails for one run is in the report
   * @example const { done, failed, after } = await engine.bulk({ type: 'retry' }, { workflow: 'checkout', status: 'stuck' })
   */
  async bulk(action: BulkAction, filter: RunFilter, options: BulkOptions = {}): Promise<BulkReport> {
    assertBulk(action, options);
    const { after, limit = LIST_LIMIT, concurrency } = options;
    const page = await this.list(filter, { limit, ...(after === undefined ? {} : { after }) });
    return bulkOver(this, page, action, { limit, concurrency });
  }

  async #settle(token: string, outcome: PromiseOutcome): Promise<void> {
    const { runId, step } = readToken(token);
    await this.#tell(runId, { type: 'promise', step, token, outcome });
  }

  /** The result of a run whose start is on its way: the run finds the question when it begins, and both are one commit. */
  protected async resultOfStart<TResult>(
    runId: string,
    options: WaitOptions,
    started: Promise<unknown>,
  ): Promise<TResult> {
    const endMs = this.#endOf(options);
    const early = this.#askResult<TResult>(runId, endMs, options.signal);
    early.catch(() => {});
    await started;
    return this.#result(runId, options, endMs, early);
  }

  async #result<TResult>(
    runId: string,
    { timeoutMs, signal }: WaitOptions,
    endMs: number,
    early: Promise<TResult> | undefined,
  ): Promise<TResult> {
    for (let asked = early; ; asked = undefined) {
      const leftMs = endMs - this.clock.monotonicMs();
      try {
        return await (asked ?? this.#askResult<TResult>(runId, endMs, signal));
      } catch (error) {
        // The early question was there before the run when the definition of runs had to be loaded first.
        if (asked !== undefined && error instanceof UnknownRunError) continue;
        if (!(error instanceof AskTimeoutError)) throw error;
        if (leftMs <= RESULT_WAIT_MS) throw await this.#notOver(runId, timeoutMs, error);
      }
    }
  }

  #endOf({ timeoutMs }: WaitOptions): number {
    return timeoutMs === undefined ? Number.POSITIVE_INFINITY : this.clock.monotonicMs() + timeoutMs;
  }

  #askResult<TResult>(runId: string, endMs: number, signal: AbortSignal | undefined): Promise<TResult> {
    const waitMs = Math.max(1, Math.min(RESULT_WAIT_MS, endMs - this.clock.monotonicMs()));
    return this.ask<TResult>(runId, { type: 'result' }, waitMs, signal);
  }

  /** What to say of a run whose result was not there in time. */
  async #notOver(runId: string, timeoutMs: number | undefined, cause: AskTimeoutError): Promise<AskTimeoutError> {
    try {
      const status = await this.status(runId);
      const remedy = status === 'stuck' ? 'retry it, or resolve what has failed (see its trace)' : 'ask again';
      return new AskTimeoutError(`run "${runId}" is not over after ${timeoutMs} ms: it is ${status}: ${remedy}`, {
        cause,
        details: { runId, status, timeoutMs },
      });
    } catch {
      return cause;
    }
  }

  #run(runId: string): ActorHandle {
    return this.host.refOf(keyOf(RUN_DEFINITION, runId));
  }

  protected ask<TReply>(runId: string, message: RunMessage, timeoutMs?: number, signal?: AbortSignal): Promise<TReply> {
    const options = { ...(timeoutMs === undefined ? {} : { timeoutMs }), ...(signal === undefined ? {} : { signal }) };
    return this.#known(runId, () => this.#run(runId).ask<TReply>(message, options));
  }

  #tell<TReply = null>(runId: string, message: RunMessage, idempotencyKey?: string): Promise<TReply> {
    const options = idempotencyKey === undefined ? {} : { idempotencyKey };
    return this.#known(runId, () => this.#run(runId).ask<TReply>(message, options));
  }

  async #known<TReply>(runId: string, call: () => Promise<TReply>): Promise<TReply> {
    try {
      return await call();
    } catch (error) {
      throw encodeError(error).code === 'ACTOR_NOT_FOUND' ? unknownRun(runId) : error;
    }
  }
}

function unknownRun(runId: string): UnknownRunError {
  return new UnknownRunError(`no run "${runId}" is there: it was never started, or is deleted`, { details: { runId } });
}

/** What came as JSON, as a webhook sends it, is an error too. */
function revived(error: unknown): unknown {
  if (error instanceof Error || !isRecord(error)) return error;
  const { code, message, details } = error;
  if (typeof code !== 'string' || typeof message !== 'string') return error;
  return Object.assign(new Error(message), { code, ...(isRecord(details) ? { details } : {}) });
}
