/**
 * What one consumer has and nobody else: in which order, and what is held back. Pure.
 *
 * Owns: the messages that the server has delivered to this consumer and that are not settled: ready, held back because of their key,
 * waiting for their time, in hands; and which ones were settled last.
 *
 * Invariants:
 * NL1. With `hold`, a message whose key waits for its next try is not ready; it becomes ready, in its place, when that try is handed out.
 * NL2. What is ready is in the order of its sequence.
 */
import type { CarriedMessage } from '../../broker-adapter.ts';
import type { Delivery } from './nats-delivery.ts';
import type { FrameFacts } from './nats-frame.ts';

export interface Owned {
  readonly delivery: Delivery;
  readonly lane: 'main' | 'again';
  readonly message: CarriedMessage;
  readonly facts: FrameFacts;
  readonly key: string;
  /** Of the next hand-out, or of this one while it is in hands. */
  attempt: number;
  /** How often its process died with it. */
  lost: number;
  /** There is a record of its tries. */
  isRecorded: boolean;
  firstDeliveredMs: number;
  dueMs: number;
  state: 'ready' | 'held' | 'waiting' | 'in hands' | 'over';
  /** Whether it holds back its key while it waits. */
  holds: boolean;
  /** How often it was handed out. */
  turn: number;
}

const ENDED_LIMIT = 50_000;

const nameOf = ({ sequence }: Delivery, lane: 'main' | 'again'): string => `${lane}${sequence}`;

/** What is sent again comes behind everything else. */
const placeOf = ({ lane, delivery }: Owned): number => delivery.sequence + (lane === 'again' ? 2 ** 52 : 0);

export class NatsLanes {
  readonly #hold: boolean;
  readonly #ready: Owned[] = [];
  readonly #held = new Map<string, Owned[]>();
  /** Keys with messages that wait for their next try: how many. */
  readonly #waitingKeys = new Map<string, number>();
  readonly #all = new Set<Owned>();
  /** Places of what has ended here, oldest first: the server may deliver it again. */
  readonly #ended = new Set<string>();

  constructor(order: 'hold' | 'pass') {
    this.#hold = order === 'hold';
  }

  get all(): ReadonlySet<Owned> {
    return this.#all;
  }

  /** Puts it where it belongs: in hands no more. */
  add(owned: Owned): void {
    this.#all.add(owned);
    if (this.#hold && !owned.holds && this.#waitingKeys.has(owned.key)) {
      owned.state = 'held';
      const held = this.#held.get(owned.key) ?? [];
      insert(held, owned);
      this.#held.set(owned.key, held);
      return;
    }
    owned.state = 'ready';
    insert(this.#ready, owned);
  }

  /** It waits for its time; `holds`: and what has its key with it. */
  wait(owned: Owned, dueMs: number, holds: boolean): void {
    this.#all.add(owned);
    owned.state = 'waiting';
    owned.dueMs = dueMs;
    owned.holds = this.#hold && holds;
    if (!owned.holds) return;
    this.#waitingKeys.set(owned.key, (this.#waitingKeys.get(owned.key) ?? 0) + 1);
    // Also what is in hands: it has not begun, and must not come behind its followers.
    for (const other of this.#all) {
      if (other === owned || other.key !== owned.key || other.holds) continue;
      if (other.state === 'ready') takeOut(this.#ready, other);
      if (other.state === 'ready' || other.state === 'in hands') this.add(other);
    }
  }

  /** The next one. */
  get next(): Owned | undefined {
    return this.#ready[0];
  }

  get hasInHands(): boolean {
    for (const { state } of this.#all) if (state === 'in hands') return true;
    return false;
  }

  /** Nothing of it is here any more. */
  clear(): void {
    for (const owned of this.#all) owned.state = 'over';
    this.#all.clear();
    this.#ready.length = 0;
    this.#held.clear();
    this.#waitingKeys.clear();
  }

  /** The next one, which is in hands then. */
  take(): Owned | undefined {
    const owned = this.#ready.shift();
    if (owned === undefined) return undefined;
    owned.state = 'in hands';
    if (owned.holds) {
      owned.holds = false;
      this.#release(owned.key);
    }
    return owned;
  }

  remove(owned: Owned): void {
    if (owned.state === 'ready') takeOut(this.#ready, owned);
    if (owned.state === 'held') takeOut(this.#held.get(owned.key), owned);
    if (owned.holds) {
      owned.holds = false;
      this.#release(owned.key);
    }
    owned.state = 'over';
    this.#all.delete(owned);
  }

  /** It is settled. */
  end(owned: Owned): void {
    this.remove(owned);
    this.#ended.add(nameOf(owned.delivery, owned.lane));
    if (this.#ended.size <= ENDED_LIMIT) return;
    const [oldest] = this.#ended;
    this.#ended.delete(oldest as string);
  }

  hasEnded(delivery: Delivery, lane: 'main' | 'again'): boolean {
    return this.#ended.has(nameOf(delivery, lane));
  }

  #release(key: string): void {
    const left = (this.#waitingKeys.get(key) ?? 1) - 1;
    if (left > 0) {
      this.#waitingKeys.set(key, left);
      return;
    }
    this.#waitingKeys.delete(key);
    const held = this.#held.get(key) ?? [];
    this.#held.delete(key);
    for (const owned of held) this.add(owned);
  }
}

/** What is set aside as it arrives was never in. */
function takeOut(list: Owned[] | undefined, owned: Owned): void {
  const at = list?.indexOf(owned) ?? -1;
  if (at >= 0) list?.splice(at, 1);
}

function insert(list: Owned[], owned: Owned): void {
  const place = placeOf(owned);
  let at = list.length;
  while (at > 0 && placeOf(list[at - 1] as Owned) > place) at -= 1;
  list.splice(at, 0, owned);
}
