/** What travels between the embedded adapter and its queues comes out as it went in. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CarriedMessage } from '../../../runtime/broker/broker-adapter.ts';
import type { Message } from '../../../runtime/broker/contract/message.ts';
import {
  addHandled,
  BatchBuilder,
  eachHandled,
  eachOfBatch,
  eachVerdict,
  HandOutBuilder,
  packVerdicts,
} from '../../../runtime/broker/adapters/embedded-batch.ts';
import type { Entry } from '../../../runtime/broker/adapters/embedded-entry.ts';
import { MessagePacker, unpackMessage } from '../../../runtime/broker/adapters/embedded-frame.ts';
import { handOutsOf, readsMessages, withBytes } from '../../../runtime/broker/adapters/embedded-hand-out.ts';
import { KeptMessages } from '../../../runtime/broker/adapters/embedded-kept.ts';
import { BATCH_BYTES, BATCH_MESSAGES, type Verdict } from '../../../runtime/broker/adapters/embedded-protocol.ts';
import { decodeValue, encodeValue } from '../../../runtime/wire/value-codec.ts';
import { anyMessage } from './any-message.ts';

const split = ({ payload, ...header }: Message): { header: CarriedMessage['header']; payload: unknown } => ({
  header,
  payload,
});

const plain = (id: string, payload: unknown): { header: CarriedMessage['header']; payload: unknown } => ({
  header: {
    id,
    kind: 'EVENT',
    type: 't',
    subject: 't',
    source: 's',
    timeMs: 1,
    correlationId: id,
    delivery: 'EXACTLY_ONCE',
  },
  payload,
});

/** As the messages of a queue are after `builder` was taken, with numbers from 1 on and leases from 101 on. */
const entriesOf = (builder: BatchBuilder): Entry[] => {
  const entries: Entry[] = [];
  eachOfBatch(builder.packed(), ({ id, key, dedupe, expiresAtMs, block, start, size }) => {
    const seq = entries.length + 1;
    entries.push({
      ...{ seq, id, key, dedupe, expiresAtMs, block, start, size, lease: 100 + seq },
      ...{ redrives: 0, keptBy: 0, attempt: 1, lost: 0, firstMs: 5, dueMs: 0, item: undefined },
    });
  });
  return entries;
};

describe('a batch', () => {
  test('has every message whole, in order, with what its queue needs to know', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 12 }), fc.integer({ min: 0, max: 2 }), (messages, repeats) => {
        const packer = new MessagePacker();
        const builder = new BatchBuilder();
        // The same again, so that envelopes come one after another that are alike, and that are not.
        const all = Array.from({ length: repeats + 1 }, () => messages).flat();
        for (const message of all) {
          const { header, payload } = split(message);
          builder.add(packer, header, payload, false);
        }
        const read = readsMessages();
        const entries = entriesOf(builder);
        expect(entries.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
        expect(entries.map(({ key }) => key)).toEqual(all.map(({ key, source }) => key ?? source));
        expect(entries.map(({ dedupe }) => dedupe)).toEqual(
          all.map(({ idempotencyKey }) => (idempotencyKey === undefined ? null : `\0${idempotencyKey}`)),
        );
        const out = new HandOutBuilder();
        for (const entry of entries) out.add(entry, false);
        const { handOuts, missing } = handOutsOf(out.packed(), new KeptMessages(), read);
        expect(missing).toEqual([]);
        expect(handOuts.map(({ seq, lease }) => [seq, lease])).toEqual(entries.map(({ seq, lease }) => [seq, lease]));
        for (const [at, handOut] of handOuts.entries()) {
          const { header, payload } = split(all[at] as Message);
          expect(handOut.header).toEqual(header);
          expect(handOut.readPayload()).toEqual(decodeValue(encodeValue(payload)));
          expect(handOut.payload).toEqual(unpackMessage(builder.packedAt(at)).payload);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('a message that is refused leaves no trace', () => {
    const packer = new MessagePacker();
    const builder = new BatchBuilder();
    const add = (id: string, payload: unknown): void => builder.add(packer, plain(id, payload).header, payload, false);
    add('a', 1);
    expect(() => add('b', () => 1)).toThrow(/cannot be/);
    expect(() => add('c', 'x'.repeat(1_020_000))).toThrow(/10200\d\d bytes, the limit is/);
    add('d', 2);
    expect(entriesOf(builder).map(({ id }) => id)).toEqual(['a', 'd']);
  });

  test('is full by number or by bytes, and what makes it too large is a batch of its own', () => {
    const packer = new MessagePacker();
    const builder = new BatchBuilder();
    const add = (to: BatchBuilder, id: string, bytes: number): void => {
      const { header } = plain(id, undefined);
      to.add(packer, { ...header, key: `k${id}`, idempotencyKey: id }, 'x'.repeat(bytes), false);
    };
    add(builder, 'a', BATCH_BYTES - 1_000);
    expect(builder.splitLast()).toBeUndefined();
    expect(builder.isFull).toBe(false);
    add(builder, 'b', 900_000);
    const own = builder.splitLast() as BatchBuilder;
    expect([builder, own].map((one) => entriesOf(one).map(({ id, key, dedupe }) => [id, key, dedupe]))).toEqual([
      [['a', 'ka', '\0a']],
      [['b', 'kb', '\0b']],
    ]);
    const many = new BatchBuilder();
    for (let n = 0; n < BATCH_MESSAGES; n++) {
      expect(many.isFull).toBe(false);
      add(many, String(n), 1);
    }
    expect(many.isFull).toBe(true);
  });
});

test('verdicts: numbers one after another, with anything between them', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('number', 'known', 'full')), fc.integer({ min: 1 }), (kinds, first) => {
      let next = first;
      const verdicts: Verdict[] = kinds.map((kind, at) =>
        kind === 'number' ? next++ : kind === 'full' ? 0 : `m${at}`,
      );
      const read: Verdict[] = [];
      eachVerdict(packVerdicts(verdicts), verdicts.length, (_, verdict) => void read.push(verdict));
      expect(read).toEqual(verdicts);
    }),
  );
});

