/** A link with a clock and ports by hand: what the contract cannot see from outside. */
import { describe, expect, test } from 'vitest';
import { FRAME_BYTES_LIMIT, LINK_ACCEPT_DELAY_MS } from '../../../runtime/kernel/limits.ts';
import type { FramePort } from '../../../runtime/transport/frame-port.ts';
import { endPacket } from '../../../runtime/transport/link-packet.ts';
import { Link, type LinkLoss, type LinkOptions } from '../../../runtime/transport/link.ts';

/** Runs what was deferred or waited for when told to. */
class HandClock {
  deferred: (() => void)[] = [];
  waits: { ms: number; fire: () => void }[] = [];

  defer = (run: () => void): void => void this.deferred.push(run);

  wait = (ms: number, fire: () => void): { cancel: () => void } => {
    const entry = { ms, fire };
    this.waits.push(entry);
    return { cancel: () => void (this.waits = this.waits.filter((other) => other !== entry)) };
  };

  turn(): void {
    for (const run of this.deferred.splice(0)) run();
  }

  elapse(): void {
    for (const { fire } of this.waits.splice(0)) fire();
  }
}

class HandPort implements FramePort {
  readonly posted: Uint8Array[] = [];
  calls: string[] = [];
  message: (bytes: Uint8Array) => void = () => undefined;
  ended: () => void = () => undefined;
  post = (bytes: Uint8Array): void => void this.posted.push(bytes);
  onMessage = (listener: (bytes: Uint8Array) => void): void => void (this.message = listener);
  onClose = (listener: () => void): void => void (this.ended = listener);
  close = (): void => void this.calls.push('close');
  ref = (): void => void this.calls.push('ref');
  unref = (): void => void this.calls.push('unref');
}

const setup = (options: Partial<LinkOptions> = {}) => {
  const clock = new HandClock();
  const port = new HandPort();
  const frames: (readonly unknown[])[] = [];
  const losses: LinkLoss[] = [];
  const refused: unknown[] = [];
  const link = new Link({
    port,
    clock,
    onFrame: (items, accept) => {
      frames.push(items);
      accept();
    },
    onLost: (loss) => losses.push(loss),
    onRefused: (item) => refused.push(item),
    ...options,
  });
  return { clock, port, frames, losses, refused, link };
};

/** Brings what one side posted to the other. */
const carry = (from: HandPort, to: HandPort): void => {
  for (const bytes of from.posted.splice(0)) to.message(bytes);
};

test('an explicit flush takes the place of the coming one', () => {
  const { clock, port, link } = setup();
  link.push(1);
  link.push(2);
  expect(clock.deferred).toHaveLength(1);
  link.flush();
  expect(port.posted).toHaveLength(1);
  clock.turn();
  expect(port.posted).toHaveLength(1);
  link.push(3);
  link.flush();
  link.push(4);
  expect(clock.deferred).toHaveLength(1);
  clock.turn();
  expect(port.posted).toHaveLength(3);
});

describe('acceptances', () => {
  test('ride on the next frame, and cancel the wait', () => {
    const a = setup();
    const b = setup();
    a.link.push('ping', 1);
    a.link.flush();
    carry(a.port, b.port);
    expect(b.clock.waits.map(({ ms }) => ms)).toEqual([LINK_ACCEPT_DELAY_MS]);
    b.link.push('pong');
    b.link.flush();
    expect(b.clock.waits).toEqual([]);
    carry(b.port, a.port);
    expect(a.link.oldestUnacknowledgedMark()).toBe(undefined);
    expect(a.frames).toEqual([['pong']]);
  });

  test('go alone after a short wait', () => {
    const a = setup();
    const b = setup();
    a.link.push('ping', 1);
    a.link.flush();
    carry(a.port, b.port);
    expect(b.port.posted).toEqual([]);
    b.clock.elapse();
    expect(b.port.posted).toHaveLength(1);
    carry(b.port, a.port);
    expect(a.link.queuedBytes).toBe(0);
    b.clock.elapse();
    expect(b.port.posted).toEqual([]);
  });

  test('go at the end of the turn when a quarter of the credit waits for them', () => {
    const a = setup({ creditBytes: 4_000 });
    const b = setup({ creditBytes: 4_000 });
    a.link.push('x'.repeat(1_200));
    a.link.flush();
    carry(a.port, b.port);
    b.clock.turn();
    expect(b.port.posted).toHaveLength(1);
  });

  test('a stale one is harmless, one of the future breaks the link', () => {
    const a = setup();
    const b = setup();
    for (const n of [1, 2]) {
      a.link.push(n);
      a.link.flush();
      carry(a.port, b.port);
      b.clock.elapse();
    }
    const [first, second] = b.port.posted as [Uint8Array, Uint8Array];
    a.port.message(second);
    a.port.message(first);
    expect(a.losses).toEqual([]);
    const future = Uint8Array.from(second);
    new DataView(future.buffer).setFloat64(8, 3);
    a.port.message(future);
    expect(a.losses).toMatchObject([{ kind: 'broken' }]);
  });
});

