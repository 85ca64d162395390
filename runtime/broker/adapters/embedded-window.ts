/**
 * What a queue remembers of its last messages: for duplicates, and for receipts that are asked for later.
 *
 * Owns: the messages of the window, by deduplication key and by id, and how many there are.
 *
 * Invariants:
 * EW1. The oldest leave, in the order of their acceptance, when there are more than `limit`.
 * EW2. Replies have at most `REPLY_BYTES` together: beyond it the oldest are forgotten, their messages not.
 */
import type { EncodedError } from '../../kernel/errors.ts';
import { BATCH_BYTES, ERROR_BYTES, type WireStatus } from './embedded-protocol.ts';

/** What is kept of the replies of one queue: they are written with each of its images. */
const REPLY_BYTES = 1 << 20;

/** Freed places at the front before the list is made anew. */
const COMPACT_AFTER = 1_024;

export interface Remembered {
  readonly id: string;
  readonly dedupe: string | null;
  status: WireStatus['status'];
  atMs: number;
  attempt: number;
  reply: Uint8Array | undefined;
  error: EncodedError | undefined;
}

type Saved = readonly [
  id: string,
  dedupe: string | null,
  status: WireStatus['status'],
  atMs: number,
  attempt: number,
  reply?: Uint8Array | null,
  error?: EncodedError | null,
];

export class Window {
  limit: number;
  readonly #items = new Map<string, Remembered>();
  /** In the order of acceptance, from `#oldest` on: to take the first one out of a map means to pass all that were taken before it. */
  #order: Remembered[] = [];
  #oldest = 0;
  /** Ids of those that have a deduplication key of their own. */
  readonly #byId = new Map<string, Remembered>();
  readonly #replied: Remembered[] = [];
  #replyBytes = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** The message of this id, or of this key, that was accepted before. */
  find(id: string, dedupe: string | null): Remembered | undefined {
    if (dedupe !== null) {
      const keyed = this.#items.get(dedupe);
      if (keyed !== undefined) return keyed;
    }
    return this.#items.get(id) ?? (this.#byId.size === 0 ? undefined : this.#byId.get(id));
  }

  accept(id: string, dedupe: string | null, atMs: number): Remembered {
    const item: Remembered = {
      id,
      dedupe,
      status: 'accepted',
      atMs,
      attempt: 0,
      reply: undefined,
      error: undefined,
    };
    this.#add(item);
    while (this.#order.length - this.#oldest > this.limit) this.#forget();
    return item;
  }

  reply(item: Remembered, reply: Uint8Array): void {
    item.reply = reply;
    this.#replied.push(item);
    this.#replyBytes += reply.length;
    while (this.#replyBytes > REPLY_BYTES) {
      const oldest = this.#replied.shift();
      if (oldest === undefined) break;
      this.#replyBytes -= oldest.reply?.length ?? 0;
      oldest.reply = undefined;
    }
  }

  save(): readonly Saved[] {
    const saved: Saved[] = [];
    for (const { id, dedupe, status, atMs, attempt, reply, error } of this.#order.slice(this.#oldest)) {
      if (error !== undefined) saved.push([id, dedupe, status, atMs, attempt, reply ?? null, error]);
      else if (reply !== undefined) saved.push([id, dedupe, status, atMs, attempt, reply]);
      else saved.push([id, dedupe, status, atMs, attempt]);
    }
    return saved;
  }

  static load(saved: readonly Saved[], limit: number): Window {
    const window = new Window(limit);
    for (const [id, dedupe, status, atMs, attempt, reply, error] of saved) {
      const item: Remembered = { id, dedupe, status, atMs, attempt, reply: undefined, error: error ?? undefined };
      window.#add(item);
      if (reply !== undefined && reply !== null) window.reply(item, reply);
    }
    return window;
  }

  #forget(): void {
    const oldest = this.#order[this.#oldest] as Remembered;
    this.#oldest += 1;
    this.#items.delete(oldest.dedupe ?? oldest.id);
    if (oldest.dedupe !== null) this.#byId.delete(oldest.id);
    if (this.#oldest < COMPACT_AFTER || this.#oldest * 2 < this.#order.length) return;
    this.#order = this.#order.slice(this.#oldest);
    this.#oldest = 0;
  }

  #add(item: Remembered): void {
    this.#order.push(item);
    this.#items.set(item.dedupe ?? item.id, item);
    if (item.dedupe !== null) this.#byId.set(item.id, item);
  }
}

export type SavedWindow = readonly Saved[];

/** How far messages have come: of the first of `ids`, as many as fit into one answer. */
export function statusesOf(window: Window, ids: readonly string[]): readonly (WireStatus | null)[] {
  const statuses: (WireStatus | null)[] = [];
  let bytes = 0;
  for (const id of ids) {
    const status = statusOf(window, id);
    bytes += status?.reply?.length ?? 0;
    if (status?.error !== undefined) bytes += ERROR_BYTES;
    if (statuses.length > 0 && bytes > BATCH_BYTES) break;
    statuses.push(status);
  }
  return statuses;
}

/** How far a message has come, as the window remembers it. */
function statusOf(window: Window, id: string): WireStatus | null {
  const item = window.find(id, null);
  if (item === undefined) return null;
  const { status, atMs, attempt, reply, error } = item;
  return {
    status,
    atMs,
    attempt,
    ...(reply === undefined ? {} : { reply }),
    ...(error === undefined ? {} : { error }),
  };
}
