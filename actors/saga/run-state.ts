/**
 * The state of one run of a workflow, as plain data.
 *
 * Owns: the shapes, and the state before anything has happened. What moves it is `planner.ts`.
 *
 * Invariants:
 * RS1. Plain data: it can be stored, sent and compared.
 * RS2. An execution's command id names one try for ever: the step, the item, whether it undoes, the number of the try.
 */
import type { EncodedError } from '../../runtime/kernel/errors.ts';
import type { AppliedRoute, RuleSight, RunAdaptation } from './adaptation-data.ts';
import type { CallOutcome } from './call-metrics.ts';
import type { CompiledWorkflow } from './compiled-workflow.ts';
import type { TargetData } from './workflow-data.ts';

export type StepStatus =
  /** Waits for what it depends on. */
  | 'pending'
  /** Could start; the run is paused, stuck or failing. */
  | 'ready'
  | 'active'
  | 'completed'
  | 'skipped'
  | 'failed'
  /** Was under way when the run failed or was cancelled; or was cancelled alone. */
  | 'cancelled';

/** A try that failed. */
export interface FailedTry {
  readonly attempt: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly error: EncodedError;
  /** Nobody knows whether it was done: no answer came in time. */
  readonly unknown: boolean;
}

/** A call, or a child workflow, through all its tries: to do a step, or to undo it. */
export interface ExecutionState {
  readonly status: /** To undo: may become necessary. */
    | 'registered'
    | 'queued'
    | 'running'
    /** Waits for its next try. */
    | 'backoff'
    | 'done'
    | 'failed'
    /** Will not be tried any more, or need not be done. */
    | 'dropped'
    /** Somebody has seen to it by hand. */
    | 'resolved';
  /** Tries begun. */
  readonly attempt: number;
  /** Tries begun before the present round of them. */
  readonly before: number;
  readonly startedMs: number | undefined;
  readonly endedMs: number | undefined;
  readonly failures: readonly FailedTry[];
  readonly result: unknown;
  /** What its handler has said last. */
  readonly heartbeat?: { readonly atMs: number; readonly details: unknown };
  /** Absent: its tries go where the step says. */
  readonly route?: AppliedRoute | undefined;
}

/** How a promise is settled. */
export type PromiseOutcome =
  | { readonly kind: 'resolved'; readonly value: unknown }
  | { readonly kind: 'rejected'; readonly error: EncodedError };

/** An update that was accepted. */
export interface UpdateRecord {
  readonly atMs: number;
  readonly name: string;
  readonly payload: unknown;
  readonly set: Readonly<Record<string, unknown>>;
}

/** What a step does once: all of it, or one item of its list. */
export interface UnitState {
  readonly run: ExecutionState;
  readonly undo: ExecutionState | undefined;
}

export interface StepState {
  readonly status: StepStatus;
  readonly result: unknown;
  readonly error: EncodedError | undefined;
  readonly startedMs: number | undefined;
  readonly endedMs: number | undefined;
  /** Skipped or cancelled, and what depends on it with it. */
  readonly cascades: boolean;
  /** The list that it goes through. */
  readonly items: readonly unknown[] | undefined;
  /** One, or one for each item that has begun. */
  readonly units: readonly UnitState[];
  /** Of a promise: who has it may settle it. There from the start. */
  readonly token?: string;
  /** Of a promise that was settled before its step began. */
  readonly early?: PromiseOutcome;
  /** It is being cancelled, alone: what is under way ends, and nothing follows. */
  readonly withdrawn?: EncodedError;
  /** Over all tries, where a rule has changed it. */
  readonly timeoutMs?: number;
}

export type RunPhase =
  | { readonly kind: 'running' }
  /** Something failed, or it was cancelled: what is under way ends, nothing new starts. */
  | {
      readonly kind: 'draining';
      /** Waits and retries are given up. Not before it is sure that the run will be undone: a pivot may be under way. */
      readonly abandoned: boolean;
    }
  | { readonly kind: 'compensating' }
  /** Nothing moves before `retry`, `resolve` or `cancel`: a step past the pivot, or a compensation, has failed for good. */
  | { readonly kind: 'stuck'; readonly in: 'step' | 'compensation' }
  | { readonly kind: 'completed' }
  /** It failed, and what had to be undone is undone. */
  | { readonly kind: 'failed' }
  | { readonly kind: 'cancelled' };

