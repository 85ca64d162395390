/**
 * `WorkflowDefinition`: a workflow as it is written in code, step by step.
 *
 * Owns: the names and defaults of a workflow's options. Steps are `workflow-step.ts`; what all of it must be is `compiled-workflow.ts`.
 */
import { AdaptationRule, type AdaptationRuleOptions, ruleData } from './adaptation-rule.ts';
import { type CompiledWorkflow, compileWorkflow, invalidWorkflow } from './compiled-workflow.ts';
import { nearest } from './expression-hints.ts';
import { isRecord, shapeFaults, type ValueShape } from './value-shape.ts';
import { WORKFLOW_FORMAT, type StepData, type WorkflowData } from './workflow-data.ts';
import { stepData, WorkflowStep, type WorkflowStepOptions } from './workflow-step.ts';
import { updatesData, type WorkflowUpdateOptions } from './workflow-update.ts';

/** All have defaults. */
export interface WorkflowOptions {
  /** Raise it when the definition changes: runs stay with the one that they began with. Default 1. */
  readonly version?: number;
  /** A JSON Schema of the input: inputs are checked against it, and expressions that read it are checked when it is defined. */
  readonly input?: ValueShape;
  /** Variables of a run at its start; `executeWorkflow` may give others. */
  readonly context?: Readonly<Record<string, unknown>>;
  /** From the start of a run until it must be completed, ms. Then it fails, and is undone. Default: none. */
  readonly timeoutMs?: number;
  /** Calls and child workflows of one run under way at a time. Default 64. */
  readonly parallelism?: number;
  /** What a failed step means: `compensate` (default) what is done, or `park` the run as stuck until somebody decides. */
  readonly onFailure?: 'compensate' | 'park';
  /** The result of a run, with `${…}`. Default: the results of the steps, by id. */
  readonly output?: unknown;
  /** Changes of a run that are accepted while it is not over, by name: see `engine.update`. Default: none. */
  readonly updates?: Readonly<Record<string, WorkflowUpdateOptions>>;
  /** What live metrics change in its runs. Default: nothing. */
  readonly adaptations?: readonly AdaptationRuleOptions[];
}

/** The JSON form: options of the workflow and its steps. */
export interface WorkflowDocument extends WorkflowOptions {
  readonly workflow: string;
  readonly name?: string;
  readonly steps: readonly WorkflowStepOptions[];
}

const OPTIONS = 'version input context timeoutMs parallelism onFailure output updates adaptations'.split(' ');
const DOCUMENT = ['workflow', 'name', ...OPTIONS, 'steps'];
const ID = /^[A-Za-z][A-Za-z0-9_.-]{0,127}$/;
const PARALLELISM = 64;

/**
 * A workflow: steps that run as soon as what they depend on is over.
 *
 * ```ts
 * const checkout = new WorkflowDefinition('checkout', 'Checkout')
 *   .addStep(new WorkflowStep({ stepId: 'reserve', systemTarget: 'stock', action: 'reserve', parameters: { sku: '${input.sku}' },
 *     compensation: { systemTarget: 'stock', action: 'release', parameters: { sku: '${input.sku}' } } }))
 *   .addStep(new WorkflowStep({ stepId: 'charge', systemTarget: 'payments', action: 'charge', dependencies: ['reserve'] }));
 * ```
 *
 * Nothing is checked before `compile`, which `defineWorkflow` calls: then everything is.
 */
export class WorkflowDefinition {
  readonly id: string;
  readonly name: string;
  readonly options: WorkflowOptions;
  readonly #steps: WorkflowStepOptions[] = [];
  readonly #adaptations: AdaptationRuleOptions[] = [];

  constructor(id: string, name: string = id, options: WorkflowOptions = {}) {
    this.id = id;
    this.name = name;
    this.options = options;
  }

  /** Steps as they were written, in their order. */
  get steps(): readonly WorkflowStepOptions[] {
    return this.#steps;
  }

  addStep(step: WorkflowStep | WorkflowStepOptions): this {
    this.#steps.push(step instanceof WorkflowStep ? step.options : step);
    return this;
  }

  /** A rule: what live metrics change in its runs. Beside those of the options. */
  addAdaptation(rule: AdaptationRule | AdaptationRuleOptions): this {
    this.#adaptations.push(rule instanceof AdaptationRule ? rule.options : rule);
    return this;
  }

