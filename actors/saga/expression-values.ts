/**
 * Values on their way into an expression and out of it.
 *
 * Owns: what a JSON number is in CEL (an integer or a double), and what CEL's own kinds are in JSON.
 *
 * Invariants:
 * EV1. A number whose shape says `integer` or `number` is what it says; without a shape a whole number is an integer, any other a
 *      double.
 * EV2. What comes out is plain data: numbers, never BigInt. A whole number that a double cannot hold is refused, never rounded.
 * EV3. Of what a variable holds only what the expression reads is converted.
 */
import { engineValue } from './expression-engine.ts';
import { isRecord, memberShape, type ValueShape } from './value-shape.ts';

/** What an expression reads: the members by name, as a tree. `whole`: all of it, as a value. */
export interface ReadTree {
  whole: boolean;
  readonly members: Map<string, ReadTree>;
}

export function emptyReadTree(): ReadTree {
  return { whole: false, members: new Map() };
}

export function addRead(tree: ReadTree, path: readonly string[]): void {
  let at = tree;
  for (const name of path) {
    let next = at.members.get(name);
    if (next === undefined) {
      next = emptyReadTree();
      at.members.set(name, next);
    }
    at = next;
  }
  at.whole = true;
}

/** What of `value` is read, as CEL has it. Reading what is not there is left to CEL, which names it. */
export function readValue(value: unknown, tree: ReadTree, shape: ValueShape | undefined): unknown {
  if (tree.whole || !isRecord(value)) return toEngine(value, shape);
  const read: Record<string, unknown> = {};
  for (const [name, member] of tree.members) {
    if (name === '__proto__' || !Object.hasOwn(value, name) || value[name] === undefined) continue;
    read[name] = readValue(value[name], member, memberShape(shape, name));
  }
  return members(read);
}

/** The engine asks an object for its `constructor` to know what it is: one that has data of that name is given as a map. */
function members(record: Record<string, unknown>): unknown {
  return Object.hasOwn(record, 'constructor') ? new Map(Object.entries(record)) : record;
}

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

function toEngine(value: unknown, shape: ValueShape | undefined): unknown {
  switch (typeof value) {
    case 'number':
      return shape?.type !== 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
    case 'bigint':
      if (value < INT64.min || value > INT64.max) throw new Error(`${value} is no 64-bit integer`);
      return value;
    case 'string':
    case 'boolean':
      return value;
    case 'undefined':
      return null;
    case 'object': {
      if (value === null || value instanceof Date || value instanceof Uint8Array) return value;
      if (Array.isArray(value)) return value.map((item) => toEngine(item, shape?.items));
      if (value instanceof Map)
        return new Map([...value].map(([key, item]) => [toEngine(key, undefined), toEngine(item, undefined)]));
      if (value instanceof Set) return [...value].map((item) => toEngine(item, undefined));
      if (!isRecord(value)) return toEngine({ ...value }, shape);
      const entries = Object.entries(value).filter(([name, item]) => name !== '__proto__' && item !== undefined);
      return members(
        Object.fromEntries(entries.map(([name, item]) => [name, toEngine(item, memberShape(shape, name))])),
      );
    }
    default:
      throw new Error(`a ${typeof value} is no value`);
  }
}

/** What an expression has given, as plain data. */
export function fromEngine(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw new Error(`${value} is beyond what a number holds exactly: use string()`);
    return number;
  }
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(fromEngine);
  if (value instanceof Map) return plainObject([...value]);
  const own = engineValue(value);
  if (own === undefined) return plainObject(Object.entries(value));
  switch (own.kind) {
    case 'unsigned':
    case 'optional':
      return fromEngine(own.value);
    case 'duration':
      return `${own.seconds}s`;
    case 'type':
      return own.name;
  }
}

function plainObject(entries: readonly (readonly [unknown, unknown])[]): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [key, item] of entries) {
    const name = String(fromEngine(key));
    if (name === '__proto__') throw new Error('"__proto__" is no name for a member');
    plain[name] = fromEngine(item);
  }
  return plain;
}

/** A value within text. Objects are JSON. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined)
    throw new Error(`${value} has no text: give a default, as has(a.b) ? a.b : ''`);
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : JSON.stringify(value);
}
