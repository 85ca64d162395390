/**
 * References as values: what messages and states carry in place of a live `ActorRef`.
 *
 * Owns: the value form and its mark. `ActorRef` (system) and XState's refs (actors/machine) become this on the wire and in
 * the journal, and come back as what the receiving side makes of it.
 */
import type { CellKey } from './address.ts';

/** Anything that names a cell. XState may hold one in context and `sendTo` it. */
export class Reference {
  readonly key: CellKey;

  constructor(key: CellKey) {
    this.key = key;
  }

  toJSON(): { readonly actor$: CellKey } {
    return { actor$: this.key };
  }
}
