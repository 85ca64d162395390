/**
 * One message of one cell: the step, what it leads to, and everything that may go wrong with it.
 *
 * Owns: retries and parking of failed messages, repeated idempotency keys, virtual actors, messages to actors that never were,
 * and dead letters. Which cell runs when is the host's.
 *
 * Invariants:
 * HD1. A message that was taken out of a mailbox is handled, refused with an answer, parked as a dead letter, or put back.
 * HD2. A failed message is tried `maxAttempts` times, in its place; the messages behind it wait.
 */
import { type CellKey, definitionOf, parseKey, rootOf } from '../kernel/address.ts';
import { delayMs } from '../kernel/backoff.ts';
import type { Clock } from '../kernel/clock.ts';
import {
  ActorNotFoundError,
  type BlocksError,
  encodeError,
  HandlerError,
  HostLostError,
  UnknownDefinitionError,
  UnserializableValueError,
} from '../kernel/errors.ts';
import type { Asked } from '../kernel/intent.ts';
import type { Envelope } from '../kernel/message.ts';
import type { Random } from '../kernel/random.ts';
import type { Cell } from '../cell/cell.ts';
import type { CellTurn } from '../cell/cell-turn.ts';
import { isOld, isPlain, park, type Recorder, step, stepPlain } from '../cell/step.ts';
import type { DeadLetter } from '../journal/turn-record.ts';
import type { CommitQueue, PendingTurn } from './commit-queue.ts';
import type { Inspection } from './inspection.ts';
import type { Notice, Outbound } from './items.ts';
import type { Releaser } from './release.ts';
import type { Residence } from './residence.ts';

export interface HandlerPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly outsideStream: number;
  readonly turn: CellTurn;
  readonly commits: CommitQueue;
  readonly residence: Residence;
  readonly releaser: Releaser;
  readonly inspection: Inspection;
  /** Timers and effects of a cell that lives again are taken up. */
  readonly rearm: (cell: Cell) => void;
  /** The cell may have work again. */
  readonly schedule: (cell: Cell) => void;
  readonly out: (item: Outbound) => void;
}

/** An actor that was running when a host died. */
export interface Suspect {
  readonly key: CellKey;
  /** In a row, with no turn of it committed between them. */
  readonly deaths: number;
  /** The turn before the one that it was in (modulo 2^32). */
  readonly sequence: number;
  /** Hosts that died while it ran, in any turn. */
  readonly deathsInAll: number;
}

/** Messages that a suspect handles with care besides those that it may have lost or that waited for it: calls sent again come late. */
const CAREFUL_SPARE = 64;
/**
 * Of those that waited for it, so many at the first death, and twice as many at each further one. A commit a message is slow: whoever
 * waits for a suspect with thousands in its mailbox would pay for a death that mostly was not its doing, and while it is slow more come.
 */
const CAREFUL_WAITING = 256;

export class Handler {
  readonly #ports: HandlerPorts;
  readonly #suspects = new Map<CellKey, Suspect>();
  /** How many more messages of a suspect are handled with care. */
  readonly #careful = new Map<CellKey, number>();

  constructor(ports: HandlerPorts) {
    this.#ports = ports;
  }

  suspect(suspects: readonly Suspect[]): void {
    for (const suspect of suspects) {
      this.#suspects.set(suspect.key, suspect);
      this.#careful.delete(suspect.key);
    }
  }

  isSuspect(cell: Cell): boolean {
    return this.#suspects.size > 0 && this.#suspects.has(cell.key);
  }

  /**
   * After a message of a suspect: whether the next one must wait until it is committed. The message that killed is among those which
   * the dead host had taken and not committed, or those that wait; beyond them the suspect is acquitted, or one whose senders are
   * always faster would be handled with care for ever. One that was acquitted too early kills again, and is then watched for longer.
   */
  mustWait(cell: Cell): boolean {
    const { key, mailbox, sequence } = cell;
    const suspect = this.#suspects.get(key);
    if (suspect === undefined) return false;
    const lost = Math.max(0, (suspect.sequence - sequence) | 0);
    const waiting = Math.min(mailbox.length, CAREFUL_WAITING * 2 ** (suspect.deathsInAll - 1));
    const left = this.#careful.get(key) ?? CAREFUL_SPARE + 2 * (lost + waiting);
    if (mailbox.length > 0 && left > 0) {
      this.#careful.set(key, left - 1);
      return true;
    }
    this.#suspects.delete(key);
    this.#careful.delete(key);
    return false;
  }

