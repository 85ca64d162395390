/**
 * A door: one place where bytes from outside become values, with valid bytes to begin from and what must come of hostile ones.
 *
 * Owns: the contract, and what is true at every door: a refusal is one of the library's errors, a value is made of nothing but
 * what the wire carries, and no more of it than there were bytes.
 */
import { getHeapStatistics } from 'node:v8';
import { BlocksError } from '../../runtime/kernel/errors.ts';
import { Reference } from '../../runtime/kernel/reference.ts';
import type { Dice } from './dice.ts';

export type Verdict =
  | { readonly kind: 'refused' }
  | { readonly kind: 'passed' }
  | { readonly kind: 'fault'; readonly what: string; readonly bytes?: Uint8Array | undefined };

export interface Door {
  readonly name: string;
  /** How many cases of a hundred are its own. */
  readonly share: number;
  readonly attack: (dice: Dice) => Verdict | Promise<Verdict>;
}

export const REFUSED: Verdict = { kind: 'refused' };
export const PASSED: Verdict = { kind: 'passed' };

export const fault = (what: string, bytes?: Uint8Array): Verdict => ({ kind: 'fault', what, bytes });

/** Judges what `open` makes of `bytes`: a refusal of one of `codes`, or a value that `check` finds nothing wrong with. */
export function judge<T>(
  bytes: Uint8Array,
  codes: readonly string[],
  open: () => T,
  check: (value: T) => string | undefined,
): Verdict {
  let value: T;
  const before = memoryBytes();
  try {
    value = open();
  } catch (error) {
    return tooMuch(bytes, before) ?? judgeRefusal(error, codes, bytes);
  }
  const much = tooMuch(bytes, before);
  if (much !== undefined) return much;
  const wrong = check(value);
  return wrong === undefined ? PASSED : fault(wrong, bytes);
}

/** Memory for a byte of input: an empty object, list or map is one byte on the wire. */
const MEMORY_A_BYTE = 256;
/** Code that is compiled meanwhile, and what the engine takes in steps. */
const MEMORY_SPARE = 16 << 20;

function tooMuch(bytes: Uint8Array, before: number): Verdict | undefined {
  const taken = memoryBytes() - before;
  if (taken <= MEMORY_SPARE + MEMORY_A_BYTE * bytes.length) return undefined;
  return fault(`${bytes.length} bytes took ${taken >> 20} MiB`, bytes);
}

function memoryBytes(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

export function judgeRefusal(error: unknown, codes: readonly string[], bytes?: Uint8Array): Verdict {
  if (error instanceof BlocksError && codes.includes(error.code)) return REFUSED;
  return fault(`it threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, bytes);
}

/** Values that one byte may become: a date, an error or a set is a few of its own. */
const VALUES_A_BYTE = 2;
const VALUES_SPARE = 64;

/** What is in `value` that no decoder should make, or undefined. `bytes`: how many it was made from. */
export function alien(value: unknown, bytes: number): string | undefined {
  let left = bytes * VALUES_A_BYTE + VALUES_SPARE;
  const pending: unknown[] = [value];
  while (pending.length > 0) {
    if (left-- < 0) return `it became more values than its ${bytes} bytes can say`;
    const one = pending.pop();
    if (typeof one === 'function' || typeof one === 'symbol') return `it became a ${typeof one}`;
    if (typeof one !== 'object' || one === null) continue;
    const prototype: unknown = Object.getPrototypeOf(one);
    if (prototype === Object.prototype) {
      for (const key of Object.keys(one)) {
        if (key === '__proto__') return 'it has an own __proto__';
        pending.push((one as Record<string, unknown>)[key]);
      }
    } else if (Array.isArray(one)) {
      if (prototype !== Array.prototype) return 'it became an array of a class';
      for (const element of one) pending.push(element);
    } else if (one instanceof Map) {
      for (const [key, entry] of one) pending.push(key, entry);
    } else if (one instanceof Set) {
      for (const element of one) pending.push(element);
    } else if (one instanceof BlocksError) {
      pending.push(one.cause, one.details);
      left -= 4;
    } else if (!isLeaf(one)) return `it became ${String(one.constructor?.name)}`;
  }
  return undefined;
}

function isLeaf(value: object): boolean {
  if (value instanceof Buffer) return false;
  return (
    value instanceof Date || value instanceof Reference || value instanceof ArrayBuffer || ArrayBuffer.isView(value)
  );
}
