/**
 * Whether two values are the same once encoded: what a replay compares its intents by.
 *
 * Owns: equality by content for everything that a message can carry. An absent property and an undefined one are the same.
 */
import { Reference } from '../kernel/reference.ts';

/** The path of the first difference (`[0].envelope.message.at`), or undefined when there is none. */
export function firstDifference(a: unknown, b: unknown, path = ''): string | undefined {
  // The codec carries -0 as 0: a recorded 0 may have been either.
  if (Object.is(a, b) || (a === 0 && b === 0)) return undefined;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return path === '' ? 'value' : path;
  if (a instanceof Reference || b instanceof Reference) {
    return a instanceof Reference && b instanceof Reference && a.key === b.key ? undefined : path;
  }
  if (a instanceof Date || b instanceof Date) {
    return a instanceof Date && b instanceof Date && Object.is(a.getTime(), b.getTime()) ? undefined : path;
  }
  if (a instanceof Error || b instanceof Error) {
    return a instanceof Error && b instanceof Error && a.name === b.name && a.message === b.message ? undefined : path;
  }
  if (ArrayBuffer.isView(a) || ArrayBuffer.isView(b)) {
    return ArrayBuffer.isView(a) && ArrayBuffer.isView(b) && sameBytes(a, b) ? undefined : path;
  }
  if (a instanceof Map || b instanceof Map) {
    return a instanceof Map && b instanceof Map ? firstDifference([...a], [...b], path) : path;
  }
  if (a instanceof Set || b instanceof Set) {
    return a instanceof Set && b instanceof Set ? firstDifference([...a], [...b], path) : path;
  }
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b)) return path;
    if (a.length !== b.length) return `${path}.length`;
    for (let i = 0; i < a.length; i++) {
      const difference = firstDifference(a[i], b[i], `${path}[${i}]`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  return differenceInObject(a as Record<string, unknown>, b as Record<string, unknown>, path);
}

function differenceInObject(a: Record<string, unknown>, b: Record<string, unknown>, path: string): string | undefined {
  for (const key of Object.keys(a)) {
    // A stack names files and lines, which no other build repeats.
    if (key === 'stack') continue;
    const difference = firstDifference(a[key], b[key], `${path}.${key}`);
    if (difference !== undefined) return difference;
  }
  for (const key of Object.keys(b)) {
    if (key !== 'stack' && b[key] !== undefined && a[key] === undefined) return `${path}.${key}`;
  }
  return undefined;
}

function sameBytes(a: ArrayBufferView, b: ArrayBufferView): boolean {
  if (a.byteLength !== b.byteLength) return false;
  return (
    Buffer.compare(
      Buffer.from(a.buffer, a.byteOffset, a.byteLength),
      Buffer.from(b.buffer, b.byteOffset, b.byteLength),
    ) === 0
  );
}
