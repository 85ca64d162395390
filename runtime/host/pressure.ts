/**
 * Back-pressure: who waits for whom.
 *
 * Owns: cells that are paused and what they wait for, mailboxes whose senders wait, and actors for which calls from outside are
 * being refused until they have room. Knows nothing of what is sent. Who waits in a circle is `standstill.ts`.
 *
 * Invariants:
 * BP1. A paused cell runs again when everything that it waits for has happened, or it was relieved of.
 * BP2. While an actor is refusing, every call from outside is refused, in order, until the outside has said `resume`: it may
 *      not overtake those that were refused before it. So the cell stays in memory meanwhile.
 * BP3. Every `hold` is answered once, with room for one call at least.
 * BP4. A relieved cell does not wait for what it was relieved of until its own mailbox is down to half. Then those are told that
 *      wait for it in the same circle; the others after the next look, if it still has room: a circle that is as full as it can be
 *      lets no more in from outside.
 */
import type { Cell } from '../cell/cell.ts';
import { MAILBOX_LIMIT, OVERFLOW_FACTOR } from '../kernel/limits.ts';
import type { HostLink } from './items.ts';

/** What a cell waits for: room in a cell of its host, or credit of the link to another host, named by its slot. */
export type Awaited = Cell | number;

/** Somebody who waits for a mailbox to be half empty: a cell, the link from a slot, or the outside (`undefined`). */
export interface Waiter {
  readonly source: Cell | number | undefined;
  /** The span between two looks in which it began. */
  readonly since: number;
  readonly run: () => void;
}

export interface Pause {
  readonly since: number;
  readonly resume: () => void;
}

interface Relief {
  readonly of: ReadonlySet<Awaited>;
  readonly circle: ReadonlySet<Cell | number>;
  /** It is down to half: what is left are the strangers that wait for it. */
  isOver: boolean;
}

/** How near a mailbox is, at 1, to holding so much that nobody is relieved of waiting for it. */
export function fillOf(cell: Cell): number {
  return cell.mailbox.userLength / Math.max(cell.definition.mailboxLimit * OVERFLOW_FACTOR, MAILBOX_LIMIT);
}

export class Pressure {
  readonly #resumed: (cell: Cell) => void;
  readonly #waits: () => void;
  readonly #paused = new Map<Cell, Map<Awaited | symbol, Pause>>();
  readonly #onDrained = new Map<Cell, Waiter[]>();
  readonly #relieved = new Map<Cell, Relief>();
  readonly #refusing = new Set<Cell>();
  /** Grows with every look at who waits in a circle: what began before the last one is old. */
  span = 0;

  /** `resumed` is called for a cell that may run again, `waits` when somebody begins to wait. */
  constructor(resumed: (cell: Cell) => void, waits: () => void) {
    this.#resumed = resumed;
    this.#waits = waits;
  }

  isPaused(cell: Cell): boolean {
    return this.#paused.size > 0 && this.#paused.has(cell);
  }

  /** Whether nobody waits for another look. */
  get isCalm(): boolean {
    return this.#paused.size === 0 && this.#relieved.size === 0;
  }

  /** What a cell waits for; symbols are what ends by itself. */
  waitsOf(cell: Cell): ReadonlyMap<Awaited | symbol, Pause> | undefined {
    return this.#paused.get(cell);
  }

  /** Mailboxes that somebody waits for, and who. */
  get awaited(): ReadonlyMap<Cell, readonly Waiter[]> {
    return this.#onDrained;
  }

  /** Stops a cell until the returned function is called; as often as it was stopped. */
  pause(cell: Cell): () => void {
    return this.#pause(cell, Symbol('until told'));
  }

