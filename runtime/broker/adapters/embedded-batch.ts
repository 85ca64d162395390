/**
 * Many messages as few values: all of them in one piece of bytes, and what is said of them in runs.
 *
 * Owns: the forms of a batch on its way to a queue, of the queue's word on it, of hand-outs on their way from it, and of what was handled.
 * A tuple with bytes of its own for each message takes many times as long to pack, and each batch is packed three times: for the way,
 * for the journal, and for the way back.
 *
 * Invariants:
 * ET1. What comes out is what was put in, in order. Messages are parts of one piece, which lives as long as any of them.
 */
import type { CarriedMessage } from '../broker-adapter.ts';
import { blockOf, type ByteRoom, idAt, type MessagePacker } from './embedded-frame.ts';
import { bytesOf, type Entry } from './embedded-entry.ts';
import { BATCH_BYTES, BATCH_MESSAGES, type Verdict, type WireMessage } from './embedded-protocol.ts';

/** What a message has beside its key and its bytes: mostly nothing. */
type Rest = readonly [at: number, dedupe: string | null, expiresAtMs: number, notBeforeMs: number];

export interface PackedBatch {
  readonly count: number;
  /** Null, and what is missing at the end: the same as the one before. */
  readonly keys: readonly (string | null)[];
  readonly rest: readonly Rest[];
  /** Of each message: its size (uint32), then its bytes. */
  readonly bytes: Uint8Array;
}

/** A message of a batch, as its queue takes it. One object for all: it is to be read at once. */
export interface Arrival {
  id: string;
  key: string;
  dedupe: string | null;
  expiresAtMs: number;
  notBeforeMs: number;
  block: Uint8Array;
  start: number;
  size: number;
}

const SIZE_BYTES = 4;
const FIRST_BYTES = 1 << 10;
const GROWTH = 4;
const ROOMY_BYTES = 64 << 10;

/** A batch that is being filled. */
export class BatchBuilder implements ByteRoom {
  bytes: Buffer = Buffer.from(new ArrayBuffer(FIRST_BYTES));
  length = 0;
  /** Where each message begins. */
  readonly starts: number[] = [];
  readonly #keys: (string | null)[] = [];
  readonly #rest: Rest[] = [];
  #lastKey: string | undefined;

  get count(): number {
    return this.starts.length;
  }

  get isFull(): boolean {
    return this.starts.length >= BATCH_MESSAGES || this.length >= BATCH_BYTES;
  }

  reserve(room: number): void {
    const needed = this.length + room;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.from(new ArrayBuffer(Math.max(needed, this.bytes.length * GROWTH)));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  /** Appends a message, and nothing when it throws. */
  add(packer: MessagePacker, header: CarriedMessage['header'], payload: unknown, isBytes: boolean): void {
    const start = this.#begin();
    try {
      packer.pack(this, header, payload, isBytes);
    } catch (error) {
      this.length = start - SIZE_BYTES;
      throw error;
    }
    this.#end(
      start,
      header.key ?? header.source,
      dedupeOf(header.idempotencyKey),
      header.expiresAtMs ?? 0,
      header.notBeforeMs ?? 0,
    );
  }

  /** Appends what is packed already. */
  addPacked([, key, dedupe, expiresAtMs, notBeforeMs, bytes]: WireMessage): void {
    const start = this.#begin();
    this.reserve(bytes.length);
    this.bytes.set(bytes, start);
    this.length = start + bytes.length;
    this.#end(start, key, dedupe, expiresAtMs, notBeforeMs);
  }

