/** The doors of messages: values that stand for themselves, and the frames of a link. */
import fc from 'fast-check';
import { firstDifference } from '../../runtime/cell/same-value.ts';
import { BlocksError } from '../../runtime/kernel/errors.ts';
import { FRAME_HEADER_BYTES, FrameDecoder, FrameEncoder } from '../../runtime/wire/frame-codec.ts';
import { decodeValue, encodeValue } from '../../runtime/wire/value-codec.ts';
import { anyTurn } from '../runtime/journal/any-turn.ts';
import { carriedValue } from '../runtime/wire/carried-values.ts';
import { alien, type Door, fault, judge, judgeRefusal, PASSED, type Verdict } from './door.ts';
import type { Dice } from './dice.ts';
import { mutate } from './mutations.ts';

const CODES = ['FRAME_REFUSED'];

export const valuesOf = (seed: number, count: number): unknown[] => fc.sample(carriedValue, { seed, numRuns: count });

/** What a value must be after it was let in: made of nothing strange, and the same after another way through the codec. */
export function checkCarried(value: unknown, bytes: number): string | undefined {
  const strange = alien(value, bytes);
  if (strange !== undefined) return strange;
  let again: Uint8Array;
  try {
    again = encodeValue(value).slice();
  } catch (error) {
    // Text that is no UTF-8 grows when it is made some.
    if (error instanceof BlocksError && error.code === 'MESSAGE_TOO_LARGE') return undefined;
    return `it was let in and cannot be encoded: ${String(error)}`;
  }
  const difference = firstDifference(value, decodeValue(again));
  return difference === undefined ? undefined : `it does not come back: ${difference}`;
}

export function valueDoor(seed: number): Door {
  const corpus = valuesOf(seed, 200).map((value) => encodeValue(value).slice());
  return {
    name: 'value',
    share: 30,
    attack(dice) {
      const bytes = mutate(dice.pick(corpus), dice, dice.pick(corpus));
      return judge(
        bytes,
        CODES,
        () => decodeValue(bytes),
        (value) => checkCarried(value, bytes.length),
      );
    },
  };
}

const framesOf = (items: readonly (readonly unknown[])[]): Uint8Array[] => {
  const encoder = new FrameEncoder();
  return items.map((some) => encoder.encode(some).bytes as Uint8Array);
};

/** Envelopes as they travel: of messages, and of everything that a turn can send. */
export const envelopesOf = (seed: number, count: number): unknown[] =>
  fc.sample(anyTurn, { seed, numRuns: count }).map(({ envelope }) => envelope);

export interface FrameCorpus {
  readonly items: readonly (readonly unknown[])[];
  readonly frames: readonly Uint8Array[];
}

/** Links in the middle of their work: each the frames of one encoder, the later ones with records of the earlier. */
export function frameCorpus(seed: number, count: number): FrameCorpus[] {
  const values = [...valuesOf(seed, count), ...envelopesOf(seed, count * 2)];
  return Array.from({ length: count }, (_, i) => {
    const own = [values[i], values[count + i], values[2 * count + i]];
    const items = [own, own.slice(0, 2), [own[2], own[1], i]];
    return { items, frames: framesOf(items) };
  });
}

export interface FrameDoorFaults {
  /** Gives a frame that was replayed the number that is expected. */
  readonly renumber?: boolean | undefined;
}

export function frameDoor(seed: number, faults: FrameDoorFaults = {}): Door {
  const corpus = frameCorpus(seed, 100);

  /** Frames in an order of their own: lost, repeated, swapped. */
  const replay = (dice: Dice): Verdict => {
    const { frames } = dice.pick(corpus);
    const decoder = new FrameDecoder();
    const order = dice.pick([[0, 0], [1], [2], [0, 2], [0, 1, 0], [0, 1, 1], [0, 2, 1], [0, 1, 2, 0]]);
    let expected = 0;
    for (const number of order) {
      const bytes = Uint8Array.from(frames[number] as Uint8Array);
      if (faults.renumber === true) new DataView(bytes.buffer).setFloat64(8, expected);
      try {
        decoder.decode(bytes);
      } catch (error) {
        return number === expected
          ? fault(`frame ${number} of ${order.join()} was refused: ${String(error)}`)
          : staysRefused(decoder, frames, error);
      }
      if (number !== expected) return fault(`frame ${number} passed in the order ${order.join()}`);
      expected++;
    }
    return fault('every frame of a wrong order passed');
  };

  const damage = (dice: Dice): Verdict => {
    const { frames } = dice.pick(corpus);
    const decoder = new FrameDecoder();
    const good = dice.below(3);
    for (let i = 0; i < good; i++) decoder.decode(frames[i] as Uint8Array);
    const other = dice.pick(dice.pick(corpus).frames);
    const frame = frames[good] as Uint8Array;
    // A frame spliced from its own header and another link's items gets further than one whose header is hit.
    const body = dice.chance(0.85);
    const mutant = body
      ? Buffer.concat([
          frame.subarray(0, FRAME_HEADER_BYTES),
          mutate(frame.subarray(FRAME_HEADER_BYTES), dice, other.subarray(FRAME_HEADER_BYTES)),
        ])
      : mutate(frame, dice, other);
    const bytes = new Uint8Array(mutant);
    let items: unknown[];
    try {
      items = decoder.decode(bytes);
    } catch (error) {
      return staysRefused(decoder, frames, error, bytes);
    }
    const wrong = alien(items, bytes.length) ?? checkFrame(items);
    return wrong === undefined ? PASSED : fault(wrong, bytes);
  };

  return { name: 'frame', share: 25, attack: (dice) => (dice.chance(0.1) ? replay(dice) : damage(dice)) };
}

/** F2: what was refused once is refused for ever, with the same error. */
function staysRefused(
  decoder: FrameDecoder,
  frames: readonly Uint8Array[],
  error: unknown,
  bytes?: Uint8Array,
): Verdict {
  for (const frame of frames) {
    try {
      decoder.decode(frame);
      return fault('a frame passed after a refusal', bytes);
    } catch (again) {
      if (again !== error) return fault(`after a refusal it threw ${String(again)}`, bytes);
    }
  }
  return judgeRefusal(error, CODES, bytes);
}

function checkFrame(items: readonly unknown[]): string | undefined {
  const { bytes, refused } = new FrameEncoder().encode(items);
  if (bytes === undefined || refused.length > 0) {
    const tooLarge = refused.every(({ error }) => error.code === 'MESSAGE_TOO_LARGE');
    return items.length === 0 || tooLarge ? undefined : `items passed and cannot be sent: ${refused[0]?.error.message}`;
  }
  const difference = firstDifference(items, new FrameDecoder().decode(bytes));
  return difference === undefined ? undefined : `items do not come back: ${difference}`;
}
