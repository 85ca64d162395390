/**
 * The messages of the bench: the same for us and for every baseline.
 *
 * Owns: their shape and size. A message is a fresh object each time, as it would be in an application; only what must be equal
 * for all contenders is in here.
 */

/** What a driver can send. */
export type MessageKind = 'add' | 'order' | 'breaker';

export interface Add {
  readonly type: 'ADD';
  readonly by: number;
}

/** About 150 bytes of JSON. */
export interface Order {
  readonly type: 'ORDER';
  readonly id: number;
  readonly by: number;
  readonly user: string;
  readonly amount: number;
  readonly currency: string;
  readonly note: string;
}

/** An order of about so many bytes of JSON, and at least of its usual size. */
export function orderOf(id: number, bytes: number): Order {
  return { ...order(id), note: noteOf(bytes) };
}

const notes = new Map<number, string>();

function noteOf(bytes: number): string {
  let note = notes.get(bytes);
  if (note === undefined) {
    const others = Buffer.byteLength(JSON.stringify({ ...order(54_321), note: '' }));
    note = 'x'.repeat(Math.max(0, bytes - others));
    notes.set(bytes, note);
  }
  return note;
}

/** What a circuit breaker is told. */
export interface BreakerEvent {
  readonly type: 'ok' | 'fail' | 'probe';
}

const NOTE = 'x'.repeat(48);
const USERS = Array.from({ length: 100 }, (_, i) => `user-${i}`);

/** Ten events that take a breaker from closed through open and half open, twice, and back to closed. */
export const BREAKER_CYCLE: readonly BreakerEvent['type'][] = [
  'fail',
  'fail',
  'fail',
  'fail',
  'fail',
  'fail',
  'probe',
  'fail',
  'probe',
  'ok',
];
/** How often a breaker opens in one cycle. */
export const OPENINGS_PER_CYCLE = 2;

export function add(): Add {
  return { type: 'ADD', by: 1 };
}

export function order(id: number): Order {
  return {
    type: 'ORDER',
    id,
    by: 1,
    user: USERS[id % USERS.length] as string,
    amount: 1234.5 + (id % 1_000),
    currency: 'EUR',
    note: NOTE,
  };
}

export function breakerEvent(id: number): BreakerEvent {
  return { type: BREAKER_CYCLE[id % BREAKER_CYCLE.length] as BreakerEvent['type'] };
}

/** The `id`th message of a kind to one receiver; `bytes` is the size of an order as JSON. */
export function messageOf(kind: MessageKind, id: number, bytes?: number): Add | Order | BreakerEvent {
  switch (kind) {
    case 'add':
      return add();
    case 'order':
      return bytes === undefined ? order(id) : orderOf(id, bytes);
    case 'breaker':
      return breakerEvent(id);
  }
}

/** Bytes of a message as JSON. */
export function sizeOf(kind: MessageKind): number {
  return Buffer.byteLength(JSON.stringify(messageOf(kind, 54_321)));
}
