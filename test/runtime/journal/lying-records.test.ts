/** Records whose sums fit and whose content lies: what the proof of hostile frames found, one by one. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BatchWriter } from '../../../runtime/journal/batch-builder.ts';
import { H_SENDS, HEADER_BYTES, P_IMAGES } from '../../../runtime/journal/batch-layout.ts';
import { BatchReader, decodeTurn } from '../../../runtime/journal/batch-reader.ts';
import { decodeParcels, encodeParcels, type RawTurn } from '../../../runtime/journal/cell-parcel.ts';
import { viewOf } from '../../../runtime/journal/crc32.ts';
import { MemoryStore } from '../../../runtime/journal/memory-store.ts';
import { openAheadStore } from '../../../runtime/journal/ahead-store.ts';
import { encodeImage, readImageHeader } from '../../../runtime/journal/row-codec.ts';
import { packNext } from '../../../runtime/wire/journal-codec.ts';
import { resealAhead, resealBatch, resealRow } from '../../hostile/sums.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { placedTurn } from '../../support/placed-turn.ts';
import { imageRow, Rig, send, turn } from './journal-rig.ts';

const sealed = (): Uint8Array => {
  const writer = new BatchWriter({ slot: 0, epoch: 1, run: 1 });
  writer.turn(turn('cell/a', 1, { intents: [send('cell/b', 1)] }));
  writer.image(imageRow('cell/c', 1));
  return writer.seal();
};

const packed = (value: unknown): Uint8Array => {
  const { start, end } = packNext(value);
  return Uint8Array.from(packNext(value).subarray(start, end));
};

const damaged = expect.objectContaining({ code: 'DATA_DAMAGED' }) as Error;

test.each<[string, unknown]>([
  ['no list', { a: 1 }],
  ['no time', ['now', 1, null, null]],
  ['intents that are none', [5, 1, null, { map: 1 }]],
  ['an intent that is none', [5, 1, null, [7]]],
  ['an envelope that is none', [5, 1, 7, null]],
  ['a receiver that is no key', [5, 1, null, [[0, 5, 1, null]]]],
  ['a control message without a kind', [5, 1, [null, null, { a: 1 }], null]],
  ['an answer to nobody', [5, 1, null, [[2, null, 1]]]],
  ['an error that is none', [5, 1, null, [[3, [1, 1], 'no']]]],
])('a turn with %s is damage by name', (_what, shape) => {
  expect(() => decodeTurn('cell/a', ...placedTurn(new Uint8Array(HEADER_BYTES), packed(shape)))).toThrowError(damaged);
});

test('a body is looked at before it is decoded', () => {
  const deep = new Uint8Array(100_000).fill(0x91);
  const regexp = Uint8Array.from([0xd4, 0x78, 0x00, 0x92, 0xa1, 0x61, 0xa0]);
  for (const body of [deep, regexp, Uint8Array.from([0x93, 0x05])]) {
    expect(() => decodeTurn('cell/a', ...placedTurn(new Uint8Array(HEADER_BYTES), body))).toThrowError(
      expect.objectContaining({ code: 'STORAGE_FAILED' }),
    );
  }
});

test('C3: a cell whose records cannot be read is blocked, the one beside it is served', () => {
  const rawTurn = (position: number, body: Uint8Array): RawTurn => {
    const [bytes, view, at, start, end] = placedTurn(new Uint8Array(HEADER_BYTES), body);
    return { position, bytes, view, at, start, end };
  };
  const base = { image: undefined, pending: [], damage: undefined };
  const bytes = encodeParcels([
    { ...base, key: 'cell/a', turns: [rawTurn(1, packed('no turn'))] },
    { ...base, key: 'cell/b', turns: [rawTurn(2, packed([5, 1, null, null]))] },
  ]);
  const [a, b] = decodeParcels(bytes);
  expect(() => [...(a?.turns ?? [])]).toThrowError(damaged);
  expect([...(b?.turns ?? [])]).toMatchObject([{ timeMs: 5 }]);
  expect(() => decodeParcels(bytes.subarray(0, bytes.length - 3))).toThrowError(damaged);
});

test('a count that says anything takes no memory, and shuts its host out, not the journal', async () => {
  const bytes = sealed();
  viewOf(bytes).setUint32(P_IMAGES, 0x0200_0000, true);
  resealBatch(bytes);
  expect(() => new BatchReader(bytes).attached()).toThrowError(damaged);
  const rig = await Rig.open({ hosts: 2 });
  const mad = rig.host(0, 1);
  mad.journal.append(1, bytes);
  rig.clock.run();
  expect(mad.heard).toEqual([['fenced']]);
  const sound = rig.host(1, 1);
  sound.write(turn('cell/s', 1));
  expect(sound.of('committed')).toHaveLength(1);
  expect(rig.failures).toEqual([]);
});

test('a header that points outside is damage, also where no body is read', () => {
  const bytes = sealed();
  const at = new BatchReader(bytes).header(0);
  viewOf(bytes).setUint32(at + H_SENDS, 0xffff_ffff, true);
  resealBatch(bytes);
  expect(new BatchReader(bytes).damage(false)).toMatchObject({ turns: [0], cells: ['cell/a'] });
});

test('an image with more watermarks than bytes', () => {
  const row = Uint8Array.from(encodeImage(imageRow('cell/a', 1)));
  viewOf(row).setUint16(6, 0xffff, true);
  resealRow('cell/a', row);
  expect(() => readImageHeader('cell/a', row)).toThrowError(damaged);
});

test('a frame ahead of the database that says what it has not is refused by name, and its file is let go', async () => {
  await using dir = await tmpDir('lying');
  const store = openAheadStore(new MemoryStore(), dir.path, 'relaxed');
  store.commit((writes) => writes.log(1, Buffer.alloc(40, 1)));
  const open = (): number => readdirSync('/proc/self/fd').length;
  const bytes = Buffer.alloc(60);
  bytes.writeUInt32LE(44, 16);
  bytes.writeDoubleLE(1, 24);
  const before = existsSync('/proc/self/fd') ? open() : 0;
  for (const [kind, code] of [
    [0, 'DATA_DAMAGED'],
    [5, 'STORAGE_FAILED'],
    [99, 'STORAGE_FAILED'],
  ] as const) {
    bytes.fill(0xff, 36);
    bytes[36] = kind;
    resealAhead(bytes);
    writeFileSync(dir.at('AHEAD'), bytes);
    expect(() => openAheadStore(new MemoryStore(), dir.path, 'relaxed')).toThrowError(
      expect.objectContaining({ code }),
    );
  }
  if (existsSync('/proc/self/fd')) expect(open()).toBe(before);
  await store.close();
});

test('a row of the log whose key lies behind the file ahead is damage by name, and the file stays', async () => {
  await using dir = await tmpDir('lying');
  const store = new MemoryStore();
  const killed = openAheadStore(store, dir.path, 'relaxed');
  killed.commit((writes) => writes.log(600, Buffer.from('a')));
  killed.flush();
  killed.commit((writes) => writes.log(602, Buffer.from('b')));
  killed.end();
  const ahead = readFileSync(dir.at('AHEAD'));
  // What a flipped bit of a key does.
  store.commit((writes) => {
    writes.removeLog(600);
    writes.log(9_600, Buffer.from('a'));
  });
  const byName = expect.objectContaining({ code: 'DATA_DAMAGED', details: { table: 'log', position: 9_600 } });
  expect(() => openAheadStore(store, dir.path, 'relaxed')).toThrowError(byName);
  expect(() => openAheadStore(store, dir.path, 'group')).toThrowError(byName);
  expect(readFileSync(dir.at('AHEAD'))).toEqual(ahead);
});
