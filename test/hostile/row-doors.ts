/** The doors of the journal's records: batches, bodies of turns, images, dead letters, and cells on their way to a host. */
import fc from 'fast-check';
import { firstDifference } from '../../runtime/cell/same-value.ts';
import { BatchWriter } from '../../runtime/journal/batch-builder.ts';
import { HEADER_BYTES } from '../../runtime/journal/batch-layout.ts';
import { BatchReader, decodeTurn } from '../../runtime/journal/batch-reader.ts';
import {
  decodeParcels,
  decodeTurns,
  encodeParcels,
  TurnsWriter,
  type RawCell,
  type RawTurn,
} from '../../runtime/journal/cell-parcel.ts';
import { ByteWriter } from '../../runtime/journal/byte-writer.ts';
import {
  decodeDamage,
  decodeImage,
  decodeLetter,
  encodeDamage,
  encodeImage,
  writeLetter,
} from '../../runtime/journal/row-codec.ts';
import type { DeadLetter, ImageRow, TurnRecord } from '../../runtime/journal/turn-record.ts';
import { BlocksError } from '../../runtime/kernel/errors.ts';
import { anyTurn } from '../runtime/journal/any-turn.ts';
import { alien, type Door, judge, type Verdict } from './door.ts';
import type { Dice } from './dice.ts';
import { mutate } from './mutations.ts';
import { resealBatch, resealRow } from './sums.ts';
import { placedTurn } from '../support/placed-turn.ts';
import { valuesOf } from './value-doors.ts';

export const STORE_CODES = ['DATA_DAMAGED', 'DATA_FORMAT', 'STORAGE_FAILED'];

export interface RecordFaults {
  /** Sums are made right before the bytes are judged as if nobody had done so. */
  readonly resealed?: boolean | undefined;
}

export const turnsOf = (seed: number, count: number): TurnRecord[] => fc.sample(anyTurn, { seed, numRuns: count });

/** Undefined when the turn, written again, is the same turn. */
function comesBack(turn: TurnRecord): string | undefined {
  const writer = new BatchWriter({ slot: 0, epoch: 1, run: 1 });
  try {
    writer.turn(turn);
  } catch (error) {
    // A key may be longer than the store takes, and text that is no UTF-8 grows.
    if (error instanceof BlocksError && ['INVALID_ADDRESS', 'MESSAGE_TOO_LARGE'].includes(error.code)) return undefined;
    return `it was let in and cannot be written: ${String(error)}`;
  }
  const reader = new BatchReader(writer.seal());
  const difference = firstDifference(turn, reader.turn(reader.header(0)));
  return difference === undefined ? undefined : `it does not come back: ${difference}`;
}

const checkTurn = (turn: TurnRecord, bytes: number): string | undefined => alien(turn, bytes) ?? comesBack(turn);

export function turnDoor(seed: number): Door {
  const turns = turnsOf(seed, 150).map((turn) => {
    const writer = new BatchWriter({ slot: 0, epoch: 1, run: 1 });
    writer.turn(turn);
    const reader = new BatchReader(writer.seal());
    const at = reader.header(0);
    return { key: turn.key, header: reader.bytes.slice(at, at + HEADER_BYTES), body: reader.body(at).slice() };
  });
  return {
    name: 'turn',
    share: 12,
    attack(dice) {
      const { key, header, body } = dice.pick(turns);
      const bytes = mutate(body, dice, dice.pick(turns).body);
      return judge(
        bytes,
        STORE_CODES,
        () => decodeTurn(key, ...placedTurn(header, bytes)),
        (turn) => checkTurn(turn, bytes.length + HEADER_BYTES),
      );
    },
  };
}

export const batchesOf = (seed: number, count: number): Uint8Array[] => {
  const turns = turnsOf(seed, count * 4);
  const values = valuesOf(seed, count);
  return Array.from({ length: count }, (_, i) => {
    // No two batches have an origin and a number in common: here each is the first of its epoch.
    const writer = new BatchWriter({ slot: 0, epoch: i + 1, run: 1 });
    for (const turn of turns.slice(i * 4, i * 4 + 1 + (i % 4))) writer.turn(turn);
    if (i % 3 === 0) writer.image({ key: `cell/${i}`, sequence: 3, received: [], wakeAtMs: i, body: values[i] });
    if (i % 5 === 0) writer.deadLetter(letterOf(i, turns[i] as TurnRecord));
    return Uint8Array.from(writer.seal());
  });
};

