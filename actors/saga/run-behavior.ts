/**
 * The actor that a run is: it takes answers, timers and calls from outside, asks the planner, and does what it is told.
 *
 * Owns: the state of one run with its definition, and who waits for its end. What is to be done is the planner's; doing it is
 * `run-commands.ts`.
 *
 * Invariants:
 * SR1. The answer, the next state and the next commands are one turn: a killed run goes on where it was.
 * SR2. A command to an actor is sent once; to a system it goes through the outbox, under one key however often.
 * SR3. A run that is over stays until it is deleted: its report can be read, and whoever asks for its result has it. Of one that is
 *      deleted the id is kept, and is of no other run ever.
 */
import { parseKey } from '../../runtime/kernel/address.ts';
import type { Behavior, Signal, Turn } from '../../runtime/kernel/behavior.ts';
import {
  decodeError,
  type EncodedError,
  encodeError,
  RunRefusedError,
  WorkflowCancelledError,
  WorkflowFailedError,
} from '../../runtime/kernel/errors.ts';
import { isAbnormal } from '../../runtime/kernel/exit.ts';
import type { ReplyTo } from '../../runtime/kernel/message.ts';
import type { RuleSight } from './adaptation-data.ts';
import { planRun } from './planner.ts';
import { tokenOf } from './promise-token.ts';
import { workflowOf } from './run-bundle.ts';
import { CONSULT, perform, type RunStart, withoutStack } from './run-commands.ts';
import { deletedRun, type DeletedRun, isDeleted, RETENTION_TIMER, unknownDeleted } from './run-deletion.ts';
import { forkedRun } from './run-fork.ts';
import { type IndexMessage, indexKey, type RunEntry } from './run-index.ts';
import { type MoveMessage, type MoveRecord, moveRun, withMoves } from './run-move.ts';
import { refusal } from './run-refusal.ts';
import { isOver, newRun, type RunEvent, type RunState } from './run-state.ts';
import { type RunReport, reportOf, stepReports } from './run-view.ts';
import { isRecord } from './value-shape.ts';
import { assertFits } from './value-size.ts';
import { hashOfJson } from './workflow-data.ts';

/** What a run is told and asked. */
export type RunMessage =
  | Exclude<RunEvent, { readonly type: 'started' | 'forked' | 'migrated' | 'timer' | 'adapted' }>
  | MoveMessage
  /** Is it this one? Answered with a fingerprint of workflow and input. */
  | { readonly type: 'fingerprint' }
  /** Answered when the run is over: with its result, or its failure. */
  | { readonly type: 'result' }
  /** Answered with what a fork may share. */
  | { readonly type: 'past' }
  /** It is to be forgotten; of a child, by its parent. */
  | { readonly type: 'delete' };

/** What a run tells whoever forks it. */
export interface RunPast {
  readonly start: RunStart;
  readonly run: RunState;
  /** To other versions of its definition; absent: none. */
  readonly moves?: readonly MoveRecord[];
}

interface LiveRun extends RunPast {
  readonly waiting: readonly ReplyTo[];
  /** Of a child whose parent is deleted while it is still undone. */
  readonly isToBeDeleted?: boolean;
}

type SagaRun = LiveRun | DeletedRun;

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
  'HEARTBEAT_TIMEOUT',
]);

const EVENTS: ReadonlySet<string> = new Set([
  'done',
  'failed',
  'signal',
  'promise',
  'heartbeat',
  'update',
  'cancelStep',
  'cancel',
  'pause',
  'resume',
  'retry',
  'resolve',
  'govern',
]);

export function isUnknownOutcome(error: EncodedError): boolean {
  return UNKNOWN_OUTCOMES.has(error.code);
}

/** What two starts of one run id must agree on: the workflow, the input, and whose fork it is. */
export function fingerprintOf(workflow: string, input: unknown, fork?: { of: string; from: string }): string {
  return `${workflow} ${hashOfJson(input)}${fork === undefined ? '' : ` fork of ${fork.of} from ${fork.from}`}`;
}

