/**
 * What is done to valid bytes: random damage, and lies that know msgpack and the journal's tables.
 *
 * Owns: the kinds of mutation. Knows nothing of who decodes them, and mends no sums: a door that has sums does that.
 */
import type { Dice } from './dice.ts';

/** The longest input that is made of a short one. */
const GROWN_BYTES = 200_000;

type Mutation = (bytes: Uint8Array, dice: Dice, other: Uint8Array) => Uint8Array;

const join = (...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array => {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const joined = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
};

const insert = (bytes: Uint8Array, at: number, what: Uint8Array | readonly number[], over = 0): Uint8Array =>
  join(bytes.subarray(0, at), what, bytes.subarray(Math.min(bytes.length, at + over)));

const text = (value: string): readonly number[] => {
  const bytes = Buffer.from(value);
  return bytes.length < 32 ? [0xa0 | bytes.length, ...bytes] : [0xd9, bytes.length, ...bytes];
};

/** Offsets of msgpack's tokens, without regard to nesting: where a lie about the structure is read as one. */
export const tokensOf = (bytes: Uint8Array): number[] => {
  const tokens: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    tokens.push(at);
    const token = bytes[at++] as number;
    const next = (size: number): number => {
      let value = 0;
      for (let i = 0; i < size; i++) value = value * 256 + (bytes[at + i] ?? 0);
      return value + size;
    };
    if (token >= 0xa0 && token < 0xc0) at += token & 0x1f;
    else if (token === 0xc4 || token === 0xd9) at += next(1);
    else if (token === 0xc5 || token === 0xda) at += next(2);
    else if (token === 0xc6 || token === 0xdb) at += next(4);
    else if (token === 0xc7) at += next(1) + 1;
    else if (token === 0xcc || token === 0xd0) at += 1;
    else if (token === 0xcd || token === 0xd1 || token === 0xdc || token === 0xde || token === 0xd4) at += 2;
    else if (token === 0xca || token === 0xce || token === 0xd2 || token === 0xdd || token === 0xdf) at += 4;
    else if (token === 0xcb || token === 0xcf || token === 0xd3) at += 8;
    else if (token === 0xd6) at += 5;
    else if (token === 0xd7) at += 9;
  }
  return tokens;
};

const tokenAt = (bytes: Uint8Array, dice: Dice): number => {
  const tokens = tokensOf(bytes);
  return tokens.length === 0 ? 0 : dice.pick(tokens);
};

