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
import { assertListOptions, LIST_LIMIT } from './engine-options.ts';
import { type RunMessage, RUN_DEFINITION } from './run-behavior.ts';
import { INDEX_SHARDS, type IndexMessage, type RunEntry, type RunFilter } from './run-index.ts';
import type { RunReport, RunStatus, TraceEntry } from './run-view.ts';
import { sagaIndex } from './saga-actors.ts';

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
  async result<TResult = unknown>(runId: string, { timeoutMs, signal }: WaitOptions = {}): Promise<TResult> {
    const endMs = timeoutMs === undefined ? Number.POSITIVE_INFINITY : this.clock.monotonicMs() + timeoutMs;
    for (;;) {
      const leftMs = endMs - this.clock.monotonicMs();
      const waitMs = Math.max(1, Math.min(RESULT_WAIT_MS, leftMs));
      try {
        return await this.ask<TResult>(runId, { type: 'result' }, waitMs, signal);
      } catch (error) {
        if (!(error instanceof AskTimeoutError)) throw error;
        if (leftMs <= RESULT_WAIT_MS) throw await this.#notOver(runId, timeoutMs, error);
      }
    }
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

  /** Everything that happened in a run, with times. @throws UnknownRunError */
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
    await this.#tell(runId, { type: 'signal', name, payload }, options.idempotencyKey);
  }

  /** What is done is undone; protected from being cancelled itself. @throws RunRefusedError (past its pivot, over), UnknownRunError */
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

  protected async ask<TReply>(
    runId: string,
    message: RunMessage,
    timeoutMs?: number,
    signal?: AbortSignal,
  ): Promise<TReply> {
    try {
      const options = {
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
      };
      return await this.#run(runId).ask<TReply>(message, options);
    } catch (error) {
      throw encodeError(error).code === 'ACTOR_NOT_FOUND' ? unknownRun(runId) : error;
    }
  }

  async #tell(runId: string, message: RunMessage, idempotencyKey?: string): Promise<void> {
    try {
      await this.#run(runId).ask(message, idempotencyKey === undefined ? {} : { idempotencyKey });
    } catch (error) {
      throw encodeError(error).code === 'ACTOR_NOT_FOUND' ? unknownRun(runId) : error;
    }
  }
}

function unknownRun(runId: string): UnknownRunError {
  return new UnknownRunError(`no run "${runId}" was ever started`, { details: { runId } });
}