  /** Appends the last message of another batch. */
  addLastOf(other: BatchBuilder): void {
    const at = other.starts.length - 1;
    const [, dedupe = null, expiresAtMs = 0, notBeforeMs = 0] = other.#restOf(at);
    this.addPacked(['', other.#lastKey ?? '', dedupe, expiresAtMs, notBeforeMs, other.packedAt(at)]);
  }

  /** When the last message has made this batch too large: that message, as a batch of its own. Nothing is added to this one then. */
  splitLast(): BatchBuilder | undefined {
    const at = this.starts.length - 1;
    if (at < 1 || this.length <= BATCH_BYTES) return undefined;
    const last = new BatchBuilder();
    last.addLastOf(this);
    if (this.#restOf(at).length > 0) this.#rest.pop();
    this.length = (this.starts.pop() as number) - SIZE_BYTES;
    if (this.#keys.length > at) this.#keys.pop();
    return last;
  }

  /** The bytes of a message; a view. */
  packedAt(at: number): Uint8Array {
    const start = this.starts[at] as number;
    return new Uint8Array(
      this.bytes.buffer,
      this.bytes.byteOffset + start,
      this.bytes.readUInt32BE(start - SIZE_BYTES),
    );
  }

  /** Nothing is added afterwards. */
  packed(): PackedBatch {
    // It may be kept for a while: not with much more room than it needs.
    if (this.bytes.length > ROOMY_BYTES && this.bytes.length > this.length * 2) {
      this.bytes = Buffer.from(new Uint8Array(this.bytes.subarray(0, this.length)).buffer);
    }
    return {
      count: this.starts.length,
      keys: this.#keys,
      rest: this.#rest,
      bytes: this.bytes.subarray(0, this.length),
    };
  }

  #restOf(at: number): Rest | readonly [] {
    const last = this.#rest.at(-1);
    return last?.[0] === at ? last : [];
  }

  #begin(): number {
    this.reserve(SIZE_BYTES);
    this.length += SIZE_BYTES;
    return this.length;
  }

  #end(start: number, key: string, dedupe: string | null, expiresAtMs: number, notBeforeMs: number): void {
    this.bytes.writeUInt32BE(this.length - start, start - SIZE_BYTES);
    const at = this.starts.length;
    this.starts.push(start);
    if (key !== this.#lastKey) {
      while (this.#keys.length < at) this.#keys.push(null);
      this.#keys.push(key);
      this.#lastKey = key;
    }
    if (dedupe !== null || expiresAtMs !== 0 || notBeforeMs !== 0) {
      this.#rest.push([at, dedupe, expiresAtMs, notBeforeMs]);
    }
  }
}

/** No id begins so. */
export const dedupeOf = (idempotencyKey: string | undefined): string | null =>
  idempotencyKey === undefined ? null : `\0${idempotencyKey}`;

/** A message that came alone. */
export function arrivalOf([id, key, dedupe, expiresAtMs, notBeforeMs, bytes]: WireMessage): Arrival {
  return { id, key, dedupe, expiresAtMs, notBeforeMs, block: bytes, start: 0, size: bytes.length };
}

export function packBatch(messages: readonly WireMessage[]): PackedBatch {
  const builder = new BatchBuilder();
  for (const message of messages) builder.addPacked(message);
  return builder.packed();
}

export function eachOfBatch(batch: PackedBatch, each: (message: Arrival) => void): void {
  const { count, keys, rest } = batch;
  const { text, bytes } = blockOf(batch.bytes);
  const arrival: Arrival = {
    id: '',
    key: '',
    dedupe: null,
    expiresAtMs: 0,
    notBeforeMs: 0,
    block: bytes,
    start: 0,
    size: 0,
  };
  let offset = 0;
  let nextRest = 0;
  for (let at = 0; at < count; at++) {
    arrival.key = keys[at] ?? arrival.key;
    arrival.size = text.readUInt32BE(offset);
    arrival.start = offset + SIZE_BYTES;
    offset = arrival.start + arrival.size;
    arrival.id = idAt(text, arrival.start);
    const more = rest[nextRest];
    if (more?.[0] === at) {
      nextRest += 1;
      arrival.dedupe = more[1];
      arrival.expiresAtMs = more[2];
      arrival.notBeforeMs = more[3];
    } else {
      arrival.dedupe = null;
      arrival.expiresAtMs = 0;
      arrival.notBeforeMs = 0;
    }
    each(arrival);
  }
}

/** A queue's word on a batch: messages get numbers one after another, and mostly all of them do. */
export interface PackedVerdicts {
  /** Of the first message that got one. */
  readonly first: number;
  readonly others: readonly (readonly [at: number, verdict: string | 0])[];
}

export function packVerdicts(verdicts: readonly Verdict[]): PackedVerdicts {
  let first = 0;
  const others: (readonly [number, string | 0])[] = [];
  for (let at = 0; at < verdicts.length; at++) {
    const verdict = verdicts[at] as Verdict;
    if (typeof verdict === 'string' || verdict === 0) others.push([at, verdict]);
    else if (first === 0) first = verdict;
  }
  return { first, others };
}

/** Calls `each` with the verdict on each of `count` messages. */
export function eachVerdict(
  { first, others }: PackedVerdicts,
  count: number,
  each: (at: number, verdict: Verdict) => void,
): void {
  let next = first;
  let other = 0;
  for (let at = 0; at < count; at++) {
    const said = others[other];
    if (said?.[0] === at) {
      other += 1;
      each(at, said[1]);
    } else {
      each(at, next);
      next += 1;
    }
  }
}

/** Pieces as one. */
export interface PackedParts {
  readonly sizes: readonly number[];
  readonly bytes: Uint8Array;
}

export interface PackedHandOuts extends PackedParts {
  /**
   * Eight for each run of messages whose numbers and leases follow one another: number, lease, how many, attempt, first time, redrives,
   * times lost, and 1 when the process that takes them has their bytes (`isKept`).
   */
  readonly runs: readonly number[];
}

/** Numbers of a run. */
export const RUN = 8;
export const NO_BYTES: Uint8Array = new Uint8Array(0);
const NO_PARTS: PackedParts = { sizes: [], bytes: NO_BYTES };
export const NO_HAND_OUTS: PackedHandOuts = { runs: [], ...NO_PARTS };

/** Hand-outs that are being collected. */
export class HandOutBuilder {
  readonly #runs: number[] = [];
  readonly #parts: Uint8Array[] = [];
  /** Bytes of all messages, also of those that do not travel. */
  bytes = 0;
  count = 0;

  add(entry: Entry, isKept: boolean): void {
    const { seq, lease, attempt, firstMs, redrives, lost } = entry;
    const runs = this.#runs;
    const last = runs.length - RUN;
    this.count += 1;
    this.bytes += entry.size;
    const kept = isKept ? 1 : 0;
    if (!isKept) this.#parts.push(bytesOf(entry));
    if (last >= 0) {
      const length = runs[last + 2] as number;
      if (
        runs[last] === seq - length &&
        runs[last + 1] === lease - length &&
        runs[last + 3] === attempt &&
        runs[last + 4] === firstMs &&
        runs[last + 5] === redrives &&
        runs[last + 6] === lost &&
        runs[last + 7] === kept
      ) {
        runs[last + 2] = length + 1;
        return;
      }
    }
    runs.push(seq, lease, 1, attempt, firstMs, redrives, lost, kept);
  }

  packed(): PackedHandOuts {
    return this.count === 0 ? NO_HAND_OUTS : { runs: this.#runs, ...packParts(this.#parts) };
  }
}

export function packParts(parts: readonly Uint8Array[]): PackedParts {
  if (parts.length === 0) return NO_PARTS;
  const sizes = parts.map(({ length }) => length);
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return { sizes, bytes };
}

/** Three for each run of hand-outs that were handled: number and lease of the first, and how many follow one another. */
export type HandledRuns = readonly number[];

/** Adds a hand-out to `runs`. */
export function addHandled(runs: number[], seq: number, lease: number): void {
  const last = runs.length - 3;
  if (last >= 0) {
    const length = runs[last + 2] as number;
    if (runs[last] === seq - length && runs[last + 1] === lease - length) {
      runs[last + 2] = length + 1;
      return;
    }
  }
  runs.push(seq, lease, 1);
}

export function eachHandled(runs: HandledRuns, each: (seq: number, lease: number) => void): void {
  for (let run = 0; run < runs.length; run += 3) {
    const count = runs[run + 2] as number;
    for (let at = 0; at < count; at++) each((runs[run] as number) + at, (runs[run + 1] as number) + at);
  }
}
