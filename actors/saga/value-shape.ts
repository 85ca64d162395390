/**
 * Shapes of values: the part of JSON Schema that says how an input or a result is read.
 *
 * Owns: which keywords are understood, looking up a member's shape, checking a value against one. JSON knows one kind of number; a
 * shape says which of CEL's two is meant.
 */
import type { DeclaredType } from './expression-engine.ts';

type ShapeType = 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null';
const TYPES: readonly ShapeType[] = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'];

/** A JSON Schema, as far as it is read: other keywords are kept and not looked at. */
export interface ValueShape {
  readonly type?: ShapeType | readonly ShapeType[] | undefined;
  readonly properties?: Readonly<Record<string, ValueShape>> | undefined;
  readonly required?: readonly string[] | undefined;
  readonly items?: ValueShape | undefined;
  readonly additionalProperties?: boolean | undefined;
  readonly enum?: readonly unknown[] | undefined;
  readonly description?: string | undefined;
}

/** What is wrong with a shape itself. */
export function shapeFaults(shape: unknown, where: string): string[] {
  if (!isRecord(shape)) return [`${where}: ${JSON.stringify(shape) ?? 'undefined'} is no JSON Schema object`];
  const faults: string[] = [];
  const { type, properties, required, items } = shape;
  for (const one of type === undefined ? [] : Array.isArray(type) ? (type as unknown[]) : [type]) {
    if (TYPES.includes(one as ShapeType)) continue;
    faults.push(`${where}.type: ${JSON.stringify(one)} is none of ${TYPES.join(', ')}`);
  }
  if (properties !== undefined && !isRecord(properties)) faults.push(`${where}.properties: not an object`);
  for (const [name, member] of Object.entries(isRecord(properties) ? properties : {})) {
    faults.push(...shapeFaults(member, `${where}.properties.${name}`));
  }
  if (required !== undefined && !(Array.isArray(required) && required.every((name) => typeof name === 'string'))) {
    faults.push(`${where}.required: not a list of names`);
  }
  if (items !== undefined) faults.push(...shapeFaults(items, `${where}.items`));
  return faults;
}

/** One thing that does not fit, as contracts of messages say it. */
export interface ValueFault {
  readonly path: string;
  /** The keyword of JSON Schema. */
  readonly rule: 'type' | 'enum' | 'required' | 'additionalProperties';
  readonly expected: string;
}

/** What of `value` does not fit. */
export function valueFaults(value: unknown, shape: ValueShape | undefined, path: string): ValueFault[] {
  if (shape === undefined) return [];
  const types = shape.type === undefined ? [] : Array.isArray(shape.type) ? shape.type : [shape.type as ShapeType];
  if (types.length > 0 && !types.some((type) => isOfType(value, type))) {
    return [{ path, rule: 'type', expected: `${types.join(' or ')}, not ${describe(value)}` }];
  }
  if (shape.enum !== undefined && !shape.enum.includes(value)) {
    const known = shape.enum.map((one) => JSON.stringify(one)).join(', ');
    return [{ path, rule: 'enum', expected: `one of ${known}, not ${describe(value)}` }];
  }
  const faults: ValueFault[] = [];
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) faults.push(...valueFaults(item, shape.items, `${path}[${index}]`));
  } else if (isRecord(value)) {
    for (const name of shape.required ?? []) {
      if (Object.hasOwn(value, name) && value[name] !== undefined) continue;
      faults.push({ path: `${path}.${name}`, rule: 'required', expected: 'a value' });
    }
    for (const [name, member] of Object.entries(value)) {
      const known = memberShape(shape, name);
      if (known !== undefined) faults.push(...valueFaults(member, known, `${path}.${name}`));
      else if (shape.additionalProperties === false) {
        faults.push({ path: `${path}.${name}`, rule: 'additionalProperties', expected: 'no such member' });
      }
    }
  }
  return faults;
}

/** The shape of a member; undefined when nothing is said of it. */
export function memberShape(shape: ValueShape | undefined, name: string): ValueShape | undefined {
  const { properties } = shape ?? {};
  return properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
}

/** The CEL type for the check of expressions. */
export function declaredType(shape: ValueShape | undefined): DeclaredType {
  switch (shape?.type) {
    case 'integer':
      return 'int';
    case 'number':
      return 'double';
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'array': {
      const items = declaredType(shape.items);
      return `list<${typeof items === 'string' ? items : 'dyn'}>`;
    }
    case 'object': {
      const members = Object.entries(shape.properties ?? {});
      if (members.length === 0 || shape.additionalProperties === true) return 'map<string, dyn>';
      return Object.fromEntries(members.map(([name, member]) => [name, declaredType(member)]));
    }
    default:
      return 'dyn';
  }
}

function isOfType(value: unknown, type: ShapeType): boolean {
  switch (type) {
    case 'object':
      return isRecord(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value) || typeof value === 'bigint';
    case 'null':
      return value === null;
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === type;
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object';
  return typeof value === 'bigint' ? `${value}n` : (JSON.stringify(value) ?? typeof value);
}

/** A plain object: what JSON calls an object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
