/**
 * What a runner does with a message that may have killed its process, whichever adapter it is from: it is handled alone, with nothing
 * else in the hands of this process, and nothing begins before its outcome is durable.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import {
  type CarriedMessage,
  type HandOut,
  type Outcome,
  SUSPECT_AFTER_LOST,
} from '../../../runtime/broker/broker-adapter.ts';
import { SubscriptionRunner } from '../../../runtime/broker/subscription-runner.ts';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { ManualClock } from '../../../runtime/testing/manual-clock.ts';
import { encodeValue } from '../../../runtime/wire/value-codec.ts';

const MAX_ATTEMPTS = 3;

type Facts = Pick<HandOut, 'attempt' | 'lost'>;

/** An adapter that hands out what was given back again, when it is asked, and settles when it is told to. */
class FakeSource {
  readonly waiting: HandOut[] = [];
  readonly out = new Set<HandOut>();
  readonly outcomes = new Map<string, Outcome>();
  readonly runner: SubscriptionRunner;
  settling: (() => void)[] = [];
  isHeld = false;
  /** What else was out when a handler began. */
  readonly beside = new Map<string, number>();
  readonly handling = new Map<string, () => void>();
  #wanted = 0;

  constructor(concurrency: number) {
    this.runner = new SubscriptionRunner({
      clock: new ManualClock(),
      random: seededRandom(1, 2),
      concurrency,
      order: 'hold',
      ackTimeoutMs: Number.POSITIVE_INFINITY,
      retry: { initialMs: 1, maxMs: 1, maxAttempts: MAX_ATTEMPTS },
      invoke: ({ id }) => {
        this.beside.set(id, this.out.size - 1);
        return new Promise<void>((resolve) => this.handling.set(id, resolve));
      },
      check: (message) => message,
      ended: () => undefined,
      failed: (error) => {
        throw error;
      },
    });
  }

  add(id: string, facts: Facts): void {
    const header: CarriedMessage['header'] = {
      id,
      key: id,
      kind: 'EVENT',
      type: 'work',
      subject: 'work',
      source: 'test',
      timeMs: 1,
      correlationId: id,
      delivery: 'AT_LEAST_ONCE',
    };
    const message = { header, payload: encodeValue(id) };
    this.waiting.push({ message, firstDeliveredMs: 1, token: id, ...facts });
  }

  begin(): void {
    this.runner.begin({
      request: (count) => {
        this.#wanted += count;
        queueMicrotask(() => this.#deliver());
      },
      settle: (handOut, outcome) => {
        if (outcome.kind === 'released') {
          this.waiting.push(handOut);
          queueMicrotask(() => this.#deliver());
        }
        if (outcome.kind !== 'released') this.outcomes.set(handOut.message.header.id, outcome);
        this.out.delete(handOut);
        return this.isHeld && outcome.kind !== 'released'
          ? new Promise((resolve) => this.settling.push(resolve))
          : Promise.resolve();
      },
      close: () => Promise.resolve(),
    });
  }

  finish(id: string): void {
    this.handling.get(id)?.();
    this.handling.delete(id);
  }

  async finishAll(): Promise<void> {
    for (;;) {
      await nextTurn();
      if (this.handling.size === 0) return;
      for (const id of [...this.handling.keys()]) this.finish(id);
    }
  }

  #deliver(): void {
    const found = this.waiting.splice(0, this.#wanted);
    this.#wanted -= found.length;
    for (const one of found) this.out.add(one);
    if (found.length > 0) this.runner.deliver(found);
  }
}

test.each<[string, Facts]>([
  ['lost twice', { attempt: 1, lost: SUSPECT_AFTER_LOST }],
  ['in its last attempt, of an adapter that cannot tell lost from failed', { attempt: MAX_ATTEMPTS }],
])('%s: it is handled alone, and everything is handled', async (_what, facts) => {
  const source = new FakeSource(4);
  for (let n = 0; n < 20; n++) source.add(`m${n}`, n === 2 || n === 9 ? facts : { attempt: 1, lost: 0 });
  source.begin();
  await source.finishAll();
  expect(source.outcomes.size).toBe(20);
  expect([...source.outcomes.values()].every(({ kind }) => kind === 'handled')).toBe(true);
  expect(source.beside.get('m2')).toBe(0);
  expect(source.beside.get('m9')).toBe(0);
});

test('nothing begins before the outcome of a suspect is durable', async () => {
  const source = new FakeSource(4);
  source.add('suspect', { attempt: 1, lost: SUSPECT_AFTER_LOST });
  for (let n = 0; n < 4; n++) source.add(`m${n}`, { attempt: 1, lost: 0 });
  source.begin();
  await nextTurn();
  expect([...source.handling.keys()]).toEqual(['suspect']);
  source.isHeld = true;
  source.finish('suspect');
  await nextTurn();
  expect([...source.handling.keys()]).toEqual([]);
  source.isHeld = false;
  for (const settled of source.settling) settled();
  await source.finishAll();
  expect(source.outcomes.size).toBe(5);
});

test('lost alone as often as it may be tried, it is dead and its handler does not begin', async () => {
  const source = new FakeSource(4);
  source.add('killer', { attempt: 1, lost: SUSPECT_AFTER_LOST + MAX_ATTEMPTS });
  source.add('suspect', { attempt: 1, lost: SUSPECT_AFTER_LOST + MAX_ATTEMPTS - 1 });
  source.begin();
  await source.finishAll();
  expect(source.beside.has('killer')).toBe(false);
  expect(source.outcomes.get('killer')).toMatchObject({ kind: 'dead', reason: 'attempts' });
  expect(source.outcomes.get('suspect')?.kind).toBe('handled');
});

test('closing while others are given back before a trial loses nothing', async () => {
  const source = new FakeSource(2);
  for (let n = 0; n < 6; n++) source.add(`m${n}`, { attempt: 1, lost: n === 1 ? SUSPECT_AFTER_LOST : 0 });
  source.begin();
  await nextTurn();
  const closed = source.runner.close(1_000);
  for (const id of [...source.handling.keys()]) source.finish(id);
  await closed;
  expect(source.waiting.length + source.out.size + source.outcomes.size).toBe(6);
});
