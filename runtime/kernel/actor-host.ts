/**
 * What a part that plugs in needs of an actor system: to start actors, and to talk to them.
 *
 * Owns: the contract alone. `ActorSystem` and `ActorRef` satisfy it; so may a test's own. Plug-ins import this, never the system.
 */
import type { CellKey } from './address.ts';
import type { Definition } from './definition.ts';
import type { Reference } from './reference.ts';

/** How one call is to be made. All have defaults of the system's. */
export interface ActorCallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly idempotencyKey?: string;
  readonly ttlMs?: number;
  readonly traceparent?: string;
}

/** What is seen of an actor from outside. */
export interface ActorSight {
  /** `absent`, `running`, `waiting`, `blocked`, `stopped`, …: as `ActorSnapshot.status`. */
  readonly status: string;
  readonly sequence: number;
  readonly view: unknown;
}

/** A reference to one actor. */
export interface ActorHandle extends Reference {
  tell(message: unknown, options?: ActorCallOptions): Promise<void>;
  ask<TReply = unknown>(message: unknown, options?: ActorCallOptions): Promise<TReply>;
  send(message: unknown): void;
  snapshot(options?: { readonly timeoutMs?: number }): Promise<ActorSight>;
  changes(options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<ActorSight>;
  events(options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<unknown>;
  stop(options?: { readonly timeoutMs?: number; readonly kill?: boolean }): Promise<void>;
}

/** Starts actors and knows the way to them. */
export interface ActorHost {
  spawn(
    definition: Definition,
    options: {
      readonly id: string;
      readonly input?: unknown;
      readonly ifExists?: 'refuse' | 'attach';
      readonly timeoutMs?: number;
    },
  ): Promise<ActorHandle>;
  refOf(key: CellKey): ActorHandle;
  /** Messages that actors could not handle, where the host keeps them. */
  readonly deadLetters?: { purge(ids: readonly string[]): Promise<number> };
}