export const runBehavior: Behavior<SagaRun> = {
  init(input, turn) {
    const { past, ...start } = input as RunStart;
    const { runId, secret } = start;
    const workflow = workflowOf(start.bundle, start.workflow);
    const token = secret === undefined ? undefined : (step: string): string => tokenOf(runId, step, secret);
    const fresh = newRun(workflow, start.input, start.context, turn.nowMs, token, start.governed);
    const run = past === undefined ? fresh : forkedRun(fresh, past);
    const event = { type: past === undefined ? 'started' : 'forked' } as const;
    const { state } = apply({ start, run, waiting: [] }, event, turn);
    // Where it stands already, if that is more than running.
    if (!isDeleted(state) && state.run.phase.kind === 'running') tellIndex(state, turn);
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
    if (isDeleted(state)) {
      turn.fail(unknownDeleted(state));
      return state;
    }
    switch (message.type) {
      case 'fingerprint': {
        const { workflow, input, fork } = state.start;
        turn.reply(fingerprintOf(workflow, input, fork));
        return state;
      }
      case 'past':
        answerPast(state, turn);
        return state;
      case 'delete':
        return onDelete(state, turn);
      case 'result': {
        const handle = turn.takeReplyTo();
        if (handle === undefined) return state;
        if (!isOver(state.run)) return { ...state, waiting: [...state.waiting.slice(1 - WAITING_LIMIT), handle] };
        answer(state, handle, failureOf(state), turn);
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
    if (isDeleted(state)) return state;
    if (signal.kind === 'timer' && signal.id === RETENTION_TIMER) return deletedRun(state.start, state.run, turn);
    const event = eventOf(signal);
    return event === undefined ? state : apply(state, event, turn).state;
  },

  save: (state) => state,
  load: (saved) => saved as SagaRun,
  view: (state): RunReport | null => {
    if (isDeleted(state)) return null;
    const { start, run, moves } = state;
    const report = withMoves(reportOf(start.runId, workflowOf(start.bundle, start.workflow), run), moves);
    return start.trace === undefined ? report : { ...report, traceparent: start.trace.traceparent };
  },
};

/** Everything of a move is this turn: the definition, the state under it, and what starts by it. */
function onMigrate(state: LiveRun, message: MoveMessage, turn: Turn): SagaRun {
  const { answer, next } = moveRun(state, message, { nowMs: turn.nowMs, random: () => turn.random() });
  turn.reply(answer);
  if (next === undefined) return state;
  const { run, moves, commands } = next;
  const moved: LiveRun = { ...state, start: { ...state.start, ...next.start }, run, moves };
  for (const command of commands) perform(moved, command, turn, []);
  tellIndex(moved, turn);
  return apply(moved, { type: 'migrated' }, turn).state;
}

function answerPast({ start, run }: LiveRun, turn: Turn): void {
  try {
    assertFits({ start, run }, `what run "${start.runId}" has done`);
    turn.reply({ start, run } satisfies RunPast);
  } catch (error) {
    turn.fail(error);
  }
}

function onDelete(state: LiveRun, turn: Turn): SagaRun {
  const { start, run } = state;
  const { runId, parent } = start;
  const isByParent = parent !== undefined && turn.from === parent.key;
  if (parent !== undefined && !isByParent) {
    turn.fail(refusal('IS_CHILD', `it is a child of ${parent.key}, and is deleted with it`, runId));
    return state;
  }
  if (!isOver(run)) {
    if (isByParent) return { ...state, isToBeDeleted: true };
    turn.fail(refusal('NOT_OVER', `the run is ${run.phase.kind}: one that is over can be deleted`, runId));
    return state;
  }
  turn.reply(null);
  return deletedRun(start, run, turn);
}

function eventOf(signal: Signal): RunEvent | undefined {
  switch (signal.kind) {
    case 'timer':
      return { type: 'timer', id: signal.id };
    case 'reply':
      if (signal.ask === CONSULT) return { type: 'adapted', rules: signal.value as readonly RuleSight[] };
      return { type: 'done', id: signal.ask, result: signal.value };
    case 'ask.failed': {
      if (signal.ask === CONSULT) return { type: 'adapted', rules: undefined };
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

/** An event that somebody waits for: accepted, or refused with the reason. */
function take(state: LiveRun, event: RunEvent, turn: Turn): SagaRun {
  const { state: next, refused, answer: reply = null } = apply(state, event, turn);
  if (refused === undefined) turn.reply(reply);
  else turn.fail(refused);
  return next;
}

interface Applied {
  readonly state: SagaRun;
  readonly refused?: Error;
  readonly answer?: unknown;
}

/** Plans an event, and whatever follows from it within this turn. */
function apply(state: LiveRun, first: RunEvent, turn: Turn): Applied {
  const { runId, bundle, workflow: id } = state.start;
  const workflow = workflowOf(bundle, id);
  const planner = { nowMs: turn.nowMs, random: () => turn.random() };
  const events: RunEvent[] = [first];
  let { run } = state;
  let hasEnded = false;
  let reply: unknown;
  for (let event = events.shift(); event !== undefined; event = events.shift()) {
    const planned = planRun(workflow, run, event, planner);
    run = planned.state;
    for (const command of planned.commands) {
      if (command.type === 'refused') return { state, refused: refusal(command.code, command.message, runId) };
      if (command.type === 'ended') hasEnded = true;
      else if (command.type === 'answered') reply = command.value;
      else perform({ start: state.start, run }, command, turn, events);
    }
  }
  const next = { ...state, run };
  if (run.phase.kind !== state.run.phase.kind) tellIndex(next, turn);
  return { state: hasEnded ? end(next, turn) : next, ...(reply === undefined ? {} : { answer: reply }) };
}

function tellIndex({ start, run }: LiveRun, turn: Turn): void {
  const { runId, workflow, bundle, parent } = start;
  const { version } = workflowOf(bundle, workflow).data;
  const { startedMs, endedMs, phase } = run;
  const of = parent === undefined ? {} : { parent: parseKey(parent.key).id };
  const entry: RunEntry = { runId, workflow, version, status: phase.kind, startedMs, endedMs, ...of };
  turn.send(indexKey(runId), { type: 'entry', entry } satisfies IndexMessage);
}

function end(state: LiveRun, turn: Turn): SagaRun {
  const error = failureOf(state);
  for (const handle of state.waiting) answer(state, handle, error, turn);
  const { parent, keepFinishedMs } = state.start;
  if (parent !== undefined) {
    turn.send(
      parent.key,
      error === undefined
        ? { type: 'done', id: parent.command, result: state.run.result }
        : { type: 'failed', id: parent.command, error: withoutStack(encodeError(error)), unknown: false },
    );
  }
  if (state.isToBeDeleted === true) return deletedRun(state.start, state.run, turn);
  if (parent === undefined && keepFinishedMs !== undefined) {
    turn.setTimer({ id: RETENTION_TIMER, delayMs: keepFinishedMs, payload: null });
  }
  return { ...state, waiting: [] };
}

function answer({ run }: LiveRun, handle: ReplyTo, error: RunFailure | undefined, turn: Turn): void {
  if (error === undefined) turn.replyTo(handle, run.result);
  else turn.failTo(handle, error);
}

type RunFailure = WorkflowFailedError | WorkflowCancelledError;

function failureOf({ start, run }: LiveRun): RunFailure | undefined {
  const { failure, phase } = run;
  if (failure === undefined || phase.kind === 'completed') return undefined;
  const { runId, workflow } = start;
  const about = Object.fromEntries(
    Object.entries(stepReports(run)).map(([id, { status, compensation }]) => [id, { status, compensation }]),
  );
  const details = { runId, workflow, step: failure.step, error: failure.error, steps: about };
  const where = failure.step === undefined ? '' : `, step "${failure.step}"`;
  const message = `workflow "${workflow}", run "${runId}"${where}: ${failure.error.message}`;
  const cause = decodeError(failure.error);
  return phase.kind === 'cancelled'
    ? new WorkflowCancelledError(message, { details, cause })
    : new WorkflowFailedError(message, { details, cause });
}
