/**
 * A link to a peer that may be replaced: up, or down and keeping what is sent meanwhile.
 *
 * Owns: the switch from a dead peer's link to its successor's.
 *
 * Invariants:
 * PL1. While down, items are kept in order. On `up`, those with a mark below `from` are dropped, since the successor has them from
 *      the journal; the rest goes first. With `from` Infinity nothing kept is sent: whoever pushed it sends it again.
 * PL2. What was sent on a link that is lost is not sent again here: marked items are in the journal, unmarked ones are at most once.
 * PL3. Until `down` says that the peer's death is known, what a lost link had not seen accepted counts as not accepted: no checkpoint
 *      may pass it.
 */
import { FrameError } from '../kernel/errors.ts';
import { FRAME_BYTES_LIMIT, MAILBOX_LIMIT, MESSAGE_BYTES_LIMIT, OVERFLOW_FACTOR } from '../kernel/limits.ts';
import type { FramePort } from '../transport/frame-port.ts';
import { Link, type LinkLoss, type LinkOptions } from '../transport/link.ts';
import type { HostPeerLink } from './items.ts';
import { ItemReader, ItemWriter } from './link-items.ts';

export type PeerLinkPorts = Omit<LinkOptions, 'port' | 'onWritable' | 'onLost'> & {
  /** The peer's link ended without `down` having been called. */
  readonly onLost: (loss: LinkLoss) => void;
};

/** A message has its own limit; tuples are the runtime's, and bounded by the frame. */
function itemBytesLimit(item: unknown): number {
  return isTuple(item) ? FRAME_BYTES_LIMIT : MESSAGE_BYTES_LIMIT;
}

/** Tuples begin with a word, envelopes on a link with a number. */
function isTuple(item: unknown): boolean {
  return Array.isArray(item) && typeof item[0] === 'string';
}

/** Items kept while a peer is down before its senders must wait. */
const KEPT_LIMIT = 10_000;

export class PeerLink implements HostPeerLink {
  readonly #ports: PeerLinkPorts;
  #link: Link | undefined;
  #writer: ItemWriter | undefined;
  #kept: { readonly item: unknown; readonly mark: number }[] = [];
  /** Oldest mark that a link which was lost had not seen accepted. */
  #lostMark: number | undefined;
  #waiters: (() => void)[] = [];
  #abandoned = false;

  constructor(ports: PeerLinkPorts) {
    this.#ports = ports;
  }

  up(port: FramePort, from: number): void {
    const reader = new ItemReader();
    const link: Link = new Link({
      ...this.#ports,
      port,
      itemBytesLimit,
      onFrame: (frame, accept) => {
        const items = this.#read(link, reader, frame);
        if (items !== undefined) this.#ports.onFrame(items, accept);
      },
      onWord: (word) => this.#hear(link, word),
      onRefused: (item, error) => this.#ports.onRefused(writer.original(item), error),
      onWritable: () => this.#resume(),
      onLost: (loss) => {
        if (this.#link !== link) return;
        this.#link = undefined;
        this.#lostMark = link.oldestUnacknowledgedMark();
        this.#ports.onLost(loss);
      },
    });
    const writer = new ItemWriter((item, mark) => link.push(item, mark));
    this.#link = link;
    this.#writer = writer;
    this.#lostMark = undefined;
    const kept = this.#kept;
    this.#kept = [];
    if (from < Number.POSITIVE_INFINITY) for (const { item, mark } of kept) if (mark >= from) writer.write(item, mark);
    this.#resume();
  }

  down(): void {
    const link = this.#link;
    this.#link = undefined;
    this.#lostMark = undefined;
    link?.close();
  }

  /** Ends it for good, with all that it keeps. */
  abandon(): void {
    this.down();
    this.#kept = [];
    this.#abandoned = true;
  }

  push(item: unknown, mark = Number.POSITIVE_INFINITY): void {
    if (this.#abandoned) return;
    if (this.#link === undefined) this.#kept.push({ item, mark });
    else this.#writer?.write(item, mark);
  }

  flush(): void {
    this.#link?.flush();
  }

  get writable(): boolean {
    return this.#link === undefined ? this.#kept.length < KEPT_LIMIT : this.#link.writable;
  }

  /** Many items and many bytes: neither a few large messages nor many small ones are a link's undoing. */
  get fill(): number {
    const link = this.#link;
    if (link === undefined) return 0;
    return Math.min(link.waitingItems / MAILBOX_LIMIT, link.queuedBytes / (link.creditBytes * OVERFLOW_FACTOR));
  }

  tell(word: unknown): void {
    this.#link?.tell(word);
  }

  onceWritable(resume: () => void): void {
    this.#waiters.push(resume);
  }

  oldestUnacknowledgedMark(): number | undefined {
    if (this.#link !== undefined) return this.#link.oldestUnacknowledgedMark();
    let oldest = this.#lostMark ?? Number.POSITIVE_INFINITY;
    for (const { mark } of this.#kept) if (mark < oldest) oldest = mark;
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest;
  }

  /** A frame that decodes, and is none of ours: the peer cannot be trusted, as if its frame had been broken. */
  #read(link: Link, reader: ItemReader, frame: readonly unknown[]): unknown[] | undefined {
    try {
      return reader.read(frame);
    } catch (fault) {
      if (!(fault instanceof FrameError)) throw fault;
      link.refuse(fault);
      return undefined;
    }
  }

  #hear(link: Link, word: unknown): void {
    try {
      this.#ports.onWord?.(word);
    } catch (fault) {
      if (!(fault instanceof FrameError)) throw fault;
      link.refuse(fault);
    }
  }

  #resume(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resume of waiters) resume();
  }
}
