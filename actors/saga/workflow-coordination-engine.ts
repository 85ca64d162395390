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
import { randomBytes } from 'node:crypto';
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import { assertCellId, keyOf } from '../../runtime/kernel/address.ts';
import { type Clock, systemClock } from '../../runtime/kernel/clock.ts';
import {
  encodeError,
  InvalidOptionsError,
  InvalidWorkflowError,
  RunConflictError,
  UnknownRunError,
  UnknownWorkflowError,
} from '../../runtime/kernel/errors.ts';
import { type Random, systemRandom } from '../../runtime/kernel/random.ts';
import type { Reference } from '../../runtime/kernel/reference.ts';
import type { AdaptationRule, AdaptationRuleOptions } from './adaptation-rule.ts';
import { CommandDispatcher } from './command-dispatcher.ts';
import type { CompiledWorkflow } from './compiled-workflow.ts';
import { type AdaptationReport, concernRunsOf, EngineAdaptations, type KnownRules } from './engine-adaptations.ts';
import {
  type CheckReport,
  checkRuns,
  migrateRuns,
  type MigrationOptions,
  type MigrationPorts,
  type MigrationReport,
} from './engine-migrations.ts';
import { nearest } from './expression-hints.ts';
import {
  assertEngineOptions,
  assertForkOptions,
  assertMigrationOptions,
  assertStartOptions,
  type ForkFrom,
} from './engine-options.ts';
import { bundleOf, type RunBundle, workflowOf } from './run-bundle.ts';
import { fingerprintOf, type RunPast } from './run-behavior.ts';
import { invalidInput, RUN_DEFINITION, type RunStart } from './run-commands.ts';
import { type SharedPast, sharedSteps } from './run-fork.ts';
import type { RunFilter } from './run-index.ts';
import type { MigrationMap } from './run-migration.ts';
import type { MoveAnswer } from './run-move.ts';
import { RunOperations, type WaitOptions } from './run-operations.ts';
import { refusal } from './run-refusal.ts';
import type { StepState } from './run-state.ts';
import type { RunReport } from './run-view.ts';
import { sagaRun } from './saga-actors.ts';
import { RunTelemetry } from './run-telemetry.ts';
import { type MetricSources, TargetMeter } from './target-meter.ts';
import { valueFaults } from './value-shape.ts';
import type { WorkflowData } from './workflow-data.ts';
import { WorkflowDefinition } from './workflow-definition.ts';

export interface WorkflowEngineOptions {
  /** Carries the commands of steps with a `systemTarget`. Without one, such workflows are refused. */
  readonly broker?: Broker;
  /** How long after its end a run that this engine starts is kept, ms; then it is deleted. Default: until somebody deletes it. */
  readonly keepFinishedMs?: number;
  /** Adaptation rules for runs of all workflows; as with `adapt`, they stay until they are forgotten. */
  readonly adaptations?: readonly (AdaptationRule | AdaptationRuleOptions)[];
  /** Where adaptation rules learn of breakers and bulkheads. */
  readonly metrics?: MetricSources;
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
  readonly #meter: TargetMeter;
  readonly #adaptations: EngineAdaptations;
  readonly #telemetry: RunTelemetry;

