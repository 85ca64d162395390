/**
 * What happens after a turn: messages to journaled actors travel when it has its place in the log, and when it is on the disk all the rest:
 * replies, receipts, effects, timers, what observers see.
 *
 * Owns: executing the intents of one recorded (or in-memory) turn, and routing envelopes to cells here or hosts elsewhere.
 *
 * Invariants:
 * X1. Called once a turn and part, in commit order: per receiver, a host's messages leave in the order of their ids.
 * X2. A message to a full mailbox is delivered, and its sender pauses until there is room. A sender whose own mailbox is full does
 *     not, unless what it sends to is overfull: so most rings go on by themselves, and the others by `standstill.ts`.
 */
import { type CellKey, placementOf } from '../kernel/address.ts';
import { encodeError } from '../kernel/errors.ts';
import type { Envelope, ReplyTo } from '../kernel/message.ts';
import type { Intent } from '../kernel/intent.ts';
import { askOfTimer } from '../cell/ask-timer.ts';
import type { Cell } from '../cell/cell.ts';
import { outsideStreamOf } from '../cell/image.ts';
import type { PendingTurn } from './commit-queue.ts';
import { eventFor, sightFor } from './actor-port.ts';
import type { EffectRunner } from './effect-runner.ts';
import { OUTSIDE } from './inspection.ts';
import type { HostLink, HostPeerLink, Outbound } from './items.ts';
import { fillOf } from './pressure.ts';
import type { TimerQueue } from './timer-queue.ts';

export interface ReleasePorts {
  readonly slot: number;
  readonly hosts: number;
  readonly outsideStream: number;
  readonly effects: EffectRunner;
  readonly timers: TimerQueue;
  /** Puts an envelope into the mailbox of a cell of this host; returns the cell, if it took it. */
  deliver(envelope: Envelope): Cell | undefined;
  /** Whether the actors of a key's definition are known to be journaled. */
  isJournaled(key: CellKey): boolean;
  link(slot: number): HostPeerLink;
  outside(): HostLink;
  /** The cell is not to run until `resume` is called. */
  pause(sender: Cell, until: { readonly drained: Cell } | { readonly writable: HostLink; slot: number }): void;
  /** Who is to see a cell's committed states and events; undefined when nobody is. */
  audience(key: CellKey): Iterable<CellKey> | undefined;
}

type TurnView = Exclude<PendingTurn['view'], undefined>;

export class Releaser {
  readonly #ports: ReleasePorts;
  #receipts: number[] = [];
  /** Calls that wait for the answer to a request another call made under the same idempotency key. */
  readonly #attached = new Map<string, number[]>();

  constructor(ports: ReleasePorts) {
    this.#ports = ports;
  }

