/** Bytes of a batch: nothing is lost, and nothing damaged passes. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchWriter } from '../../../runtime/journal/batch-builder.ts';
import { PRELUDE_BYTES } from '../../../runtime/journal/batch-layout.ts';
import { BatchReader } from '../../../runtime/journal/batch-reader.ts';
import { copySummed, crc32Of, viewOf } from '../../../runtime/journal/crc32.ts';
import { decodeImage, decodeLetter } from '../../../runtime/journal/row-codec.ts';
import type { TurnRecord } from '../../../runtime/journal/turn-record.ts';
import { InvalidAddressError, UnserializableValueError } from '../../../runtime/kernel/errors.ts';
import type { Intent } from '../../../runtime/kernel/intent.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';
import { Reference } from '../../../runtime/kernel/reference.ts';
import { imageRow, send, turn } from './journal-rig.ts';

const writer = (): BatchWriter => new BatchWriter({ slot: 3, epoch: 7, run: 11 });

const sealed = (...turns: TurnRecord[]): BatchReader => {
  const batch = writer();
  for (const one of turns) batch.turn(one);
  return new BatchReader(batch.seal());
};

const turnsOf = (reader: BatchReader): TurnRecord[] =>
  Array.from({ length: reader.turns }, (_, i) => reader.turn(reader.header(i)));

const name = fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' });
const key = fc.tuple(fc.constantFrom('order', 'stock'), fc.integer({ min: 0, max: 5 })).map(([d, i]) => `${d}/${i}`);
const value = fc.oneof(
  // `__proto__` is refused, and -0 becomes 0.
  fc
    .jsonValue({ maxDepth: 3 })
    .map((json) => JSON.parse(JSON.stringify(json).replaceAll('__proto__', 'proto')) as unknown),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 20 }),
  fc.array(fc.tuple(name, fc.integer())).map((pairs) => new Map(pairs)),
  fc.array(fc.integer()).map((items) => new Set(items)),
  key.map((to) => new Reference(to)),
);
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const u32 = fc.nat({ max: 0xffff_ffff });
const replyTo = fc.oneof(
  fc.record({ kind: fc.constant('outside' as const), call: count, run: u32 }),
  fc.record(
    { kind: fc.constant('cell' as const), key, ask: name, idempotencyKey: name },
    { requiredKeys: ['kind', 'key', 'ask'] },
  ),
);
const control = fc.constantFrom<NonNullable<Envelope['control']>>(
  { kind: 'stop', reason: { kind: 'shutdown' } },
  { kind: 'timer', id: 't', armed: 3 },
  { kind: 'terminated', key: 'a/b', reason: { kind: 'normal', output: 5 } },
);
const envelope = (to: string) =>
  fc.record(
    {
      to: fc.constant(to),
      message: value,
      control,
      id: fc.record({ stream: u32, position: count, index: u32 }),
      from: key,
      replyTo,
      idempotencyKey: name,
      expiresAtMs: count,
      unstashed: fc.boolean(),
      traceparent: name,
    },
    { requiredKeys: ['to', 'message'] },
  );
const encodedError = fc.record({ name, code: name, message: name });
const intent: fc.Arbitrary<Intent> = fc.oneof(
  key.chain((to) =>
    fc.record({
      kind: fc.constant('send' as const),
      // The id of a send is not recorded: its position gives it.
      envelope: envelope(to).map(({ id: _, ...rest }) => rest),
      durable: fc.boolean(),
    }),
  ),
  fc.record({ kind: fc.constant('reply' as const), to: replyTo, value }),
  fc.record({ kind: fc.constant('fail' as const), to: replyTo, error: encodedError, idempotencyKey: name }),
  fc.record({ kind: fc.constant('effect.start' as const), id: name, source: name, input: value }),
  fc.record({ kind: fc.constant('effect.cancel' as const), id: name }),
  fc.record({ kind: fc.constant('effect.send' as const), id: name, message: value }),
  fc.record({ kind: fc.constant('timer.set' as const), id: name, dueMs: count, payload: value }),
  fc.record({ kind: fc.constant('timer.cancel' as const), id: name }),
  fc.record({ kind: fc.constant('emit' as const), event: value }),
  fc.constant({ kind: 'stash' as const }),
  fc.constant({ kind: 'unstash' as const }),
  fc.record({ kind: fc.constant('exit' as const), reason: fc.constant({ kind: 'killed' as const }) }),
);
const anyTurn: fc.Arbitrary<TurnRecord> = key.chain((to) =>
  fc.record(
    {
      key: fc.constant(to),
      sequence: fc.integer({ min: 1, max: 2 ** 47 }),
      timeMs: count,
      envelope: fc.oneof(envelope(to), key.chain(envelope)),
      outcome: fc.constantFrom('handled' as const, 'parked' as const, 'refused' as const),
      intents: fc.array(intent, { maxLength: 6 }),
      obliged: fc.boolean(),
      state: value,
    },
    { requiredKeys: ['key', 'sequence', 'timeMs', 'envelope', 'outcome', 'intents', 'obliged'] },
  ),
);

test("crc32Of is zlib's crc32 of any part", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1_200 }), fc.nat(), fc.nat(), fc.nat(), (bytes, a, b, seed) => {
      const [start, end] = [a % (bytes.length + 1), b % (bytes.length + 1)].sort((x, y) => x - y) as [number, number];
      const sum = crc32(bytes.subarray(start, end), seed);
      expect(crc32Of(bytes, viewOf(bytes), start, end, seed)).toBe(sum);
      const source = Buffer.from(bytes);
      const target = Buffer.alloc(bytes.length + 3, 0xee);
      expect(copySummed(source, viewOf(source), start, end, target, viewOf(target), 2, seed)).toBe(sum);
      expect(target.subarray(0, 2 + end - start)).toEqual(
        Buffer.concat([Buffer.alloc(2, 0xee), source.subarray(start, end)]),
      );
      expect(target[2 + end - start]).toBe(0xee);
    }),
  );
});

describe('round trip', () => {
  test('any turns come back as they were', () => {
    fc.assert(
      fc.property(fc.array(anyTurn, { maxLength: 12 }), (turns) => {
        const reader = sealed(...turns);
        expect(reader.damage()).toBeUndefined();
        expect(turnsOf(reader)).toEqual(turns);
      }),
      { numRuns: 200 },
    );
  });

  test('headers say what recovery needs', () => {
    const reader = sealed(
      turn('a/1', 4_294_967_300, {
        id: { stream: 9, position: 2 ** 40, index: 3 },
        intents: [send('b/1', 1), send('b/2', 2, false), send('b/1', 3)],
        obliged: true,
      }),
      turn('a/2', 1, { intents: [{ kind: 'reply', to: { kind: 'outside', call: 4, run: 11 }, value: 1 }] }),
    );
    expect([reader.slot, reader.epoch, reader.run, reader.turns]).toEqual([3, 7, 11, 2]);
    const [first, second] = [reader.header(0), reader.header(1)];
    expect(reader.keyOf(first)).toBe('a/1');
    expect(reader.sequence(first)).toBe(4_294_967_300);
    expect(reader.obliged(first)).toBe(true);
    expect(reader.consumed(first)).toEqual({ stream: 9, position: 2 ** 40, index: 3 });
    // The volatile send between them counts for the index, but is not listed.
    const sends = Array.from({ length: reader.sends(first) }, (_, i) => reader.send(first, i));
    expect(sends.map((at) => [reader.keys[reader.receiverIndex(at)], reader.indexAndLane(at)])).toEqual([
      ['b/1', 0],
      ['b/1', 4],
    ]);
    expect([reader.answers(first), reader.answers(second), reader.consumed(second)]).toEqual([false, true, undefined]);
  });

  test('values are captured at the call', () => {
    const batch = writer();
    const message = { n: 1 };
    batch.turn(turn('a/1', 1, { envelope: { to: 'a/1', message } }));
    message.n = 2;
    expect(turnsOf(new BatchReader(batch.seal()))[0]?.envelope.message).toEqual({ n: 1 });
  });

  test('images and letters ride along, outside of the log row', () => {
    const batch = writer();
    batch.turn(turn('a/1', 1));
    const image = imageRow('a/1', 1, {
      wakeAtMs: 77,
      received: [{ stream: 2, lane: 'signal', position: 2 ** 45, index: 6 }],
      body: { state: new Set([1]) },
    });
    batch.image(image);
    const letter = {
      id: 'l-1',
      timeMs: 3,
      reason: 'expired' as const,
      error: { name: 'E', code: 'C', message: 'm' },
      attempts: 2,
      envelope: { to: 'a/1', message: [1], id: { stream: 1, position: 2, index: 3 }, from: 'b/2' },
    };
    batch.deadLetter(letter);
    const reader = new BatchReader(batch.seal());
    const { images, letters } = reader.attached();
    expect(images.map(({ key: k, row }) => decodeImage(k, row))).toEqual([image]);
    expect(letters.map(({ key: k, row }) => decodeLetter(k, row))).toEqual([letter]);
    const log = new BatchReader(reader.bytes.slice(0, reader.logBytes));
    expect(log.damage()).toBeUndefined();
    expect(turnsOf(log)).toHaveLength(1);
  });

  test('a builder is empty again after seal', () => {
    const batch = writer();
    batch.turn(turn('a/1', 1));
    batch.image(imageRow('a/1', 1));
    batch.seal();
    batch.turn(turn('b/1', 1));
    const reader = new BatchReader(batch.seal());
    expect(reader.keys).toEqual(['b/1']);
    expect(reader.hasAttached).toBe(false);
  });
});

describe('mark and rewind', () => {
  test('everything since the mark is given up', () => {
    const batch = writer();
    batch.turn(turn('a/1', 1, { intents: [send('c/1', 1)] }));
    batch.mark();
    batch.turn(turn('a/1', 2, { intents: [send('d/1', 1), send('c/1', 2)] }));
    batch.image(imageRow('a/1', 2));
    batch.rewind();
    batch.turn(turn('a/2', 1));
    const reader = new BatchReader(batch.seal());
    expect(reader.damage()).toBeUndefined();
    expect(turnsOf(reader).map((one) => [one.key, one.sequence])).toEqual([
      ['a/1', 1],
      ['a/2', 1],
    ]);
    expect(reader.keys).toEqual(['a/1', 'c/1', 'a/2']);
    expect(reader.hasAttached).toBe(false);
  });

  test('a value that cannot be carried is named by its path, and leaves nothing', () => {
    const batch = writer();
    batch.turn(turn('a/1', 1));
    const bad = turn('a/1', 2, { intents: [send('b/1', { deep: [{ fn: () => 1 }] })] });
    expect(() => batch.turn(bad)).toThrowError(UnserializableValueError);
    expect(() => batch.turn(bad)).toThrowError(/intents\[0\]\.envelope\.message\.deep\[0\]\.fn/);
    expect(() => batch.image(imageRow('a/1', 1, { body: { s: Symbol('x') } }))).toThrowError(/\bs cannot be carried/);
    const polluting = JSON.parse('{"a":{"__proto__":1}}') as unknown;
    expect(() => batch.image(imageRow('a/1', 1, { body: polluting }))).toThrowError(UnserializableValueError);
    const deep = JSON.parse('['.repeat(500) + ']'.repeat(500)) as unknown;
    expect(() => batch.image(imageRow('a/1', 1, { body: deep }))).toThrowError(/nested deeper/);
    expect(() =>
      batch.turn(turn('a/1', 2, { intents: [send('x/1', 1), send(`b/${'k'.repeat(3_000)}`, 1)] })),
    ).toThrowError(InvalidAddressError);
    const reader = new BatchReader(batch.seal());
    expect(reader.damage()).toBeUndefined();
    expect(reader.turns).toBe(1);
    expect(reader.hasAttached).toBe(false);
  });
});

describe('damage', () => {
  const turns = [
    turn('a/1', 1, { id: { stream: 1, position: 5, index: 0 }, intents: [send('c/1', 'x'), send('c/2', 'y')] }),
    turn('a/2', 1, { obliged: true }),
    turn('a/1', 2, { intents: [{ kind: 'emit', event: 1 }] }),
  ];
  const good = sealed(...turns);
  const bytes = good.bytes.slice(0, good.logBytes);

  test('every flipped bit is found, and what is whole is still read', () => {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      (flipped[bit >> 3] as number) ^= 1 << (bit & 7);
      let reader: BatchReader;
      try {
        reader = new BatchReader(flipped);
      } catch {
        continue;
      }
      const damage = reader.damage();
      if (damage === undefined) throw new Error(`bit ${bit} passed`);
      if (bit >> 3 < good.headersStart) {
        // Prelude or keys: the batch as a whole.
        expect(damage.cells).toBeUndefined();
        continue;
      }
      expect(damage.turns).toHaveLength(1);
      const lost = damage.turns[0] as number;
      expect(damage.cells).toEqual([turns[lost]?.key]);
      expect(damage.receivers).toEqual(lost === 0 ? ['c/1', 'c/2'] : []);
      for (let i = 0; i < turns.length; i++) {
        if (i === lost) expect(() => reader.turn(reader.header(i))).toThrowError(/damaged/);
        else expect(reader.turn(reader.header(i))).toEqual(turns[i]);
      }
    }
  });

  test('several damaged turns of one batch are told apart', () => {
    const flipped = Uint8Array.from(bytes);
    for (const i of [0, 2]) (flipped[good.header(i) + 20] as number) ^= 0xff;
    expect(new BatchReader(flipped).damage()).toEqual({ turns: [0, 2], cells: ['a/1'], receivers: ['c/1', 'c/2'] });
  });

  test('any bytes are a batch, or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (noise, ours) => {
        const source = ours ? Uint8Array.from([...bytes.subarray(0, PRELUDE_BYTES), ...noise]) : noise;
        try {
          expect(new BatchReader(source).damage()).toBeDefined();
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^DATA_/);
        }
      }),
    );
  });

  test('a row under another key, and every flipped bit of a row', () => {
    const batch = writer();
    batch.image(imageRow('a/1', 3, { wakeAtMs: 5, received: [{ stream: 1, lane: 'user', position: 4, index: 0 }] }));
    const row = new BatchReader(batch.seal()).attached().images[0]?.row as Uint8Array;
    expect(() => decodeImage('a/2', row)).toThrowError(/"a\/2" is damaged/);
    for (let bit = 0; bit < row.length * 8; bit++) {
      const flipped = Uint8Array.from(row);
      (flipped[bit >> 3] as number) ^= 1 << (bit & 7);
      expect(() => decodeImage('a/1', flipped)).toThrowError(/damaged/);
    }
  });
});
