/**
 * Tasks of the Open Workflow Specification as steps.
 *
 * Owns: the order of tasks, jumps between them, and what each kind becomes. A task `a` becomes the step `a`, which is completed when the
 * task was run and skipped when not; steps that only carry values for it are called `a..output`, `a..error` and so on.
 */
import type { JqScope } from './jq-to-cel.ts';
import {
  all,
  any,
  choice,
  type Flow,
  hasFailed,
  hasRun,
  not,
  resultOf,
  scopeOf,
  template,
} from './open-workflow-flow.ts';
import { durationMs, onlyKnown, problemOf, retryPolicy } from './open-workflow-terms.ts';
import { type Task, type TaskPorts, TaskTerms } from './open-workflow-values.ts';
import { isRecord } from './value-shape.ts';
import type { WorkflowStepOptions } from './workflow-step.ts';

type Named = readonly [name: string, task: Task];
/** A directive that may be given after a task, and when it is. */
interface Jump {
  readonly target: string;
  readonly when: string;
}

const KINDS = ['do', 'call', 'set', 'wait', 'for', 'fork', 'switch', 'try', 'listen', 'emit', 'raise', 'run'] as const;
const COMMON = ['if', 'input', 'output', 'export', 'timeout', 'then', 'metadata'];
const MORE: Readonly<Record<string, readonly string[]>> = { call: ['with'], for: ['while', 'do'], try: ['catch'] };
const NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,60}$/;

export class TaskTranslation {
  readonly steps: WorkflowStepOptions[] = [];
  readonly #ports: TaskPorts;
  readonly #terms: TaskTerms;
  /** CEL of what ends the workflow, in the order of tasks. */
  readonly #ends: string[] = [];

  constructor(ports: TaskPorts) {
    this.#ports = ports;
    this.#terms = new TaskTerms(ports);
  }

  /** Translates all tasks; the result is the template of the workflow's output. */
  workflow(tasks: unknown, input: unknown, output: unknown): unknown {
    const start: Flow = {
      after: [],
      current: 'input',
      context: 'null',
      guard: [],
      failing: undefined,
      variables: new Map(),
      isBranch: false,
    };
    const from = isRecord(input) ? input['from'] : undefined;
    const current =
      from === undefined ? 'input' : this.#terms.cel(from, scopeOf(start, this.#ports.about, 'input'), 'input.from');
    const end = this.#list(tasks, { ...start, current }, 'do', '');
    if (output === undefined) return template(end.current);
    if (!isRecord(output)) return this.#ports.report('output', `${JSON.stringify(output)} is no object`);
    onlyKnown(output, ['as'], 'output', this.#ports.report);
    return this.#terms.value(output['as'], scopeOf(end, this.#ports.about, end.current), 'output.as', true);
  }

  #list(given: unknown, flow: Flow, path: string, prefix: string): Flow {
    const tasks = this.#named(given, path);
    const jumps: { readonly from: number; readonly to: number; readonly when: string }[] = [];
    let at = flow;
    for (const [index, [name, task]] of tasks.entries()) {
      const over = jumps.filter(({ from, to }) => from < index && index < to).map(({ when }) => not(when));
      const where = `${path}[${index}].${name}`;
      const next = this.#task(`${prefix}${name}`, task, { ...at, guard: [...flow.guard, ...over] }, where);
      at = next.flow;
      for (const { target, when } of next.jumps) {
        if (target === 'continue') continue;
        if (target === 'end') {
          if (flow.isBranch) this.#ports.report(`${where}.then`, '"end" within a fork is not supported');
          this.#ends.push(when);
          continue;
        }
        const to = target === 'exit' ? tasks.length : tasks.findIndex(([other]) => other === target);
        if (to === -1) this.#ports.report(`${where}.then`, `no task "${target}" beside it`);
        else if (to <= index)
          this.#ports.report(`${where}.then`, `"${target}" stands before it: jumps back are not supported`);
        else jumps.push({ from: index, to, when });
      }
    }
    return { ...at, guard: flow.guard };
  }

