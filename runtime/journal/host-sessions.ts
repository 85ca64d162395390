/**
 * Which host has which slot, and who is told what.
 *
 * Owns: sessions, epochs, and wakes for slots that have no host at the moment. Knows nothing of batches.
 *
 * Invariants:
 * F1. A slot has at most one open session, of the highest epoch ever seen for it.
 * F2. A session that was fenced is told so once, and nothing after it.
 */
import { type CellKey, placementOf } from '../kernel/address.ts';

/** Keys in one `wake`. */
const WAKE_CHUNK = 10_000;

/** What the journal tells a host, still as bytes. */
export interface HostLink {
  committed(number: number, position: number): void;
  loaded(request: number, parcels: Uint8Array): void;
  fenced(): void;
  wake(keys: readonly CellKey[]): void;
  storage(state: 'full' | 'ok'): void;
  checkpoint(round: number, target: number): void;
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
  /** A session's batches must not be committed any more. */
  readonly #onFenced: (session: Session) => void;
  readonly #open = new Map<number, Session>();
  readonly #epochs = new Map<number, number>();
  readonly #seen = new Set<number>();
  readonly #unsent = new Map<number, Set<CellKey>>();

  constructor(hosts: number, onFenced: (session: Session) => void) {
    this.#hosts = hosts;
    this.#onFenced = onFenced;
  }

  get allConnected(): boolean {
    return this.#open.size === this.#hosts;
  }

  get(slot: number): Session | undefined {
    return this.#open.get(slot);
  }

  /** Whether the slot has had a host since the journal was opened. */
  hadHost(slot: number): boolean {
    return this.#seen.has(slot);
  }

  /** A session for a host of `epoch`; fenced from the start when a higher one was seen. */
  connect(slot: number, epoch: number, link: HostLink): Session {
    const session: Session = { slot, epoch, link, state: 'open', nextNumber: undefined, waiting: 0 };
    if (epoch < (this.#epochs.get(slot) ?? 0)) {
      this.shutOut(session);
      return session;
    }
    const before = this.#open.get(slot);
    if (before !== undefined) this.shutOut(before);
    this.#epochs.set(slot, epoch);
    this.#open.set(slot, session);
    this.#seen.add(slot);
    return session;
  }

  fence(slot: number, epoch: number): void {
    if (epoch <= (this.#epochs.get(slot) ?? 0)) return;
    this.#epochs.set(slot, epoch);
    const session = this.#open.get(slot);
    if (session !== undefined) this.shutOut(session);
  }

  shutOut(session: Session): void {
    if (session.state !== 'open') return;
    session.state = 'fenced';
    this.#remove(session);
    this.#onFenced(session);
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
