/**
 * Values that msgpack has no word for: references, errors, sets, typed arrays, objects with a `toJSON` or without a prototype.
 *
 * Owns: what becomes of them, both ways. It is the only place that registers an extension with msgpackr, whose registry belongs to
 * the whole thread and may be used by the application too. Hence the registered "class" recognises values only while one of
 * our codecs is encoding, and its reader works only while one is decoding.
 *
 * Invariants:
 * V1. Every object that is not a plain object, an array, a Map, a Date or bytes passes through here: none loses its class silently.
 * V2. Outside of `enter…` and `leave…`, msgpackr behaves as if this file did not exist.
 */
import { addExtension } from 'msgpackr';
import { decodeError } from '../kernel/errors.ts';
import { Reference } from '../kernel/reference.ts';
import { ScanFault, SPECIAL_TYPE } from './byte-scan.ts';
import { carriedError, isEncodedError } from './carried-error.ts';
import { describeValue, isPlain } from './value-kind.ts';

/** What a receiver makes of a reference. */
export type ReviveReference = (key: string) => Reference;

/** First element of the pair behind the tag. Numbers are in journals: never reuse one. */
const KIND = { reference: 0, error: 1, set: 2, arrayBuffer: 3, typedArray: 4 } as const;

/** Index = number on the wire. Uint8Array is msgpack's own. */
const TYPED_ARRAYS = [
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const;

/** Thrown by hooks in the middle of an encoding; the codec then looks for the path and says it in full. */
export class EncodeFault extends Error {}

export const reviveAsReference: ReviveReference = (key) => new Reference(key);

let encoding = false;
let revive: ReviveReference | undefined;

/** Starts encoding with the rules of this file in force; `leaveEncoding` with the answer ends it. No closure: this runs for every message. */
export function enterEncoding(): boolean {
  const before = encoding;
  encoding = true;
  return before;
}

export function leaveEncoding(before: boolean): void {
  encoding = before;
}

export function enterDecoding(reviveReference: ReviveReference): ReviveReference | undefined {
  const before = revive;
  revive = reviveReference;
  return before;
}

export function leaveDecoding(before: ReviveReference | undefined): void {
  revive = before;
}

/** What stands for `value` in the payload of our tag; undefined when we have no word for it either. */
function specialForm(value: object): readonly [kind: number, content: unknown] | undefined {
  if (value instanceof Reference) return [KIND.reference, value.key];
  if (value instanceof Error) return [KIND.error, carriedError(value)];
  if (value instanceof Set) return [KIND.set, [...value]];
  if (ArrayBuffer.isView(value)) {
    const type = TYPED_ARRAYS.findIndex((Class) => value instanceof Class);
    if (type === -1) return undefined;
    return [KIND.typedArray, [type, new Uint8Array(value.buffer, value.byteOffset, value.byteLength)]];
  }
  if (value instanceof ArrayBuffer) return [KIND.arrayBuffer, new Uint8Array(value)];
  return undefined;
}

/** What msgpackr may write in place of `value`, told apart for the search of a fault too. */
export type Special =
  | { readonly kind: 'tagged'; readonly form: readonly [kind: number, content: unknown] }
  | { readonly kind: 'json'; readonly json: unknown }
  | { readonly kind: 'refused'; readonly reason: string };

export function specialOf(value: object): Special {
  const form = specialForm(value);
  if (form !== undefined) return { kind: 'tagged', form };
  if (typeof value === 'function') return { kind: 'refused', reason: describeValue(value) };
  const toJSON: unknown = (value as { toJSON?: unknown }).toJSON;
  if (typeof toJSON !== 'function') return { kind: 'refused', reason: describeValue(value) };
  // The method is the application's, and may use msgpackr for itself.
  const before = encoding;
  encoding = false;
  try {
    const json: unknown = toJSON.call(value, '');
    return json === value
      ? { kind: 'refused', reason: `${describeValue(value)} whose toJSON() returns itself` }
      : { kind: 'json', json };
  } finally {
    encoding = before;
  }
}

/** The value behind our tag. */
function readSpecial(payload: unknown): unknown {
  if (revive === undefined) throw new Error(`Unknown extension ${SPECIAL_TYPE}`);
  if (!Array.isArray(payload) || payload.length !== 2) throw new ScanFault('a special value is malformed');
  const [kind, content]: readonly unknown[] = payload;
  switch (kind) {
    case KIND.reference:
      if (typeof content === 'string') return revive(content);
      break;
    case KIND.error:
      if (isEncodedError(content)) return decodeError(content);
      break;
    case KIND.set:
      if (Array.isArray(content)) return new Set(content);
      break;
    case KIND.arrayBuffer:
      if (content instanceof Uint8Array) return ownBuffer(content);
      break;
    case KIND.typedArray:
      if (Array.isArray(content) && content.length === 2) {
        const Class = TYPED_ARRAYS[content[0] as number];
        const bytes: unknown = content[1];
        if (Class !== undefined && bytes instanceof Uint8Array && bytes.byteLength % Class.BYTES_PER_ELEMENT === 0)
          return new Class(ownBuffer(bytes));
      }
      break;
  }
  throw new ScanFault(`a special value of kind ${String(kind)} is malformed`);
}

function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer
    ? bytes.buffer
    : new Uint8Array(bytes).buffer;
}

/** A "class" for msgpackr, which only asks `value instanceof it`. */
const recognise = (test: (value: object) => boolean): (new () => object) =>
  ({ [Symbol.hasInstance]: (value: object) => encoding && test(value) }) as unknown as new () => object;

const isOwn = (value: object): boolean => !(value instanceof Date) && !(value instanceof Uint8Array);

type PackSpecial = (
  value: object,
  allocate: (size: number) => { target: Uint8Array; position: number },
  pack: (value: unknown) => void,
) => void;

const packSpecial: PackSpecial = (value, allocate, pack) => {
  const special = specialOf(value);
  if (special.kind === 'refused') throw new EncodeFault(special.reason);
  if (special.kind === 'json') {
    allocate(0);
    return pack(special.json);
  }
  const { target, position } = allocate(3);
  target[position] = 0xd4;
  target[position + 1] = SPECIAL_TYPE;
  target[position + 2] = 0;
  pack(special.form);
};

// Registered first, asked last: msgpackr puts each new one in front.
addExtension({
  Class: recognise(isOwn),
  type: SPECIAL_TYPE,
  pack: packSpecial,
  read: readSpecial,
} as unknown as Parameters<typeof addExtension>[0]);
// Plain all the same, though `constructor` does not say so: no prototype, another realm, a key named `constructor`.
addExtension({
  Class: recognise(isPlain),
  write: (value: object) => value,
});
