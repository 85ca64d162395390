/**
 * `WorkflowCoordinationEngine`: defines workflows, and starts runs of them.
 *
 * Owns: the definitions of this process. What can be done with a run is `run-operations.ts`. A run is an actor of its own (`run-behavior.ts`) and needs no engine to go
 * on, but for commands to systems, which the engine's dispatcher publishes.
 *
 * Invariants:
 * WE1. A run id names one run for ever: the same start again is the same run; another input, or another workflow, is an error.
 * WE2. Once `start` resolves, the run is on disk.
 */
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import { assertCellId } from '../../runtime/kernel/address.ts';
import { type Clock, systemClock } from '../../runtime/kernel/clock.ts';
import {
  encodeError,
  InvalidOptionsError,
  InvalidWorkflowError,
  RunConflictError,
  UnknownWorkflowError,
} from '../../runtime/kernel/errors.ts';
import { type Random, systemRandom } from '../../runtime/kernel/random.ts';
import { CommandDispatcher } from './command-dispatcher.ts';
import type { CompiledWorkflow } from './compiled-workflow.ts';
import {
  type CheckReport,
  checkRuns,
  migrateRuns,
  type MigrationOptions,
  type MigrationPorts,
  type MigrationReport,
} from './engine-migrations.ts';
import { nearest } from './expression-hints.ts';
import { assertEngineOptions, assertMigrationOptions, assertStartOptions } from './engine-options.ts';
import { bundleOf, type RunBundle } from './run-bundle.ts';
import { fingerprintOf, invalidInput, type RunStart } from './run-behavior.ts';
import type { RunFilter } from './run-index.ts';
import type { MigrationMap } from './run-migration.ts';
import type { MoveAnswer } from './run-move.ts';
import { RunOperations, type WaitOptions } from './run-operations.ts';
import { sagaRun } from './saga-actors.ts';
import { valueFaults } from './value-shape.ts';
import type { WorkflowData } from './workflow-data.ts';
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
export class WorkflowCoordinationEngine extends RunOperations implements AsyncDisposable {
  readonly #options: WorkflowEngineOptions;
  readonly #random: Random;
  readonly #workflows = new Map<string, Map<number, CompiledWorkflow>>();
  readonly #bundles = new Map<string, RunBundle>();
  readonly #dispatcher: CommandDispatcher | undefined;

  /** @throws InvalidOptionsError with all faults */
  constructor(host: ActorHost, options: WorkflowEngineOptions = {}) {
    assertEngineOptions(host, options);
    super(host, options.clock ?? systemClock);
    this.#options = options;
    this.#random = options.random ?? systemRandom;
    const { broker } = options;
    this.#dispatcher =
      broker === undefined
        ? undefined
        : new CommandDispatcher({ host, broker, clock: this.clock, random: this.#random });
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
      await this.host.spawn(sagaRun, { id: runId, input: start, ifExists: 'refuse' });
    } catch (error) {
      if (encodeError(error).code !== 'ACTOR_ALREADY_EXISTS') throw error;
      const fingerprint = await this.ask<string>(runId, { type: 'fingerprint' });
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

  /**
   * Moves a run, or all in flight that a filter finds, to a version of their workflow that is defined here. A run is moved in one turn,
   * whole or not at all: what it has begun stays what it is, what it has not begun is as in the new definition; its trace tells of it. One
   * that cannot follow stays as it is, and the report says why: a step that has begun is gone or goes elsewhere, what would undo it is gone,
   * a new step would come too late. Killed amid many, the rest is moved by the same call again. Child runs are runs of their own.
   *
   * @throws InvalidOptionsError (no workflow in the filter), UnknownWorkflowError, UnknownRunError
   * @example const { refused } = await engine.migrate({ workflow: 'checkout' }, { to: 2, steps: { pay: 'charge' } });
   */
  async migrate(what: string | RunFilter, options: MigrationOptions): Promise<MigrationReport> {
    assertMigrationOptions(options);
    const id = typeof what === 'string' ? (await this.query(what)).workflow : what.workflow;
    if (id === undefined)
      throw new InvalidOptionsError('migrate: the filter names no workflow, and a version is one of a workflow');
    return migrateRuns(this.#moves, what, this.#bundle(this.#workflow(id, options.to)), options);
  }

  /**
   * Compares a definition with all runs in flight of its workflow, and names those that could not follow it, with every reason. Nothing is
   * changed, and the definition need not be defined here. What a run does next may change the answer.
   *
   * @throws InvalidWorkflowError, UnknownWorkflowError (a child workflow that is not defined)
   * @example const { breaking } = await engine.check(checkoutV2);
   */
  async check(definition: WorkflowDefinition, options: MigrationMap = {}): Promise<CheckReport> {
    assertMigrationOptions(options, ['steps', 'skip', 'context']);
    const { data } = definition.compile();
    return checkRuns(this.#moves, data.id, this.#bundleOf(data), options);
  }

  get #moves(): MigrationPorts {
    return {
      list: (filter, page) => this.list(filter, page),
      ask: (runId, message) => this.ask<MoveAnswer>(runId, message),
    };
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
    const bundle = this.#bundleOf(workflow.data);
    this.#bundles.set(workflow.hash, bundle);
    return bundle;
  }

  #bundleOf(data: WorkflowData): RunBundle {
    return bundleOf(data, (id) => (this.#workflows.has(id) ? this.#workflow(id, undefined).data : undefined));
  }

  #newRunId(): string {
    const part = (): string =>
      Math.floor(this.#random.next() * 0x1_0000_0000)
        .toString(16)
        .padStart(8, '0');
    return `${part()}${part()}${part()}${part()}`;
  }
}
