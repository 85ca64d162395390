/**
 * A look at msgpack bytes before they become values: are they well formed, shallow, and made only of what we write?
 *
 * Owns: the list of what may be on the wire. Makes no values and allocates nothing per value; msgpackr does the decoding, and would
 * by itself also make regular expressions, errors by name, shared references and integers of megabytes.
 *
 * Invariants:
 * W1. Bytes that pass are one whole value: msgpackr reads exactly them, and no length in them points outside.
 * W2. Nesting is at most the limit, so that no decoder runs out of stack.
 * W3. The only extensions are undefined, dates, record definitions (where records are allowed) and our own tag.
 * W4. No object has the key `__proto__`.
 * W5. With records, the scan knows the same definitions as the decoder: both have read the same bytes in the same order.
 */
import { FrameError } from '../kernel/errors.ts';

/** Extension type of everything that msgpack has no word for; `special-values.ts` says what is behind it. */
export const SPECIAL_TYPE = 0x3b;

const UNDEFINED_TYPE = 0x00;
const RECORD_TYPE = 0x72;
const DATE_TYPE = 0xff;
const RECORD_IDS = 64;

/** A fault in the bytes. A class of its own inside `wire/`, since an encoder says it in other words than a decoder. */
export class ScanFault extends Error {}

export class ByteScan {
  readonly #depthLimit: number;
  /** Values still expected at each depth around the one being read. */
  readonly #left: Int32Array;
  /** 1 where a depth is an object written as a map, whose every other value is a key. */
  readonly #keyed: Uint8Array;
  /** Fields of each record id, -1 for one that is not defined. Undefined: no records allowed. */
  readonly #fields: Int32Array | undefined;
  /** Bytes of the largest child of the outermost value in the last scan, and which it was. */
  largestChildBytes = 0;
  largestChild = -1;

  constructor(options: { readonly records: boolean; readonly depthLimit: number }) {
    this.#depthLimit = options.depthLimit;
    this.#left = new Int32Array(options.depthLimit + 1);
    this.#keyed = new Uint8Array(options.depthLimit + 1);
    this.#fields = options.records ? new Int32Array(RECORD_IDS).fill(-1) : undefined;
  }

  /** Forgets all record definitions. */
  reset(): void {
    this.#fields?.fill(-1);
  }

  /** Throws `ScanFault` unless `bytes` from `start` to `end` are one value that keeps all the rules. */
  scan(bytes: Uint8Array, start: number, end = bytes.length): void {
    const left = this.#left;
    const keyed = this.#keyed;
    const fields = this.#fields;
    this.largestChildBytes = 0;
    this.largestChild = -1;
    let child = 0;
    let childStart = 0;
    let at = start;
    let depth = 0;
    // Of the depth that is being read; the arrays have those of the depths around it.
    let rest = 1;
    let inMap = false;

    for (;;) {
      if (at >= end) throw new ScanFault('the bytes end within a value');
      const token = bytes[at++] as number;
      let children = 0;
      let isMap = false;

      if (inMap && (rest & 1) === 0) {
        // The usual key is a short string.
        if (token >= 0xa0 && token < 0xc0 && token !== 0xa9) at += token & 0x1f;
        else at = skipKey(bytes, at, token);
      } else {
        const length = FIXED[token] as number;
        if (length >= 0) {
          at += length;
          if (fields !== undefined && token >= 0x40 && token < 0x80) {
            children = fields[token - 0x40] as number;
            if (children < 0) throw new ScanFault(`record ${token} is not defined`);
          }
        } else if (token < 0x90) {
          children = (token & 0x0f) * 2;
          isMap = true;
        } else if (token < 0xa0) {
          children = token & 0x0f;
        } else {
          switch (token) {
            case 0xc4:
            case 0xd9:
              at += 1 + uint(bytes, at, 1);
              break;
            case 0xc5:
            case 0xda:
              at += 2 + uint(bytes, at, 2);
              break;
            case 0xc6:
            case 0xdb:
              at += 4 + uint(bytes, at, 4);
              break;
            case 0xdc:
              children = uint(bytes, at, 2);
              at += 2;
              break;
            case 0xdd:
              children = uint(bytes, at, 4);
              at += 4;
              break;
            case 0xde:
              children = uint(bytes, at, 2) * 2;
              isMap = true;
              at += 2;
              break;
            case 0xdf:
              children = uint(bytes, at, 4) * 2;
              isMap = true;
              at += 4;
              break;
            case 0xd4: {
              const type = bytes[at];
              if (type === RECORD_TYPE && fields !== undefined) {
                const id = (bytes[at + 1] as number) - 0x40;
                if (!(id >= 0 && id < RECORD_IDS)) throw new ScanFault('a record is defined out of range');
                const keys = countOf(bytes, at + 2);
                at = skipKeys(bytes, at + 2 + headerOf(bytes[at + 2] as number), keys, end);
                fields[id] = children = keys;
              } else if (type === SPECIAL_TYPE) {
                children = 1;
                at += 2;
              } else if (type === UNDEFINED_TYPE || type === DATE_TYPE) {
                at += 2;
              } else {
                throw new ScanFault(`extension ${String(type)} is not allowed`);
              }
              break;
            }
            case 0xd6:
              at = skipDate(bytes, at, 4);
              break;
            case 0xd7:
              at = skipDate(bytes, at, 8);
              break;
            case 0xc7:
              if (bytes[at] !== 12) throw new ScanFault('an extension of this length is not allowed');
              at = skipDate(bytes, at + 1, 12);
              break;
            default:
              throw new ScanFault(`byte ${token} begins no value that is allowed`);
          }
        }

        if (children > 0) {
          if (children > end - at) throw new ScanFault('a length points outside of the bytes');
          if (depth === 0) childStart = at;
          left[depth] = rest;
          keyed[depth] = inMap ? 1 : 0;
          depth += 1;
          if (depth > this.#depthLimit) throw new ScanFault(`nested deeper than ${this.#depthLimit}`);
          rest = children;
          // With records, objects are records: a map is a Map, whose keys may be anything.
          inMap = isMap && fields === undefined;
          continue;
        }
      }

      for (;;) {
        if (depth === 1) {
          const size = at - childStart;
          if (size > this.largestChildBytes) {
            this.largestChildBytes = size;
            this.largestChild = child;
          }
          child += 1;
          childStart = at;
        }
        if (--rest > 0) break;
        if (depth === 0) {
          if (at === end) return;
          throw new ScanFault(at > end ? 'the bytes end within a value' : 'there are bytes after the value');
        }
        depth -= 1;
        rest = left[depth] as number;
        inMap = keyed[depth] === 1;
      }
    }
  }
}

/** Bytes that follow a token whose length is in the token alone; -1 for the others, and for those that are not allowed. */
const FIXED = Int8Array.from({ length: 256 }, (_, token) => {
  if (token < 0x80 || token >= 0xe0) return 0;
  if (token >= 0xa0 && token < 0xc0) return token & 0x1f;
  switch (token) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return 0;
    case 0xcc:
    case 0xd0:
      return 1;
    case 0xcd:
    case 0xd1:
      return 2;
    case 0xca:
    case 0xce:
    case 0xd2:
      return 4;
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return 8;
    default:
      return -1;
  }
});

