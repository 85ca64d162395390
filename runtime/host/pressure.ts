/**
 * Back-pressure: who waits for whom.
 *
 * Owns: cells that are paused and what they wait for, mailboxes whose senders wait, and actors for which calls from outside are
 * being refused until they have room. Knows nothing of what is sent.
 *
 * Invariants:
 * BP1. A paused cell runs again when everything that it waits for has happened.
 * BP2. While an actor is refusing, every call from outside is refused, in order, until the outside has said `resume`: it may
 *      not overtake those that were refused before it.
 * BP3. Every `hold` is answered once, with room for one call at least.
 */
import type { Cell } from '../cell/cell.ts';
import type { HostLink } from './items.ts';

export class Pressure {
  readonly #resumed: (cell: Cell) => void;
  readonly #paused = new Map<Cell, number>();
  readonly #onDrained = new Map<Cell, (() => void)[]>();
  readonly #refusing = new Set<Cell>();

  /** `resumed` is called for a cell that may run again. */
  constructor(resumed: (cell: Cell) => void) {
    this.#resumed = resumed;
  }

  isPaused(cell: Cell): boolean {
    return this.#paused.size > 0 && this.#paused.has(cell);
  }

  /** Stops a cell until the returned function is called; as often as it was stopped. */
  pause(cell: Cell): () => void {
    this.#paused.set(cell, (this.#paused.get(cell) ?? 0) + 1);
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      const left = (this.#paused.get(cell) ?? 1) - 1;
      if (left > 0) {
        this.#paused.set(cell, left);
        return;
      }
      this.#paused.delete(cell);
      this.#resumed(cell);
    };
  }

  pauseUntil(sender: Cell, until: { readonly drained: Cell } | { readonly writable: HostLink }): void {
    const resume = this.pause(sender);
    if ('drained' in until) this.whenDrained(until.drained, resume);
    else until.writable.onceWritable(resume);
  }

  /** Runs `run` when the mailbox of `cell` is down to half. */
  whenDrained(cell: Cell, run: () => void): void {
    const waiting = this.#onDrained.get(cell);
    if (waiting === undefined) this.#onDrained.set(cell, [run]);
    else waiting.push(run);
  }

  /** To be called after a cell has worked. */
  worked(cell: Cell): void {
    if (this.#onDrained.size === 0 || cell.mailbox.userLength * 2 > cell.definition.mailboxLimit) return;
    const waiting = this.#onDrained.get(cell);
    if (waiting === undefined) return;
    this.#onDrained.delete(cell);
    for (const run of waiting) run();
  }

  /** Whether a call from outside must be refused. */
  refuses(cell: Cell): boolean {
    if (this.#refusing.has(cell)) return true;
    if (!cell.full) return false;
    this.#refusing.add(cell);
    return true;
  }

  /** The outside holds all calls for the cell back; `ready` is called when there is room, now or later. */
  hold(cell: Cell, ready: (room: number) => void): void {
    const { mailboxLimit } = cell.definition;
    const answer = (): void => ready(Math.max(1, mailboxLimit - cell.mailbox.userLength));
    this.#refusing.add(cell);
    if (cell.mailbox.userLength * 2 <= mailboxLimit) answer();
    else this.whenDrained(cell, answer);
  }

  /** The outside has what was refused ready, in order. */
  admit(cell: Cell): void {
    this.#refusing.delete(cell);
  }
}
