/**
 * What every transport must do, as cases that any test runner can run: `for (const { name, run } of transportContract) …`.
 *
 * Owns: the cases. They see a transport as two connected frame ports, put links on them, and throw an AssertionError where it
 * falls short. A transport between threads gives the two ends of a way through another thread.
 */
import assert from 'node:assert/strict';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { FrameError, UnserializableValueError } from '../kernel/errors.ts';
import { Reference } from '../kernel/reference.ts';
import type { FramePort } from '../transport/frame-port.ts';
import { Link, type LinkLoss, type LinkOptions } from '../transport/link.ts';

/** Two connected ports that nobody listens to yet. */
export interface TransportPair {
  readonly a: FramePort;
  readonly b: FramePort;
  /** Default: the machine's. */
  readonly clock?: Pick<Clock, 'defer' | 'wait'> | undefined;
  dispose(): void | Promise<void>;
}

export type MakeTransportPair = () => TransportPair | Promise<TransportPair>;

export interface TransportCase {
  readonly name: string;
  run(makePair: MakeTransportPair): Promise<void>;
}

const DEADLINE_MS = 10_000;

/** Lets the event loop turn until `done`. */
async function until(done: () => boolean, what: string): Promise<void> {
  const deadline = systemClock.monotonicMs() + DEADLINE_MS;
  while (!done()) {
    assert.ok(systemClock.monotonicMs() < deadline, `waited ${DEADLINE_MS} ms for: ${what}`);
    await turn();
  }
}

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    systemClock.defer(resolve);
  });

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    systemClock.wait(ms, resolve);
  });

/** One end under test, with everything that happened to it. */
class End {
  readonly items: unknown[] = [];
  readonly frames: number[] = [];
  readonly accepts: (() => void)[] = [];
  readonly losses: LinkLoss[] = [];
  readonly refused: unknown[] = [];
  writables = 0;
  posts = 0;
  postedBytes = 0;
  readonly link: Link;

  constructor(
    pair: TransportPair,
    port: FramePort,
    options: { hold?: boolean; onItem?: (item: unknown) => void } & Partial<LinkOptions> = {},
  ) {
    const { hold = false, onItem, ...linkOptions } = options;
    this.link = new Link({
      port: this.#counted(port),
      clock: pair.clock ?? systemClock,
      onFrame: (items, accept) => {
        this.frames.push(items.length);
        for (const item of items) {
          this.items.push(item);
          onItem?.(item);
        }
        if (hold) this.accepts.push(accept);
        else accept();
      },
      onLost: (loss) => this.losses.push(loss),
      onRefused: (item, error) => this.refused.push([item, error]),
      onWritable: () => this.writables++,
      ...linkOptions,
    });
  }

  #counted(port: FramePort): FramePort {
    return {
      post: (bytes) => {
        this.posts += 1;
        this.postedBytes += bytes.length;
        port.post(bytes);
      },
      onMessage: (listener) => port.onMessage(listener),
      onClose: (listener) => port.onClose(listener),
      close: () => port.close(),
      ref: () => port.ref(),
      unref: () => port.unref(),
    };
  }
}

/** A port that does something else with the blocks that it is to post. */
function tampering(port: FramePort, post: (bytes: Uint8Array<ArrayBuffer>, number: number) => void): FramePort {
  let number = 0;
  return {
    post: (bytes) => post(bytes, number++),
    onMessage: (listener) => port.onMessage(listener),
    onClose: (listener) => port.onClose(listener),
    close: () => port.close(),
    ref: () => port.ref(),
    unref: () => port.unref(),
  };
}