/** Why a run does not go on as defined. */
export interface RunFailure {
  readonly kind: 'failed' | 'cancelled';
  readonly error: EncodedError;
  readonly step: string | undefined;
  readonly atMs: number;
}

export interface RunState {
  readonly phase: RunPhase;
  readonly paused: boolean;
  readonly input: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  readonly startedMs: number;
  readonly endedMs: number | undefined;
  readonly failure: RunFailure | undefined;
  readonly result: unknown;
  readonly steps: Readonly<Record<string, StepState>>;
  /** Steps that are not over. */
  readonly open: number;
  /** Steps that may start, in the order in which they became ready. */
  readonly ready: readonly string[];
  /** Units and undos that wait for room, by their ids. */
  readonly queue: readonly string[];
  /** Calls and child workflows under way. */
  readonly inFlight: number;
  /** Steps that wait for a signal, in the order in which they began to. */
  readonly waiting: readonly string[];
  /** Signals that no step has waited for yet. */
  readonly signals: readonly { readonly name: string; readonly payload: unknown }[];
  /** The latest that were accepted. */
  readonly updates: readonly UpdateRecord[];
  /** What was said to it from outside, the latest 200. Absent: nothing. */
  readonly told?: readonly ToldEntry[];
  /** Absent: no rule concerns it. */
  readonly adaptation?: RunAdaptation;
}

/** What somebody did to a run. */
export interface ToldEntry {
  readonly atMs: number;
  readonly what: string;
  /** A signal, or a unit. */
  readonly of?: string;
}

/** What the planner is told. */
export type RunEvent =
  | { readonly type: 'started' }
  /** It has another definition: more may be able to start. */
  | { readonly type: 'migrated' }
  /** As `started`, of a run that shares a past with another. */
  | { readonly type: 'forked' }
  | { readonly type: 'done'; readonly id: string; readonly result: unknown }
  | { readonly type: 'failed'; readonly id: string; readonly error: EncodedError; readonly unknown: boolean }
  | { readonly type: 'timer'; readonly id: string }
  | { readonly type: 'signal'; readonly name: string; readonly payload: unknown }
  | { readonly type: 'promise'; readonly step: string; readonly token: string; readonly outcome: PromiseOutcome }
  | { readonly type: 'heartbeat'; readonly id: string; readonly details: unknown }
  | { readonly type: 'update'; readonly name: string; readonly payload: unknown }
  | { readonly type: 'cancelStep'; readonly step: string; readonly reason: string | undefined }
  | { readonly type: 'cancel'; readonly reason: string | undefined }
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
  | { readonly type: 'retry' }
  /** What a failed unit or undo should have done is done, by hand. */
  | { readonly type: 'resolve'; readonly unit: string; readonly result: unknown }
  /** Which rules are engaged; undefined: nobody could tell. */
  | { readonly type: 'adapted'; readonly rules: readonly RuleSight[] | undefined }
  /** Rules of the engine concern it from now on. */
  | { readonly type: 'govern' };

/** What the planner asks for. */
export type RunCommand =
  | {
      readonly type: 'call';
      readonly id: string;
      readonly unit: string;
      readonly attempt: number;
      readonly undo: boolean;
      /** Of an actor, `id` is the id itself. */
      readonly target: TargetData;
      readonly action: string;
      readonly parameters: unknown;
      readonly timeoutMs: number;
      /** Its handler may not be silent for long. */
      readonly listens?: boolean;
      /** What the handler of an earlier try has said last. */
      readonly heartbeat?: unknown;
    }
  | {
      readonly type: 'child';
      readonly id: string;
      readonly unit: string;
      readonly attempt: number;
      readonly workflow: string;
      readonly input: unknown;
      readonly detached: boolean;
    }
  | { readonly type: 'child.cancel'; readonly id: string }
  | { readonly type: 'child.govern'; readonly id: string }
  /** Which rules are engaged is to be asked. */
  | { readonly type: 'consult' }
  /** A try of a call to an actor is over. */
  | {
      readonly type: 'sample';
      readonly definition: string;
      readonly action: string;
      readonly ms: number;
      readonly outcome: CallOutcome;
    }
  | { readonly type: 'timer'; readonly id: string; readonly delayMs: number }
  | { readonly type: 'timer.cancel'; readonly id: string }
  /** The event was not accepted; nothing has changed. */
  | { readonly type: 'refused'; readonly code: RefusalCode; readonly message: string }
  /** What whoever sent the event is answered. Without it: null. */
  | { readonly type: 'answered'; readonly value: unknown }
  | { readonly type: 'ended' };

