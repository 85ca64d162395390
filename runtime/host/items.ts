/**
 * What travels on a host's links, besides envelopes.
 *
 * Owns: the vocabulary between hosts and the outside (the system on the main thread). An item is an `Envelope`, as it is, or one
 * of the tuples below: the first element tells.
 */
import type { CellKey } from '../kernel/address.ts';
import type { EncodedError } from '../kernel/errors.ts';
import type { Envelope } from '../kernel/message.ts';

/** From a host to the outside. */
export type Outbound =
  /** These tells are durably accepted. */
  | readonly ['receipts', readonly number[]]
  | readonly ['reply', call: number, value: unknown]
  | readonly ['fail', call: number, error: EncodedError]
  /** No room in the mailbox: hold this and everything for the actor, and say `hold`. */
  | readonly ['busy', call: number, key: CellKey]
  /** The answer to `hold`, once the actor has room for so many calls. Everything that was refused before the `hold` has come before it. */
  | readonly ['ready', key: CellKey, hold: number, room: number]
  /** An observed actor after a committed turn. */
  | readonly ['view', key: CellKey, sequence: number, status: string, view: unknown]
  | readonly ['event', key: CellKey, event: unknown]
  /** Something that operators want to know. */
  | readonly ['notice', notice: Notice];

/** To a host: from the outside, and (messages, `probe`, `follow`) from other hosts. */
export type Inbound =
  | Envelope
  /** An actor has come back that has this one in memory for a child: if that start of it has ended, the parent is to be told. */
  | readonly ['probe', key: CellKey, parent: CellKey, childId: string, incarnation: number]
  /** Refuse calls for the actor until `resume`, and say `ready` when it has room. */
  | readonly ['hold', key: CellKey, hold: number]
  /** Take calls for the actor again: what follows was held, in order. */
  | readonly ['resume', key: CellKey]
  | readonly ['observe', key: CellKey, call: number]
  | readonly ['unobserve', key: CellKey]
  /** Show the actor's states and events to the `ActorPort` of a host, from now on: as messages to it. */
  | readonly ['follow', key: CellKey, follower: CellKey]
  | readonly ['unfollow', key: CellKey, follower: CellKey]
  | readonly ['inspect', key: CellKey, call: number]
  | readonly ['unblock', key: CellKey, call: number];

export type Notice =
  | { readonly kind: 'blocked'; readonly key: CellKey; readonly error: EncodedError }
  | { readonly kind: 'dead_letter'; readonly id: string; readonly key: CellKey; readonly error: EncodedError }
  | { readonly kind: 'storage'; readonly state: 'full' | 'ok' }
  /** These wait for each other: one was let go on, or nothing can be done, since what they wait for is overfull. */
  | { readonly kind: 'standstill'; readonly state: 'relieved' | 'stuck'; readonly keys: readonly CellKey[] }
  | { readonly kind: 'log'; readonly key: CellKey; readonly values: readonly unknown[] };

/** What `inspect` and the first `observe` answer. */
export interface CellReport {
  readonly key: CellKey;
  readonly sequence: number;
  readonly status: 'absent' | 'running' | 'stopped' | 'blocked' | 'waiting';
  readonly view: unknown;
  readonly mailbox: number;
  readonly error?: EncodedError | undefined;
}

/** What a host needs of a link. `runtime/transport`'s `Link` is one. */
export interface HostLink {
  push(item: unknown, mark?: number): void;
  flush(): void;
  readonly writable: boolean;
  /** Calls once when the link is writable again. */
  onceWritable(resume: () => void): void;
  oldestUnacknowledgedMark(): number | undefined;
}

/** A link to another host. */
export interface HostPeerLink extends HostLink {
  /** How near it is, at 1, to keeping so much beyond its credit that nobody is relieved of waiting for it. */
  readonly fill: number;
  /** Says something that needs no credit, at once. Lost when the link is down. */
  tell(word: unknown): void;
}

/** Smallest mark of everything on these links that its receiver has not accepted. */
export function oldestMark(links: Iterable<HostLink>): number | undefined {
  let oldest: number | undefined;
  for (const link of links) {
    const mark = link.oldestUnacknowledgedMark();
    if (mark !== undefined && (oldest === undefined || mark < oldest)) oldest = mark;
  }
  return oldest;
}
