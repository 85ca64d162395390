/**
 * The checkpoint's two rounds: how the journal learns that nothing below a position is needed any more.
 *
 * Owns: who has been asked and who has answered. Imaging is the hosts' work, the commit is the journal's.
 *
 * Why two rounds: an obligation may move between hosts while the first one runs. Host 1 answers, then host 0 hands it a message
 * that was committed below the target, and answers too: host 1 now holds an obligation that neither has imaged. After a first
 * round every message below the target has been handed over, so that the second one finds all of them where they will stay.
 *
 * Invariants:
 * K1. The checkpoint moves to the target only after every host has answered both rounds, in the same incarnation.
 * K2. A host is asked only after it has loaded every cell that a recovery left behind its image: it cannot image what it has not.
 */
import type { CellKey } from '../kernel/address.ts';

/** What the checkpoint needs of the journal. */
export interface CheckpointWork {
  /** Whether every slot has a host that knows what it owes. */
  allReady(): boolean;
  readonly slots: number;
  ask(slot: number, round: number, target: number): void;
  /** Cells of `slot` that nobody has loaded and whose images are behind. */
  behind(slot: number): readonly CellKey[];
  /** Asks their hosts to load them. */
  wake(keys: readonly CellKey[]): void;
  /** Both rounds are through. */
  commit(target: number): void;
}

type State =
  | { readonly kind: 'idle' }
  /** Wanted, and waiting for all hosts to be there. */
  | { readonly kind: 'wanted' }
  | {
      readonly kind: 'running';
      readonly target: number;
      readonly round: number;
      readonly first: boolean;
      readonly unanswered: Set<number>;
    }
  | { readonly kind: 'committing' };

export class Checkpoint {
  readonly #work: CheckpointWork;
  #state: State = { kind: 'idle' };
  #round = 0;
  /** Cells that a slot must load before it is asked. */
  readonly #summoned = new Map<number, Set<CellKey>>();

  constructor(work: CheckpointWork) {
    this.#work = work;
  }

  get isIdle(): boolean {
    return this.#state.kind === 'idle';
  }

  /** Starts, or will start when every host is there. */
  start(target: number): void {
    if (this.#state.kind === 'running' || this.#state.kind === 'committing') return;
    if (!this.#work.allReady()) {
      this.#state = { kind: 'wanted' };
      return;
    }
    this.#enterRound(target, true);
  }

  /** A host has come, or was told what it owes. */
  ready(target: number): void {
    if (this.#state.kind === 'wanted') this.start(target);
  }

  /** A host has gone: what it answered is worth nothing now. */
  disconnected(): void {
    if (this.#state.kind !== 'running') return;
    this.#summoned.clear();
    this.#state = { kind: 'wanted' };
  }

  /** `key` was given to its host. */
  loaded(slot: number, key: CellKey): void {
    const summoned = this.#summoned.get(slot);
    if (summoned === undefined || !summoned.delete(key) || summoned.size > 0) return;
    this.#summoned.delete(slot);
    if (this.#state.kind === 'running') this.#work.ask(slot, this.#state.round, this.#state.target);
  }

  /** A host's answer. */
  clean(slot: number, round: number): void {
    const state = this.#state;
    if (state.kind !== 'running' || state.round !== round || !state.unanswered.delete(slot)) return;
    if (state.unanswered.size > 0) return;
    if (state.first) {
      this.#enterRound(state.target, false);
      return;
    }
    this.#state = { kind: 'committing' };
    this.#work.commit(state.target);
  }

  committed(): void {
    this.#state = { kind: 'idle' };
  }

  #enterRound(target: number, first: boolean): void {
    const round = ++this.#round;
    const slots = Array.from({ length: this.#work.slots }, (_, slot) => slot);
    this.#state = { kind: 'running', target, round, first, unanswered: new Set(slots) };
    for (const slot of slots) {
      const keys = first ? this.#work.behind(slot) : [];
      if (keys.length > 0) {
        this.#summoned.set(slot, new Set(keys));
        this.#work.wake(keys);
      } else {
        this.#work.ask(slot, round, target);
      }
      // A host may answer at once, and the round may be over before the last one was asked.
      if (this.#state.kind !== 'running' || this.#state.round !== round) return;
    }
  }
}