  /** @throws InvalidOptionsError with all faults, InvalidWorkflowError (adaptations) */
  constructor(host: ActorHost, options: WorkflowEngineOptions = {}) {
    assertEngineOptions(host, options);
    super(host, options.clock ?? systemClock);
    this.#options = options;
    this.#random = options.random ?? systemRandom;
    const { broker, adaptations: rules = [], metrics: sources = {} } = options;
    this.#telemetry = new RunTelemetry({
      result: (runId, wait) => this.result(runId, wait),
      query: (runId) => this.query(runId),
    });
    this.#meter = new TargetMeter({ host, clock: this.clock, broker, sources });
    this.#adaptations = new EngineAdaptations({
      host,
      meter: this.#meter,
      rules,
      list: (filter, page) => this.list(filter, page),
    });
    this.#dispatcher =
      broker === undefined
        ? undefined
        : new CommandDispatcher({ host, broker, clock: this.clock, random: this.#random, meter: this.#meter });
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
    this.#meter.watch(workflow.data.adaptations ?? []);
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
    const start = this.#startOf(id, input, context);
    await this.#spawn(start, await this.#adaptations.known());
    return start.runId;
  }

  /**
   * Starts a run that shares what another has done before `from`, and resolves with its id: from a step on, or from a turn of the run's
   * actor on. That step, all that depends on it, and what was not over or was undone, run anew, by the same definition and input; the rest
   * keeps its results. Which run it shares with is of no matter to its outcome: it undoes only what it has done itself.
   *
   * @throws InvalidOptionsError, RunRefusedError (`UNKNOWN_STEP`), UnknownRunError, ActorNotFoundError (no such turn, or trimmed),
   *   RunConflictError (the new run id is another run's), MessageTooLargeError (more than a message holds)
   * @example await engine.fork('order-42', { from: 'ship', runId: 'order-42-again' })
   */
  async fork(runId: string, options: { readonly from: ForkFrom; readonly runId?: string }): Promise<string> {
    assertForkOptions(options);
    const { from } = options;
    const past = await this.ask<RunPast>(runId, { type: 'past' });
    const { workflow: id, bundle, input } = past.start;
    const workflow = workflowOf(bundle, id);
    const shared: SharedPast =
      typeof from === 'string'
        ? fromStep(workflow, past, from)
        : fromTurn(workflow, past, await this.#reportAt(runId, from.turn));
    const fork = { of: runId, from: JSON.stringify(from) };
    const newId = options.runId ?? this.#newRunId();
    assertCellId(newId);
    const start = { runId: newId, workflow: id, bundle, input, context: {}, fork, past: shared };
    await this.#spawn({ ...start, ...this.#ways(bundle) }, await this.#adaptations.known());
    return newId;
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
    const start = this.#startOf(id, input, options);
    const rules = await this.#adaptations.known();
    return this.resultOfStart<TResult>(start.runId, options, this.#spawn(start, rules));
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
    const bundle = this.#bundle(this.#workflow(id, options.to));
    return migrateRuns(this.#moves, what, bundle, options, hasPromises(bundle) ? this.#newSecret() : undefined);
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

  /**
   * Adds an adaptation rule, or replaces the one of this id: for runs that start, and for those under way, without a new definition. It
   * stays, over restarts too, until `forgetAdaptation`.
   *
   * @throws InvalidWorkflowError with every fault
   * @example await engine.adapt({ ruleId: 'slow', when: 'systems.payments.p99Ms > 800', systemTarget: 'payments', change: { route: { systemTarget: 'payments-b' } } })
   */
  adapt(rule: AdaptationRule | AdaptationRuleOptions): Promise<void> {
    return this.#adaptations.adapt(rule);
  }

  /** Resolves with whether there was one. Runs hear of it within a second, when they next start something. */
  forgetAdaptation(ruleId: string): Promise<boolean> {
    return this.#adaptations.forget(ruleId);
  }

  /** The rules given with `adapt`, and which of them are engaged. */
  adaptations(): Promise<readonly AdaptationReport[]> {
    return this.#adaptations.list();
  }

  /** Publishes no more commands. Runs are not stopped; what they ask of systems waits for the next engine. */
  async close(): Promise<void> {
    this.#telemetry.close();
    this.#meter.close();
    await this.#dispatcher?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #startOf(id: string, input: unknown, context: WorkflowContext): RunStart {
    assertStartOptions(context);
    const workflow = this.#workflow(id, context.version);
    const faults = valueFaults(input, workflow.data.input, 'input');
    if (faults.length > 0) throw invalidInput(id, faults);
    const runId = context.runId ?? this.#newRunId();
    assertCellId(runId);
    const bundle = this.#bundle(workflow);
    return { runId, workflow: id, bundle, input, context: context.variables ?? {}, ...this.#ways(bundle) };
  }

  #workflow(id: string, version: number | undefined): CompiledWorkflow {
    const versions = this.#workflows.get(id);
    if (versions === undefined) {
      const known = [...this.#workflows.keys()];
      throw new UnknownWorkflowError(
        `no workflow "${id}" is defined (${nearest(id, known) ?? `defined: ${known.join(', ') || 'none'}`})`,
        { details: { workflow: id, known } },
      );
    }
    const found = versions.get(version ?? Math.max(...versions.keys()));
    if (found === undefined) {
      throw new UnknownWorkflowError(
        `workflow "${id}" has no version ${version} (defined: ${[...versions.keys()].join(', ')})`,
        { details: { workflow: id, version, known: [...versions.keys()] } },
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

  /** Starts a run, or finds that it is there. Its start is sent before this returns: what is asked of the run afterwards comes after it. */
  async #spawn(start: RunStart, rules: KnownRules): Promise<void> {
    await this.#telemetry.start(start, (given) => this.#spawnRun(given, rules));
  }

  /** Resolves with whether it is a new one. */
  async #spawnRun(given: RunStart, rules: KnownRules): Promise<boolean> {
    const { runId, workflow, input, fork } = given;
    const governed = concernRunsOf(rules, workflow);
    const start: RunStart = governed ? { ...given, governed } : given;
    try {
      await this.host.spawn(sagaRun, { id: runId, input: start, ifExists: 'refuse' });
      // A rule may have come while it was being started.
      if (!governed && concernRunsOf(rules, workflow)) await this.#adaptations.govern([runId]);
      return true;
    } catch (error) {
      if (encodeError(error).code !== 'ACTOR_ALREADY_EXISTS') throw error;
      const fingerprint = await this.#fingerprint(runId);
      if (fingerprint === fingerprintOf(workflow, input, fork)) return false;
      const was = fingerprint === undefined ? 'it is deleted, and its id is not used again' : `it was ${fingerprint}`;
      throw new RunConflictError(
        `run "${runId}" was started with another input, or is one of another workflow, or another fork: ${was}`,
        { details: { runId, workflow } },
      );
    }
  }

  /** Undefined: the run is deleted. */
  async #fingerprint(runId: string): Promise<string | undefined> {
    try {
      return await this.ask<string>(runId, { type: 'fingerprint' });
    } catch (error) {
      if (error instanceof UnknownRunError) return undefined;
      throw error;
    }
  }

  /** What a run is given besides its definition and input. */
  #ways(bundle: RunBundle): Pick<RunStart, 'secret' | 'keepFinishedMs'> {
    const { keepFinishedMs } = this.#options;
    return {
      ...(hasPromises(bundle) ? { secret: this.#newSecret() } : {}),
      ...(keepFinishedMs === undefined ? {} : { keepFinishedMs }),
    };
  }

  /** Nobody is to guess it, unless the randomness is a test's. */
  #newSecret(): string {
    return this.#options.random === undefined ? randomBytes(16).toString('base64url') : this.#newRunId();
  }

  /** What was seen of a run after a turn of its actor. */
  async #reportAt(runId: string, turn: number): Promise<RunReport> {
    const host = this.host as ActorHost & Partial<TurnHistory>;
    if (typeof host.history !== 'function') {
      throw new InvalidOptionsError('fork from a turn needs an actor system with history(): fork from a step');
    }
    const { view } = await host.history(host.refOf(keyOf(RUN_DEFINITION, runId))).at(turn);
    if (view === undefined || view === null)
      throw new UnknownRunError(`run "${runId}" was not there at turn ${turn}`, { details: { runId, turn } });
    return view as RunReport;
  }

  #newRunId(): string {
    const part = (): string =>
      Math.floor(this.#random.next() * 0x1_0000_0000)
        .toString(16)
        .padStart(8, '0');
    return `${part()}${part()}${part()}${part()}`;
  }
}

/** What an actor system has beyond an `ActorHost`: `ActorSystem.history`. */
interface TurnHistory {
  history(ref: Reference): { at(turn: number): Promise<{ readonly view: unknown }> };
}

function hasPromises({ source }: RunBundle): boolean {
  return source.includes('"kind":"promise"');
}

function fromStep(workflow: CompiledWorkflow, { start, run }: RunPast, from: string): SharedPast {
  if (!workflow.steps.has(from)) {
    const known = [...workflow.steps.keys()];
    const hint = nearest(from, known) ?? `steps: ${known.join(', ')}`;
    throw refusal('UNKNOWN_STEP', `no step "${from}" to fork from (${hint})`, start.runId);
  }
  return { context: run.context, steps: sharedSteps(workflow, run, (id) => id === from) };
}

/** A step that was over then, and was not tried again since, is as it was. */
function fromTurn(workflow: CompiledWorkflow, { run }: RunPast, { steps, context }: RunReport): SharedPast {
  const stands = ([id, { status, endedMs }]: [string, StepState]): boolean =>
    endedMs !== undefined && steps[id]?.endedMs === endedMs && steps[id]?.status === status;
  const shared = sharedSteps(workflow, run, () => false);
  return { context, steps: Object.fromEntries(Object.entries(shared).filter(stands)) };
}
