/** What the compiler knows of a definition's actors. Owns: types alone. */
import type { ActorRef } from './actor-ref.ts';

/** The type of references to a definition's actors. */
export type RefOf<D> = D extends {
  readonly types?: { readonly message: (message: infer M) => void; readonly view: infer V };
}
  ? ActorRef<M, V>
  : ActorRef;

/** The type of a definition's input. */
export type InputFor<D> = D extends { readonly types?: { readonly input: (input: infer I) => void } } ? I : unknown;

/** What `spawn` is given. */
export interface SpawnOptions<TInput = unknown> {
  /** The actor's id: with its definition, its address. 1 to 512 characters, without "~". */
  readonly id: string;
  readonly input?: TInput;
  /** For an id that lives: `refuse` (default) or `attach`, which does not start one that has ended (`refuse` does, from its input). */
  readonly ifExists?: 'refuse' | 'attach';
  readonly timeoutMs?: number;
}

/** The input must be given where an actor cannot begin without one. */
export type InputGiven<D> = undefined extends InputFor<D> ? unknown : { readonly input: InputFor<D> };
