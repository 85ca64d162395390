/**
 * Standard Schema v1 and Standard JSON Schema v1 (https://standardschema.dev): what zod, valibot, arktype and others give their schemas,
 * so that a library can use them without knowing them.
 *
 * Owns: the part of the interfaces that is used here, and reading it. The specification asks to be copied rather than depended on.
 */
import type { JsonSchema } from './json-schema.ts';

/** A schema of any library that follows the specification. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown, options?: never) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
    /** Standard JSON Schema: not all have it. */
    readonly jsonSchema?:
      | { readonly input: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown> }
      | undefined;
  };
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export function isStandardSchema(schema: unknown): schema is StandardSchema {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return false;
  const standard: unknown = (schema as Record<string, unknown>)['~standard'];
  return (
    typeof standard === 'object' &&
    standard !== null &&
    (standard as { version?: unknown }).version === 1 &&
    typeof (standard as { validate?: unknown }).validate === 'function'
  );
}

/** The JSON Schema of what `schema` takes, or why there is none. */
export function jsonSchemaOf(
  schema: StandardSchema,
): { readonly schema: JsonSchema } | { readonly schema: undefined; readonly opaque: string } {
  const { jsonSchema, vendor } = schema['~standard'];
  if (jsonSchema === undefined)
    return {
      schema: undefined,
      opaque: `schemas of ${vendor} have no JSON Schema form of their own: give one as jsonSchema`,
    };
  try {
    const { '~standard': _, ...plain } = jsonSchema.input({ target: 'draft-2020-12' });
    return { schema: plain };
  } catch (error) {
    return { schema: undefined, opaque: error instanceof Error ? error.message : String(error) };
  }
}