/** Beginnings of values: counts and lengths beyond any input, extensions, records, bytes that begin nothing. */
const HEADS: readonly (readonly number[])[] = [
  [0xdd, 0xff, 0xff, 0xff, 0xff],
  [0xdd, 0x7f, 0xff, 0xff, 0xff],
  [0xdd, 0x01, 0x00, 0x00, 0x00],
  [0xdf, 0xff, 0xff, 0xff, 0xff],
  [0xdf, 0x00, 0xff, 0xff, 0xff],
  [0xdb, 0xff, 0xff, 0xff, 0xff],
  [0xdb, 0x00, 0x10, 0x00, 0x00],
  [0xc6, 0xff, 0xff, 0xff, 0xff],
  [0xc6, 0x20, 0x00, 0x00, 0x00],
  [0xdc, 0xff, 0xff],
  [0xde, 0xff, 0xff],
  [0xda, 0xff, 0xff],
  [0xc5, 0xff, 0xff],
  [0xc1],
  [0x80],
  [0x90],
  [0x91],
  [0x81],
  [0xc0],
  [0xc9, 0xff, 0xff, 0xff, 0xff, 0x42],
  [0xc8, 0xff, 0xff, 0x42],
  [0xc7, 0x0c, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xd7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xd6, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xd4, 0xff, 0xff],
  [0xd4, 0x00, 0x00],
  [0xd4, 0x65, 0x00, 0x93, ...text('toString'), ...text('x'), 0xc0],
  [0xd4, 0x78, 0x00, 0x92, ...text('(a+)+$'), 0xa0],
  [0xd4, 0x73, 0x00, 0x91, 0x01],
  [0xd6, 0x69, 0x00, 0x00, 0x00, 0x01, 0x91, 0xd6, 0x70, 0x00, 0x00, 0x00, 0x01],
  [0xd6, 0x62, 0x00, 0x00, 0x00, 0x05],
  [0xc7, 0x05, 0x74, 0x08, 1, 2, 3, 4],
  [0xd4, 0x42, 0x00],
  [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
  [0xcb, 0xff, 0xf0, 0, 0, 0, 0, 0, 0],
  [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];

/** Values behind the runtime's own tag, most of them malformed. */
const SPECIALS: readonly (readonly number[])[] = [
  [0xc0],
  [0x05],
  [0x92, 0x00, 0x05],
  [0x92, 0x00, ...text('constructor')],
  [0x92, 0x63, 0x00],
  [0x92, 0x81, ...text('toString'), 0x05, 0x01],
  [0x92, 0x01, 0x83, ...text('name'), 0xa0, ...text('code'), ...text('FRAME_REFUSED'), ...text('message'), 0xa0],
  [
    0x92,
    0x01,
    0x84,
    ...text('name'),
    0xa0,
    ...text('code'),
    0xa0,
    ...text('message'),
    0xa0,
    ...text('details'),
    0x91,
    0x01,
  ],
  [
    0x92,
    0x01,
    0x84,
    ...text('name'),
    0xa0,
    ...text('code'),
    0xa0,
    ...text('message'),
    0xa0,
    ...text('details'),
    0xc5,
    0xff,
    0xff,
  ],
  [0x92, 0x02, 0x92, 0x01, 0x01],
  [0x92, 0x02, 0xdd, 0xff, 0xff, 0xff, 0xff],
  [0x92, 0x03, 0xc4, 0x03, 1, 2, 3],
  [0x92, 0x04, 0x92, 0x07, 0xc4, 0x03, 0, 0, 0],
  [0x92, 0x04, 0x92, ...text('length'), 0xc4, 0x00],
  [0x92, 0x04, 0x92, 0x00, 0xc6, 0xff, 0xff, 0xff, 0xff],
];

const KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'toJSON',
  'then',
  'hasOwnProperty',
  '$broken',
];

const NUMBERS = [0, 1, 2, 7, 63, 64, 127, 255, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const FLOATS = [Number.NaN, Infinity, -Infinity, -1, -0, 0.5, 2 ** 53, 2 ** 53 - 1, 1e300, 5e-324, 0, 1];

const flip: Mutation = (bytes, dice) => {
  const copy = Uint8Array.from(bytes);
  if (copy.length === 0) return copy;
  for (let n = 1 + dice.below(3); n > 0; n--) (copy[dice.below(copy.length)] as number) ^= 1 << dice.below(8);
  return copy;
};

const overwrite: Mutation = (bytes, dice) => {
  const copy = Uint8Array.from(bytes);
  if (copy.length === 0) return copy;
  for (let n = 1 + dice.below(4); n > 0; n--) copy[dice.below(copy.length)] = dice.below(256);
  return copy;
};

const truncate: Mutation = (bytes, dice) => bytes.slice(0, dice.below(bytes.length));

const extend: Mutation = (bytes, dice) => {
  const tail = new Uint8Array(1 + dice.below(64));
  const filler = dice.pick([0x00, 0xff, 0x90, 0xc0]);
  const random = dice.chance(0.5);
  for (let i = 0; i < tail.length; i++) tail[i] = random ? dice.below(256) : filler;
  return join(bytes, tail);
};

const cutOut: Mutation = (bytes, dice) => {
  const at = dice.below(bytes.length);
  return join(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + dice.below(16))));
};

const repeat: Mutation = (bytes, dice) => {
  const at = dice.below(bytes.length);
  const part = bytes.subarray(at, at + 1 + dice.below(64));
  return insert(bytes, dice.below(bytes.length), part);
};

const splice: Mutation = (bytes, dice, other) => {
  const at = dice.chance(0.5) ? tokenAt(bytes, dice) : dice.below(bytes.length);
  const from = dice.chance(0.5) ? tokenAt(other, dice) : dice.below(other.length);
  return join(bytes.subarray(0, at), other.subarray(from));
};

const transplant: Mutation = (bytes, dice, other) => {
  const from = tokenAt(other, dice);
  return insert(bytes, tokenAt(bytes, dice), other.subarray(from, from + 1 + dice.below(40)), dice.below(20));
};

/** A number where the journal and the links keep lengths, counts, offsets and positions. */
const renumber: Mutation = (bytes, dice) => {
  const copy = Uint8Array.from(bytes);
  const size = dice.pick([1, 2, 4, 8] as const);
  if (copy.length < size) return copy;
  const view = new DataView(copy.buffer);
  // Tables are aligned to four bytes; the rest is not.
  const at = dice.chance(0.5) ? dice.below((copy.length - size) / 4 + 1) * 4 : dice.below(copy.length - size + 1);
  const little = dice.chance(0.6);
  const near = bytes.length + dice.below(9) - 4;
  const value = dice.chance(0.3) ? Math.max(0, near) : dice.pick(NUMBERS);
  if (at + size > copy.length) return copy;
  if (size === 8) view.setFloat64(at, dice.pick(FLOATS), little);
  else if (size === 4) view.setUint32(at, value, little);
  else if (size === 2) view.setUint16(at, value & 0xffff, little);
  else view.setUint8(at, value & 0xff);
  return copy;
};

