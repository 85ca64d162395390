/**
 * Which host has which slot, and who is told what.
 *
 * Owns: sessions, epochs, and wakes for slots that have no host at the moment. Knows nothing of batches.
 *
 * Invariants:
 * F1. A slot has at most one open session, of the highest epoch ever seen for it.
 * F2. A slot whose host was replaced is not ready until its recovery was read: its new host does not know yet what it owes, and would
 *     call everything clean.
 * F3. A session that was fenced is told so once, and nothing after it.
 */
import { type CellKey, placementOf } from '../kernel/address.ts';
import type { HostJournalEvents } from './host-journal.ts';

/** Keys in one `wake`. */
const WAKE_CHUNK = 10_000;

/** What the journal tells a host, still as bytes. */
export interface HostLink {
  /** Pairs of number and position. Without it, nobody wants to know before `committed`. */
  accepted?(pairs: readonly number[]): void;
  committed(number: number, position: number): void;
  loaded(request: number, parcels: Uint8Array): void;
  fenced(): void;
  wake(keys: readonly CellKey[]): void;
  storage(state: 'full' | 'ok'): void;
  checkpoint(round: number, target: number): void;
}

/** Tells a host of what `accepted` was called with. */
export function sayAccepted(pairs: readonly number[], host: Pick<HostJournalEvents, 'accepted'>): void {
  for (let i = 0; i + 1 < pairs.length; i += 2) host.accepted(pairs[i] as number, pairs[i + 1] as number);
}

export interface Session {
  readonly slot: number;
  readonly epoch: number;
  readonly link: HostLink;
  state: 'open' | 'fenced' | 'closed';
  /** Number of the next batch; undefined before the first. */
  nextNumber: number | undefined;
  /** Batches that are appended and not yet committed. */
  waiting: number;
}

export class HostSessions {
  readonly #hosts: number;
  /** Batches of the slot from lower epochs must not be committed any more. */
  readonly #onFenced: (slot: number, epoch: number) => void;
  readonly #open = new Map<number, Session>();
  readonly #epochs = new Map<number, number>();
  /** How many sessions each slot has had. */
  readonly #seen = new Map<number, number>();
  readonly #unrecovered: Set<number>;
  readonly #unsent = new Map<number, Set<CellKey>>();

  constructor(hosts: number, onFenced: (slot: number, epoch: number) => void) {
    this.#hosts = hosts;
    this.#onFenced = onFenced;
    this.#unrecovered = new Set(Array.from({ length: hosts }, (_, slot) => slot));
  }

  /** Whether every slot has a host, and every host has been told what there is to recover. */
  get allReady(): boolean {
    return this.#open.size === this.#hosts && this.#unrecovered.size === 0;
  }

  get(slot: number): Session | undefined {
    return this.#open.get(slot);
  }

  /** Notes that `slot` was recovered. True when a host of it has died since the journal was opened. */
  recovered(slot: number): boolean {
    this.#unrecovered.delete(slot);
    return (this.#seen.get(slot) ?? 0) > (this.#open.has(slot) ? 1 : 0);
  }

  /** A session for a host of `epoch`; fenced from the start when a higher one was seen. */
  connect(slot: number, epoch: number, link: HostLink): Session {
    const session: Session = { slot, epoch, link, state: 'open', nextNumber: undefined, waiting: 0 };
    if (epoch < (this.#epochs.get(slot) ?? 0)) {
      this.shutOut(session);
      return session;
    }
    this.fence(slot, epoch);
    const twin = this.#open.get(slot);
    if (twin !== undefined) this.shutOut(twin);
    this.#open.set(slot, session);
    this.#seen.set(slot, (this.#seen.get(slot) ?? 0) + 1);
    return session;
  }

  fence(slot: number, epoch: number): void {
    if (epoch <= (this.#epochs.get(slot) ?? 0)) return;
    this.#epochs.set(slot, epoch);
    if (this.#seen.has(slot)) this.#unrecovered.add(slot);
    const session = this.#open.get(slot);
    if (session !== undefined) this.shutOut(session);
    // A session that is closed may have left batches too.
    else this.#onFenced(slot, epoch);
  }

  shutOut(session: Session): void {
    if (session.state !== 'open') return;
    session.state = 'fenced';
    this.#remove(session);
    this.#onFenced(session.slot, session.epoch + 1);
    session.link.fenced();
  }

  close(session: Session): void {
    if (session.state !== 'open') return;
    session.state = 'closed';
    this.#remove(session);
  }

  storage(state: 'full' | 'ok'): void {
    for (const session of this.#open.values()) session.link.storage(state);
  }

  /** Tells the hosts of `keys`, or keeps it for the next host of the slot. */
  wake(keys: readonly CellKey[]): void {
    const bySlot = new Map<number, CellKey[]>();
    for (const key of keys) {
      const slot = placementOf(key, this.#hosts);
      const list = bySlot.get(slot);
      if (list === undefined) bySlot.set(slot, [key]);
      else list.push(key);
    }
    for (const [slot, list] of bySlot) {
      const session = this.#open.get(slot);
      if (session === undefined) this.#keep(slot, list);
      else for (let i = 0; i < list.length; i += WAKE_CHUNK) session.link.wake(list.slice(i, i + WAKE_CHUNK));
    }
  }

  /** Wakes that came while the slot had no host. */
  sendKept(slot: number): void {
    const kept = this.#unsent.get(slot);
    this.#unsent.delete(slot);
    if (kept !== undefined) this.wake([...kept]);
  }

  #keep(slot: number, keys: readonly CellKey[]): void {
    const kept = this.#unsent.get(slot) ?? new Set();
    for (const key of keys) kept.add(key);
    this.#unsent.set(slot, kept);
  }

  #remove(session: Session): void {
    if (this.#open.get(session.slot) === session) this.#open.delete(session.slot);
  }
}
