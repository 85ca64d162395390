/**
 * What one consumer has and nobody else: in which order, and what is held back. Pure.
 *
 * Owns: the messages that the server has delivered to this consumer and that are not settled: ready, held back because of their key,
 * waiting for their time, in hands.
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
  firstDeliveredMs: number;
  dueMs: number;
  state: 'ready' | 'held' | 'waiting' | 'in hands' | 'over';
  /** Whether it holds back its key while it waits. */
  holds: boolean;
  /** How often it was handed out. */
  turn: number;
}

/** What is sent again comes behind everything else. */
const placeOf = ({ lane, delivery }: Owned): number => delivery.sequence + (lane === 'again' ? 2 ** 52 : 0);

export class NatsLanes {
  readonly #hold: boolean;
  readonly #ready: Owned[] = [];
  readonly #held = new Map<string, Owned[]>();
  /** Keys with messages that wait for their next try: how many. */
  readonly #waitingKeys = new Map<string, number>();
  readonly #all = new Set<Owned>();

  constructor(order: 'hold' | 'pass') {
    this.#hold = order === 'hold';
  }

  get all(): ReadonlySet<Owned> {
    return this.#all;
  }

  get readyCount(): number {
    return this.#ready.length;
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