  handle(cell: Cell, envelope: Envelope, nowMs: number, record: Recorder | undefined): void {
    if (isPlain(cell, envelope) && !this.isSuspect(cell)) this.#handlePlain(cell, envelope, nowMs);
    else this.#handle(cell, envelope, nowMs, record);
  }

  #handlePlain(cell: Cell, envelope: Envelope, nowMs: number): void {
    let intents: readonly Asked[];
    try {
      intents = stepPlain(cell, envelope, this.#ports.turn, nowMs);
    } catch (error) {
      this.#failed(cell, envelope, error, nowMs, undefined);
      return;
    }
    if (intents.length > 0 || this.#ports.inspection.audienceOf(cell.key) !== undefined) {
      this.#done(cell, envelope, intents, undefined, false);
    }
  }

  #handle(cell: Cell, envelope: Envelope, nowMs: number, record: Recorder | undefined): void {
    const { status } = cell.book;
    if (
      status.kind === 'absent' &&
      envelope.control?.kind !== 'spawn' &&
      !this.#spawnVirtual(cell, envelope, nowMs, record)
    ) {
      this.#absent(envelope);
      return;
    }
    // One from the stash is not asked again: it is the first of its key, still to be handled.
    const asked = envelope.idempotencyKey !== undefined && envelope.unstashed !== true;
    if (asked && this.#answerAgain(cell, envelope)) return;
    if (this.isSuspect(cell) && this.#killer(cell, envelope, nowMs, record)) return;
    const outcome = step(cell, envelope, this.#ports.turn, nowMs, record);
    switch (outcome.kind) {
      case 'handled':
        this.#done(cell, envelope, outcome.intents, undefined, false);
        if (envelope.control?.kind === 'spawn' && envelope.control.ifExists === 'resume') {
          this.#ports.commits.after(() => this.#ports.rearm(cell));
        }
        break;
      case 'refused':
        this.#done(cell, envelope, outcome.intents, outcome.error, true);
        this.#refusedLetter(cell, envelope, outcome.error, nowMs);
        break;
      case 'dropped':
        this.#dropped(cell, envelope);
        break;
      case 'failed':
        this.#failed(cell, envelope, outcome.error, nowMs, record);
        break;
    }
  }

  /** Answers whoever waits for a message that nobody will handle; one that nobody waits for becomes a dead letter. */
  undeliverable(envelope: Envelope, reason: DeadLetter['reason'], error: BlocksError): void {
    const { releaser, outsideStream, clock, out } = this.#ports;
    const { replyTo, id } = envelope;
    const caller = releaser.callerOf(envelope.replyTo);
    if (caller !== undefined) out(['fail', caller, encodeError(error)]);
    else if (id !== undefined && id.stream === outsideStream) out(['fail', id.position, encodeError(error)]);
    else if (replyTo?.kind === 'cell') {
      const failed = { kind: 'ask.failed', ask: replyTo.ask, error: encodeError(error) } as const;
      releaser.route({ to: replyTo.key, message: undefined, control: failed, from: envelope.to }, -1, undefined);
    } else {
      this.deadLetter(envelope.to, envelope, reason, error, 0, clock.now());
    }
  }

  /** A message that no link carries. Whoever asked, or waits for what it answers, is told why; else it is a dead letter, without its content. */
  refused(envelope: Envelope, error: BlocksError): void {
    const { control, replyTo, to, from } = envelope;
    if (control?.kind === 'reply') {
      const failed = { kind: 'ask.failed', ask: control.ask, error: encodeError(error) } as const;
      this.#ports.releaser.route({ to, message: undefined, control: failed, from }, -1, undefined);
    } else if (replyTo?.kind === 'cell') {
      this.undeliverable(envelope, 'undeliverable', error);
    } else {
      this.deadLetter(from ?? to, withoutContent(envelope), 'undeliverable', error, 0, this.#ports.clock.now());
    }
  }

  /** A message to an actor whose definition is not loaded. */
  undefinedReceiver(envelope: Envelope): void {
    const error = new UnknownDefinitionError(
      `no definition is named "${definitionOf(envelope.to)}": list its module in the \`actors\` option`,
    );
    this.undeliverable(envelope, 'undeliverable', error);
  }

  deadLetter(
    key: CellKey,
    envelope: Envelope,
    reason: DeadLetter['reason'],
    error: Error,
    attempts: number,
    timeMs: number,
  ): void {
    const name = letterOf(key, envelope, this.#ports.residence.get(key)?.sequence ?? 0);
    const encoded = encodeError(error);
    const letter = { id: name, timeMs, reason, error: encoded, attempts, envelope };
    try {
      this.#ports.commits.deadLetter(letter);
    } catch {
      this.#ports.commits.deadLetter({ ...letter, envelope: withoutContent(envelope) });
    }
    const notice: Notice = { kind: 'dead_letter', id: name, key, error: encoded };
    this.#ports.commits.after(() => this.#ports.out(['notice', notice]));
  }

  #done(cell: Cell, envelope: Envelope, intents: readonly Asked[], error: Error | undefined, refused: boolean): void {
    const { commits, residence, releaser, inspection } = this.#ports;
    const view = inspection.viewOf(cell);
    if (!cell.durable && intents.length === 0 && envelope.id === undefined && view === undefined) return;
    const turn: PendingTurn = { cell, envelope, intents, sequence: cell.sequence, view, refused, error };
    if (cell.durable) {
      residence.dirty(cell);
      commits.push(turn);
    } else {
      releaser.finish(turn, -1);
    }
  }

  #failed(cell: Cell, envelope: Envelope, error: unknown, nowMs: number, record: Recorder | undefined): void {
    const { clock, random, schedule, turn } = this.#ports;
    const control = envelope.control;
    if (error instanceof UnserializableValueError && control?.kind === 'effect.done') {
      cell.putBack({ ...envelope, control: { kind: 'effect.failed', id: control.id, error: encodeError(error) } });
      return;
    }
    const { maxAttempts, backoff } = cell.definition.failure;
    cell.failedAttempts += 1;
    if (cell.failedAttempts < maxAttempts) {
      cell.putBack(envelope);
      cell.phase = { kind: 'waiting', attempts: cell.failedAttempts };
      clock.wait(delayMs(backoff, cell.failedAttempts, random.next()), () => {
        if (cell.phase.kind !== 'waiting') return;
        cell.run();
        schedule(cell);
      });
      return;
    }
    const attempts = cell.failedAttempts;
    const cause = error instanceof Error ? error : new Error(String(error));
    const letter = letterOf(cell.key, envelope, cell.sequence + 1);
    const failure = new HandlerError(
      `${cell.key} failed ${attempts} times on ${describe(envelope)}, which is parked as a dead letter: ${cause.message}`,
      { cause, details: { key: cell.key, attempts, letter } },
    );
    let intents: readonly Asked[];
    try {
      intents = park(cell, envelope, turn, nowMs, failure, record);
    } catch {
      // The message itself cannot be written (it came from an actor in memory): it is set aside without its content.
      intents = park(cell, withoutContent(envelope), turn, nowMs, failure, record);
    }
    this.#done(cell, envelope, intents, failure, false);
    this.deadLetter(cell.key, envelope, 'handler_failed', failure, attempts, nowMs);
  }

  /** Parks the message that has killed its host as often as a failing one may fail. */
  #killer(cell: Cell, envelope: Envelope, nowMs: number, record: Recorder | undefined): boolean {
    const { deaths, sequence } = this.#suspects.get(cell.key) ?? { deaths: 0, sequence: 0 };
    // A turn that was committed since then was another message's.
    if (deaths < cell.definition.failure.maxAttempts || (cell.sequence | 0) !== sequence) return false;
    // What comes again has been handled, or set aside: it cannot have been what the host died of.
    if (isOld(cell, envelope)) return false;
    this.#suspects.delete(cell.key);
    cell.failedAttempts = deaths - 1;
    const error = new HostLostError(
      `its host died ${deaths} times while ${cell.key} was handling ${describe(envelope)}`,
    );
    this.#failed(cell, envelope, error, nowMs, record);
    return true;
  }

  #refusedLetter(cell: Cell, envelope: Envelope, error: Error, nowMs: number): void {
    const answered = envelope.replyTo !== undefined || envelope.id?.stream === this.#ports.outsideStream;
    if (envelope.control !== undefined || answered) return;
    const reason = cell.book.status.kind === 'running' ? 'expired' : 'actor_stopped';
    this.deadLetter(cell.key, envelope, reason, error, 0, nowMs);
  }