/** A fault of received bytes in the words of the library. */
export function refuse(what: string, fault: unknown): FrameError {
  return new FrameError(`${what} is refused: ${fault instanceof Error ? fault.message : String(fault)}`, {
    cause: fault,
  });
}

function uint(bytes: Uint8Array, at: number, size: 1 | 2 | 4): number {
  if (at + size > bytes.length) throw new ScanFault('the bytes end within a length');
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + (bytes[at + i] as number);
  return value;
}

function skipDate(bytes: Uint8Array, at: number, size: number): number {
  if (bytes[at] !== DATE_TYPE) throw new ScanFault(`extension ${String(bytes[at])} is not allowed`);
  return at + 1 + size;
}

/** How many elements the array at `at` has. */
function countOf(bytes: Uint8Array, at: number): number {
  const token = bytes[at];
  if (token !== undefined && token >= 0x90 && token < 0xa0) return token & 0x0f;
  if (token === 0xdc) return uint(bytes, at + 1, 2);
  if (token === 0xdd) return uint(bytes, at + 1, 4);
  throw new ScanFault('the keys of a record are no array');
}

/** Bytes before the elements of an array that begins with `token`. */
function headerOf(token: number): number {
  return token === 0xdc ? 3 : token === 0xdd ? 5 : 1;
}

function skipKeys(bytes: Uint8Array, start: number, count: number, end: number): number {
  if (count > end - start) throw new ScanFault('a length points outside of the bytes');
  let at = start;
  for (let i = 0; i < count; i++) {
    if (at >= end) throw new ScanFault('the bytes end within a value');
    at = skipKey(bytes, at + 1, bytes[at] as number);
  }
  return at;
}

/** The end of the key that begins with `token`, whose bytes go on at `at`. */
function skipKey(bytes: Uint8Array, at: number, token: number): number {
  let length: number;
  let from = at;
  if (token >= 0xa0 && token < 0xc0) length = token & 0x1f;
  else if (token >= 0xd9 && token <= 0xdb) {
    const size = token === 0xd9 ? 1 : token === 0xda ? 2 : 4;
    length = uint(bytes, at, size);
    from += size;
  } else throw new ScanFault('a key is no string');
  if (length === PROTO.length && isProto(bytes, from)) throw new ScanFault('the key "__proto__" is not allowed');
  return from + length;
}

const PROTO = Array.from({ length: 9 }, (_, i) => '__proto__'.charCodeAt(i));

function isProto(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < PROTO.length; i++) if (bytes[at + i] !== PROTO[i]) return false;
  return true;
}
