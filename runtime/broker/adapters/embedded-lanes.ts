/**
 * Who may have what: messages of one key are handed to one consumer at a time, in order, and wait behind one that is tried again.
 *
 * Owns: what is handed out, the lanes (one a key, as long as something of it is handed out or held back), and what is parked because
 * its lane is not free. Pure data; the queue moves entries in and out.
 *
 * Invariants:
 * LN1. All that is handed out of one key is with one consumer.
 * LN2. A lane that is held gives nothing until the message that holds it has come back.
 * LN3. No more than `LOOK_AHEAD` messages are parked by way of asking `hasRoom`: a key that stands still does not pull a whole backlog
 *      into memory.
 */
import { type Entry, loadEntry, type SavedEntry, saveEntry } from './embedded-entry.ts';
import type { Window } from './embedded-window.ts';

/** How far behind the first message that cannot be handed out others are looked for. */
const LOOK_AHEAD = 4_096;

interface Lane {
  consumer: string;
  leased: number;
  /** Number of the message that is tried again and holds the others; 0: none. */
  heldBy: number;
  parked: Entry[];
}

export interface SavedLanes {
  readonly leases: readonly SavedEntry[];
  readonly lanes: readonly (readonly [
    key: string,
    consumer: string,
    leased: number,
    heldBy: number,
    parked: readonly SavedEntry[],
  ])[];
}

const NOTHING: readonly Entry[] = [];

export class Lanes {
  readonly #leases = new Map<number, Entry>();
  readonly #lanes = new Map<string, Lane>();
  /** Those with something parked. */
  readonly #crowded = new Set<Lane>();
  #parked = 0;

  get leased(): number {
    return this.#leases.size;
  }

  get parked(): number {
    return this.#parked;
  }

  get hasRoom(): boolean {
    return this.#parked < LOOK_AHEAD;
  }

  /** Gives an entry to a consumer, or parks it until its lane is free. */
  lease(entry: Entry, consumer: string): boolean {
    let lane = this.#lanes.get(entry.key);
    if (lane === undefined) {
      lane = { consumer, leased: 0, heldBy: 0, parked: [] };
      this.#lanes.set(entry.key, lane);
    }
    if (lane.heldBy !== 0 || (lane.leased > 0 && lane.consumer !== consumer)) {
      lane.parked.push(entry);
      this.#crowded.add(lane);
      this.#parked += 1;
      return false;
    }
    lane.consumer = consumer;
    lane.leased += 1;
    this.#leases.set(entry.seq, entry);
    return true;
  }

  /** What is handed out, if it is the hand-out that is meant. */
  leaseOf(seq: number, lease: number): Entry | undefined {
    const entry = this.#leases.get(seq);
    return entry?.lease === lease ? entry : undefined;
  }

  /** Ends a lease. Returns what can be handed out again now. */
  end(entry: Entry): readonly Entry[] {
    this.#leases.delete(entry.seq);
    entry.lease = 0;
    const lane = this.#lanes.get(entry.key);
    if (lane === undefined) return NOTHING;
    lane.leased -= 1;
    if (lane.leased > 0 || lane.heldBy !== 0) return NOTHING;
    this.#lanes.delete(entry.key);
    return this.#unpark(lane);
  }

  /**
   * Ends a lease, and lets its lane wait until `unhold`. Returns what else of the lane was handed out, in order: it comes behind this
   * one, and whoever has it must not begin it.
   */
  hold(entry: Entry): readonly Entry[] {
    this.#leases.delete(entry.seq);
    entry.lease = 0;
    const lane = this.#lanes.get(entry.key);
    if (lane === undefined) return NOTHING;
    lane.heldBy = entry.seq;
    lane.leased -= 1;
    if (lane.leased === 0) return NOTHING;
    const others = this.allLeased().filter(({ key }) => key === entry.key);
    for (const other of others) {
      this.#leases.delete(other.seq);
      other.lease = 0;
    }
    lane.leased = 0;
    return others;
  }

  /** The time of an entry that was to be tried again has come, or it is dead. */
  unhold(entry: Entry): readonly Entry[] {
    const lane = this.#lanes.get(entry.key);
    if (lane === undefined || lane.heldBy !== entry.seq) return NOTHING;
    lane.heldBy = 0;
    if (lane.leased === 0) this.#lanes.delete(entry.key);
    return this.#unpark(lane);
  }

  /** What was parked while somebody else asked, of lanes that this consumer has. */
  unparkFor(consumer: string): readonly Entry[] {
    if (this.#crowded.size === 0) return NOTHING;
    let found: Entry[] | undefined;
    for (const lane of this.#crowded) {
      if (lane.consumer !== consumer || lane.heldBy !== 0) continue;
      found = [...(found ?? []), ...this.#unpark(lane)];
    }
    return found === undefined ? NOTHING : found.sort((a, b) => a.seq - b.seq);
  }

  removeParkedIf(isOut: (entry: Entry) => boolean): readonly Entry[] {
    const removed: Entry[] = [];
    for (const lane of this.#crowded) {
      const out = lane.parked.filter(isOut);
      if (out.length === 0) continue;
      removed.push(...out);
      lane.parked = lane.parked.filter((entry) => !out.includes(entry));
      if (lane.parked.length === 0) this.#crowded.delete(lane);
    }
    this.#parked -= removed.length;
    return removed;
  }

  entriesOf(consumer: string): readonly Entry[] {
    return this.allLeased().filter(({ key }) => this.#lanes.get(key)?.consumer === consumer);
  }

  /** In order. */
  allLeased(): readonly Entry[] {
    return [...this.#leases.values()].sort((a, b) => a.seq - b.seq);
  }

  save(): SavedLanes {
    return {
      leases: [...this.#leases.values()].map(saveEntry),
      lanes: [...this.#lanes].map(
        ([key, { consumer, leased, heldBy, parked }]) =>
          [key, consumer, leased, heldBy, parked.map(saveEntry)] as const,
      ),
    };
  }

  static load(saved: SavedLanes, window: Window): Lanes {
    const lanes = new Lanes();
    for (const one of saved.leases) {
      const entry = loadEntry(one, window);
      lanes.#leases.set(entry.seq, entry);
    }
    for (const [key, consumer, leased, heldBy, parked] of saved.lanes) {
      const lane = { consumer, leased, heldBy, parked: parked.map((one) => loadEntry(one, window)) };
      lanes.#lanes.set(key, lane);
      lanes.#parked += parked.length;
      if (parked.length > 0) lanes.#crowded.add(lane);
    }
    return lanes;
  }

  #unpark(lane: Lane): readonly Entry[] {
    if (lane.parked.length === 0) return NOTHING;
    const { parked } = lane;
    lane.parked = [];
    this.#crowded.delete(lane);
    this.#parked -= parked.length;
    return parked;
  }
}
