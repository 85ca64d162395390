/**
 * The actor that a run is: it takes answers, timers and calls from outside, asks the planner, and does what it is told.
 *
 * Owns: the state of one run with its definition, who waits for its end, and the words between a run and the others. What is to be
 * done is the planner's; commands to systems go through the outbox.
 *
 * Invariants:
 * SR1. The answer, the next state and the next commands are one turn: a killed run goes on where it was.
 * SR2. A command to an actor is sent once; to a system it goes through the outbox, under one key however often.
 * SR3. A run that is over stays: its report can be read, and whoever asks for its result has it.
 */
import { assertCellId, assertDefinitionName, type CellKey, keyOf } from '../../runtime/kernel/address.ts';
import type { Behavior, Signal, Turn } from '../../runtime/kernel/behavior.ts';
import {
  ContractViolationError,
  decodeError,
  type EncodedError,
  encodeError,
  RunRefusedError,
  WorkflowCancelledError,
  WorkflowFailedError,
} from '../../runtime/kernel/errors.ts';
import { isAbnormal } from '../../runtime/kernel/exit.ts';
import type { ReplyTo } from '../../runtime/kernel/message.ts';
import { OUTBOX_KEY, type PublishCommand } from './outbox.ts';
import { planRun } from './planner.ts';
import { type RunBundle, workflowOf } from './run-bundle.ts';
import { type IndexMessage, indexKey, type RunEntry } from './run-index.ts';
import { isOver, newRun, type RunCommand, type RunEvent, type RunState } from './run-state.ts';
import { type MoveMessage, type MoveRecord, moveRun, withMoves } from './run-move.ts';
import { type RunReport, reportOf } from './run-view.ts';
import { isRecord, type ValueFault, valueFaults } from './value-shape.ts';
import { hashOfJson } from './workflow-data.ts';

export const RUN_DEFINITION = 'saga-run';

/** What a run is spawned with. */
export interface RunStart {
  readonly runId: string;
  readonly workflow: string;
  readonly bundle: RunBundle;
  readonly input: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  /** Of a child: whom to tell of its end, and which command it answers. */
  readonly parent?: { readonly key: CellKey; readonly command: string };
}

/** What a run is told and asked. */
export type RunMessage =
  | Exclude<RunEvent, { readonly type: 'started' | 'migrated' | 'timer' }>
  | MoveMessage
  /** Is it this one? Answered with a fingerprint of workflow and input. */
  | { readonly type: 'fingerprint' }
  /** Answered when the run is over: with its result, or its failure. */
  | { readonly type: 'result' };

interface SagaRun {
  readonly start: RunStart;
  readonly run: RunState;
  readonly waiting: readonly ReplyTo[];
  /** To other versions of its definition; absent: none. */
  readonly moves?: readonly MoveRecord[];
}

/** Questions for the result that are kept. Who asks has a deadline and asks again, so that the oldest have given up. */
const WAITING_LIMIT = 1_000;

/** Outcomes that nobody knows: the call may have been handled. */
const UNKNOWN_OUTCOMES: ReadonlySet<string> = new Set([
  'ASK_TIMEOUT',
  'TELL_TIMEOUT',
  'REQUEST_TIMEOUT',
  'HOST_LOST',
  'UNKNOWN_OUTCOME',
  'EFFECT_TIMEOUT',
  'STEP_TIMEOUT',
]);

const EVENTS: ReadonlySet<string> = new Set([
  'done',
  'failed',
  'signal',
  'cancel',
  'pause',
  'resume',
  'retry',
  'resolve',
]);

export function isUnknownOutcome(error: EncodedError): boolean {
  return UNKNOWN_OUTCOMES.has(error.code);
}

/** Workflow and input of a run: two starts of one run id must agree on it. */
export function fingerprintOf(workflow: string, input: unknown): string {
  return `${workflow} ${hashOfJson(input)}`;
}