  /** @throws InvalidWorkflowError with everything that is wrong */
  compile(): CompiledWorkflow {
    const faults: string[] = [];
    return compileWorkflow(this.#data(faults), faults);
  }

  /** The document: `JSON.stringify(definition)` can be read again by `workflowFromDocument`. */
  toJSON(): WorkflowDocument {
    const adaptations = [...(this.options.adaptations ?? []), ...this.#adaptations];
    const rules = adaptations.length === 0 ? {} : { adaptations };
    return { workflow: this.id, name: this.name, ...this.options, ...rules, steps: this.#steps };
  }

  #data(faults: string[]): WorkflowData {
    const { id, name } = this;
    if (typeof id !== 'string' || !ID.test(id)) {
      faults.push(
        `id: ${JSON.stringify(id)} is none: begin with a letter, then letters, digits, "_", "-", ".", 128 at most`,
      );
    }
    if (typeof name !== 'string' || name === '') faults.push(`name: ${JSON.stringify(name)} is no text`);
    const options: WorkflowOptions = isRecord(this.options) ? this.options : {};
    if (options !== this.options) faults.push('options: not an object');
    reportUnknown(options, OPTIONS, faults);
    const {
      version = 1,
      input,
      context = {},
      timeoutMs,
      parallelism = PARALLELISM,
      onFailure = 'compensate',
      output,
      adaptations = [],
    } = options;
    whole('version', version, faults);
    whole('parallelism', parallelism, faults);
    if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 1))
      faults.push(`timeoutMs: ${String(timeoutMs)} is no number of 1 or more`);
    if (onFailure !== 'compensate' && onFailure !== 'park')
      faults.push(`onFailure: ${JSON.stringify(onFailure)} is neither 'compensate' nor 'park'`);
    if (input !== undefined) faults.push(...shapeFaults(input, 'input'));
    if (!isRecord(context)) faults.push(`context: ${JSON.stringify(context)} is no object of variables`);
    const updates = updatesData(options.updates, isRecord(context) ? context : {}, faults);
    const steps = this.#steps.map((step) => stepData(step, (fault) => void faults.push(fault)));
    if (!Array.isArray(adaptations)) faults.push(`adaptations: ${JSON.stringify(adaptations)} is no list of rules`);
    const rules = [...(Array.isArray(adaptations) ? adaptations : []), ...this.#adaptations]
      .map((rule) => ruleData(rule, 'workflow', (fault) => void faults.push(fault)))
      .filter((rule) => rule !== undefined);
    return {
      format: WORKFLOW_FORMAT,
      id,
      name,
      version,
      input,
      context: isRecord(context) ? context : {},
      timeoutMs,
      parallelism,
      onFailure,
      output,
      steps: steps.filter((step): step is StepData => step !== undefined),
      ...(updates === undefined ? {} : { updates }),
      ...(rules.length === 0 ? {} : { adaptations: rules }),
    };
  }
}

/**
 * A definition from its JSON form; `workflowSchema` describes it.
 *
 * @throws InvalidWorkflowError with everything that is wrong
 */
export function workflowFromDocument(document: unknown): WorkflowDefinition {
  if (!isRecord(document)) throw invalidWorkflow(undefined, ['the document is no object']);
  const faults: string[] = [];
  reportUnknown(document, DOCUMENT, faults);
  const { workflow, name, steps, ...options } = document as unknown as WorkflowDocument & { readonly steps: unknown };
  if (!Array.isArray(steps)) faults.push(`steps: ${steps === undefined ? 'missing' : 'no list'}`);
  if (faults.length > 0) throw invalidWorkflow(workflow, faults);
  const definition = new WorkflowDefinition(workflow, name ?? workflow, options);
  for (const step of steps as WorkflowStepOptions[]) definition.addStep(step);
  definition.compile();
  return definition;
}

function reportUnknown(given: object, known: readonly string[], faults: string[]): void {
  for (const name of Object.keys(given)) {
    if (!known.includes(name))
      faults.push(`${name}: no such option: ${nearest(name, known) ?? `known: ${known.join(', ')}`}`);
  }
}

function whole(option: string, value: unknown, faults: string[]): void {
  if (!Number.isInteger(value) || (value as number) < 1)
    faults.push(`${option}: ${String(value)} is no whole number of 1 or more`);
}
