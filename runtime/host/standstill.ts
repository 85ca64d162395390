/**
 * Actors that wait for each other in a circle, and how they go on.
 *
 * A cell waits for room in a mailbox of its host, or for credit of a link; a link waits for the full mailboxes that keep its frames
 * unaccepted. A cell needs all that it waits for, so a circle of waits that lasts is a standstill, and without a circle there is none:
 * whoever is waited for at the end works, or is blocked by something with a name. Each host knows the waits within it, and tells the
 * others which link to it waits for which link from it.
 *
 * Owns: looking for circles while anybody waits, those words, and choosing who is relieved. Waiting itself is `pressure.ts`.
 *
 * Invariants:
 * ST1. A circle that has stood between two looks has one of its cells relieved in every host that it passes, unless all of them
 *      wait for something so overfull (`fill` of 1) that more would not be bounded. That is reported, and looked at again.
 * ST2. Nobody is relieved who is on no circle: a chain whose end stands still waits, however long.
 * ST3. Nothing is done while nobody waits.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Clock, Wait } from '../kernel/clock.ts';
import { FrameError } from '../kernel/errors.ts';
import { STANDSTILL_LOOK_MS, STANDSTILL_LOOK_MS_LIMIT } from '../kernel/limits.ts';
import { Cell } from '../cell/cell.ts';
import { type Awaited, fillOf, type Pressure } from './pressure.ts';
import { WaitGraph } from './wait-graph.ts';

export interface StandstillPorts {
  readonly slot: number;
  readonly hosts: number;
  readonly clock: Clock;
  readonly pressure: Pressure;
  /** How overfull the link to a slot is. */
  readonly fill: (slot: number) => number;
  readonly tell: (slot: number, word: readonly number[]) => void;
  /** Actors here that wait in circles: one of them was relieved, or none could be. */
  readonly report: (state: 'relieved' | 'stuck', keys: readonly CellKey[]) => void;
}

/** A link, by its ends: `from>to`. */
type LinkName = `${number}>${number}`;
type Node = Cell | LinkName;

/** Relief comes many times a second where a ring is crowded: it is reported when there was none for so long. */
const CALM_MS = 60_000;
/** A ring that is overfull here may go on by relief elsewhere: it is stuck when it has been so for so long. */
const STUCK_AFTER_MS = 5_000;
const TOLD = Number.POSITIVE_INFINITY;

export class Standstill {
  readonly #ports: StandstillPorts;
  /** What other hosts said last: pairs `from, to` for a link from a slot to them that waits for the one from them to a slot. */
  readonly #heard = new Map<number, readonly number[]>();
  readonly #said = new Map<number, string>();
  #relievedMs = Number.NEGATIVE_INFINITY;
  /** Actors that were found stuck when it was looked last, and since when; `TOLD` once it is reported. */
  #stuck: ReadonlyMap<CellKey, number> = new Map();
  #wait: Wait | undefined;
  #waitMs = STANDSTILL_LOOK_MS;
  #news = false;
  #closed = false;

  constructor(ports: StandstillPorts) {
    this.#ports = ports;
  }

  /** Somebody waits who did not, or another host has said so. */
  news(): void {
    if (this.#wait !== undefined && this.#waitMs === STANDSTILL_LOOK_MS) {
      this.#news = true;
      return;
    }
    this.#wait?.cancel();
    this.#lookIn(STANDSTILL_LOOK_MS);
  }

  /** Takes the word of another host. Throws `FrameError` for one that is none. */
  heard(slot: number, word: unknown): void {
    const { hosts, pressure } = this.#ports;
    const isSlot = (value: unknown): boolean =>
      Number.isInteger(value) && (value as number) >= 0 && (value as number) < hosts;
    if (!Array.isArray(word) || word.length % 2 !== 0 || word.length > 2 * hosts * hosts || !word.every(isSlot))
      throw new FrameError('a host said something else than who waits');
    this.#heard.set(slot, word as number[]);
    if (!pressure.isCalm) this.news();
  }

