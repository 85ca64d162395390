/**
 * What the planner asks for, done: calls, child workflows, timers.
 *
 * Owns: the words between a run and those that it calls. Commands to systems go through the outbox.
 *
 * Invariants:
 * RC1. A command that cannot be given is a failed try, never a failure of the run's actor.
 * RC2. A detached child is nobody's child: it is not told of its parent's end, nor its parent of its own.
 */
import { assertCellId, assertDefinitionName, type CellKey, keyOf } from '../../runtime/kernel/address.ts';
import type { Turn } from '../../runtime/kernel/behavior.ts';
import { ContractViolationError, type EncodedError, encodeError } from '../../runtime/kernel/errors.ts';
import type { TraceCarrier } from '../../runtime/telemetry/trace-carrier.ts';
import { BOARD_KEY, type BoardMessage } from './adaptation-board.ts';
import { watchOf } from './adaptation-data.ts';
import { addCall, NO_CALLS } from './call-metrics.ts';
import { OUTBOX_KEY, type PublishCommand } from './outbox.ts';
import { childSecret } from './promise-token.ts';
import { type RunBundle, workflowOf } from './run-bundle.ts';
import type { SharedPast } from './run-fork.ts';
import type { RunCommand, RunEvent, RunState } from './run-state.ts';
import { type ValueFault, valueFaults } from './value-shape.ts';

export const RUN_DEFINITION = 'saga-run';
/** Name of the question to the board, and how long it may take: without an answer nothing is adapted. */
export const CONSULT = 'adaptations';
const CONSULT_TIMEOUT_MS = 1_000;

/** What a run is spawned with. */
export interface RunStart {
  readonly runId: string;
  readonly workflow: string;
  readonly bundle: RunBundle;
  readonly input: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  /** The trace that it was started in. */
  readonly trace?: TraceCarrier;
  /** Rules of the engine concern it from its start. */
  readonly governed?: boolean;
  /** Of a child: whom to tell of its end, and which command it answers. */
  readonly parent?: { readonly key: CellKey; readonly command: string };
  /** What the tokens of its promises follow from. */
  readonly secret?: string;
  /** Of a fork: of which run, and from where. */
  readonly fork?: { readonly of: string; readonly from: string };
  /** Of a fork: what it shares. Becomes part of its state, and is not kept beside it. */
  readonly past?: SharedPast;
  /** How long after its end it is deleted. */
  readonly keepFinishedMs?: number;
}

/** Does what the planner asks for. What fails at once is put into `events`. */
export function perform(
  { start, run }: { readonly start: RunStart; readonly run: RunState },
  command: RunCommand,
  turn: Turn,
  events: RunEvent[],
): void {
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
    case 'child.govern':
      return turn.send(keyOf(RUN_DEFINITION, childRunId(start, command.id)), { type: 'govern' });
    case 'consult':
      return consult(start, turn);
    case 'sample': {
      const { definition: target, action, ms, outcome } = command;
      const of = [{ kind: 'actors', target, action, batch: addCall(NO_CALLS, ms, outcome) }] as const;
      return turn.send(BOARD_KEY, { type: 'calls', of } satisfies BoardMessage);
    }
    case 'call':
    case 'child':
      try {
        if (command.type === 'call') call(start, command, turn);
        else spawnChild({ ...start, governed: run.adaptation?.byEngine === true }, command, turn, events);
      } catch (error) {
        events.push({ type: 'failed', id: command.id, error: withoutStack(encodeError(error)), unknown: false });
      }
      return;
    case 'refused':
    case 'answered':
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
    ...(command.heartbeat === undefined ? {} : { heartbeat: command.heartbeat }),
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
    ...(command.listens === true ? { listens: true } : {}),
    about,
    ...(start.trace === undefined ? {} : { trace: start.trace }),
  };
  turn.send(OUTBOX_KEY, publish);
}

export function childRunId(start: RunStart, command: string): string {
  return `${start.runId}/${command}`;
}

function consult({ bundle, workflow: id }: RunStart, turn: Turn): void {
  const { hash, rules } = workflowOf(bundle, id);
  const watches = [...rules.values()].map(({ data }) => watchOf(data));
  const question: BoardMessage = { type: 'consult', workflow: id, definition: hash, rules: watches };
  turn.ask(BOARD_KEY, question, { ask: CONSULT, timeoutMs: CONSULT_TIMEOUT_MS });
}

function spawnChild(
  start: RunStart,
  command: RunCommand & { readonly type: 'child' },
  turn: Turn,
  events: RunEvent[],
): void {
  const { workflow, input, id, detached } = command;
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
    ...(start.governed === true ? { governed: true } : {}),
    ...(start.trace === undefined ? {} : { trace: start.trace }),
    ...(detached ? keptAs(start) : { parent: { key: turn.self, command: id } }),
    ...(start.secret === undefined ? {} : { secret: childSecret(start.secret, runId) }),
  };
  turn.spawn({ childId: id, actor: { definition: RUN_DEFINITION, id: runId }, input: child });
  if (detached) events.push({ type: 'done', id, result: { runId } });
}

function keptAs({ keepFinishedMs }: RunStart): Pick<RunStart, 'keepFinishedMs'> {
  return keepFinishedMs === undefined ? {} : { keepFinishedMs };
}

/** Stacks are of the thread that failed; a run keeps what its users can use. */
export function withoutStack({ name, code, message, details }: EncodedError): EncodedError {
  return { name, code, message, ...(details === undefined ? {} : { details }) };
}

export function invalidInput(workflow: string, faults: readonly ValueFault[]): ContractViolationError {
  const listed = faults.map(({ path, rule, expected }) => `${path} (${rule}): ${expected}`).join('; ');
  return new ContractViolationError(`workflow "${workflow}" does not take this input: ${listed}`, {
    details: { workflow, faults },
  });
}