  /** One that is old was handled, or refused by a host that died before its answer arrived: then it must not pass for handled. */
  #dropped(cell: Cell, envelope: Envelope): void {
    const { id, to } = envelope;
    if (id === undefined || envelope.control !== undefined || !cell.book.precedes(id)) {
      this.#receiptAgain(envelope);
      return;
    }
    const error = new ActorNotFoundError(`actor ${to} did not exist, or was blocked, when this came`, {
      details: { key: to },
    });
    this.undeliverable(envelope, 'actor_not_found', error);
  }

  /** A tell that was handled before, and whose sender may not know. */
  #receiptAgain(envelope: Envelope): void {
    const { id } = envelope;
    if (id === undefined || id.stream !== this.#ports.outsideStream || envelope.replyTo !== undefined) return;
    this.#ports.commits.after(() => this.#ports.releaser.receipt(id.position));
  }

  #spawnVirtual(cell: Cell, envelope: Envelope, nowMs: number, record: Recorder | undefined): boolean {
    if (!cell.definition.virtual || envelope.control !== undefined || rootOf(cell.key) !== cell.key) return false;
    const { id } = parseKey(cell.key);
    const control = { kind: 'spawn', logic: [], input: { id }, ifExists: 'attach' } as const;
    this.handle(cell, { to: cell.key, message: undefined, control }, nowMs, record);
    return cell.book.status.kind !== 'absent';
  }

  /** A message to an actor that never was. */
  #absent(envelope: Envelope): void {
    const { control, to } = envelope;
    // Most are the stops of children that have long ended: an error, with its stack, is made only for somebody who gets it.
    const notFound = (): ActorNotFoundError =>
      new ActorNotFoundError(`actor ${to} does not exist: spawn it first, or give its definition virtual: true`, {
        details: { key: to },
      });
    if (control?.kind === 'watch') {
      const reason = { kind: 'error', error: encodeError(notFound()) } as const;
      const terminated = { kind: 'terminated', key: to, reason } as const;
      const told: Envelope = { to: control.watcher, message: undefined, control: terminated, from: to };
      this.#ports.releaser.route(told, -1, undefined);
    } else if (control === undefined) {
      this.undeliverable(envelope, 'actor_not_found', notFound());
    } else {
      const caller = this.#ports.releaser.callerOf(envelope.replyTo);
      if (caller !== undefined) this.#ports.out(['fail', caller, encodeError(notFound())]);
    }
  }

  /** A request under a key that the actor knows: the same answer, and no turn. */
  #answerAgain(cell: Cell, envelope: Envelope): boolean {
    const { commits, releaser, out } = this.#ports;
    const key = envelope.idempotencyKey as string;
    const answer = cell.book.keys?.get(key);
    if (answer === undefined) return false;
    if (envelope.replyTo === undefined) {
      this.#receiptAgain(envelope);
      return true;
    }
    const caller = releaser.callerOf(envelope.replyTo);
    if (caller === undefined) return true;
    if (answer.kind === 'open') releaser.attach(cell.key, key, caller);
    else {
      commits.after(() =>
        out(answer.kind === 'value' ? ['reply', caller, answer.value] : ['fail', caller, answer.error]),
      );
    }
    return true;
  }
}

/** Id of the dead letter that a message becomes in a turn of its actor. */
function letterOf(key: CellKey, { id }: Envelope, sequence: number): string {
  return id === undefined ? `${key}#${sequence}` : `${id.stream}/${id.position}/${id.index}`;
}

function withoutContent(envelope: Envelope): Envelope {
  return { ...envelope, message: undefined, ...(envelope.control === undefined ? {} : { control: undefined }) };
}

function describe(envelope: Envelope): string {
  if (envelope.control !== undefined) return `"${envelope.control.kind}"`;
  const type: unknown = (envelope.message as { type?: unknown } | undefined)?.type;
  return typeof type === 'string' ? `"${type}"` : 'a message';
}
