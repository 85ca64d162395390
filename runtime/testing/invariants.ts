/**
 * The model checker: what must be true of every history, whatever went wrong in it.
 *
 * Owns: the rules about messages, answers and states. Timers, effects and asks are `obligations.ts`, parents and children
 * `kinship.ts`. Knows the history alone, and
 * uses nothing of the runtime that it judges but the shapes of its records.
 *
 * Rules, by name:
 * dense         an actor's turns are numbered 1, 2, 3, …, in the order of their positions, and positions are gapless
 * once          no message is handled twice, and those of one sender come in the order in which they were sent
 * origin        a handled message of an actor was sent by a turn that is in the journal, before it, to this actor, as it is
 * lost          a message that a turn sent is handled, refused, parked, or a dead letter: it never vanishes
 * acknowledged  whoever outside got a receipt or an answer finds it in the journal
 * answered      a request is answered once; requests under one idempotency key are handled once and get the same answer
 * fold          an actor's state is the fold of its turns
 * stranded      in the end every actor is at rest: nothing in its mailbox, not blocked, not about to try something again
 * recovered     a crash at rest changes nothing
 */
import { isDeepStrictEqual } from 'node:util';
import type { CellKey } from '../kernel/address.ts';
import { laneOf, type MessageId } from '../kernel/message.ts';
import { OUTSIDE_STREAM_BASE, outsideStreamOf } from '../cell/image.ts';
import type { FinalActor, History, LoggedTurn, OutsideEvent } from './history.ts';
import { checkKinship } from './kinship.ts';
import { checkObligations } from './obligations.ts';

export interface Violation {
  readonly rule: string;
  readonly what: string;
}

type Report = (rule: string, what: string) => void;

/** Everything in `history` that must not be. */
export function checkHistory(history: History): Violation[] {
  const violations: Violation[] = [];
  const report: Report = (rule, what) => void violations.push({ rule, what });
  const index = new HistoryIndex(history);
  checkDense(history, index, report);
  checkOnce(index, report);
  checkOrigin(index, report);
  checkOutside(history, index, report);
  if (history.settled) {
    checkLost(history, index, report);
    checkFinal(history, report);
  }
  checkObligations(history, index.byKey, report);
  checkKinship(history, index.byKey, report);
  return violations;
}

class HistoryIndex {
  readonly byKey = new Map<CellKey, LoggedTurn[]>();
  readonly byPosition = new Map<number, LoggedTurn>();
  /** Turns that consumed a message, by receiver and id. */
  readonly consumers = new Map<string, LoggedTurn[]>();

  constructor(history: History) {
    for (const turn of history.turns) {
      this.byPosition.set(turn.position, turn);
      append(this.byKey, turn.key, turn);
      const { id, unstashed } = turn.envelope;
      if (id !== undefined && unstashed !== true) append(this.consumers, consumption(turn.key, id), turn);
    }
  }
}

function checkDense(history: History, index: HistoryIndex, report: Report): void {
  for (const [key, turns] of index.byKey) {
    for (const [i, turn] of turns.entries()) {
      if (turn.sequence !== i + 1)
        report('dense', `${key} has turn ${turn.sequence} at position ${turn.position}, expected turn ${i + 1}`);
    }
  }
  for (const [i, turn] of history.turns.entries()) {
    const before = history.turns[i - 1];
    if (before !== undefined && turn.position !== before.position + 1) {
      report('dense', `position ${turn.position} follows position ${before.position}`);
    }
  }
}

function checkOnce(index: HistoryIndex, report: Report): void {
  for (const [key, turns] of index.byKey) {
    const marks = new Map<string, { readonly id: MessageId; readonly turn: LoggedTurn }>();
    for (const turn of turns) {
      const { id, unstashed } = turn.envelope;
      if (id === undefined || unstashed === true) continue;
      const lane = `${id.stream}${laneOf(turn.envelope)}`;
      const mark = marks.get(lane);
      if (mark !== undefined && !isAfter(id, mark.id)) {
        const same = id.position === mark.id.position && id.index === mark.id.index;
        const fault =
          same || (index.consumers.get(consumption(key, id))?.length ?? 0) > 1 ? 'is handled twice' : 'is out of order';
        report(
          'once',
          `${key}: message ${nameOf(id)} in turn ${turn.sequence} ${fault} (turn ${mark.turn.sequence} had ${nameOf(mark.id)})`,
        );
        continue;
      }
      marks.set(lane, { id, turn });
    }
  }
}