/** Without a stack, which would differ from one process to the next, and the cases with it. */
const SAMPLE_ERROR = { name: 'FrameError', code: 'FRAME_REFUSED', message: 'as an example' };

const letterOf = (i: number, turn: TurnRecord): DeadLetter => ({
  id: `letter-${i}`,
  timeMs: i,
  reason: 'handler_failed',
  error: SAMPLE_ERROR,
  attempts: 3,
  envelope: turn.envelope,
});

/** Cell, receivers and header of every turn that a reader gives out. */
const givenOut = (reader: BatchReader): string[] => {
  const damage = reader.damage();
  if (damage !== undefined && damage.cells === undefined) return [];
  const lost = new Set(damage?.turns);
  const turns: string[] = [];
  for (let i = 0; i < reader.turns; i++) {
    if (lost.has(i)) continue;
    const at = reader.header(i);
    const receivers = Array.from(
      { length: reader.sends(at) },
      (_, s) => reader.keys[reader.receiverIndex(reader.send(at, s))],
    );
    const header = Buffer.from(reader.bytes.subarray(at, at + HEADER_BYTES)).toString('latin1');
    turns.push([reader.keyOf(at), ...receivers, header, Buffer.from(reader.body(at)).toString('latin1')].join('\n'));
  }
  return turns;
};

export function batchDoor(seed: number, faults: RecordFaults = {}): Door {
  const corpus = batchesOf(seed, 40);
  const known = new Set(corpus.flatMap((bytes) => givenOut(new BatchReader(bytes))));

  /** D1: nothing of a turn whose sum does not fit is given out. */
  const raw = (bytes: Uint8Array): Verdict => {
    if (faults.resealed === true) resealBatch(bytes);
    return judge(
      bytes,
      STORE_CODES,
      () => givenOut(new BatchReader(bytes)),
      (turns) => (turns.every((turn) => known.has(turn)) ? undefined : 'a turn was given out that was never written'),
    );
  };

  const resealed = (bytes: Uint8Array): Verdict => {
    resealBatch(bytes);
    return judge(
      bytes,
      STORE_CODES,
      () => {
        const reader = new BatchReader(bytes);
        const damage = reader.damage();
        if (damage !== undefined && damage.cells === undefined) return [];
        const lost = new Set(damage?.turns);
        const turns: TurnRecord[] = [];
        for (let i = 0; i < reader.turns; i++) if (!lost.has(i)) turns.push(reader.turn(reader.header(i)));
        for (const { key, row } of reader.attached().images) {
          resealRow(key, row);
          decodeImage(key, row);
        }
        return turns;
      },
      (turns) => {
        for (const turn of turns) {
          const wrong = checkTurn(turn, bytes.length);
          if (wrong !== undefined) return wrong;
        }
        return undefined;
      },
    );
  };

  return {
    name: 'batch',
    share: 6,
    attack(dice) {
      const bytes = mutate(dice.pick(corpus), dice, dice.pick(corpus)).slice();
      return faults.resealed === true || dice.chance(0.4) ? raw(bytes) : resealed(bytes);
    },
  };
}

export const imagesOf = (seed: number, count: number): ImageRow[] =>
  valuesOf(seed, count).map((body, i) => ({
    key: `cell/${i}`,
    sequence: i,
    received: Array.from({ length: i % 4 }, (_, n) => ({
      stream: n,
      lane: n % 2 === 0 ? ('user' as const) : ('signal' as const),
      position: 10 + n,
      index: n,
    })),
    wakeAtMs: i % 2 === 0 ? undefined : i,
    body,
  }));