  pauseUntil(sender: Cell, until: { readonly drained: Cell } | { readonly writable: HostLink; slot: number }): void {
    const target = 'drained' in until ? until.drained : until.slot;
    if (this.#paused.get(sender)?.has(target) === true || this.#isRelieved(sender, target)) return;
    const resume = this.#pause(sender, target);
    if ('drained' in until) this.whenDrained(until.drained, resume, sender);
    else until.writable.onceWritable(resume);
    this.#waits();
  }

  /** Runs `run` when the mailbox of `cell` is down to half. `source` is what waits until then. */
  whenDrained(cell: Cell, run: () => void, source?: Cell | number): void {
    const waiting = this.#onDrained.get(cell);
    const waiter: Waiter = { source, since: this.span, run };
    if (waiting === undefined) this.#onDrained.set(cell, [waiter]);
    else waiting.push(waiter);
  }

  /** To be called after a cell has worked. */
  worked(cell: Cell): void {
    if (this.#onDrained.size === 0 || cell.mailbox.userLength * 2 > cell.definition.mailboxLimit) return;
    const waiting = this.#onDrained.get(cell);
    if (waiting === undefined) return;
    const relief = this.#relieved.get(cell);
    if (relief === undefined) {
      this.#onDrained.delete(cell);
      for (const { run } of waiting) run();
    } else if (!relief.isOver) {
      relief.isOver = true;
      const isStranger = ({ source }: Waiter): boolean => source === undefined || !relief.circle.has(source);
      this.#onDrained.set(cell, waiting.filter(isStranger));
      for (const waiter of waiting) if (!isStranger(waiter)) waiter.run();
    }
  }

  /** Lets a cell that waits in a circle go on without what it waits for there. */
  relieve(cell: Cell, of: ReadonlySet<Awaited>, circle: ReadonlySet<Cell | number>): void {
    const earlier = this.#relieved.get(cell);
    const isMore = earlier !== undefined && !earlier.isOver;
    this.#relieved.set(cell, {
      of: isMore ? new Set([...earlier.of, ...of]) : of,
      circle: isMore ? new Set([...earlier.circle, ...circle]) : circle,
      isOver: false,
    });
    const pauses = this.#paused.get(cell);
    for (const target of of) {
      const resume = pauses?.get(target)?.resume;
      if (resume === undefined) continue;
      const waiting = typeof target === 'number' ? undefined : this.#onDrained.get(target);
      const at = waiting?.findIndex(({ run }) => run === resume) ?? -1;
      if (at !== -1) waiting?.splice(at, 1);
      resume();
    }
  }

  /** A look is over: what begins now is younger than it. */
  endSpan(): void {
    this.span += 1;
    for (const [cell, { isOver }] of this.#relieved) {
      if (!isOver) continue;
      this.#relieved.delete(cell);
      this.worked(cell);
    }
  }

  /** A cell was loaded again as another one: nobody needs to wait for the old one any more. */
  replaced(old: Cell, cell: Cell): void {
    const waiting = this.#onDrained.get(old) ?? [];
    this.#onDrained.delete(old);
    this.#relieved.delete(old);
    if (this.#refusing.delete(old)) this.#refuse(cell);
    for (const { run } of waiting) run();
  }

  /** Whether a call from outside must be refused. */
  refuses(cell: Cell): boolean {
    if (this.#refusing.has(cell)) return true;
    if (!cell.full) return false;
    this.#refuse(cell);
    return true;
  }

  /** The outside holds all calls for the cell back; `ready` is called when there is room, now or later. */
  hold(cell: Cell, ready: (room: number) => void): void {
    const { mailboxLimit } = cell.definition;
    const answer = (): void => ready(Math.max(1, mailboxLimit - cell.mailbox.userLength));
    this.#refuse(cell);
    if (cell.mailbox.userLength * 2 <= mailboxLimit) answer();
    else this.whenDrained(cell, answer);
  }

  /** The outside has what was refused ready, in order. */
  admit(cell: Cell): void {
    if (this.#refusing.delete(cell)) cell.holds -= 1;
  }

  #refuse(cell: Cell): void {
    if (this.#refusing.has(cell)) return;
    this.#refusing.add(cell);
    cell.holds += 1;
  }

  #isRelieved(cell: Cell, target: Awaited): boolean {
    const relief = this.#relieved.get(cell);
    return relief !== undefined && !relief.isOver && relief.of.has(target);
  }

  #pause(cell: Cell, target: Awaited | symbol): () => void {
    let pauses = this.#paused.get(cell);
    if (pauses === undefined) {
      pauses = new Map();
      this.#paused.set(cell, pauses);
    }
    const own = pauses;
    const resume = (): void => {
      if (own.get(target) !== pause) return;
      own.delete(target);
      if (own.size > 0) return;
      this.#paused.delete(cell);
      this.#resumed(cell);
    };
    const pause: Pause = { since: this.span, resume };
    own.set(target, pause);
    return resume;
  }
}