test('what was handled: any numbers and leases, in order', () => {
  const pair = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }));
  fc.assert(
    fc.property(fc.array(pair), (pairs) => {
      const runs: number[] = [];
      for (const [seq, lease] of pairs) addHandled(runs, seq, lease);
      const read: [number, number][] = [];
      eachHandled(runs, (seq, lease) => void read.push([seq, lease]));
      expect(read).toEqual(pairs);
    }),
  );
});

test('what a process has kept need not come back; what it has not is asked for, and what is gone has no bytes', () => {
  const packer = new MessagePacker();
  const builder = new BatchBuilder();
  for (let n = 0; n < 5; n++) {
    const { header, payload } = plain(`m${n}`, n);
    builder.add(packer, header, payload, false);
  }
  const kept = new KeptMessages();
  // The fourth got no number: it was a duplicate. The fifth has number 4.
  kept.keep(builder, 1, new Set([3]));
  const taken = kept.take(4);
  expect(taken?.start).toBe(builder.starts[4]);
  const entries = entriesOf(builder);
  const out = new HandOutBuilder();
  for (const entry of entries.slice(0, 3)) out.add(entry, true);
  out.add({ ...(entries[0] as Entry), lease: 200 }, true);
  expect(out.packed().bytes).toHaveLength(0);
  const read = readsMessages();
  const { handOuts, missing } = handOutsOf(out.packed(), kept, read);
  expect(handOuts.slice(0, 3).map((one) => one.readPayload())).toEqual([0, 1, 2]);
  // All of the batch were handed out.
  expect(missing).toEqual([handOuts[3]]);
  const bytes = builder.packedAt(0);
  expect(withBytes(missing, { sizes: [bytes.length], bytes }, read)).toEqual([]);
  expect(handOuts[3]?.readPayload()).toBe(0);
  expect(withBytes(missing, { sizes: [0], bytes: new Uint8Array(0) }, read)).toEqual(missing);
});

test('no more is kept than may be: the oldest batch is forgotten first', () => {
  const packer = new MessagePacker();
  const kept = new KeptMessages(9_000);
  for (let n = 1; n <= 4; n++) {
    const builder = new BatchBuilder();
    builder.add(packer, plain(`m${n}`, undefined).header, 'x'.repeat(1_000), false);
    builder.packed();
    kept.keep(builder, n, undefined);
  }
  const isThere = [1, 2, 3, 4].map((number) => kept.take(number) !== undefined);
  expect(isThere.indexOf(true)).toBeGreaterThan(0);
  expect(isThere.slice(isThere.indexOf(true))).not.toContain(false);
});
