/**
 * The state of a cell on its way through the versions of its past.
 *
 * Owns: which version the state is of, whether it is alive or still as it was stored, and its way to a newer version: what a stop in
 * peace and a start of the newer code would have made of it.
 *
 * Invariants:
 * PS1. A turn is repeated by the version that made it, or not at all.
 * PS2. A state comes to a newer version by that version's `migrate`, saved and read back as from the disk. It never goes back.
 * PS3. A stored state is given to a behavior only when a turn or the end needs it: of a version that made no turn to be repeated, nothing
 *      has to be known.
 */
import { asOfVersion, type Definition } from '../kernel/definition.ts';
import { ActorBlockedError, encodeError } from '../kernel/errors.ts';
import { packNext, unpackOne } from '../wire/journal-codec.ts';
import type { Cell } from './cell.ts';

export class PastState {
  readonly #cell: Cell;
  /** The version that the state is of; 0: there is none yet. */
  #version = 0;
  /** As it was stored, until it is wanted alive. */
  #stored: { readonly saved: unknown } | undefined;
  /** What it is, for a diagnosis. */
  #what = 'its state';

  constructor(cell: Cell) {
    this.#cell = cell;
  }

  /** Takes what `version` has stored, `what` names where. */
  store(saved: unknown, version: number, what: string): void {
    this.#stored = { saved };
    this.#version = version;
    this.#what = what;
  }

  /** Throws `ActorBlockedError` when a version later than the definition's has been at work. */
  assertKnown(version: number, what: string): void {
    const { key, definition } = this.#cell;
    if (version <= definition.version) return;
    throw new ActorBlockedError(
      `actor ${key} was ${what} by version ${version} of "${definition.name}", the code has version ${definition.version}: deploy the newer code`,
      { details: { key, version, present: definition.version } },
    );
  }

  /** Brings the state to life as `version` has it. Throws `ActorBlockedError` when nobody can say how. */
  enter(version: number): void {
    if (version === this.#version && this.#stored === undefined) return;
    const cell = this.#cell;
    const edition = this.#editionOf(version);
    try {
      const saved = this.#savedFor(edition);
      cell.edition = edition;
      this.#version = version;
      this.#stored = undefined;
      // One whose start failed has ended without ever having had a state.
      if (saved === undefined || (saved.state === undefined && cell.book.status.kind === 'stopped')) return;
      const behavior = cell.resolveBehavior();
      if (behavior === undefined) {
        throw new ActorBlockedError(
          `actor ${cell.key} is blocked: version ${version} of "${edition.name}" has no inline logic "${cell.book.logic.join('.')}"`,
          { details: { key: cell.key, sequence: cell.sequence } },
        );
      }
      cell.state = behavior.load(saved.state, { self: cell.key, parent: cell.book.parent });
    } catch (error) {
      if (error instanceof ActorBlockedError) throw error;
      throw new ActorBlockedError(
        `actor ${cell.key} is blocked: ${this.#what} does not load: ${encodeError(error).message}`,
        { cause: error, details: { key: cell.key, sequence: cell.sequence } },
      );
    }
  }

  /** The state as plain data of this edition's version; undefined when the cell has none. */
  #savedFor(edition: Definition): { readonly state: unknown } | undefined {
    const cell = this.#cell;
    const from = this.#version;
    if (this.#stored === undefined && cell.behavior === undefined) return undefined;
    if (from === edition.version) return { state: this.#stored?.saved };
    let saved: unknown;
    if (this.#stored === undefined) {
      this.#what = `its state after turn ${cell.sequence}, of version ${from},`;
      saved = cell.behavior?.save(cell.state);
    } else {
      saved = this.#stored.saved;
    }
    // A copy: `migrate` may change what it is given, and that is still needed as it is if the cell is blocked further on.
    const state = asFromDisk(saved);
    if (cell.book.logic.length > 0) return { state };
    if (edition.migrate === undefined) {
      throw new ActorBlockedError(
        `actor ${cell.key} was stored by version ${from} of "${edition.name}", ` +
          `${edition === cell.definition ? 'the code has version' : 'its next turns were made by version'} ${edition.version} and no migrate(): add one`,
        { details: { key: cell.key, sequence: cell.sequence, version: from, present: cell.definition.version } },
      );
    }
    return { state: edition.migrate(state, from) };
  }

  #editionOf(version: number): Definition {
    const { key, definition, sequence } = this.#cell;
    const edition = asOfVersion(definition, version);
    const details = { key, sequence, version, present: definition.version };
    if (edition === undefined) {
      throw new ActorBlockedError(
        `actor ${key} is blocked: its turn ${sequence + 1} was made by version ${version} of "${definition.name}", the code has version ` +
          `${definition.version} and no version ${version} in previous: add it, or start the code that ran last, and stop it`,
        { details },
      );
    }
    if (version < this.#version) {
      throw new ActorBlockedError(
        `actor ${key} is blocked: its turn ${sequence + 1} says version ${version} of "${definition.name}", and version ${this.#version} came before it`,
        { details },
      );
    }
    return edition;
  }
}

function asFromDisk(value: unknown): unknown {
  const packed = packNext(value);
  return unpackOne(Uint8Array.from(packed.subarray(packed.start, packed.end)));
}
