/**
 * `WorkflowCoordinationEngine`: defines workflows, starts runs of them, and talks to runs.
 *
 * Owns: the definitions of this process and the public verbs. A run is an actor of its own (`run-behavior.ts`) and needs no engine to go
 * on, but for commands to systems, which the engine's dispatcher publishes.
 *
 * Invariants:
 * WE1. A run id names one run for ever: the same start again is the same run; another input, or another workflow, is an error.
 * WE2. Once `start` resolves, the run is on disk.
 */
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';
import type { ActorHandle, ActorHost } from '../../runtime/kernel/actor-host.ts';
import { assertCellId, keyOf } from '../../runtime/kernel/address.ts';
import { type Clock, systemClock } from '../../runtime/kernel/clock.ts';
import {
  AskTimeoutError,
  encodeError,
  InvalidOptionsError,
  InvalidWorkflowError,
  RunConflictError,
  UnknownRunError,
  UnknownWorkflowError,
} from '../../runtime/kernel/errors.ts';
import { type Random, systemRandom } from '../../runtime/kernel/random.ts';
import { CommandDispatcher } from './command-dispatcher.ts';
import type { CompiledWorkflow } from './compiled-workflow.ts';
import { nearest } from './expression-hints.ts';
import { assertEngineOptions, assertListOptions, assertStartOptions, LIST_LIMIT } from './engine-options.ts';
import { bundleOf, type RunBundle } from './run-bundle.ts';
import { fingerprintOf, invalidInput, type RunMessage, type RunStart, RUN_DEFINITION } from './run-behavior.ts';
import type { RunReport, RunStatus, TraceEntry } from './run-view.ts';
import { INDEX_SHARDS, type IndexMessage, type RunEntry, type RunFilter } from './run-index.ts';
import { sagaIndex, sagaRun } from './saga-actors.ts';
import { valueFaults } from './value-shape.ts';
import { WorkflowDefinition } from './workflow-definition.ts';

export interface WorkflowEngineOptions {
  /** Carries the commands of steps with a `systemTarget`. Without one, such workflows are refused. */
  readonly broker?: Broker;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** What a run knows of itself at its start. */
export interface WorkflowContext {
  /** Names the run. Default: a new one. Give one to be able to start the same run again without starting it twice. */
  readonly runId?: string;
  /** Variables, beside and before those of the definition. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** Of the definition. Default: the highest that is defined. */
  readonly version?: number;
}

export interface WaitOptions {
  /** Default: none, as long as it takes. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** How long one question for a result waits before it is asked again. */
const RESULT_WAIT_MS = 60_000;

/**
 * Coordinates workflows.
 *
 * ```ts
 * const system = await ActorSystem.start({ dataDir: './data', actors: [workflowActors, …] });
 * const engine = new WorkflowCoordinationEngine(system, { broker });
 * engine.defineWorkflow(checkout);
 * const result = await engine.executeWorkflow('checkout', { sku: 'x1' }, { runId: 'order-42' });
 * ```
 */
export class WorkflowCoordinationEngine implements AsyncDisposable {
  readonly #host: ActorHost;
  readonly #options: WorkflowEngineOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #workflows = new Map<string, Map<number, CompiledWorkflow>>();
  readonly #bundles = new Map<string, RunBundle>();
  readonly #dispatcher: CommandDispatcher | undefined;

