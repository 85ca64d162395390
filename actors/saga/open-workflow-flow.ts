/**
 * Where a translation of tasks stands: what the next step depends on, and what `.` and `$context` are there.
 *
 * Owns: the flow as a value, and the small CEL texts that tasks are joined with.
 */
import type { JqScope } from './jq-to-cel.ts';

export interface Flow {
  /** Steps that the next one depends on. */
  readonly after: readonly string[];
  /** CEL of `.`: the output of the task before. */
  readonly current: string;
  /** CEL of `$context`. */
  readonly context: string;
  /** CEL that must all be true, or the task is not come to. */
  readonly guard: readonly string[];
  /** Within a `try`: its steps so far. None of them fails the run, and what comes after a failed one is skipped. */
  readonly failing: string[] | undefined;
  /** `$name`, as CEL: of `catch … as`. */
  readonly variables: ReadonlyMap<string, string>;
  /** Within a `fork`: what ends the workflow there cannot be said. */
  readonly isBranch: boolean;
}

export const resultOf = (step: string): string => `steps["${step}"].result`;
export const hasRun = (step: string): string => `steps["${step}"].status == "completed"`;
export const hasFailed = (step: string): string => `steps["${step}"].status == "failed"`;
export const not = (cel: string): string => `!(${cel})`;
export const all = (parts: readonly string[]): string => parts.map((part) => `(${part})`).join(' && ');
export const any = (parts: readonly string[]): string => parts.map((part) => `(${part})`).join(' || ');
export const choice = (condition: string, yes: string, no: string): string =>
  `(${condition} ? dyn(${yes}) : dyn(${no}))`;
/** A template that is a value. */
export const template = (cel: string): string => `\${${cel}}`;

/** What expressions of a task see. `input`: CEL of its input. */
export function scopeOf(
  flow: Flow,
  about: Record<string, unknown>,
  current: string | undefined,
  input = current,
): JqScope {
  const variables = new Map(flow.variables);
  if (input !== undefined) variables.set('input', input);
  variables.set('context', flow.context);
  variables.set('workflow.input', 'input');
  for (const name of ['name', 'namespace', 'version']) {
    variables.set(`workflow.definition.document.${name}`, JSON.stringify(String(about[name])));
  }
  return {
    current,
    variables,
    why: 'what an iteration leaves to the next is not supported: use the variables of the loop',
  };
}
