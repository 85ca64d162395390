/**
 * A link: items from one thread to another and back, in frames, with a bound on what may be on its way.
 *
 * Owns: when frames are made (once an event-loop turn), when they must wait (credit in bytes), what the other side has accepted.
 * It does not keep what it has sent: when a link is lost, the journal says what to send again, from the oldest mark on.
 *
 * Both sides are equals: each sends and receives. The receiver's handler accepts a frame when it has taken charge of its items;
 * until then they count against the sender's credit.
 *
 * Invariants:
 * G1. Items arrive in the order of `push`, each at most once, and none is skipped: what arrives is a prefix of what was pushed
 *     (less the items that could not be carried, each reported to `onRefused`).
 * G2. No frame is made while unaccepted frames have used up the credit; one more never overtakes by more than its own size.
 * G3. The end is told once: `close` on this side, or one call of `onLost`. Nothing is delivered after it.
 * G4. Whatever arrives, the link itself never throws at its port: a block that is refused ends the link. What a callback throws is
 *     its owner's fault and passes.
 * G5. `oldestUnacknowledgedMark()` is not above the mark of any item that the peer has not accepted.
 */
import type { Clock, Wait } from '../kernel/clock.ts';
import { FrameError, type MessageTooLargeError, type UnserializableValueError } from '../kernel/errors.ts';
import { LINK_ACCEPT_DELAY_MS, LINK_CREDIT_BYTES, LINK_FRAME_BYTES, LINK_FRAME_ITEMS } from '../kernel/limits.ts';
import { FrameDecoder, FrameEncoder, type ItemBytesLimit } from '../wire/frame-codec.ts';
import type { ReviveReference } from '../wire/special-values.ts';
import { AcceptLedger } from './accept-ledger.ts';
import type { FramePort } from './frame-port.ts';
import {
  acceptedPacket,
  endPacket,
  type LinkPacket,
  markAsFrame,
  PACKET_HEADER_BYTES,
  readPacket,
  wordPacket,
} from './link-packet.ts';
import { SendWindow } from './send-window.ts';

/** How a link was lost. */
export type LinkLoss =
  /** The other side called `close`. */
  | { readonly kind: 'closed'; readonly reason: unknown }
  /** The port ended without a word: the thread is gone. */
  | { readonly kind: 'gone' }
  /** Something arrived that cannot be right, and `by` which side it was refused. */
  | { readonly kind: 'broken'; readonly by: 'here' | 'there'; readonly error: FrameError };

export interface LinkOptions {
  readonly port: FramePort;
  readonly clock: Pick<Clock, 'defer' | 'wait'>;
  /**
   * Items of one frame, in order. `accept` says that this side has taken charge of them; now, later, in any order, once. The
   * items are the handler's own.
   */
  readonly onFrame: (items: readonly unknown[], accept: () => void) => void;
  /** Not called for this side's own `close`. */
  readonly onLost: (loss: LinkLoss) => void;
  /** An item that cannot be carried. The others go on. */
  readonly onRefused: (item: unknown, error: UnserializableValueError | MessageTooLargeError) => void;
  /** What the other side has said by `tell`. Default: not listened to. */
  readonly onWord?: ((word: unknown) => void) | undefined;
  /** `writable` has become true again. */
  readonly onWritable?: (() => void) | undefined;
  readonly reviveReference?: ReviveReference | undefined;
  /** Bytes that an item may have, never below `MESSAGE_BYTES_LIMIT`; a larger one is refused. Default: what fits into a frame. */
  readonly itemBytesLimit?: ItemBytesLimit | undefined;
  /** Default `LINK_CREDIT_BYTES`. */
  readonly creditBytes?: number | undefined;
}

/** First guess at an item's size, until frames tell. */
const ITEM_BYTES_GUESS = 256;

export class Link {
  readonly #options: LinkOptions;
  readonly creditBytes: number;
  /** What a frame should have at most: several must fit into the credit, so that sending and accepting overlap. */
  readonly #frameBytes: number;
  readonly #encoder: FrameEncoder;
  readonly #decoder: FrameDecoder;
  readonly #window = new SendWindow();
  readonly #ledger = new AcceptLedger();
  #ended = false;