export const runBehavior: Behavior<SagaRun> = {
  init(input, turn) {
    const start = input as RunStart;
    const workflow = workflowOf(start.bundle, start.workflow);
    const run = newRun(workflow, start.input, start.context, turn.nowMs);
    const { state } = apply({ start, run, waiting: [] }, { type: 'started' }, turn);
    // Where it stands already, if that is more than running.
    if (state.run.phase.kind === 'running') tellIndex(state, turn);
    return state;
  },

  receive(state, given, turn) {
    if (!isRecord(given) || typeof given['type'] !== 'string') {
      turn.fail(
        new RunRefusedError('a run understands messages with a type', { details: { reason: 'NOT_UNDERSTOOD' } }),
      );
      return state;
    }
    const message = given as unknown as RunMessage;
    switch (message.type) {
      case 'fingerprint':
        turn.reply(fingerprintOf(state.start.workflow, state.start.input));
        return state;
      case 'result': {
        const handle = turn.takeReplyTo();
        if (handle === undefined) return state;
        if (!isOver(state.run)) return { ...state, waiting: [...state.waiting.slice(1 - WAITING_LIMIT), handle] };
        answer(state, handle, turn);
        return state;
      }
      case 'migrate':
        return onMigrate(state, message, turn);
      default:
        if (EVENTS.has(message.type)) return take(state, message, turn);
        turn.fail(
          new RunRefusedError(`a run does not understand "${String(given['type'])}"`, {
            details: { reason: 'NOT_UNDERSTOOD' },
          }),
        );
        return state;
    }
  },

  signal(state, signal, turn) {
    const event = eventOf(signal);
    return event === undefined ? state : apply(state, event, turn).state;
  },

  save: (state) => state,
  load: (saved) => saved as SagaRun,
  view: ({ start, run, moves }): RunReport =>
    withMoves(reportOf(start.runId, workflowOf(start.bundle, start.workflow), run), moves),
};

/** Everything of a move is this turn: the definition, the state under it, and what starts by it. */
function onMigrate(state: SagaRun, message: MoveMessage, turn: Turn): SagaRun {
  const { answer, next } = moveRun(state, message, { nowMs: turn.nowMs, random: () => turn.random() });
  turn.reply(answer);
  if (next === undefined) return state;
  const { bundle, run, moves, commands } = next;
  const moved: SagaRun = { ...state, start: { ...state.start, bundle }, run, moves };
  for (const command of commands) perform(moved.start, command, turn, []);
  tellIndex(moved, turn);
  return apply(moved, { type: 'migrated' }, turn).state;
}

function eventOf(signal: Signal): RunEvent | undefined {
  switch (signal.kind) {
    case 'timer':
      return { type: 'timer', id: signal.id };
    case 'reply':
      return { type: 'done', id: signal.ask, result: signal.value };
    case 'ask.failed': {
      const error = encodeError(signal.error);
      // Whoever handles a command and has nothing to say has done it.
      if (error.code === 'NO_REPLY') return { type: 'done', id: signal.ask, result: null };
      return { type: 'failed', id: signal.ask, error: withoutStack(error), unknown: isUnknownOutcome(error) };
    }
    case 'terminated': {
      if (signal.childId === undefined || !isAbnormal(signal.reason)) return undefined;
      const error: EncodedError =
        signal.reason.kind === 'error'
          ? signal.reason.error
          : { name: 'ChildEndedError', code: 'CHILD_ENDED', message: `the child run was ${signal.reason.kind}` };
      return { type: 'failed', id: signal.childId, error: withoutStack(error), unknown: true };
    }
    default:
      return undefined;
  }
}

/** Stacks are of the thread that failed; a run keeps what its users can use. */
function withoutStack({ name, code, message, details }: EncodedError): EncodedError {
  return { name, code, message, ...(details === undefined ? {} : { details }) };
}

/** An event that somebody waits for: accepted, or refused with the reason. */
function take(state: SagaRun, event: RunEvent, turn: Turn): SagaRun {
  const { state: next, refusal } = apply(state, event, turn);
  if (refusal === undefined) turn.reply(null);
  else turn.fail(refusal);
  return next;
}

/** Plans an event, and whatever follows from it within this turn. */
function apply(
  state: SagaRun,
  first: RunEvent,
  turn: Turn,
): { readonly state: SagaRun; readonly refusal?: RunRefusedError } {
  const { runId, bundle, workflow: id } = state.start;
  const workflow = workflowOf(bundle, id);
  const planner = { nowMs: turn.nowMs, random: () => turn.random() };
  const events: RunEvent[] = [first];
  let { run } = state;
  let hasEnded = false;
  for (let event = events.shift(); event !== undefined; event = events.shift()) {
    const planned = planRun(workflow, run, event, planner);
    run = planned.state;
    for (const command of planned.commands) {
      if (command.type === 'refused') {
        const details = { reason: command.code, runId };
        return { state, refusal: new RunRefusedError(`run "${runId}": ${command.message}`, { details }) };
      }
      if (command.type === 'ended') hasEnded = true;
      else perform(state.start, command, turn, events);
    }
  }
  const next = { ...state, run };
  if (run.phase.kind !== state.run.phase.kind) tellIndex(next, turn);
  return { state: hasEnded ? end(next, turn) : next };
}