export type RefusalCode =
  | 'UNKNOWN_SIGNAL'
  | 'SIGNALS_FULL'
  | 'RUN_ENDED'
  | 'PAST_PIVOT'
  | 'BEING_UNDONE'
  | 'NOT_STUCK'
  | 'NOT_FAILED'
  | 'NOT_RUNNING'
  | 'UNKNOWN_STEP'
  | 'STEP_OVER'
  | 'UNKNOWN_TOKEN'
  | 'TOKEN_USED'
  | 'INVALID_VALUE'
  | 'TRY_OVER'
  | 'UNKNOWN_UPDATE'
  | 'UPDATE_REFUSED';

/** Time and randomness of one turn. */
export interface PlannerTurn {
  readonly nowMs: number;
  random(): number;
}

/** Code of the error of a step that was cancelled alone. */
export const STEP_CANCELLED = 'STEP_CANCELLED';

const PENDING: StepState = {
  status: 'pending',
  result: undefined,
  error: undefined,
  startedMs: undefined,
  endedMs: undefined,
  cascades: false,
  items: undefined,
  units: [],
};

export const QUEUED: ExecutionState = {
  status: 'queued',
  attempt: 0,
  before: 0,
  startedMs: undefined,
  endedMs: undefined,
  failures: [],
  result: undefined,
};

export const REGISTERED: ExecutionState = { ...QUEUED, status: 'registered' };

export const UNADAPTED: RunAdaptation = {
  byEngine: false,
  knownMs: undefined,
  asking: false,
  engaged: [],
  decisions: [],
  forgotten: 0,
};

/** A run before its `started` event. `tokenOf` makes the tokens of its promises. */
export function newRun(
  workflow: CompiledWorkflow,
  input: unknown,
  context: Readonly<Record<string, unknown>>,
  nowMs: number,
  tokenOf?: (step: string) => string,
  governed = false,
): RunState {
  const { steps } = workflow.data;
  const first = (id: string, kind: string): StepState =>
    kind === 'promise' && tokenOf !== undefined ? { ...PENDING, token: tokenOf(id) } : PENDING;
  return {
    phase: { kind: 'running' },
    paused: false,
    input,
    context: { ...workflow.data.context, ...context },
    startedMs: nowMs,
    endedMs: undefined,
    failure: undefined,
    result: undefined,
    steps: Object.fromEntries(steps.map(({ id, work }) => [id, first(id, work.kind)])),
    open: steps.length,
    ready: steps.filter(({ dependencies }) => dependencies.length === 0).map(({ id }) => id),
    queue: [],
    inFlight: 0,
    waiting: [],
    signals: [],
    updates: [],
    ...(governed || workflow.rules.size > 0 ? { adaptation: { ...UNADAPTED, byEngine: governed } } : {}),
  };
}

/** Whether anything can still happen to it. */
export function isOver({ phase }: Pick<RunState, 'phase'>): boolean {
  return phase.kind === 'completed' || phase.kind === 'failed' || phase.kind === 'cancelled';
}

/** Whether somebody has cancelled this step, and not the run, or what failed in it. */
export function isCancelledAlone({ status, error }: StepState): boolean {
  return status === 'cancelled' && error?.code === STEP_CANCELLED;
}

/** Whether nobody knows if it was done: of the last round of tries one had no answer, and none succeeded. */
export function isUnknown(execution: ExecutionState): boolean {
  return execution.status !== 'done' && execution.failures.some(({ unknown }) => unknown);
}

/** `step`, or `step#4` for its fifth item; `step/undo` and `step#4/undo` for what undoes it. */
export interface ExecutionName {
  readonly step: string;
  readonly index: number;
  readonly undo: boolean;
}

export function executionId({ step, index, undo }: ExecutionName, isLoop: boolean): string {
  return `${step}${isLoop ? `#${index}` : ''}${undo ? '/undo' : ''}`;
}

/** Reads `executionId`. */
export function executionName(id: string): ExecutionName {
  const undo = id.endsWith('/undo');
  const unit = undo ? id.slice(0, -5) : id;
  const at = unit.indexOf('#');
  return at === -1
    ? { step: unit, index: 0, undo }
    : { step: unit.slice(0, at), index: Number(unit.slice(at + 1)), undo };
}