  /** @throws InvalidOptionsError with all faults */
  constructor(host: ActorHost, options: WorkflowEngineOptions = {}) {
    assertEngineOptions(host, options);
    this.#host = host;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    const { broker } = options;
    this.#dispatcher =
      broker === undefined
        ? undefined
        : new CommandDispatcher({ host, broker, clock: this.#clock, random: this.#random });
  }

  /**
   * Makes a definition known. Runs that were started with another version stay with theirs.
   *
   * @throws InvalidWorkflowError (everything that is wrong; another definition of the same version), InvalidOptionsError (it calls
   *   systems, and there is no broker)
   */
  defineWorkflow(definition: WorkflowDefinition): this {
    if (!(definition instanceof WorkflowDefinition)) {
      throw new InvalidWorkflowError(
        (definition as unknown) instanceof Promise
          ? 'defineWorkflow was given a promise: defineWorkflow(await parseWorkflow(text))'
          : `defineWorkflow: ${String(definition)} is no definition: give a WorkflowDefinition, a saga, or workflowFromDocument(document)`,
      );
    }
    const workflow = definition.compile();
    const { id, version, steps } = workflow.data;
    const versions = this.#workflows.get(id) ?? new Map<number, CompiledWorkflow>();
    const known = versions.get(version);
    if (known !== undefined && known.hash !== workflow.hash) {
      throw new InvalidWorkflowError(
        `workflow "${id}" version ${version} is defined already, and not like this: raise its version`,
      );
    }
    const system = steps
      .flatMap(({ work, compensation }) => [work, compensation])
      .find((one) => one !== undefined && 'target' in one && one.target.kind === 'system');
    if (system !== undefined && this.#options.broker === undefined) {
      throw new InvalidOptionsError(
        `workflow "${id}" calls systems, whose commands a broker carries: new WorkflowCoordinationEngine(system, { broker })`,
      );
    }
    versions.set(version, workflow);
    this.#workflows.set(id, versions);
    this.#bundles.clear();
    return this;
  }

  /**
   * Starts a run; resolves with its id once it is on disk. The same `runId` again is the same run.
   *
   * @throws UnknownWorkflowError, ContractViolationError (the input, with all faults), RunConflictError (the run id has another workflow or input), and what
   *   `spawn` throws
   */
  async start(id: string, input: unknown = null, context: WorkflowContext = {}): Promise<string> {
    assertStartOptions(context);
    const workflow = this.#workflow(id, context.version);
    const faults = valueFaults(input, workflow.data.input, 'input');
    if (faults.length > 0) throw invalidInput(id, faults);
    const runId = context.runId ?? this.#newRunId();
    assertCellId(runId);
    const start: RunStart = {
      runId,
      workflow: id,
      bundle: this.#bundle(workflow),
      input,
      context: context.variables ?? {},
    };
    try {
      await this.#host.spawn(sagaRun, { id: runId, input: start, ifExists: 'refuse' });
    } catch (error) {
      if (encodeError(error).code !== 'ACTOR_ALREADY_EXISTS') throw error;
      const fingerprint = await this.#ask<string>(runId, { type: 'fingerprint' });
      if (fingerprint !== fingerprintOf(id, input)) {
        throw new RunConflictError(
          `run "${runId}" was started with another input, or is one of another workflow: it was ${fingerprint.split(' ')[0]}`,
          { details: { runId, workflow: id } },
        );
      }
    }
    return runId;
  }

  /**
   * Starts a run, or finds it, and resolves with its result. A run that is stuck keeps its caller waiting, up to `timeoutMs`.
   *
   * @throws WorkflowFailedError, WorkflowCancelledError, AskTimeoutError (the run goes on), and what `start` throws
   */
  async executeWorkflow<TResult = unknown>(
    id: string,
    input: unknown = null,
    options: WorkflowContext & WaitOptions = {},
  ): Promise<TResult> {
    return this.result<TResult>(await this.start(id, input, options), options);
  }

  /** Resolves with the result of a run once it is over. @throws as `executeWorkflow`; UnknownRunError */
  async result<TResult = unknown>(runId: string, { timeoutMs, signal }: WaitOptions = {}): Promise<TResult> {
    const endMs = timeoutMs === undefined ? Number.POSITIVE_INFINITY : this.#clock.monotonicMs() + timeoutMs;
    for (;;) {
      const leftMs = endMs - this.#clock.monotonicMs();
      const waitMs = Math.max(1, Math.min(RESULT_WAIT_MS, leftMs));
      try {
        return await this.#ask<TResult>(runId, { type: 'result' }, waitMs, signal);
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
      this.#host.refOf(keyOf(sagaIndex.name, String(shard))),
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

  /** Publishes no more commands. Runs are not stopped; what they ask of systems waits for the next engine. */
  async close(): Promise<void> {
    await this.#dispatcher?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #workflow(id: string, version: number | undefined): CompiledWorkflow {
    const versions = this.#workflows.get(id);
    if (versions === undefined) {
      const known = [...this.#workflows.keys()];
      throw new UnknownWorkflowError(
        `no workflow "${id}" is defined (${nearest(id, known) ?? `defined: ${known.join(', ') || 'none'}`})`,
      );
    }
    const found = versions.get(version ?? Math.max(...versions.keys()));
    if (found === undefined) {
      throw new UnknownWorkflowError(
        `workflow "${id}" has no version ${version} (defined: ${[...versions.keys()].join(', ')})`,
      );
    }
    return found;
  }

  #bundle(workflow: CompiledWorkflow): RunBundle {
    const known = this.#bundles.get(workflow.hash);
    if (known !== undefined) return known;
    const bundle = bundleOf(workflow.data, (id) =>
      this.#workflows.has(id) ? this.#workflow(id, undefined).data : undefined,
    );
    this.#bundles.set(workflow.hash, bundle);
    return bundle;
  }

  #newRunId(): string {
    const part = (): string =>
      Math.floor(this.#random.next() * 0x1_0000_0000)
        .toString(16)
        .padStart(8, '0');
    return `${part()}${part()}${part()}${part()}`;
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
    return this.#host.refOf(keyOf(RUN_DEFINITION, runId));
  }

  async #ask<TReply>(runId: string, message: RunMessage, timeoutMs?: number, signal?: AbortSignal): Promise<TReply> {
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