function tellIndex({ start, run }: SagaRun, turn: Turn): void {
  const { runId, workflow, bundle } = start;
  const { version } = workflowOf(bundle, workflow).data;
  const { startedMs, endedMs, phase } = run;
  const entry: RunEntry = { runId, workflow, version, status: phase.kind, startedMs, endedMs };
  turn.send(indexKey(runId), { type: 'entry', entry } satisfies IndexMessage);
}

function perform(start: RunStart, command: RunCommand, turn: Turn, events: RunEvent[]): void {
  switch (command.type) {
    case 'timer':
      return turn.setTimer({ id: command.id, delayMs: command.delayMs, payload: null });
    case 'timer.cancel':
      return turn.cancelTimer(command.id);
    case 'child.cancel':
      return turn.send(keyOf(RUN_DEFINITION, childRunId(start, command.id)), {
        type: 'cancel',
        reason: 'its parent gave it up',
      });
    case 'call':
    case 'child':
      try {
        if (command.type === 'call') call(start, command, turn);
        else spawnChild(start, command, turn);
      } catch (error) {
        events.push({ type: 'failed', id: command.id, error: withoutStack(encodeError(error)), unknown: false });
      }
      return;
    case 'refused':
    case 'ended':
      return;
  }
}

function call(start: RunStart, command: RunCommand & { readonly type: 'call' }, turn: Turn): void {
  const { target, id, action, parameters, timeoutMs } = command;
  const about = {
    run: start.runId,
    step: command.unit,
    attempt: command.attempt,
    idempotencyKey: `${start.runId}/${id}`,
  };
  if (target.kind === 'actor') {
    assertDefinitionName(target.definition);
    assertCellId(target.id);
    turn.ask(
      keyOf(target.definition, target.id),
      { ...(parameters as object), type: action, workflow: about },
      { ask: id, timeoutMs },
    );
    return;
  }
  const publish: PublishCommand = {
    type: 'publish',
    run: turn.self,
    id,
    target: target.system,
    action,
    parameters,
    timeoutMs,
    about,
  };
  turn.send(OUTBOX_KEY, publish);
}

function childRunId(start: RunStart, command: string): string {
  return `${start.runId}/${command}`;
}

function spawnChild(start: RunStart, command: RunCommand & { readonly type: 'child' }, turn: Turn): void {
  const { workflow, input, id } = command;
  const { data } = workflowOf(start.bundle, workflow);
  const faults = valueFaults(input, data.input, 'input');
  if (faults.length > 0) throw invalidInput(workflow, faults);
  const runId = childRunId(start, id);
  assertCellId(runId);
  const child: RunStart = {
    runId,
    workflow,
    bundle: start.bundle,
    input,
    context: {},
    parent: { key: turn.self, command: id },
  };
  turn.spawn({ childId: id, actor: { definition: RUN_DEFINITION, id: runId }, input: child });
}

function end(state: SagaRun, turn: Turn): SagaRun {
  for (const handle of state.waiting) answer(state, handle, turn);
  const { parent } = state.start;
  if (parent !== undefined) {
    const error = failureOf(state);
    turn.send(
      parent.key,
      error === undefined
        ? { type: 'done', id: parent.command, result: state.run.result }
        : { type: 'failed', id: parent.command, error: withoutStack(encodeError(error)), unknown: false },
    );
  }
  return { ...state, waiting: [] };
}

function answer(state: SagaRun, handle: ReplyTo, turn: Turn): void {
  const error = failureOf(state);
  if (error === undefined) turn.replyTo(handle, state.run.result);
  else turn.failTo(handle, error);
}

function failureOf({ start, run }: SagaRun): WorkflowFailedError | WorkflowCancelledError | undefined {
  const { failure, phase } = run;
  if (failure === undefined || phase.kind === 'completed') return undefined;
  const { runId, workflow, bundle } = start;
  const { steps } = reportOf(runId, workflowOf(bundle, workflow), run);
  const about = Object.fromEntries(
    Object.entries(steps).map(([id, { status, compensation }]) => [id, { status, compensation }]),
  );
  const details = { runId, workflow, step: failure.step, error: failure.error, steps: about };
  const where = failure.step === undefined ? '' : `, step "${failure.step}"`;
  const message = `workflow "${workflow}", run "${runId}"${where}: ${failure.error.message}`;
  const cause = decodeError(failure.error);
  return phase.kind === 'cancelled'
    ? new WorkflowCancelledError(message, { details, cause })
    : new WorkflowFailedError(message, { details, cause });
}

export function invalidInput(workflow: string, faults: readonly ValueFault[]): ContractViolationError {
  const listed = faults.map(({ path, rule, expected }) => `${path} (${rule}): ${expected}`).join('; ');
  return new ContractViolationError(`workflow "${workflow}" does not take this input: ${listed}`, {
    details: { workflow, faults },
  });
}
