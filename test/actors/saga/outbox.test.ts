/** Who takes commands out of the outbox: one at a time, and never nobody. */
import { expect, test } from 'vitest';
import { outboxBehavior, type OutboxEntry, type PublishCommand, type Taker } from '../../../actors/saga/outbox.ts';
import type { Turn } from '../../../runtime/kernel/behavior.ts';
import type { ReplyTo } from '../../../runtime/kernel/message.ts';

/** The outbox alone: questions are kept by name until they are answered. */
class Rig {
  nowMs = 0;
  readonly answers: [string, number[]][] = [];
  #state = outboxBehavior.init(undefined, {} as Turn);
  #asked = '';
  readonly #turn = {
    takeReplyTo: () => this.#asked as unknown as ReplyTo,
    replyTo: (handle: ReplyTo, entries: OutboxEntry[]) =>
      this.answers.push([handle as unknown as string, entries.map(({ number }) => number)]),
  };

  tell(message: object, asked = ''): this {
    this.#asked = asked;
    const { nowMs } = this;
    this.#state = outboxBehavior.receive(this.#state, message, { ...this.#turn, nowMs } as unknown as Turn);
    return this;
  }

  take(asked: string, taker: Taker, after = 0): this {
    return this.tell({ type: 'take', after, taker }, asked);
  }

  publish(): this {
    return this.tell({ type: 'publish' } as PublishCommand);
  }
}

const taker = (number: number, system = 's'): Taker => ({ system, number });

test('the first has the seat; the others hear nothing until it leaves, and then one of them does', () => {
  const rig = new Rig().take('a1', taker(1)).take('b1', taker(2)).take('c1', taker(3)).publish();
  expect(rig.answers).toEqual([['a1', [1]]]);
  rig.tell({ type: 'leave', taker: taker(2) });
  expect(rig.answers).toHaveLength(1);
  rig.take('a2', taker(1), 1).tell({ type: 'leave', taker: taker(1) });
  expect(rig.answers.at(-1)).toEqual(['b1', []]);
  rig.take('b2', taker(2));
  expect(rig.answers.at(-1)).toEqual(['b2', [1]]);
  rig
    .take('b3', taker(2), 1)
    .tell({ type: 'settled', numbers: [1] })
    .publish();
  expect(rig.answers.at(-1)).toEqual(['b3', [2]]);
  rig.tell({ type: 'leave', taker: taker(2) });
  expect(rig.answers.at(-1)).toEqual(['c1', []]);
});

test('another life of the system has the seat at once, and a silent taker loses it', () => {
  const rig = new Rig().take('a1', taker(1)).publish().take('old', taker(1), 1).take('stands by', taker(2));
  rig.take('b1', taker(1, 't'));
  expect(rig.answers.slice(1)).toEqual([
    ['old', []],
    ['b1', [1]],
  ]);
  rig.nowMs = 59_999;
  rig.take('c1', taker(2, 't'));
  expect(rig.answers).toHaveLength(3);
  rig.nowMs = 60_000;
  rig.take('c2', taker(2, 't'));
  expect(rig.answers.at(-1)).toEqual(['c2', [1]]);
  // Who was there before stands by.
  rig.take('b2', taker(1, 't'), 1).take('c3', taker(2, 't'), 1).publish();
  expect(rig.answers.at(-1)).toEqual(['c3', [2]]);
});

test('however many stand by, the state stays small', () => {
  const rig = new Rig().take('a', taker(0));
  for (let i = 1; i <= 40; i++) rig.take(`b${i}`, taker(i));
  expect(rig.answers.map(([asked]) => asked)).toEqual(Array.from({ length: 24 }, (_, i) => `b${i + 1}`));
});
