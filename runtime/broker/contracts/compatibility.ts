/**
 * Which earlier versions of a contract a new one must get along with, and in which direction: the modes of Confluent's Schema Registry
 * (https://docs.confluent.io/platform/current/schema-registry/fundamentals/schema-evolution.html), with its meanings.
 *
 * Owns: the modes. What two schemas allow is compared in `schema-inclusion.ts`.
 */
import type { JsonSchema } from './json-schema.ts';
import { type SchemaDifference, schemaDifferences } from './schema-inclusion.ts';

/**
 * What a new version of a contract must keep:
 *
 * - `NONE`: nothing.
 * - `BACKWARD`: its schema reads data of the version before. Receivers change first.
 * - `FORWARD`: the schema before reads its data. Senders change first.
 * - `FULL`: both. In any order.
 * - `…_TRANSITIVE`: the same with every earlier version, not only the one before.
 */
export type Compatibility = (typeof COMPATIBILITIES)[number];

export const COMPATIBILITIES = [
  'NONE',
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
] as const;

/** Who could not read whom. */
export type Direction = 'BACKWARD' | 'FORWARD';

export interface Incompatibility extends SchemaDifference {
  /** `BACKWARD`: the new schema refuses data of `version`. `FORWARD`: that of `version` refuses new data. */
  readonly direction: Direction;
  /** The earlier version. */
  readonly version: number;
}

/** A version of a contract; without `schema`, one that cannot be compared, for the reason in `opaque`. */
export interface ComparableVersion {
  readonly version: number;
  readonly schema: JsonSchema | undefined;
  readonly opaque?: string;
}

export function directionsOf(mode: Compatibility): readonly Direction[] {
  if (mode === 'NONE') return [];
  if (mode.startsWith('FULL')) return ['BACKWARD', 'FORWARD'];
  return [mode.startsWith('BACKWARD') ? 'BACKWARD' : 'FORWARD'];
}

/** What keeps `next` from following `earlier`, which are in order, by `mode`; empty when nothing does. */
export function incompatibilities(
  mode: Compatibility,
  next: ComparableVersion,
  earlier: readonly ComparableVersion[],
): readonly Incompatibility[] {
  const against = mode.endsWith('_TRANSITIVE') ? earlier : earlier.slice(-1);
  return against.flatMap((before) =>
    directionsOf(mode).flatMap((direction) => {
      const [written, reading] = direction === 'BACKWARD' ? [before, next] : [next, before];
      return differencesOf(written, reading).map((one) => ({ ...one, direction, version: before.version }));
    }),
  );
}

function differencesOf(written: ComparableVersion, reading: ComparableVersion): readonly SchemaDifference[] {
  if (written.schema !== undefined && reading.schema !== undefined)
    return schemaDifferences(written.schema, reading.schema);
  const opaque = written.schema === undefined ? written : reading;
  const why = opaque.opaque ?? 'it has no JSON Schema form';
  return [{ path: '', rule: 'schema', reason: `it cannot be decided: version ${opaque.version}: ${why}` }];
}