const head: Mutation = (bytes, dice) => insert(bytes, tokenAt(bytes, dice), dice.pick(HEADS), dice.pick([0, 0, 1, 5]));

const special: Mutation = (bytes, dice) =>
  insert(bytes, tokenAt(bytes, dice), [0xd4, 0x3b, dice.below(2), ...dice.pick(SPECIALS)], dice.pick([0, 1]));

const nest: Mutation = (bytes, dice) => {
  const depth = dice.chance(0.02) ? dice.below(GROWN_BYTES) : 1 + dice.below(300);
  const link = dice.pick([[0x91], [0x81, 0xa1, 0x61], [0x40], [0xd4, 0x3b, 0x00, 0x92, 0x02, 0x91]]);
  const chain = new Uint8Array(depth * link.length);
  for (let i = 0; i < chain.length; i++) chain[i] = link[i % link.length] as number;
  return insert(bytes, tokenAt(bytes, dice), chain);
};

const record: Mutation = (bytes, dice) => {
  const id = dice.chance(0.7) ? 0x40 + dice.below(8) : dice.below(256);
  const keys = dice.below(4);
  const count = dice.chance(0.8)
    ? [0x90 | keys]
    : dice.pick([[0xdc, 0xff, 0xff], [0xdd, 0xff, 0xff, 0xff, 0xff], [0x05]]);
  const names: number[] = [];
  for (let i = 0; i < keys; i++) names.push(...text(dice.pick(KEYS)));
  const use = dice.chance(0.5) ? [] : [id];
  return insert(bytes, tokenAt(bytes, dice), [...use, 0xd4, 0x72, id, ...count, ...names], dice.pick([0, 1]));
};

/** Another name in place of one, or a map with such a name. */
const rename: Mutation = (bytes, dice) => {
  const at = tokenAt(bytes, dice);
  const token = bytes[at] ?? 0;
  const name = text(dice.pick(KEYS));
  if (token >= 0xa0 && token < 0xc0) return insert(bytes, at, name, 1 + (token & 0x1f));
  return insert(bytes, at, [0x81, ...name, 0x81, ...text('polluted')]);
};

/** Whole values that no encoder of ours makes, or not there. */
const WHOLE: readonly (readonly number[])[] = [
  [0xd4, 0x65, 0x00, 0x93, ...text('toString'), ...text('x'), 0xc0],
  [0xd4, 0x78, 0x00, 0x92, ...text('(a+)+$'), 0xa0],
  [0xd4, 0x73, 0x00, 0x91, 0x01],
  [0xc7, 0x05, 0x74, 0x08, 1, 2, 3, 4],
  [0xc8, 0x01, 0x00, 0x42, ...Array.from({ length: 256 }, () => 0x7f)],
  [...Array.from({ length: 140 }, () => 0x91), 0xc0],
  [0x81, ...text('__proto__'), 0x81, ...text('polluted'), 0x01],
  [0xd4, 0x72, 0x41, 0x91, ...text('__proto__'), 0x01],
  [0xd4, 0x72, 0x41, 0x92, ...text('constructor'), ...text('toString'), 0x01, 0x02],
  [0x82, ...text('toString'), 0x05, ...text('valueOf'), 0x05],
  [0x80],
  [0x90],
  [0xc0],
  [0x05],
  [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
  [0xcb, 0xc0, 0x00, 0, 0, 0, 0, 0, 0],
  [0xd4, 0xff, 0xff],
  text('a'),
  [0xc4, 0x02, 0x00, 0x01],
];

/** A whole value in place of a whole scalar: what surrounds it stays well formed. */
const substitute: Mutation = (bytes, dice) => {
  const tokens = tokensOf(bytes);
  if (tokens.length === 0) return bytes;
  const i = dice.below(tokens.length);
  const at = tokens[i] as number;
  const end = tokens[i + 1] ?? bytes.length;
  const value = dice.chance(0.2) ? [0xd4, 0x3b, 0x00, ...dice.pick(SPECIALS)] : dice.pick(WHOLE);
  return insert(bytes, at, value, end - at);
};

const MUTATIONS: readonly Mutation[] = [
  substitute,
  substitute,
  substitute,
  flip,
  overwrite,
  truncate,
  extend,
  cutOut,
  repeat,
  splice,
  transplant,
  renumber,
  renumber,
  head,
  special,
  nest,
  record,
  rename,
];

/** `bytes` after one to three mutations; `other` lends parts. */
export function mutate(bytes: Uint8Array, dice: Dice, other: Uint8Array): Uint8Array {
  let mutated = bytes;
  for (let n = dice.chance(0.7) ? 1 : 2 + dice.below(2); n > 0; n--)
    mutated = dice.pick(MUTATIONS)(mutated, dice, other);
  return mutated;
}
