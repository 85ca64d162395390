/**
 * What stands in a task of the Open Workflow Specification: expressions and values, calls, events, errors, deadlines.
 *
 * Owns: each of them as what a step takes. Steps, and their order, are `open-workflow-tasks.ts`.
 */
import { JqFault } from './jq-parser.ts';
import { celCondition, celOf, type JqScope } from './jq-to-cel.ts';
import { template } from './open-workflow-flow.ts';
import { durationMs, onlyKnown, type Report } from './open-workflow-terms.ts';
import { isRecord } from './value-shape.ts';
import type { WorkflowCallOptions, WorkflowStepOptions } from './workflow-step.ts';

/** A system, or an actor, and what is asked of it. */
export type CallTarget = Pick<WorkflowCallOptions, 'systemTarget' | 'actor' | 'action' | 'attemptTimeoutMs'>;

export interface TaskPorts {
  readonly calls: Readonly<Record<string, CallTarget>>;
  readonly use: Record<string, unknown>;
  readonly about: Record<string, unknown>;
  readonly report: Report;
}

export type Task = Record<string, unknown>;

/** One step each, that can have a deadline. */
const TIMED = new Set(['call', 'wait', 'listen', 'emit', 'run', 'for']);
const EXPRESSION = /^\s*\$\{([\s\S]*)\}\s*$/;

/** What fails is not tried again, unless a `try` says so. */
const ONCE = { retryPolicy: { maxAttempts: 1 } } as const;

export class TaskTerms {
  readonly #ports: TaskPorts;

  constructor(ports: TaskPorts) {
    this.#ports = ports;
  }

  /** An expression, or an object of them, as CEL. */
  cel(given: unknown, scope: JqScope, path: string): string {
    if (isRecord(given)) {
      const members = Object.entries(given).map(
        ([name, value]) => `${JSON.stringify(name)}: dyn(${this.#member(value, scope, `${path}.${name}`)})`,
      );
      return `{${members.join(', ')}}`;
    }
    if (typeof given !== 'string') return String(this.#ports.report(path, `${JSON.stringify(given)} is no expression`));
    return this.#translate(given, (source) => celOf(source, scope), path);
  }

  #member(value: unknown, scope: JqScope, path: string): string {
    if (isRecord(value) || (typeof value === 'string' && isExpression(value))) return this.cel(value, scope, path);
    return JSON.stringify(value);
  }

  condition(given: unknown, scope: JqScope, path: string): string {
    return this.#translate(given, (source) => celCondition(source, scope), path);
  }