  /** The link to a slot is new: what either side had said was said to another. */
  linked(slot: number): void {
    this.#heard.delete(slot);
    this.#said.delete(slot);
    if (!this.#ports.pressure.isCalm) this.news();
  }

  close(): void {
    this.#closed = true;
    this.#wait?.cancel();
  }

  #lookIn(ms: number): void {
    if (this.#closed) return;
    this.#waitMs = ms;
    this.#wait = this.#ports.clock.wait(ms, () => {
      this.#wait = undefined;
      this.#look();
    });
  }

  #look(): void {
    const { pressure } = this.#ports;
    const hadNews = this.#news;
    this.#news = false;
    const graph = this.#ownWaits();
    this.#tell(graph);
    for (const [slot, word] of this.#heard) {
      for (let i = 0; i < word.length; i += 2)
        graph.add(`${word[i] as number}>${slot}`, `${slot}>${word[i + 1] as number}`);
    }
    let relieved = false;
    const stuck = new Set<CellKey>();
    for (const circle of graph.circles()) {
      const own = [...circle].filter((node) => node instanceof Cell);
      if (own.length === 0) continue;
      if (this.#relieve(circle, own)) relieved = true;
      else for (const { key } of own) stuck.add(key);
    }
    this.#reportStuck(stuck);
    pressure.endSpan();
    // Whoever waits for something slow is looked at ever less often.
    const nextMs = hadNews || relieved ? STANDSTILL_LOOK_MS : Math.min(this.#waitMs * 2, STANDSTILL_LOOK_MS_LIMIT);
    if (this.#wait === undefined && !pressure.isCalm) this.#lookIn(nextMs);
  }

  /** Old waits of this host that can be part of a circle: of cells that wait and are waited for. */
  #ownWaits(): WaitGraph<Node> {
    const { pressure, slot } = this.#ports;
    const graph = new WaitGraph<Node>();
    for (const [cell, waiters] of pressure.awaited) {
      const waits = pressure.waitsOf(cell);
      if (waits === undefined) continue;
      for (const { source, since } of waiters) {
        if (since >= pressure.span) continue;
        if (typeof source === 'number') graph.add(`${source}>${slot}`, cell);
        else if (source !== undefined && pressure.awaited.has(source)) graph.add(source, cell);
      }
      for (const [target, { since }] of waits) {
        if (typeof target === 'number' && since < pressure.span) graph.add(cell, `${slot}>${target}`);
      }
    }
    return graph;
  }

  /** Tells the other hosts which links wait for which, when it is something new. */
  #tell(graph: WaitGraph<Node>): void {
    const { slot, hosts, tell } = this.#ports;
    if (hosts === 1) return;
    const word: number[] = [];
    for (let from = 0; from < hosts; from++) {
      const reached = graph.reach(`${from}>${slot}`);
      for (let to = 0; to < hosts; to++) if (reached.has(`${slot}>${to}`)) word.push(from, to);
    }
    const text = word.join();
    for (let to = 0; to < hosts; to++) {
      if (to === slot || (this.#said.get(to) ?? '') === text) continue;
      this.#said.set(to, text);
      tell(to, word);
    }
  }

  /** Relieves the cell of a circle that adds to what is least full; false when all of it is overfull. */
  #relieve(circle: ReadonlySet<Node>, own: readonly Cell[]): boolean {
    const { pressure, slot, clock, report } = this.#ports;
    let best: { readonly cell: Cell; readonly of: ReadonlySet<Awaited>; readonly fill: number } | undefined;
    for (const cell of own) {
      const waits = [...(pressure.waitsOf(cell)?.keys() ?? [])];
      const of = new Set(
        waits.filter((target) => typeof target !== 'symbol').filter((target) => circle.has(this.#nodeOf(target))),
      );
      let fill = 0;
      for (const target of of) fill = Math.max(fill, this.#fillOf(target));
      if (best === undefined || fill < best.fill) best = { cell, of, fill };
    }
    if (best === undefined || best.fill >= 1) return false;
    const here = new Set<Cell | number>(own);
    for (let from = 0; from < this.#ports.hosts; from++) if (circle.has(`${from}>${slot}`)) here.add(from);
    pressure.relieve(best.cell, best.of, here);
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#relievedMs >= CALM_MS)
      report(
        'relieved',
        own.map(({ key }) => key),
      );
    this.#relievedMs = nowMs;
    return true;
  }

  #reportStuck(stuck: ReadonlySet<CellKey>): void {
    if (stuck.size === 0 && this.#stuck.size === 0) return;
    const nowMs = this.#ports.clock.monotonicMs();
    const since = new Map([...stuck].map((key) => [key, this.#stuck.get(key) ?? nowMs]));
    const found = [...stuck].filter((key) => nowMs - (since.get(key) as number) >= STUCK_AFTER_MS);
    for (const key of found) since.set(key, TOLD);
    this.#stuck = since;
    if (found.length > 0) this.#ports.report('stuck', found);
  }

  #nodeOf(target: Awaited): Node {
    return typeof target === 'number' ? `${this.#ports.slot}>${target}` : target;
  }

  #fillOf(target: Awaited): number {
    return typeof target === 'number' ? this.#ports.fill(target) : fillOf(target);
  }
}
