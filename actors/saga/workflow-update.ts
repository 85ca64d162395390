/**
 * Updates of a workflow: changes of a run that its definition foresees, as they are written.
 *
 * Owns: the names and defaults of an update's options, and making them plain data. What they do to a run is `run-updates.ts`.
 */
import { nearest } from './expression-hints.ts';
import { isRecord, shapeFaults, type ValueShape } from './value-shape.ts';

/** A change of a run, asked for by `engine.update(runId, name, payload)`. */
export interface WorkflowUpdateOptions {
  /** A JSON Schema of the payload. Default: anything. */
  readonly payload?: ValueShape;
  /** Whether it is accepted: a condition over `payload`, `input`, `context` and `steps`. Default: as long as the run is not over. */
  readonly condition?: string;
  /** Variables of the context, each with its new value: `{ quantity: '${payload.quantity}' }`. All of them see the values before. */
  readonly set: Readonly<Record<string, unknown>>;
  /** What the caller is answered, with `${…}`; `context` has the new values. Default: the variables that were set. */
  readonly reply?: unknown;
}

/** `WorkflowUpdateOptions` as a definition keeps them. */
export interface UpdateData {
  readonly payload: ValueShape | undefined;
  readonly condition: string | undefined;
  readonly set: Readonly<Record<string, unknown>>;
  /** A template. */
  readonly reply: unknown;
}

const OPTIONS: readonly string[] = ['payload', 'condition', 'set', 'reply'];
const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;

/** Updates as plain data, by name; undefined without any. What is wrong goes into `faults`. */
export function updatesData(
  given: unknown,
  context: Readonly<Record<string, unknown>>,
  faults: string[],
): Readonly<Record<string, UpdateData>> | undefined {
  if (given === undefined) return undefined;
  if (!isRecord(given)) {
    faults.push(`updates: ${JSON.stringify(given)} is no object of updates by name`);
    return undefined;
  }
  return Object.fromEntries(Object.entries(given).map(([name, one]) => [name, updateData(name, one, context, faults)]));
}

function updateData(
  name: string,
  given: unknown,
  context: Readonly<Record<string, unknown>>,
  faults: string[],
): UpdateData {
  const fault = (option: string, message: string): number => faults.push(`update "${name}", ${option}: ${message}`);
  if (!NAME.test(name)) fault('name', 'begin with a letter or "_", then letters, digits, "_", "-", ".", 128 at most');
  const options = isRecord(given) ? given : {};
  if (options !== given) fault('options', `${JSON.stringify(given)} is no object`);
  for (const option of Object.keys(options)) {
    if (!OPTIONS.includes(option))
      fault(option, `no such option: ${nearest(option, OPTIONS) ?? `known: ${OPTIONS.join(', ')}`}`);
  }
  const { payload, condition, set, reply } = options as Partial<WorkflowUpdateOptions>;
  if (payload !== undefined) for (const message of shapeFaults(payload, 'payload')) fault('payload', message);
  if (!isRecord(set) || Object.keys(set).length === 0) {
    fault('set', `${JSON.stringify(set)} sets nothing: give variables of the context, each with its new value`);
  }
  const known = Object.keys(context);
  for (const variable of Object.keys(isRecord(set) ? set : {})) {
    if (known.includes(variable)) continue;
    const hint = nearest(variable, known) ?? `declare it: context: { ${variable}: … }`;
    fault('set', `"${variable}" is no variable of the context (${hint})`);
  }
  return { payload, condition, set: isRecord(set) ? set : {}, reply };
}