test('what comes back in credit is spent before the handler runs', () => {
  const order: string[] = [];
  const a = setup({ creditBytes: 1_000, onFrame: () => order.push('handled') });
  const b = setup({ creditBytes: 1_000 });
  a.link.push('x'.repeat(1_200), 1);
  a.link.push('second', 2);
  a.link.flush();
  expect(a.port.posted).toHaveLength(1);
  carry(a.port, b.port);
  b.link.push('hello');
  b.link.flush();
  const { post } = a.port;
  a.port.post = (bytes) => {
    order.push('sent');
    post(bytes);
  };
  carry(b.port, a.port);
  expect(order).toEqual(['sent', 'handled']);
  expect(a.link.oldestUnacknowledgedMark()).toBe(2);
});

test('a handler that throws: its own affair, and the link goes on', () => {
  let angry = true;
  const b = setup({
    onFrame: () => {
      if (angry) throw new Error('mine');
    },
  });
  const a = setup();
  for (const n of [1, 2]) {
    a.link.push(n);
    a.link.flush();
  }
  const [first, second] = a.port.posted as [Uint8Array, Uint8Array];
  expect(() => b.port.message(first)).toThrow('mine');
  angry = false;
  b.port.message(second);
  expect(b.losses).toEqual([]);
});

test('G3: after the end nothing is sent, delivered or told', () => {
  const { clock, port, link, losses, frames } = setup();
  const other = setup();
  other.link.push(1);
  other.link.flush();
  link.push('waits', 7);
  link.close();
  const posted = port.posted.length;
  carry(other.port, port);
  port.ended();
  clock.turn();
  clock.elapse();
  link.push('late');
  link.flush();
  link.close();
  expect([port.posted.length, frames, losses, port.calls]).toEqual([posted, [], [], ['close']]);
  // What was never accepted still counts: it must be found again in the journal.
  expect(link.oldestUnacknowledgedMark()).toBe(7);
});

test('a reason that cannot be carried is left out', () => {
  const a = setup();
  const b = setup();
  a.link.close(() => 1);
  carry(a.port, b.port);
  expect(b.losses).toEqual([{ kind: 'closed', reason: undefined }]);
});

test('G4: a reason that says it is broken and no string why', () => {
  const { port, losses } = setup();
  port.message(endPacket(0, { $broken: { toString: 5, valueOf: 5 } }));
  expect(losses).toMatchObject([{ kind: 'broken', error: { message: 'the other side: no reason' } }]);
});

test('the average of items keeps frames near their size, and a surprise is cut to the limit', () => {
  const a = setup({ creditBytes: 1 << 30 });
  const b = setup();
  for (let i = 0; i < 40; i++) a.link.push('x'.repeat(1_000_000), i);
  a.link.flush();
  expect(a.port.posted.every((bytes) => bytes.length <= FRAME_BYTES_LIMIT + 16)).toBe(true);
  carry(a.port, b.port);
  expect(b.frames.flat()).toHaveLength(40);
  expect(b.frames.slice(1).every((items) => items.length === 1)).toBe(true);
});

test('marks of refused items are given up', () => {
  const { link, refused } = setup();
  link.push(() => 1, 3);
  link.flush();
  expect(refused).toHaveLength(1);
  expect(link.oldestUnacknowledgedMark()).toBe(undefined);
});

test('ref and unref reach the port', () => {
  const { link, port } = setup();
  link.unref();
  link.ref();
  expect(port.calls).toEqual(['unref', 'ref']);
});

test('a word needs no credit, goes before what waits, and says what was accepted', () => {
  const words: unknown[] = [];
  const near = setup({ creditBytes: 400 });
  const far = setup({ onWord: (word) => void words.push(word) });
  for (let i = 0; i < 100; i++) near.link.push('x'.repeat(50));
  near.link.flush();
  expect([near.link.writable, near.link.waitingItems > 0]).toEqual([false, true]);
  near.link.tell([1, 2]);
  for (const block of near.port.posted) far.port.message(block);
  expect(words).toEqual([[1, 2]]);
  // The other way round a word brings credit, as every block does.
  const waiting = near.link.waitingItems;
  far.link.tell('no items');
  for (const block of far.port.posted) near.port.message(block);
  expect(near.link.waitingItems).toBeLessThan(waiting);
  expect([near.losses, far.losses]).toEqual([[], []]);
  near.link.close();
  near.link.tell('after the end');
  expect(near.port.posted.length).toBeGreaterThan(0);
});
