/**
 * What a consumer of the embedded broker asks its queue for, and when: the queue is one that says nothing until it is told to.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { PackedHandOuts, PackedParts } from '../../../runtime/broker/adapters/embedded-batch.ts';
import { EmbeddedConsumer } from '../../../runtime/broker/adapters/embedded-consumer.ts';
import { type QueueMessage } from '../../../runtime/broker/adapters/embedded-protocol.ts';
import { Route } from '../../../runtime/broker/adapters/embedded-route.ts';
import type { HandOut } from '../../../runtime/broker/broker-adapter.ts';
import { systemClock } from '../../../runtime/kernel/clock.ts';
import { carried, handled, retryIn } from '../../support/adapter-bench.ts';

interface Question {
  readonly message: QueueMessage;
  readonly answer: (found: PackedHandOuts | PackedParts) => void;
}

/** A consumer whose handler is done at once, or does what it is told, and what it has asked. */
function consumerOf(handle?: (handOut: HandOut) => void): {
  consumer: EmbeddedConsumer;
  questions: Question[];
  delivered: HandOut[];
} {
  const questions: Question[] = [];
  const delivered: HandOut[] = [];
  const queue = {
    ask: (message: QueueMessage) => new Promise((answer) => questions.push({ message, answer })),
  } as unknown as Route['queue'];
  const { header } = carried('m');
  const consumer: EmbeddedConsumer = new EmbeddedConsumer({
    route: new Route('orders', 'orders.>', queue),
    name: 'c',
    clock: systemClock,
    read: (block, start, end) => ({ header, bytes: block.bytes, start, end }),
    deliver: (handOuts) => {
      delivered.push(...handOuts);
      for (const handOut of handOuts) {
        if (handle === undefined) void consumer.settle(handOut, handled);
        else handle(handOut);
      }
    },
    failed: (error) => {
      throw error;
    },
  });
  return { consumer, questions, delivered };
}

let numbers = 0;
function handOuts(count: number, isKept = false): PackedHandOuts {
  const runs = [numbers, numbers, count, 1, 0, 0, 0, isKept ? 1 : 0];
  numbers += count;
  return { runs, sizes: Array.from({ length: count }, () => 1), bytes: new Uint8Array(count) };
}

const said = (questions: readonly Question[]): readonly string[] =>
  questions.map(({ message }) => {
    if (message.type === 'PULL') return `PULL ${message.count}`;
    return message.type === 'SETTLE' ? `SETTLE ${message.handled.length > 0 ? 'some' : 'none'}, ${message.count}` : '';
  });

async function answer({ questions }: { questions: Question[] }, at: number, count: number): Promise<void> {
  const [question] = questions.splice(at, 1);
  question?.answer(handOuts(count));
  await nextTurn();
}

test('a backlog: more is asked for before what was taken is settled', async () => {
  const bench = consumerOf();
  bench.consumer.request(4_096);
  await nextTurn();
  expect(said(bench.questions)).toEqual(['PULL 512']);
  await answer(bench, 0, 512);
  expect(said(bench.questions)).toEqual(['SETTLE some, 512', 'PULL 512', 'PULL 512', 'PULL 512', 'PULL 512']);
  // No answer to the outcomes yet: the next ones are handled meanwhile.
  await answer(bench, 1, 512);
  await answer(bench, 1, 512);
  expect(bench.delivered).toHaveLength(3 * 512);
  expect(said(bench.questions)[0]).toBe('SETTLE some, 512');
});

test('no backlog: one question waits at the queue, and goes with the outcomes', async () => {
  const bench = consumerOf();
  bench.consumer.request(4_096);
  await nextTurn();
  await answer(bench, 0, 1);
  expect(said(bench.questions)).toEqual(['SETTLE some, 512']);
  await answer(bench, 0, 1);
  expect(said(bench.questions)).toEqual(['SETTLE some, 512']);
});

test('never more than was requested', async () => {
  const bench = consumerOf();
  bench.consumer.request(700);
  await nextTurn();
  await answer(bench, 0, 512);
  expect(said(bench.questions)).toEqual(['SETTLE some, 188']);
  await answer(bench, 0, 188);
  expect(said(bench.questions)).toEqual(['SETTLE some, 0']);
  expect(bench.delivered).toHaveLength(700);
});

test('what the queue handed out before an outcome comes before whoever waits for that hears of it, also when bytes are asked for', async () => {
  const told: string[] = [];
  const bench = consumerOf(({ attempt }) => void told.push(`delivered ${attempt}`));
  bench.consumer.request(3 * 512);
  await nextTurn();
  // As many as asked for: there are more, and two questions are under way at once.
  await answer(bench, 0, 512);
  const first = bench.delivered[0] as HandOut;
  told.length = 0;
  void bench.consumer.settle(first, retryIn(5)).then(() => told.push('settled'));
  await nextTurn();
  const asked = bench.questions.splice(0);
  const settle = asked.find(({ message }) => message.type === 'SETTLE');
  const pulls = asked.filter(({ message }) => message.type === 'PULL');
  expect(pulls).toHaveLength(2);
  // Handed out once before: this process does not have their bytes any more.
  for (const pull of pulls) pull.answer(handOuts(1, true));
  await nextTurn();
  const bytes = bench.questions.filter(({ message }) => message.type === 'BYTES');
  expect(bytes).toHaveLength(2);
  // All answers in one frame, in the order of the queue's turns.
  for (const one of bytes) one.answer({ sizes: [1], bytes: new Uint8Array(1) });
  settle?.answer({ runs: [], sizes: [], bytes: new Uint8Array(0) });
  await nextTurn();
  expect(told).toEqual(['delivered 1', 'delivered 1', 'settled']);
});