  #named(given: unknown, path: string): Named[] {
    if (!Array.isArray(given)) {
      this.#ports.report(path, `${JSON.stringify(given)} is no list of tasks`);
      return [];
    }
    return given.flatMap((entry: unknown, index): Named[] => {
      const [only, ...others] = isRecord(entry) ? Object.entries(entry) : [];
      if (only === undefined || others.length > 0 || !isRecord(only[1])) {
        this.#ports.report(`${path}[${index}]`, 'is no task: give { name: { … } }');
        return [];
      }
      if (!NAME.test(only[0]))
        this.#ports.report(`${path}[${index}]`, `${JSON.stringify(only[0])} is no name for a step`);
      return [[only[0], only[1]]];
    });
  }

  /** Adds a step that is come to when the flow is; `conditions` are its own. `ends`: how many of the ends keep it from being come to. */
  #add(step: WorkflowStepOptions, flow: Flow, conditions: readonly string[] = [], ends = this.#ends.length): void {
    const unfailed = (flow.failing ?? []).map((id) => not(hasFailed(id)));
    const parts = [...flow.guard, ...this.#ends.slice(0, ends).map(not), ...unfailed, ...conditions];
    this.steps.push({
      ...step,
      dependencies: flow.after,
      ...(parts.length === 0 ? {} : { condition: all(parts) }),
      ...(flow.failing === undefined ? {} : { onFailure: 'continue' as const }),
    });
    flow.failing?.push(step.stepId);
  }

  /** A step that carries a value, whatever was skipped. Within a `try`, what has failed has none. */
  #carry(stepId: string, cel: string, flow: Flow, after: readonly string[]): void {
    this.#add({ stepId, value: template(cel) }, { ...flow, guard: [], after }, [], 0);
  }

  #task(id: string, task: Task, flow: Flow, path: string): { readonly flow: Flow; readonly jumps: readonly Jump[] } {
    const { report, about } = this.#ports;
    const kinds = KINDS.filter((kind) => Object.hasOwn(task, kind) && !(kind === 'do' && Object.hasOwn(task, 'for')));
    const [kind] = kinds;
    if (kind === undefined || kinds.length > 1) {
      report(path, kinds.length === 0 ? `is none of ${KINDS.join(', ')}` : `is ${kinds.join(' and ')} at once`);
      return { flow, jumps: [] };
    }
    onlyKnown(task, [kind, ...COMMON, ...(MORE[kind] ?? [])], path, report);
    const isConditional =
      flow.guard.length + this.#ends.length + (flow.failing?.length ?? 0) > 0 || task['if'] !== undefined;
    const given = isRecord(task['input']) ? task['input'] : {};
    onlyKnown(given, ['from'], `${path}.input`, report);
    const from = given['from'];
    const input =
      from === undefined
        ? flow.current
        : this.#terms.cel(from, scopeOf(flow, about, flow.current), `${path}.input.from`);
    const condition =
      task['if'] === undefined
        ? []
        : [this.#terms.condition(task['if'], scopeOf(flow, about, flow.current), `${path}.if`)];
    const inside: Flow = { ...flow, current: input, guard: [...flow.guard, ...condition] };
    const made = this.#kind(kind, id, task, inside, path);
    const done = this.#outputOf(
      id,
      task,
      { ...flow, after: made.after, context: made.context ?? flow.context },
      made.output,
      input,
      path,
    );
    let { current } = done;
    let { after } = done;
    if (isConditional && current !== flow.current) {
      this.#carry(`${id}..output`, choice(hasRun(id), current, flow.current), flow, [...after, ...flow.after]);
      current = resultOf(`${id}..output`);
      after = [`${id}..output`];
    }
    const context =
      isConditional && done.context !== flow.context ? choice(hasRun(id), done.context, flow.context) : done.context;
    const then = task['then'] === undefined ? [] : [{ target: task['then'] as string, when: hasRun(id) }];
    return { flow: { ...flow, after, current, context }, jumps: [...then, ...made.jumps] };
  }

  /** What `output` and `export` say of a task that gave `raw`. */
  #outputOf(id: string, task: Task, flow: Flow, raw: string, input: string, path: string): Flow {
    const { about, report } = this.#ports;
    let { after, context } = flow;
    let current = raw;
    const derive = (name: 'output' | 'export', stepId: string, scope: JqScope): string => {
      const given = task[name];
      if (!isRecord(given)) return String(report(`${path}.${name}`, `${JSON.stringify(given)} is no object`));
      onlyKnown(given, ['as'], `${path}.${name}`, report);
      const value = this.#terms.value(given['as'], scope, `${path}.${name}.as`, true);
      this.#add({ stepId, value }, { ...flow, after }, [hasRun(id)]);
      after = [stepId];
      return resultOf(stepId);
    };
    if (task['output'] !== undefined) current = derive('output', `${id}..as`, scopeOf(flow, about, raw, input));
    if (task['export'] !== undefined)
      context = derive('export', `${id}..context`, scopeOf(flow, about, current, input));
    return { ...flow, after, current, context };
  }

  #kind(kind: (typeof KINDS)[number], id: string, task: Task, flow: Flow, path: string): Made {
    const { report, about } = this.#ports;
    const given = task[kind];
    const where = `${path}.${kind}`;
    const scope = scopeOf(flow, about, flow.current);
    const timeout = this.#terms.timeout(task['timeout'], kind, path);
    const add = (step: Omit<WorkflowStepOptions, 'stepId'>): Made => {
      this.#add({ stepId: id, ...step, ...timeout }, flow);
      return { after: [id], output: resultOf(id), jumps: [] };
    };
    switch (kind) {
      case 'set':
        return add({ value: this.#terms.value(given, scope, where) });
      case 'wait':
        return { ...add({ sleep: durationMs(given, where, report) ?? 0 }), output: flow.current };
      case 'call':
      case 'run':
        return add(this.#terms.call(task, scope, path));
      case 'raise':
        return add({ raise: this.#terms.raise(given, scope, where) });
      case 'emit':
        return { ...add(this.#terms.emit(given, scope, where)), output: flow.current };
      case 'listen':
        return this.#listen(id, given, flow, timeout, where);
      case 'switch': {
        const cases = this.#cases(given, scope, where);
        const value = cases.reduceRight((rest, { when, target }) => `(${when} ? "${target}" : ${rest})`, '"continue"');
        add({ value: template(value) });
        const targets = [...new Set(cases.map(({ target }) => target))];
        const jumps = targets.map((target) => ({ target, when: all([hasRun(id), `${resultOf(id)} == "${target}"`]) }));
        return { after: [id], output: flow.current, jumps };
      }
      case 'do': {
        const ends = this.#ends.length;
        const end = this.#list(given, flow, where, `${id}.`);
        const after = end.after.length === 0 ? flow.after : end.after;
        this.#add({ stepId: id, value: template(end.current) }, { ...flow, after }, [], ends);
        return { after: [id], output: resultOf(id), context: end.context, jumps: [] };
      }
      case 'fork':
        return this.#fork(id, given, flow, where);
      case 'for':
        return this.#for(id, task, flow, timeout, path);
      case 'try':
        return this.#try(id, task, flow, path);
    }
  }

  #cases(given: unknown, scope: JqScope, path: string): Jump[] {
    return this.#named(given, path).map(([name, one], index) => {
      const where = `${path}[${index}].${name}`;
      onlyKnown(one, ['when', 'then'], where, this.#ports.report);
      const { when, then } = one;
      if (typeof then !== 'string') this.#ports.report(`${where}.then`, `${JSON.stringify(then)} is no directive`);
      return {
        target: String(then),
        when: when === undefined ? 'true' : this.#terms.condition(when, scope, `${where}.when`),
      };
    });
  }

  #listen(id: string, given: unknown, flow: Flow, timeout: { readonly timeoutMs?: number }, path: string): Made {
    const { report } = this.#ports;
    const listen = isRecord(given) ? given : {};
    onlyKnown(listen, ['to', 'read'], path, report);
    if (listen['read'] !== undefined && listen['read'] !== 'data') report(`${path}.read`, 'only "data" is supported');
    const to = isRecord(listen['to']) ? listen['to'] : {};
    onlyKnown(to, ['one', 'any', 'all'], `${path}.to`, report);
    const { one, any: some, all: every } = to;
    const types = [one ?? some ?? every ?? []]
      .flat()
      .map((filter: unknown, index) => this.#terms.eventType(filter, `${path}.to[${index}]`));
    if (types.length === 0) report(`${path}.to`, 'names no event: give one, any or all, with types');
    if (every === undefined) {
      const signal = one === undefined ? types : (types[0] ?? '');
      this.#add({ stepId: id, signal, ...timeout }, flow);
      const payload = one === undefined ? `dyn(${resultOf(id)}).payload` : resultOf(id);
      return { after: [id], output: `[dyn(${payload})]`, jumps: [] };
    }
    const waits = types.map((signal, index) => ({ stepId: `${id}..${index + 1}`, signal, ...timeout }));
    for (const wait of waits) this.#add(wait, { ...flow, failing: undefined });
    if (flow.failing !== undefined) report(path, 'all events within a try are not supported');
    const ids = waits.map(({ stepId }) => stepId);
    this.#add(
      { stepId: id, value: template(`[${ids.map((one) => `dyn(${resultOf(one)})`).join(', ')}]`) },
      { ...flow, after: ids },
    );
    return { after: [id], output: resultOf(id), jumps: [] };
  }

  #fork(id: string, given: unknown, flow: Flow, path: string): Made {
    const { report } = this.#ports;
    const fork = isRecord(given) ? given : {};
    onlyKnown(fork, ['branches', 'compete'], path, report);
    if (fork['compete'] === true)
      report(`${path}.compete`, 'is not supported: those that lose would have to be cancelled');
    const branches = this.#named(fork['branches'], `${path}.branches`);
    const before = flow.failing === undefined ? undefined : [...flow.failing];
    const ends = branches.map(([name, task], index) => {
      const failing = before === undefined ? undefined : [...before];
      const branch = { ...flow, failing, isBranch: true };
      const { flow: end, jumps } = this.#task(`${id}.${name}`, task, branch, `${path}.branches[${index}].${name}`);
      if (jumps.some(({ target }) => target !== 'continue'))
        report(`${path}.branches[${index}].${name}.then`, 'a branch is one task, and leads nowhere');
      for (const one of failing?.slice(before?.length) ?? []) flow.failing?.push(one);
      return end;
    });
    const value = template(`[${ends.map(({ current }) => `dyn(${current})`).join(', ')}]`);
    this.#add({ stepId: id, value }, { ...flow, after: [...new Set(ends.flatMap(({ after }) => after))] });
    return { after: [id], output: resultOf(id), jumps: [] };
  }

  /** One call an item, one after the other; the output is that of the last. */
  #for(id: string, task: Task, flow: Flow, timeout: { readonly timeoutMs?: number }, path: string): Made {
    const { report, about } = this.#ports;
    const loop = isRecord(task['for']) ? task['for'] : {};
    onlyKnown(loop, ['each', 'in', 'at'], `${path}.for`, report);
    if (task['while'] !== undefined) report(`${path}.while`, 'is not supported');
    const { each = 'item', at = 'index' } = loop;
    const items = this.#terms.cel(loop['in'], scopeOf(flow, about, flow.current), `${path}.for.in`);
    const [body, ...others] = this.#named(task['do'], `${path}.do`);
    const [name = '', inner = {}] = body ?? [];
    const where = `${path}.do[0].${name}`;
    if (others.length > 0 || (inner['call'] === undefined && inner['run'] === undefined)) {
      report(
        `${path}.do`,
        'a loop over more than one call, or one workflow, is not supported: make it a workflow, and run that',
      );
    }
    onlyKnown(inner, ['call', 'with', 'run', 'metadata'], where, report);
    const variables = new Map(flow.variables).set(String(each), 'item').set(String(at), 'index');
    const step =
      body === undefined
        ? { value: null }
        : this.#terms.call(inner, scopeOf({ ...flow, variables }, about, undefined), where);
    this.#add({ stepId: id, ...step, ...timeout, forEach: { items: template(items), concurrency: 1 } }, flow);
    const results = `dyn(${resultOf(id)})`;
    const output = choice(`size(${results}) > 0`, `${results}[size(${results}) - 1]`, flow.current);
    return { after: [id], output, jumps: [] };
  }

  #try(id: string, task: Task, flow: Flow, path: string): Made {
    const { report, about, use } = this.#ports;
    const given = isRecord(task['catch']) ? task['catch'] : {};
    onlyKnown(given, ['errors', 'as', 'when', 'exceptWhen', 'retry', 'do'], `${path}.catch`, report);
    const failing: string[] = [];
    const [first, ends] = [this.steps.length, this.#ends.length];
    const body = this.#list(task['try'], { ...flow, failing, guard: this.#unfailed(flow) }, `${path}.try`, `${id}.`);
    const own = this.steps.splice(first);
    const named =
      typeof given['retry'] === 'string' ? (Object(use['retries']) as Task)[given['retry']] : given['retry'];
    const policy = given['retry'] === undefined ? undefined : retryPolicy(named, `${path}.catch.retry`, report);
    const isCall = (step: WorkflowStepOptions): boolean => step.systemTarget !== undefined || step.actor !== undefined;
    if (given['retry'] !== undefined && (own.length !== 1 || !own.every(isCall)))
      report(`${path}.catch.retry`, 'is supported for a try of one call');
    if (given['retry'] !== undefined && (given['errors'] ?? given['when'] ?? given['exceptWhen']) !== undefined)
      report(`${path}.catch.retry`, 'of some errors only is not supported: leave out errors, when and exceptWhen');
    this.steps.push(...own.map((step) => (policy === undefined ? step : { ...step, retryPolicy: policy })));
    if (failing.length === 0) return { after: body.after, output: body.current, jumps: [] };

    const outer: Flow = { ...flow, after: [...new Set([...body.after, ...failing])] };
    const caught = any(failing.map(hasFailed));
    const [last = '', ...before] = [...failing].reverse();
    const error = before.reduce(
      (rest, step) => choice(hasFailed(step), `steps["${step}"].error`, rest),
      `steps["${last}"].error`,
    );
    const problem = resultOf(`${id}..error`);
    this.#add({ stepId: `${id}..error`, value: problemOf(`dyn(${error})`) }, outer, [caught]);
    const variables = new Map(flow.variables).set(typeof given['as'] === 'string' ? given['as'] : 'error', problem);
    const scope = scopeOf({ ...flow, variables }, about, flow.current);
    const match = [
      ...this.#terms.filter(given['errors'], problem, `${path}.catch.errors`),
      ...(given['when'] === undefined ? [] : [this.#terms.condition(given['when'], scope, `${path}.catch.when`)]),
      ...(given['exceptWhen'] === undefined
        ? []
        : [not(this.#terms.condition(given['exceptWhen'], scope, `${path}.catch.exceptWhen`))]),
    ];
    const handling: Flow = { ...outer, after: [`${id}..error`], variables, guard: [...flow.guard, caught, ...match] };
    let { after } = handling;
    if (match.length > 0) {
      const raise = {
        code: template(`${problem}.type`),
        message: template(`string(${problem}.detail)`),
        details: Object.fromEntries(
          ['type', 'status', 'title', 'detail'].map((name) => [name, template(`${problem}.${name}`)]),
        ),
      };
      this.#add({ stepId: `${id}..uncaught`, raise }, { ...outer, after }, [caught, not(all(match))]);
      after = [`${id}..uncaught`];
    }
    const handler =
      given['do'] === undefined
        ? handling
        : this.#list(given['do'], { ...handling, after }, `${path}.catch.do`, `${id}.catch.`);
    const output = choice(caught, handler.current, body.current);
    this.#add(
      { stepId: id, value: template(output) },
      { ...outer, after: [...new Set([...outer.after, ...after, ...handler.after])] },
      [],
      ends,
    );
    const context = choice(caught, handler.context, body.context);
    return {
      after: [id],
      output: resultOf(id),
      ...(context === choice(caught, flow.context, flow.context) ? {} : { context }),
      jumps: [],
    };
  }

  /** A try within a try is not come to when something before it has failed. */
  #unfailed({ guard, failing = [] }: Flow): readonly string[] {
    return [...guard, ...failing.map((id) => not(hasFailed(id)))];
  }
}

/** What a task became. `output`: CEL of what it gives, before its own `output` and `export`. */
interface Made {
  readonly after: readonly string[];
  readonly output: string;
  readonly context?: string;
  readonly jumps: readonly Jump[];
}
