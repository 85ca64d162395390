/** Bytes of a batch: nothing is lost, and nothing damaged passes. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchWriter } from '../../../runtime/journal/batch-builder.ts';
import { HEADER_BYTES, P_SEAT, PRELUDE_BYTES } from '../../../runtime/journal/batch-layout.ts';
import { BatchReader, mendPrelude } from '../../../runtime/journal/batch-reader.ts';
import { copySummed, crc32Of, viewOf } from '../../../runtime/journal/crc32.ts';
import { decodeImage, decodeLetter } from '../../../runtime/journal/row-codec.ts';
import type { TurnRecord } from '../../../runtime/journal/turn-record.ts';
import { InvalidAddressError, UnserializableValueError } from '../../../runtime/kernel/errors.ts';
import { anyTurn } from './any-turn.ts';
import { imageRow, send, turn } from './journal-rig.ts';

const writer = (): BatchWriter => new BatchWriter({ slot: 3, epoch: 7, run: 11 });

const sealed = (...turns: TurnRecord[]): BatchReader => {
  const batch = writer();
  for (const one of turns) batch.turn(one);
  return new BatchReader(batch.seal());
};

const turnsOf = (reader: BatchReader): TurnRecord[] =>
  Array.from({ length: reader.turns }, (_, i) => reader.turn(reader.header(i)));

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
  good.takeSeat(77);
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
      if (damage === undefined) {
        // The seat is not the batch's own matter: the row says that it stands elsewhere.
        expect([bit >> 3 >= P_SEAT && bit >> 3 < P_SEAT + 4, reader.isSeatedAt(77)]).toEqual([true, false]);
        continue;
      }
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

  test('L3: a row knows its place', () => {
    const reader = new BatchReader(bytes);
    expect([76, 77, 78].map((position) => reader.isSeatedAt(position))).toEqual([false, true, false]);
    const other = sealed(...turns, turn('a/1', 3));
    other.takeSeat(77);
    const swapped = Uint8Array.from(bytes);
    swapped.set(other.bytes.subarray(P_SEAT, P_SEAT + 4), P_SEAT);
    expect(new BatchReader(swapped).isSeatedAt(77)).toBe(false);
  });

  test('L5: a whole turn that stands in another batch, or in another place, is not taken for one there', () => {
    const batch = writer();
    const seal = (...keys: string[]): BatchReader => {
      for (const key of keys) batch.turn(turn(key, 1, { intents: [send(`${key}/to`, key)] }));
      return new BatchReader(batch.seal());
    };
    const [mine, theirs] = [seal('a/1', 'a/2'), seal('b/1', 'b/2')];
    expect([mine.logBytes, mine.headersStart]).toEqual([theirs.logBytes, theirs.headersStart]);
    // Another page in the place of this one: everything behind the keys is the other batch's.
    const moved = Uint8Array.from(mine.bytes);
    moved.set(theirs.bytes.subarray(mine.headersStart), mine.headersStart);
    expect(new BatchReader(moved).damage()).toEqual({
      turns: [0, 1],
      cells: ['a/1', 'a/2'],
      receivers: ['a/1/to', 'a/2/to'],
    });
    const swapped = Uint8Array.from(mine.bytes);
    const [first, second] = [mine.header(0), mine.header(1)];
    swapped.set(mine.bytes.subarray(second, second + HEADER_BYTES), first);
    swapped.set(mine.bytes.subarray(first, first + HEADER_BYTES), second);
    expect(new BatchReader(swapped).damage()).toMatchObject({ turns: [0, 1], cells: ['a/1', 'a/2'] });
  });

  test('one flipped bit of prelude or keys: mended well enough to say whose turns these were', () => {
    const whole = new BatchReader(bytes);
    for (let bit = 0; bit < whole.headersStart * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      (flipped[bit >> 3] as number) ^= 1 << (bit & 7);
      const mended = mendPrelude(flipped);
      if (mended === undefined) throw new Error(`bit ${bit} is not mended`);
      if (bit >> 3 >= P_SEAT && bit >> 3 < P_SEAT + 4) continue;
      expect(Buffer.compare(mended, bytes)).toBe(0);
      expect(new BatchReader(mended).everything()).toMatchObject({ cells: ['a/1', 'a/2'], receivers: ['c/1', 'c/2'] });
    }
    for (let bit = (P_SEAT + 4) * 8; bit < whole.headersStart * 8; bit += 7) {
      const flipped = Uint8Array.from(bytes);
      for (const one of [bit, bit + 1, bit + 9]) (flipped[one >> 3] as number) ^= 1 << (one & 7);
      expect(mendPrelude(flipped)).toBeUndefined();
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