async function withPair(makePair: MakeTransportPair, body: (pair: TransportPair) => Promise<void>): Promise<void> {
  const pair = await makePair();
  try {
    await body(pair);
  } finally {
    await pair.dispose();
  }
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const contract = (name: string, body: (pair: TransportPair) => Promise<void>): TransportCase => ({
  name,
  run: (makePair) => withPair(makePair, body),
});

export const transportContract: readonly TransportCase[] = [
  contract('items arrive in the order of push, whatever the bursts', async (pair) => {
    const a = new End(pair, pair.a);
    const b = new End(pair, pair.b);
    let next = 0;
    for (const burst of [1, 2, 1_000, 3, 5_000, 1]) {
      for (let i = 0; i < burst; i++) a.link.push({ n: next++ });
      if (burst === 3) a.link.flush();
      await turn();
    }
    await until(() => b.items.length === next, `${next} items`);
    assert.deepEqual(
      b.items.map((item) => (item as { n: number }).n),
      numbers(next),
    );
  }),

  contract('one flush a turn, or at once when asked for', async (pair) => {
    const a = new End(pair, pair.a);
    const b = new End(pair, pair.b);
    for (let i = 0; i < 100; i++) a.link.push(i);
    assert.equal(a.posts, 0);
    await until(() => b.items.length === 100, '100 items');
    assert.deepEqual(b.frames, [100]);
    for (let i = 0; i < 50; i++) a.link.push(i);
    a.link.flush();
    assert.equal(a.posts, 2);
    a.link.flush();
    await until(() => b.items.length === 150, '50 more items');
    assert.deepEqual(b.frames, [100, 50]);
  }),

  contract('credit stops the sender and acceptance lets it go on', async (pair) => {
    const creditBytes = 64 << 10;
    const a = new End(pair, pair.a, { creditBytes });
    const b = new End(pair, pair.b, { creditBytes, hold: true });
    const filler = 'x'.repeat(1_000);
    for (let i = 0; i < 1_000; i++) a.link.push([i, filler]);
    a.link.flush();
    const sent = a.postedBytes;
    assert.ok(sent >= creditBytes && sent <= creditBytes * 3, `${sent} bytes were sent`);
    assert.equal(a.link.writable, false);
    assert.ok(a.link.queuedBytes > creditBytes);
    await until(() => b.accepts.length === a.posts, 'what was sent');
    await pause(20);
    assert.equal(a.postedBytes, sent);
    let accepted = 0;
    await until(() => {
      while (accepted < b.accepts.length) b.accepts[accepted++]?.();
      return b.items.length === 1_000;
    }, 'the rest');
    await until(() => a.link.queuedBytes === 0, 'the last acceptance');
    assert.equal(a.writables, 1);
    assert.equal(a.link.writable, true);
    assert.deepEqual(
      b.items.map((item) => (item as [number])[0]),
      numbers(1_000),
    );
  }),

  contract('marks are held until their frames are accepted, in any order', async (pair) => {
    const a = new End(pair, pair.a);
    const b = new End(pair, pair.b, { hold: true });
    assert.equal(a.link.oldestUnacknowledgedMark(), undefined);
    for (const mark of [30, 10, 20]) {
      a.link.push({ mark }, mark);
      a.link.push({ mark: 'none' });
      a.link.flush();
    }
    a.link.push({ queued: true }, 15);
    assert.equal(a.link.oldestUnacknowledgedMark(), 10);
    await until(() => b.accepts.length === 4, 'four frames');
    b.accepts[1]?.();
    b.accepts[1]?.();
    await pause(20);
    assert.equal(a.link.oldestUnacknowledgedMark(), 10);
    b.accepts[0]?.();
    await until(() => a.link.oldestUnacknowledgedMark() === 15, 'two acceptances');
    b.accepts[3]?.();
    b.accepts[2]?.();
    await until(() => a.link.oldestUnacknowledgedMark() === undefined, 'all acceptances');
    assert.equal(a.link.queuedBytes, 0);
  }),

  contract('both directions at once, acceptances riding on frames', async (pair) => {
    const a: End = new End(pair, pair.a, { onItem: (n) => (n as number) < 200 && a.link.push((n as number) + 1) });
    const b: End = new End(pair, pair.b, { onItem: (n) => (n as number) < 200 && b.link.push((n as number) + 1) });
    a.link.push(0);
    await until(() => b.items.at(-1) === 200 || a.items.at(-1) === 200, '200 rounds');
    await until(() => a.link.queuedBytes + b.link.queuedBytes === 0, 'the last acceptance');
    assert.ok(a.posts + b.posts <= 250, `${a.posts + b.posts} blocks for 201 items`);
  }),

  contract('values of every kind and size cross whole', async (pair) => {
    const a = new End(pair, pair.a);
    const b = new End(pair, pair.b, { reviveReference: (key) => new Reference(`revived:${key}`) });
    const big = new Uint8Array(12 << 20).map((_, i) => i * 31);
    const items = [
      undefined,
      { at: new Date(5), set: new Set([1]), map: new Map([[{ k: 1 }, 2n]]), none: undefined, nan: NaN },
      'ü'.repeat(1 << 20),
      big,
      new Float64Array([1.5, -2]),
    ];
    for (const item of items) a.link.push(item);
    a.link.push(new Reference('order/1'));
    await until(() => b.items.length === items.length + 1, 'all items');
    assert.deepEqual(b.items.slice(0, -1), items);
    assert.equal((b.items.at(-1) as Reference).key, 'revived:order/1');
    assert.deepEqual([a.losses, b.losses], [[], []]);
  }),

  contract('an item that cannot be carried is refused alone', async (pair) => {
    const a = new End(pair, pair.a);
    const b = new End(pair, pair.b);
    const bad = { handler: () => undefined };
    const shapes = numbers(300).map((n) => ({ [`key${n % 90}`]: n }));
    a.link.push(shapes[0]);
    a.link.flush();
    for (const [n, shape] of shapes.entries()) {
      if (n > 0) a.link.push(shape);
      if (n % 50 === 7) a.link.push(bad);
    }
    await until(() => b.items.length === shapes.length, 'the sound items');
    assert.deepEqual(b.items, shapes);
    assert.equal(a.refused.length, 6);
    const [item, error] = a.refused[0] as [unknown, unknown];
    assert.equal(item, bad);
    assert.ok(error instanceof UnserializableValueError);
    assert.equal(error.details['path'], 'handler');
    assert.deepEqual([a.losses, b.losses], [[], []]);
  }),

  contract('close: everything sent before arrives, then the reason, once', async (pair) => {
    const a = new End(pair, pair.a);
    const b = new End(pair, pair.b);
    for (const n of numbers(2_000)) a.link.push(n);
    a.link.flush();
    a.link.close({ why: 'done' });
    a.link.close('again');
    a.link.push('too late');
    await until(() => b.losses.length > 0, 'the end');
    b.link.push('nobody listens');
    await pause(20);
    assert.deepEqual(b.items, numbers(2_000));
    assert.deepEqual(b.losses, [{ kind: 'closed', reason: { why: 'done' } }]);
    assert.deepEqual([a.losses, a.items, a.link.writable], [[], [], false]);
  }),

  contract('a peer that goes without a word is noticed', async (pair) => {
    const b = new End(pair, pair.b);
    pair.a.onMessage(() => undefined);
    await turn();
    pair.a.close();
    await until(() => b.losses.length > 0, 'the end');
    assert.deepEqual(b.losses, [{ kind: 'gone' }]);
  }),

  ...(['lost', 'repeated', 'swapped', 'cut', 'altered'] as const).map(
    (fault): TransportCase =>
      contract(`a frame that is ${fault} breaks the link, and nothing wrong is delivered`, async (pair) => {
        let kept: Uint8Array<ArrayBuffer> | undefined;
        const port = tampering(pair.a, (bytes, number) => {
          const copy = bytes.slice();
          if (number === 2 && fault === 'lost') return;
          if (number === 2 && fault === 'repeated') pair.a.post(copy.slice());
          if (number === 2 && fault === 'cut') return pair.a.post(copy.slice(0, -3));
          if (number === 2 && fault === 'altered') copy[20] = 0xc1;
          if (number === 2 && fault === 'altered') copy[32] = 0xc1;
          if (number === 2 && fault === 'swapped') kept = copy;
          else pair.a.post(copy);
          if (number === 3 && kept !== undefined) pair.a.post(kept);
        });
        const a = new End(pair, port);
        const b = new End(pair, pair.b);
        for (const n of numbers(6)) {
          a.link.push({ [`shape${n % 2}`]: n });
          a.link.flush();
        }
        await until(() => b.losses.length > 0 && a.losses.length > 0, 'the end of both');
        assert.equal(b.losses[0]?.kind, 'broken');
        assert.ok(b.losses[0].error instanceof FrameError);
        assert.equal(a.losses[0]?.kind, 'broken');
        assert.deepEqual(
          b.items,
          numbers(fault === 'repeated' ? 3 : 2).map((n) => ({ [`shape${n % 2}`]: n })),
        );
      }),
  ),

  {
    name: 'hostile blocks end the link and nothing else',
    run: async (makePair) => {
      const block = (kind: number, accepted: number, ...body: number[]): Uint8Array<ArrayBuffer> => {
        const bytes = new Uint8Array(16 + body.length);
        const view = new DataView(bytes.buffer);
        view.setUint8(0, kind);
        view.setFloat64(8, accepted);
        bytes.set(body, 16);
        return bytes;
      };
      const frameHead = [0xcb, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
      const blocks = [
        new Uint8Array(0),
        new Uint8Array(15).fill(1),
        block(9, 0),
        block(2, 1),
        block(2, NaN),
        block(2, 0.5),
        block(1, 0),
        block(1, 0, ...frameHead),
        block(1, 0, ...frameHead, 0xdd, 0xff, 0xff, 0xff, 0xff),
        block(1, 0, ...frameHead, 0x91, 0x41),
        block(1, 0, ...frameHead, 0x91, 0xd4, 0x72, 0x40, 0x91, 0xa9, ...Buffer.from('__proto__'), 0x01),
        block(1, 0, ...frameHead, 0x91, 0xd4, 0x78, 0x00, 0x92, 0xa1, 0x61, 0xa0),
        block(1, 0, ...frameHead, ...Array.from({ length: 100_000 }, () => 0x91)),
        block(3, 0, 0xc1, 0xc1),
      ];
      const before = Object.getOwnPropertyNames(Object.prototype).join();
      for (const bytes of blocks) {
        await withPair(makePair, async (pair) => {
          const b = new End(pair, pair.b);
          pair.a.onMessage(() => undefined);
          pair.a.post(bytes);
          await until(() => b.losses.length > 0, 'the end');
          assert.equal(b.losses[0]?.kind, 'broken');
          assert.deepEqual(b.items, []);
        });
      }
      assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), before);
    },
  },
];