  /** What waits to be sent: `#items[#head]` is next. */
  #items: unknown[] = [];
  #marks: number[] = [];
  #head = 0;
  #itemBytes = ITEM_BYTES_GUESS;
  /** `writable` was seen false, and somebody may be waiting for it. */
  #full = false;

  /** A turn is coming that will flush if it is still wanted then. */
  #turnComing = false;
  #flushWanted = false;
  #acceptWait: Wait | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#encoder = new FrameEncoder(options.itemBytesLimit);
    this.creditBytes = options.creditBytes ?? LINK_CREDIT_BYTES;
    this.#frameBytes = Math.min(LINK_FRAME_BYTES, this.creditBytes / 4);
    this.#decoder = new FrameDecoder({ reviveReference: options.reviveReference });
    options.port.onMessage((bytes) => this.#arrived(bytes));
    options.port.onClose(() => this.#lose({ kind: 'gone' }));
  }

  /**
   * Sends `item` with the next flush; it must not change until then. `mark` orders items by what a checkpoint has to keep for them.
   * Without effect after the end. The queue is not bounded here: a caller that can wait looks at `writable` first.
   */
  push(item: unknown, mark = Infinity): void {
    if (this.#ended) return;
    this.#items.push(item);
    this.#marks.push(mark);
    if (!this.#flushWanted) this.#flushNextTurn();
  }

  /** Sends now what the credit allows, and what is owed of acceptances; the flush of this turn is then no longer needed. */
  flush(): void {
    this.#flushWanted = false;
    while (!this.#ended && this.#head < this.#items.length && this.#window.bytes < this.creditBytes) this.#sendFrame();
    if (!this.#ended && this.#ledger.owedBytes >= this.creditBytes / 4) this.#reportAccepted();
    this.#tellWritable();
  }

  /** Bytes not yet accepted: of sent frames exactly, of waiting items by the average of the last frames. */
  get queuedBytes(): number {
    return this.#window.bytes + this.waitingItems * this.#itemBytes;
  }

  /** Items that no frame has taken yet. */
  get waitingItems(): number {
    return this.#items.length - this.#head;
  }

  /** Says a small value at once: before what waits, and without credit, so that it gets through where nothing else does. */
  tell(word: unknown): void {
    if (this.#ended) return;
    this.#options.port.post(wordPacket(this.#ledger.accepted, word));
    this.#reported();
  }

  /** Whether more fits into the credit. After false, `onWritable` is called when it does. */
  get writable(): boolean {
    if (this.#ended) return false;
    const fits = this.queuedBytes < this.creditBytes;
    if (!fits) this.#full = true;
    return fits;
  }

  /** Smallest mark of all items that the other side has not accepted; undefined without one. */
  oldestUnacknowledgedMark(): number | undefined {
    let oldest = this.#window.oldestMark();
    for (let i = this.#head; i < this.#marks.length; i++) oldest = Math.min(oldest, this.#marks[i] as number);
    return oldest === Infinity ? undefined : oldest;
  }

  /** Ends the link: what waits is not sent (flush first), what was sent still arrives, and then `reason`, a value. */
  close(reason?: unknown): void {
    this.#end(reason);
  }

  /** Ends the link because of what its items say: for both sides it was broken. */
  refuse(error: FrameError): void {
    this.#break(error);
  }

  ref(): void {
    this.#options.port.ref();
  }

  unref(): void {
    this.#options.port.unref();
  }

  #flushNextTurn(): void {
    this.#flushWanted = true;
    if (this.#turnComing) return;
    this.#turnComing = true;
    this.#options.clock.defer(() => {
      this.#turnComing = false;
      if (this.#flushWanted) this.flush();
    });
  }

  #sendFrame(): void {
    const count = Math.max(1, Math.min(LINK_FRAME_ITEMS, Math.floor(this.#frameBytes / this.#itemBytes)));
    const head = this.#head;
    const items = this.#items.slice(head, head + count);
    const { bytes, taken, refused } = this.#encoder.encode(items, PACKET_HEADER_BYTES);
    let mark = Infinity;
    for (let i = head; i < head + taken; i++) mark = Math.min(mark, this.#marks[i] as number);
    this.#advance(taken);
    if (bytes !== undefined) {
      this.#itemBytes = Math.ceil((this.#itemBytes + bytes.length / (taken - refused.length)) / 2);
      this.#window.sent(bytes.length, mark);
      markAsFrame(bytes, this.#ledger.accepted);
      this.#reported();
      this.#options.port.post(bytes);
    }
    for (const { index, error } of refused) this.#options.onRefused(items[index], error);
  }

  #advance(count: number): void {
    this.#head += count;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#marks = [];
      this.#head = 0;
    } else if (this.#head > 4_096 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#marks = this.#marks.slice(this.#head);
      this.#head = 0;
    }
  }

  #tellWritable(): void {
    if (!this.#full || this.#ended || this.queuedBytes >= this.creditBytes) return;
    this.#full = false;
    this.#options.onWritable?.();
  }

  #arrived(bytes: Uint8Array): void {
    if (this.#ended) return;
    let packet: LinkPacket;
    let items: readonly unknown[] | undefined;
    const size = bytes.length;
    try {
      packet = readPacket(bytes);
      if (!this.#window.accepted(packet.accepted))
        throw new FrameError(`${packet.accepted} frames accepted, which were not sent`);
      if (packet.kind === 'frame') items = this.#decoder.decode(bytes, PACKET_HEADER_BYTES);
    } catch (fault) {
      return this.#break(fault instanceof FrameError ? fault : new FrameError('a block was refused', { cause: fault }));
    }
    if (packet.kind === 'end') return this.#lose(lossOf(packet.reason));
    // The credit that has come back is spent before the handler runs, which may take long.
    if (this.#head < this.#items.length) this.flush();
    else this.#tellWritable();
    if (packet.kind === 'word') this.#options.onWord?.(packet.word);
    if (items === undefined) return;
    const frame = this.#ledger.receive();
    let open = true;
    this.#options.onFrame(items, () => {
      if (!open || this.#ended) return;
      open = false;
      this.#ledger.accept(frame, size);
      this.#owe();
    });
  }

  /** Sees to it that the sender learns of an acceptance: with the next frame, soon when it matters, or after a short wait. */
  #owe(): void {
    if (!this.#ledger.owed) return;
    if (this.#ledger.owedBytes >= this.creditBytes / 4) this.#flushNextTurn();
    this.#acceptWait ??= this.#options.clock.wait(LINK_ACCEPT_DELAY_MS, () => {
      this.#acceptWait = undefined;
      if (!this.#ended) this.#reportAccepted();
    });
  }

  #reportAccepted(): void {
    if (!this.#ledger.owed) return;
    this.#options.port.post(acceptedPacket(this.#ledger.accepted));
    this.#reported();
  }

  #reported(): void {
    this.#ledger.report();
    this.#acceptWait?.cancel();
    this.#acceptWait = undefined;
  }

  #break(error: FrameError): void {
    if (this.#end({ [BROKEN]: error.message })) this.#options.onLost({ kind: 'broken', by: 'here', error });
  }

  #lose(loss: LinkLoss): void {
    if (this.#end(undefined)) this.#options.onLost(loss);
  }

  /** True the first time. */
  #end(reason: unknown): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#acceptWait?.cancel();
    this.#options.port.post(endPacket(this.#ledger.accepted, reason));
    this.#options.port.close();
    return true;
  }
}

/** In place of a reason: this side has refused what the other sent. */
const BROKEN = '$broken';

function lossOf(reason: unknown): LinkLoss {
  if (typeof reason === 'object' && reason !== null && Object.hasOwn(reason, BROKEN)) {
    // Not made a string if it is none: an object may have a `toString` of its own, which is no function.
    const why = (reason as Record<string, unknown>)[BROKEN];
    const error = new FrameError(`the other side: ${typeof why === 'string' ? why : 'no reason'}`);
    return { kind: 'broken', by: 'there', error };
  }
  return { kind: 'closed', reason };
}