  /** A value whose texts `${ … }` are expressions; with `isBare`, a text is one also without the braces. */
  value(given: unknown, scope: JqScope, path: string, isBare = false): unknown {
    if (typeof given === 'string') {
      if (isBare || isExpression(given))
        return template(this.#translate(given, (source) => celOf(source, scope), path));
      return given.replaceAll('${', () => '$${');
    }
    if (Array.isArray(given)) return given.map((item, index) => this.value(item, scope, `${path}[${index}]`));
    if (!isRecord(given)) return given;
    return Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, this.value(value, scope, `${path}.${name}`)]),
    );
  }

  #translate(given: unknown, translate: (source: string) => string, path: string): string {
    const text = String(given);
    const [, inside] = EXPRESSION.exec(text) ?? [];
    const offset = inside === undefined ? 0 : text.indexOf(inside);
    try {
      return translate(inside ?? text);
    } catch (error) {
      if (!(error instanceof JqFault)) throw error;
      this.#ports.report(path, `${error.message}, at ${error.position + offset} in ${JSON.stringify(text)}`);
      return 'null';
    }
  }

  timeout(given: unknown, kind: string, path: string): { readonly timeoutMs?: number } {
    const { report, use } = this.#ports;
    if (given === undefined) return {};
    if (!TIMED.has(kind)) report(`${path}.timeout`, `is not supported for ${kind}: only for ${[...TIMED].join(', ')}`);
    const named = typeof given === 'string' ? (Object(use['timeouts']) as Task)[given] : given;
    if (!isRecord(named)) {
      report(`${path}.timeout`, `${JSON.stringify(given)} is no timeout, nor one of use.timeouts`);
      return {};
    }
    onlyKnown(named, ['after'], `${path}.timeout`, report);
    const timeoutMs = durationMs(named['after'], `${path}.timeout.after`, report);
    return timeoutMs === undefined ? {} : { timeoutMs };
  }

  /** What is called, and with what: `call`, or `run: { workflow }`. */
  call(task: Task, scope: JqScope, path: string): Omit<WorkflowStepOptions, 'stepId'> {
    const { calls, use, report } = this.#ports;
    if (task['run'] !== undefined) return this.#run(task['run'], scope, `${path}.run`);
    const name = task['call'];
    if (typeof name !== 'string')
      return { value: report(`${path}.call`, `${JSON.stringify(name)} is no name`) ?? null };
    const parameters = this.value(task['with'] ?? {}, scope, `${path}.with`);
    const target = Object.hasOwn(calls, name) ? calls[name] : undefined;
    if (target !== undefined) return { ...target, parameters, ...ONCE };
    const functions = isRecord(use['functions']) ? use['functions'] : {};
    const known = Object.hasOwn(functions, name) ? functions[name] : undefined;
    if (isRecord(known) && typeof known['call'] === 'string' && known['call'] !== name) {
      onlyKnown(known, ['call', 'with'], `use.functions.${name}`, report);
      const both = { ...Object(known['with']), ...Object(task['with']) } as Task;
      return this.call({ call: known['call'], with: both }, scope, path);
    }
    const [, systemTarget, action] = /^([\w-]+)\.([\w-]+)$/.exec(name) ?? [];
    if (systemTarget !== undefined && action !== undefined) return { systemTarget, action, parameters, ...ONCE };
    report(`${path}.call`, `nobody does "${name}": name who does, calls: { "${name}": { systemTarget, action } }`);
    return { value: null };
  }

  #run(given: unknown, scope: JqScope, path: string): Omit<WorkflowStepOptions, 'stepId'> {
    const { report } = this.#ports;
    const run = isRecord(given) ? given : {};
    onlyKnown(run, ['workflow', 'await'], path, report);
    const workflow = isRecord(run['workflow']) ? run['workflow'] : {};
    onlyKnown(workflow, ['namespace', 'name', 'version', 'input'], `${path}.workflow`, report);
    const { namespace = 'default', name, input = null } = workflow;
    const parameters = this.value(input, scope, `${path}.workflow.input`);
    const detached = run['await'] === false ? { detached: true } : {};
    return { workflow: `${String(namespace)}.${String(name)}`, parameters, ...detached };
  }

  raise(given: unknown, scope: JqScope, path: string): NonNullable<WorkflowStepOptions['raise']> {
    const { use, report } = this.#ports;
    const named = isRecord(given) ? given['error'] : undefined;
    const error = typeof named === 'string' ? (Object(use['errors']) as Task)[named] : named;
    if (!isRecord(error)) {
      report(`${path}.error`, `${JSON.stringify(named)} is no error, nor one of use.errors`);
      return { code: '' };
    }
    onlyKnown(error, ['type', 'status', 'title', 'detail', 'instance'], `${path}.error`, report);
    const details = this.value(error, scope, `${path}.error`) as Task;
    const { type, title, detail = title } = details;
    return { code: String(type), ...(detail === undefined ? {} : { message: `${detail as string}` }), details };
  }

  /** Published by the broker of the system in which the run lives. */
  emit(given: unknown, scope: JqScope, path: string): Omit<WorkflowStepOptions, 'stepId'> {
    const { report } = this.#ports;
    const event = isRecord(given) && isRecord(given['event']) ? given['event'] : {};
    onlyKnown(event, ['with'], `${path}.event`, report);
    const about = isRecord(event['with']) ? event['with'] : {};
    onlyKnown(about, ['type', 'source', 'data', 'datacontenttype'], `${path}.event.with`, report);
    const { type, source, data = null } = about;
    if (typeof type !== 'string') report(`${path}.event.with.type`, `${JSON.stringify(type)} is no type of an event`);
    const payload = this.value(data, scope, `${path}.event.with.data`);
    const from = source === undefined ? {} : { source: this.value(source, scope, `${path}.event.with.source`) };
    return {
      actor: { definition: 'broker-exchange', id: 'main' },
      action: String(type),
      parameters: { kind: 'EVENT', payload, ...from },
    };
  }

  eventType(filter: unknown, path: string): string {
    const about = isRecord(filter) && isRecord(filter['with']) ? filter['with'] : {};
    if (isRecord(filter)) onlyKnown(filter, ['with'], path, this.#ports.report);
    onlyKnown(about, ['type'], `${path}.with`, this.#ports.report);
    if (typeof about['type'] !== 'string')
      this.#ports.report(`${path}.with.type`, 'is missing: an event is known by its type');
    return String(about['type']);
  }

  filter(given: unknown, problem: string, path: string): string[] {
    if (given === undefined) return [];
    const errors = isRecord(given) ? given : {};
    onlyKnown(errors, ['with'], path, this.#ports.report);
    const about = isRecord(errors['with']) ? errors['with'] : {};
    onlyKnown(about, ['type', 'status', 'title', 'detail'], `${path}.with`, this.#ports.report);
    return Object.entries(about).map(([name, value]) => `dyn(${problem}.${name}) == dyn(${JSON.stringify(value)})`);
  }
}

function isExpression(text: string): boolean {
  return EXPRESSION.test(text);
}
