/** What one consumer of NATS has: the order in which it comes, and what is held back. */
import { expect, test } from 'vitest';
import { NatsLanes, type Owned } from '../../../../runtime/broker/adapters/nats/nats-lanes.ts';
import { carried } from '../../../support/adapter-bench.ts';

const owned = (sequence: number, key = 'k'): Owned => ({
  delivery: { subject: '', data: new Uint8Array(0), reply: '', deliveries: 1, sequence, storedMs: 0 },
  lane: 'main',
  message: carried(`m${sequence}`),
  facts: {},
  key,
  attempt: 1,
  lost: 0,
  isRecorded: false,
  firstDeliveredMs: 0,
  dueMs: 0,
  state: 'ready',
  holds: false,
  turn: 0,
});

const taken = (lanes: NatsLanes): number[] => {
  const sequences: number[] = [];
  for (let one = lanes.take(); one !== undefined; one = lanes.take()) sequences.push(one.delivery.sequence);
  return sequences;
};

test('removing what was never in removes nothing else', () => {
  const lanes = new NatsLanes('hold');
  lanes.add(owned(1));
  lanes.remove(owned(2));
  expect(taken(lanes)).toEqual([1]);
});

test('what is given back comes in its old place', () => {
  const lanes = new NatsLanes('hold');
  const [one, two, three] = [owned(1), owned(2), owned(3)];
  for (const each of [one, two, three]) lanes.add(each);
  lanes.take();
  lanes.take();
  lanes.add(two);
  lanes.add(one);
  expect(taken(lanes)).toEqual([1, 2, 3]);
});

test('one that waits for its next try holds back its key: ready, in hands, or coming; and lets others pass', () => {
  const lanes = new NatsLanes('hold');
  const [first, second] = [owned(1), owned(2)];
  for (const each of [first, second, owned(3), owned(4, 'other')]) lanes.add(each);
  lanes.take();
  lanes.take();
  lanes.wait(first, 10, true);
  lanes.add(owned(5));
  expect(taken(lanes)).toEqual([4]);
  lanes.add(first);
  expect(taken(lanes)).toEqual([1, 2, 3, 5]);
});

test('with "pass" nothing is held back', () => {
  const lanes = new NatsLanes('pass');
  const first = owned(1);
  lanes.add(first);
  lanes.take();
  lanes.wait(first, 10, true);
  lanes.add(owned(2));
  expect(taken(lanes)).toEqual([2]);
});