  /**
   * Sends what a turn has for journaled actors, before it is on the disk: their turns will stand behind it in the log, so that neither they nor
   * what comes of them is ever seen without it. Where the definition is not loaded here, the receiver may be one in memory: it waits.
   */
  forward({ cell, intents }: PendingTurn, position: number): void {
    let index = 0;
    for (const intent of intents) {
      if (intent.kind !== 'send') continue;
      const { durable, envelope } = intent;
      if (durable && this.#ports.isJournaled(envelope.to)) {
        envelope.id = { stream: this.#ports.slot, position, index };
        this.route(envelope, position, cell);
      }
      index += 1;
    }
  }

  /**
   * Executes what a turn asked for, or, after `forward`, the rest of it: a message that has its id has left. `position` is -1 for a turn in
   * memory: its messages have no ids.
   */
  finish(turn: PendingTurn, position: number): void {
    const { envelope, intents } = turn;
    if (intents.length > 0) this.#execute(turn, position);
    if (
      envelope.id !== undefined &&
      envelope.id.stream === this.#ports.outsideStream &&
      envelope.replyTo === undefined
    ) {
      this.#receipt(turn, envelope.id.position);
    }
    if (turn.view !== undefined) this.#show(turn, turn.view, position);
  }

  /** The call that waits outside for an answer; none when it was made in an earlier run: numbers of calls begin again with each. */
  callerOf(replyTo: ReplyTo | undefined): number | undefined {
    if (replyTo?.kind !== 'outside') return undefined;
    return outsideStreamOf(replyTo.run) === this.#ports.outsideStream ? replyTo.call : undefined;
  }

  /** Gives a receipt for a tell that needs no turn. */
  receipt(call: number): void {
    this.#receipts.push(call);
  }

  /** Answers `call` too when the open request under this key is answered. */
  attach(key: CellKey, idempotencyKey: string, call: number): void {
    const name = `${key}\0${idempotencyKey}`;
    const calls = this.#attached.get(name);
    if (calls === undefined) this.#attached.set(name, [call]);
    else calls.push(call);
  }

  /** Hands over the receipts collected since the last call. */
  flushReceipts(): void {
    if (this.#receipts.length === 0) return;
    this.#out(['receipts', this.#receipts], -1);
    this.#receipts = [];
  }

  /** Takes a message to wherever its cell lives. */
  route(envelope: Envelope, position: number, sender: Cell | undefined): void {
    const { slot, hosts } = this.#ports;
    const target = hosts === 1 ? slot : placementOf(envelope.to, hosts);
    if (target === slot) {
      const cell = this.#ports.deliver(envelope);
      if (cell === undefined || sender === undefined || cell === sender || !cell.full) return;
      if (!sender.full || fillOf(cell) >= 1) this.#ports.pause(sender, { drained: cell });
      return;
    }
    const link = this.#ports.link(target);
    if (position < 0) link.push(envelope);
    else link.push(envelope, position);
    if (link.writable || sender === undefined) return;
    if (!sender.full || link.fill >= 1) this.#ports.pause(sender, { writable: link, slot: target });
  }

  #execute(turn: PendingTurn, position: number): void {
    const { cell, intents } = turn;
    const { effects, timers, slot } = this.#ports;
    let index = 0;
    for (const intent of intents) {
      switch (intent.kind) {
        case undefined:
          this.route(intent, -1, cell);
          break;
        case 'ask':
          this.route(intent.envelope, -1, cell);
          timers.addAsk(cell.key, intent.dueMs);
          break;
        case 'send': {
          const sent = intent.envelope;
          index += 1;
          if (sent.id !== undefined) break;
          if (position >= 0) sent.id = { stream: slot, position, index: index - 1 };
          // One to an actor in memory is not in the journal: whoever keeps it for a successor keeps it for good.
          this.route(sent, intent.durable ? position : -1, cell);
          break;
        }
        case 'reply':
          for (const call of this.#callers(cell.key, intent)) this.#out(['reply', call, intent.value], position);
          break;
        case 'fail':
          for (const call of this.#callers(cell.key, intent)) this.#out(['fail', call, intent.error], position);
          break;
        case 'effect.start':
          effects.start(cell, intent.id, turn.sequence);
          break;
        case 'effect.cancel':
          effects.cancel(cell.key, intent.id);
          break;
        case 'effect.send':
          effects.send(cell.key, intent.id, intent.message);
          break;
        case 'timer.set':
          if (askOfTimer(intent.id) === undefined) timers.add(cell.key, intent.id, intent.dueMs, turn.sequence);
          else timers.addAsk(cell.key, intent.dueMs);
          break;
        case 'emit':
          this.#announce(cell.key, intent.event, position);
          break;
        case 'exit':
          effects.cancelAll(cell.key);
          break;
        default:
          break;
      }
    }
  }

  #show({ cell: { key }, sequence }: PendingTurn, { status, view }: TurnView, position: number): void {
    for (const observer of this.#ports.audience(key) ?? []) {
      if (observer === OUTSIDE) this.#out(['view', key, sequence, status, view], position);
      else this.route(sightFor(observer, { key, sequence, status, view }), -1, undefined);
    }
  }

  #announce(key: CellKey, event: unknown, position: number): void {
    for (const observer of this.#ports.audience(key) ?? []) {
      if (observer === OUTSIDE) this.#out(['event', key, event], position);
      else this.route(eventFor(observer, key, event), -1, undefined);
    }
  }

  /** Who outside waits for this answer: nobody when they asked an earlier run of the system. */
  #callers(key: CellKey, answer: Extract<Intent, { kind: 'reply' | 'fail' }>): readonly number[] {
    const { to, idempotencyKey } = answer;
    const caller = this.callerOf(to);
    const own = caller === undefined ? [] : [caller];
    if (idempotencyKey === undefined || this.#attached.size === 0) return own;
    const name = `${key}\0${idempotencyKey}`;
    const attached = this.#attached.get(name);
    if (attached === undefined) return own;
    this.#attached.delete(name);
    return [...own, ...attached];
  }

  #receipt(turn: PendingTurn, call: number): void {
    // A tell to an actor that has stopped or never was has not been accepted by anybody.
    if (turn.error !== undefined && turn.refused) {
      this.#out(['fail', call, encodeError(turn.error)], -1);
    } else {
      this.#receipts.push(call);
    }
  }

  #out(item: Outbound, position: number): void {
    const link = this.#ports.outside();
    if (position < 0) link.push(item);
    else link.push(item, position);
  }
}
