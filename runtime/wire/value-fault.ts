/**
 * The search for what is wrong with a value, after an encoding of it has failed.
 *
 * Owns: paths and reasons. Runs only when something is wrong, so it may take its time; what passes an encoder never comes here.
 */
import { UnserializableValueError } from '../kernel/errors.ts';
import { specialOf } from './special-values.ts';
import { describeValue, isPlain } from './value-kind.ts';

const PATH_LENGTH = 200;

interface Fault {
  readonly path: string;
  readonly reason: string;
}

/** The first fault in `value`, by path; undefined when there is none. */
export function findFault(value: unknown, depthLimit: number): Fault | undefined {
  return new FaultSearch(depthLimit).visit(value, '', 0);
}

/** The error to throw for `value`, which could not be encoded because of `cause`. */
export function unserializable(value: unknown, depthLimit: number, cause: unknown): UnserializableValueError {
  let fault: Fault | undefined;
  try {
    fault = findFault(value, depthLimit);
  } catch (error) {
    // A getter or a toJSON that throws.
    cause = error;
  }
  const path = shortened(fault?.path ?? '');
  const reason = fault?.reason ?? (cause instanceof Error ? cause.message : String(cause));
  return new UnserializableValueError(
    `${path === '' ? 'the value' : path} cannot be carried: ${reason}. Messages, states and inputs are plain data; ` +
      'give an object a toJSON(), or send its data',
    { cause, details: { path, reason } },
  );
}

/** A path of a value that is too deep is as long as the value is deep. */
function shortened(path: string): string {
  return path.length <= PATH_LENGTH ? path : `${path.slice(0, PATH_LENGTH)}…`;
}

class FaultSearch {
  readonly #depthLimit: number;
  readonly #ancestors = new Set<object>();
  /** Without fault; a value that occurs twice is not searched twice. */
  readonly #sound = new Set<object>();

  constructor(depthLimit: number) {
    this.#depthLimit = depthLimit;
  }

  visit(value: unknown, path: string, depth: number): Fault | undefined {
    switch (typeof value) {
      case 'function':
      case 'symbol':
        return { path, reason: describeValue(value) };
      case 'bigint':
        return BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value
          ? undefined
          : { path, reason: describeValue(value) };
      case 'object':
        break;
      default:
        return undefined;
    }
    if (value === null || this.#sound.has(value)) return undefined;
    if (this.#ancestors.has(value)) return { path, reason: 'it contains itself' };
    if (depth > this.#depthLimit) return { path, reason: `it is nested deeper than ${this.#depthLimit}` };
    this.#ancestors.add(value);
    const fault = this.#inside(value, path, depth + 1);
    this.#ancestors.delete(value);
    if (fault === undefined) this.#sound.add(value);
    return fault;
  }

  #inside(value: object, path: string, depth: number): Fault | undefined {
    if (value instanceof Date || ArrayBuffer.isView(value) || value instanceof Error) {
      return value instanceof DataView ? { path, reason: describeValue(value) } : undefined;
    }
    if (Array.isArray(value) && isPlain(value)) {
      for (let i = 0; i < value.length; i++) {
        const fault = this.visit(value[i], `${path}[${i}]`, depth);
        if (fault !== undefined) return fault;
      }
      return undefined;
    }
    if (value.constructor === Map) {
      for (const [key, entry] of value as Map<unknown, unknown>) {
        const at = `${path}.get(${typeof key === 'string' ? JSON.stringify(key) : String(key)})`;
        const fault = this.visit(key, `${at} (its key)`, depth) ?? this.visit(entry, at, depth);
        if (fault !== undefined) return fault;
      }
      return undefined;
    }
    if (value instanceof Set) {
      let i = 0;
      for (const element of value) {
        const fault = this.visit(element, `[...${path}][${i++}]`, depth);
        if (fault !== undefined) return fault;
      }
      return undefined;
    }
    if (isPlain(value)) {
      for (const key of Object.keys(value)) {
        const at = pathOf(path, key);
        if (key === '__proto__') return { path: at, reason: 'no object may have this key' };
        const fault = this.visit((value as Record<string, unknown>)[key], at, depth);
        if (fault !== undefined) return fault;
      }
      return undefined;
    }
    const special = specialOf(value);
    if (special.kind === 'refused') return { path, reason: special.reason };
    return special.kind === 'json' ? this.visit(special.json, path, depth) : undefined;
  }
}

function pathOf(path: string, key: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === '' ? key : `${path}.${key}`;
}
