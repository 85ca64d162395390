/**
 * A workflow's definition as plain data: the one form that all ways of writing one come to.
 *
 * Owns: the shape, its defaults, and its hash. What is wrong with one is `workflow-check.ts`.
 *
 * Invariants:
 * WD1. It is JSON, every default written out: a later version of this library reads it as it was meant.
 * WD2. The same definition has the same hash, however it was written; another has another.
 */
import { createHash } from 'node:crypto';
import type { RuleData } from './adaptation-data.ts';
import type { ValueShape } from './value-shape.ts';
import type { UpdateData } from './workflow-update.ts';

/** The form's own version. */
export const WORKFLOW_FORMAT = 1;

export interface RetryData {
  /** Tries in all. */
  readonly maxAttempts: number;
  readonly initialMs: number;
  readonly maxMs: number;
  readonly factor: number;
  readonly jitter: 'full' | 'none';
  /** Codes, or names, of errors after which there is no other try. */
  readonly nonRetryable: readonly string[];
}

/** Who does it: a system behind the broker, or an actor of this one. */
export type TargetData =
  | { readonly kind: 'system'; readonly system: string }
  /** `id` is a template. */
  | { readonly kind: 'actor'; readonly definition: string; readonly id: string };

/** One call, as it is made for a step or to compensate it. */
export interface CallData {
  readonly target: TargetData;
  readonly action: string;
  /** A template. */
  readonly parameters: unknown;
  readonly retry: RetryData;
  readonly attemptTimeoutMs: number;
  /** Longest silence of whoever handles it. Absent: it need not say anything. */
  readonly heartbeatTimeoutMs?: number;
}

export type WorkData =
  | ({ readonly kind: 'call' } & CallData)
  /** `workflow` is an id of a definition; `input` is a template. */
  | {
      readonly kind: 'workflow';
      readonly workflow: string;
      readonly input: unknown;
      /** Started and not waited for. Absent: it is waited for. */
      readonly detached?: true;
    }
  /** Waits until one of these comes. `single`: the result is its payload, not `{ signal, payload }`. */
  | { readonly kind: 'signal'; readonly signals: readonly string[]; readonly single: boolean }
  /** Waits until somebody outside resolves its token. */
  | { readonly kind: 'promise' }
  /** A template: milliseconds, or a CEL duration. */
  | { readonly kind: 'sleep'; readonly sleep: unknown }
  /** A template: a time, as a Date, text of ISO 8601, or milliseconds since 1970. */
  | { readonly kind: 'until'; readonly until: unknown }
  /** A template. */
  | { readonly kind: 'value'; readonly value: unknown }
  /** A template of `{ code, message, details }`. */
  | { readonly kind: 'raise'; readonly error: unknown };

export interface StepData {
  readonly id: string;
  readonly work: WorkData;
  readonly dependencies: readonly string[];
  /** How many of the dependencies must be completed; `all`: all must be over, completed or skipped. */
  readonly join: 'all' | number;
  readonly condition: string | undefined;
  /** Skipped: what depends on it is skipped, too. */
  readonly skipDependents: boolean;
  readonly forEach: { readonly items: unknown; readonly concurrency: number } | undefined;
  /** Over all tries. */
  readonly timeoutMs: number | undefined;
  readonly pivot: boolean;
  readonly onFailure: 'fail' | 'continue';
  readonly compensation: CallData | undefined;
  readonly result: ValueShape | undefined;
}

export interface WorkflowData {
  readonly format: typeof WORKFLOW_FORMAT;
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly input: ValueShape | undefined;
  readonly context: Readonly<Record<string, unknown>>;
  /** From the start of a run until it must be completed. */
  readonly timeoutMs: number | undefined;
  /** Calls and child workflows under way at a time, of one run. */
  readonly parallelism: number;
  /** What a failed step means: undo what is done, or wait for somebody. */
  readonly onFailure: 'compensate' | 'park';
  /** A template; without one a run's result is the results of its steps, by id. */
  readonly output: unknown;
  readonly steps: readonly StepData[];
  /** By name. Absent: there are none. */
  readonly updates?: Readonly<Record<string, UpdateData>>;
  /** Absent without any: definitions of earlier times have no such member. */
  readonly adaptations?: readonly RuleData[];
}

/** The hash of a definition: 32 hexadecimal digits. */
export function hashOfWorkflow(data: WorkflowData): string {
  return hashOfJson(data);
}

/** SHA-256 of a value's JSON with its members in order, cut to 128 bits. */
export function hashOfJson(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 32);
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value))
    return `[${value.map((item) => (item === undefined ? 'null' : canonicalJson(item))).join(',')}]`;
  if (typeof value === 'bigint') return `{"bigint$":"${value}"}`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (value instanceof Date) return `{"date$":${value.getTime()}}`;
  if (value instanceof Uint8Array) return `{"bytes$":"${Buffer.from(value).toString('base64')}"}`;
  const entries =
    value instanceof Map ? [...value].map(([key, item]) => [String(key), item] as const) : Object.entries(value);
  const members = entries.filter(([, item]) => item !== undefined).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, item]) => `${JSON.stringify(name)}:${canonicalJson(item)}`).join(',')}}`;
}