function checkOrigin(index: HistoryIndex, report: Report): void {
  for (const turns of index.byKey.values()) {
    for (const turn of turns) {
      const { id, message, control } = turn.envelope;
      if (id === undefined || id.stream >= OUTSIDE_STREAM_BASE || turn.envelope.unstashed === true) continue;
      const origin = index.byPosition.get(id.position);
      const sent = origin === undefined ? undefined : sendsOf(origin)[id.index];
      const where = `${turn.key}, turn ${turn.sequence}: message ${nameOf(id)}`;
      if (origin === undefined || sent === undefined || origin.slot !== id.stream) {
        report('origin', `${where} was sent by no turn of the journal`);
      } else if (sent.envelope.to !== turn.key) {
        report('origin', `${where} was sent to ${sent.envelope.to}`);
      } else if (origin.position >= turn.position) {
        report('origin', `${where} was handled at position ${turn.position}, before it was sent`);
      } else if (!isDeepStrictEqual([sent.envelope.message, sent.envelope.control], [message, control])) {
        report('origin', `${where} is not what was sent`);
      }
    }
  }
}

function checkLost(history: History, index: HistoryIndex, report: Report): void {
  const dead = new Set(history.deadLetters.map(({ to, id }) => (id === undefined ? '' : consumption(to, id))));
  const unable = new Set(history.actors.filter(({ status }) => status === 'blocked').map(({ key }) => key));
  for (const origin of history.turns) {
    for (const [place, { envelope, durable }] of sendsOf(origin).entries()) {
      const { to, control } = envelope;
      if (!durable || !history.isDurable(to) || unable.has(to)) continue;
      // Stale ends of children make no turn, and neither do commands to an actor that was not there yet.
      const firstTurn = index.byKey.get(to)?.[0]?.position ?? Number.POSITIVE_INFINITY;
      if (
        control?.kind === 'terminated' ||
        (control !== undefined && control.kind !== 'spawn' && firstTurn > origin.position)
      )
        continue;
      const name = consumption(to, { stream: origin.slot, position: origin.position, index: place });
      if (index.consumers.has(name) || dead.has(name)) continue;
      report(
        'lost',
        `message ${name} of ${origin.key}, turn ${origin.sequence} (${control?.kind ?? 'a user message'}), was never handled`,
      );
    }
  }
}

function checkOutside(history: History, index: HistoryIndex, report: Report): void {
  const promised = promisedEvents(history);
  const sent = new Map<string, Extract<OutsideEvent, { kind: 'sent' }>>();
  for (const event of promised) {
    if (event.kind === 'sent' && !sent.has(callName(event))) sent.set(callName(event), event);
  }
  const answers = answersOf(history, report);
  const handledKeys = new Map<string, LoggedTurn[]>();
  for (const turn of history.turns) {
    const { idempotencyKey, unstashed } = turn.envelope;
    if (idempotencyKey !== undefined && unstashed !== true && turn.outcome !== 'refused')
      append(handledKeys, `${turn.key} ${idempotencyKey}`, turn);
  }
  for (const [name, turns] of handledKeys) {
    if (turns.length > 1)
      report('answered', `requests under one idempotency key were handled ${turns.length} times: ${name}`);
  }
  const heard = new Map<string, unknown>();
  const keyed = new Map<string, unknown>();
  for (const event of promised) {
    if (event.kind !== 'receipt' && event.kind !== 'reply') continue;
    const call = sent.get(callName(event));
    if (call === undefined || !history.isDurable(call.to)) continue;
    const id = { stream: outsideStreamOf(event.run), position: event.call, index: 0 };
    const key = call.idempotencyKey === undefined ? undefined : `${call.to} ${call.idempotencyKey}`;
    const consumed = index.consumers.has(consumption(call.to, id)) || (key !== undefined && handledKeys.has(key));
    if (!consumed)
      report('acknowledged', `${event.kind} of call ${callName(event)} to ${call.to}, which no turn has handled`);
    if (event.kind === 'receipt') continue;
    for (const [what, known] of [
      [callName(event), heard],
      [key, keyed],
    ] as const) {
      if (what === undefined) continue;
      if (!known.has(what)) known.set(what, event.value);
      else if (!isDeepStrictEqual(known.get(what), event.value))
        report('answered', `two different answers were given to ${what}`);
    }
    const recorded = answers.get(callName(event));
    if (recorded !== undefined && !isDeepStrictEqual(recorded.value, event.value)) {
      report('acknowledged', `the answer to call ${callName(event)} is not the one in the journal`);
    } else if (recorded === undefined && key === undefined) {
      report('acknowledged', `the answer to call ${callName(event)} to ${call.to} is in no turn`);
    }
  }
}