export function imageDoor(seed: number, faults: RecordFaults = {}): Door {
  const corpus = imagesOf(seed, 100).map((image) => ({ key: image.key, row: Uint8Array.from(encodeImage(image)) }));
  return {
    name: 'image',
    share: 4,
    attack(dice) {
      const { key, row } = dice.pick(corpus);
      const bytes = mutate(row, dice, dice.pick(corpus).row).slice();
      const reseal = dice.chance(0.7);
      if (reseal || faults.resealed === true) resealRow(key, bytes);
      return judge(
        bytes,
        STORE_CODES,
        () => decodeImage(key, bytes),
        (image) => {
          if (!reseal && Buffer.compare(bytes, row) !== 0) return 'a row passed whose sum cannot fit';
          const strange = alien(image, bytes.length);
          if (strange !== undefined) return strange;
          const difference = firstDifference(image, decodeImage(key, encodeImage(image)));
          return difference === undefined ? undefined : `it does not come back: ${difference}`;
        },
      );
    },
  };
}

export function letterDoor(seed: number): Door {
  const out = new ByteWriter();
  const corpus = turnsOf(seed, 60).map((turn, i) => {
    const letter = letterOf(i, turn);
    writeLetter(out, letter);
    return { id: letter.id, row: Uint8Array.from(out.take()) };
  });
  const damage = Uint8Array.from(encodeDamage('cell/1', SAMPLE_ERROR));
  return {
    name: 'letter',
    share: 3,
    attack(dice) {
      if (dice.chance(0.2)) return attackDamage(dice, damage);
      const { id, row } = dice.pick(corpus);
      const bytes = mutate(row, dice, dice.pick(corpus).row).slice();
      resealRow(id, bytes);
      return judge(
        bytes,
        STORE_CODES,
        () => decodeLetter(id, bytes),
        (letter) => {
          const strange = alien(letter, bytes.length);
          if (strange !== undefined) return strange;
          writeLetter(out, letter);
          const difference = firstDifference(letter, decodeLetter(id, out.take()));
          return difference === undefined ? undefined : `it does not come back: ${difference}`;
        },
      );
    },
  };
}

/** A note of damage is whole, or the journal does not open: it would not know whom not to serve. */
function attackDamage(dice: Dice, row: Uint8Array): Verdict {
  const bytes = mutate(row, dice, row).slice();
  if (dice.chance(0.5)) resealRow('cell/1', bytes);
  return judge(
    bytes,
    STORE_CODES,
    () => decodeDamage('cell/1', bytes),
    (error) =>
      alien(error, bytes.length + 400) ?? (typeof error.code === 'string' ? undefined : 'an error without a code'),
  );
}

function turnsOnly(turns: readonly RawTurn[]): Uint8Array {
  const writer = new TurnsWriter();
  for (const turn of turns) writer.add(turn);
  return writer.take();
}

export function parcelDoor(seed: number): Door {
  const turns = turnsOf(seed, 100).map((turn, i) => {
    const writer = new BatchWriter({ slot: 0, epoch: 1, run: 1 });
    writer.turn(turn);
    const reader = new BatchReader(writer.seal());
    return reader.rawTurn(reader.header(0), i);
  });
  const images = imagesOf(seed, 25);
  const cells = Array.from({ length: 25 }, (_, i): RawCell => {
    const own = turns.slice(i * 4, i * 4 + 3);
    const image = images[i] as ImageRow;
    return {
      key: image.key,
      image: i % 2 === 0 ? undefined : encodeImage(image),
      turns: own,
      pending: own.map(({ position, bytes, start, end }) => ({
        stream: 1,
        position,
        indexes: [0, 1],
        body: bytes.slice(start, end),
      })),
      damage: i % 7 === 0 ? SAMPLE_ERROR : undefined,
    };
  });
  const parcels = cells.map((cell, i) => Uint8Array.from(encodeParcels(cells.slice(i, i + 1 + (i % 2)))));
  const histories = cells.map((cell) => Uint8Array.from(turnsOnly(cell.turns)));
  return {
    name: 'parcel',
    share: 4,
    attack(dice) {
      if (dice.chance(0.4)) {
        const bytes = mutate(dice.pick(histories), dice, dice.pick(histories));
        return judge(
          bytes,
          STORE_CODES,
          () => decodeTurns(bytes, 'cell/1'),
          (found) => alien(found, bytes.length),
        );
      }
      const bytes = mutate(dice.pick(parcels), dice, dice.pick(parcels));
      return judge(
        bytes,
        STORE_CODES,
        () => decodeParcels(bytes).map((cell) => ({ ...cell, turns: [...cell.turns] })),
        (found) => alien(found, bytes.length * 2),
      );
    },
  };
}