/** What was said and must hold: all of it, but for what was said before the power failed and took commits with it. */
function promisedEvents(history: History): readonly OutsideEvent[] {
  const lastLoss = history.outside.findLastIndex((event) => event.kind === 'crashed' && event.lostCommits > 0);
  return history.outside.slice(lastLoss + 1);
}

function answersOf(history: History, report: Report): ReadonlyMap<string, { readonly value: unknown }> {
  const answers = new Map<string, { readonly value: unknown }>();
  for (const turn of history.turns) {
    for (const intent of turn.intents) {
      if ((intent.kind !== 'reply' && intent.kind !== 'fail') || intent.to.kind !== 'outside') continue;
      const name = callName(intent.to);
      if (answers.has(name)) report('answered', `call ${name} is answered again by ${turn.key}, turn ${turn.sequence}`);
      answers.set(name, { value: intent.kind === 'reply' ? intent.value : intent.error });
    }
  }
  return answers;
}

/** What must be the same before and after a crash at rest: every actor that had no turn since. */
export function checkRecovered(before: readonly FinalActor[], after: readonly FinalActor[]): Violation[] {
  const now = new Map(after.map((actor) => [actor.key, actor]));
  return before.flatMap(({ key, status, sequence, view, mailbox }) => {
    const actor = now.get(key);
    if (actor === undefined || actor.sequence > sequence) return [];
    const same = isDeepStrictEqual(plain([status, sequence, view]), plain([actor.status, actor.sequence, actor.view]));
    if (same && mailbox === actor.mailbox) return [];
    return [
      {
        rule: 'recovered',
        what: `after a crash at rest ${key} is ${show(actor)}, it was ${show({ status, sequence, view, mailbox })}`,
      },
    ];
  });
}

function show(value: unknown): string {
  return JSON.stringify(value);
}

function checkFinal(history: History, report: Report): void {
  const folded = new Map(history.folded.map((actor) => [actor.key, actor]));
  for (const actor of history.actors) {
    const { key, status, sequence, view, mailbox = 0 } = actor;
    if (status === 'blocked' || status === 'waiting') {
      report('stranded', `${key} is ${status} in the end`);
      continue;
    }
    if (mailbox > 0) report('stranded', `${key} has ${mailbox} messages in its mailbox in the end`);
    const fold = folded.get(key);
    if (fold === undefined) continue;
    if (fold.sequence !== sequence)
      report('fold', `${key} has ${sequence} turns in memory and ${fold.sequence} in the journal`);
    else if (fold.status !== status) report('fold', `${key} is ${status}; by its turns it is ${fold.status}`);
    else if (!isDeepStrictEqual(plain(fold.view), plain(view))) {
      report(
        'fold',
        `the state of ${key} is not the fold of its turns: ${JSON.stringify(view)} instead of ${JSON.stringify(fold.view)}`,
      );
    }
  }
}

/** Without undefined properties, which do not travel. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, part]) => (part === undefined ? [] : [[name, plain(part)]])),
  );
}

function sendsOf(turn: LoggedTurn): Extract<LoggedTurn['intents'][number], { kind: 'send' }>[] {
  return turn.intents.filter((intent) => intent.kind === 'send');
}

function consumption(key: CellKey, id: MessageId): string {
  return `${nameOf(id)} to ${key}`;
}

function nameOf(id: MessageId): string {
  return `${id.stream}/${id.position}/${id.index}`;
}

function callName({ run, call }: { readonly run: number; readonly call: number }): string {
  return `${run}:${call}`;
}

function isAfter(a: MessageId, b: MessageId): boolean {
  return a.position > b.position || (a.position === b.position && a.index > b.index);
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
