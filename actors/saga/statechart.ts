/**
 * A workflow as a statechart: regions in parallel, one a step, and what follows when one fails.
 *
 * Owns: the picture. It is XState configuration, plain data that any XState tool draws, and it can be run: told what became of each
 * step, it says which steps are active and where the run is, as the planner does (a test holds them against each other). The run itself
 * is driven by the planner (decision 0014); tries, waits between them and items of loops are inside of a step and not drawn, nor are
 * steps that somebody cancels alone.
 *
 * Events: `done.<step>`, `failed.<step>` and `cancelled.<step>` (with `undo`: whether there is something to be undone), `cancel`,
 * `drained`, `undone.<step>`, `undoFailed.<step>`, `retry`.
 */
import { type ChartImplementations, machineOfChart } from '../machine/chart-machine.ts';
import type { CompiledStep, CompiledWorkflow } from './compiled-workflow.ts';

type StepMark = 'pending' | 'active' | 'completed' | 'skipped' | 'cascading' | 'failed' | 'continued' | 'cancelled';

interface ChartContext {
  readonly input: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  readonly steps: Readonly<
    Record<string, { readonly mark: StepMark; readonly status: string; readonly result?: unknown }>
  >;
  /** Steps that have to be undone, and are not yet. */
  readonly undo: readonly string[];
  readonly failure: 'failed' | 'cancelled' | undefined;
}

interface StepParameters {
  readonly step: string;
}

/** A definition, as `WorkflowDefinition` and `defineSaga` make it. */
export interface Chartable {
  compile(): CompiledWorkflow;
}

/**
 * The statechart as data: for `createMachine`, for Stately's tools, for a drawing.
 *
 * @throws InvalidWorkflowError
 */
export function statechartOf(definition: Chartable): Record<string, unknown> {
  return configOf(definition.compile());
}

function configOf({ data, steps }: CompiledWorkflow): Record<string, unknown> {
  const plans = [...steps.values()];
  const failing = { guard: 'cannotBeUndone', target: '#stuck' };
  const pivots = plans.filter((plan) => plan.data.pivot).map((plan) => plan.data.id);
  // What cannot happen in this workflow is not in its chart.
  const canCascade = plans.some((plan) => plan.data.skipDependents);
  const beforePivots = pivots.map((pivot) => waitedFor(steps, pivot).add(pivot));
  const canStick = (id: string): boolean => data.onFailure === 'park' || beforePivots.some((before) => !before.has(id));
  const afterPivot = pivots.length === 0 ? [] : [{ guard: 'pastPivot' }];
  const undoable = plans.filter((plan) => plan.compensation !== undefined);
  const facts = plans.flatMap(({ data: { id } }) => [
    [`done.${id}`, { actions: mark(id, 'completed') }],
    [`failed.${id}`, { actions: mark(id, 'failed') }],
    [`cancelled.${id}`, { actions: mark(id, 'cancelled') }],
  ]) as [string, { actions: unknown }][];
  return {
    id: data.id,
    description: data.name,
    version: String(data.version),
    initial: 'running',
    states: {
      running: {
        type: 'parallel',
        // No step is called so: ids do not begin with "__".
        states: {
          ...Object.fromEntries(plans.map((plan) => [plan.data.id, stepRegion(plan)])),
          __resumed: { id: 'resumed', type: 'history', history: 'deep' },
        },
        onDone: { target: 'completed' },
        on: {
          cancel: [...afterPivot, { target: 'draining', actions: { type: 'fail', params: { kind: 'cancelled' } } }],
        },
      },
      draining: {
        id: 'draining',
        description: 'What is under way ends, nothing new starts.',
        on: {
          ...Object.fromEntries(facts),
          ...Object.fromEntries(
            pivots.map((id) => [
              `done.${id}`,
              [
                { guard: 'isToGoOn', target: '#resumed', actions: [mark(id, 'completed'), 'forgive'] },
                { target: 'stuck', actions: [mark(id, 'completed'), { type: 'fail', params: { kind: 'failed' } }] },
              ],
            ]),
          ),
          drained: { target: 'compensating' },
        },
      },
      stuck: {
        id: 'stuck',
        description: 'Past the pivot, or parked: tried again, or resolved by hand.',
        on: {
          ...Object.fromEntries(facts),
          retry: { target: '#resumed', actions: ['reopen', 'forgive'] },
          cancel: [
            { guard: 'pastPivot' },
            { target: 'draining', actions: { type: 'fail', params: { kind: 'cancelled' } } },
          ],
        },
      },
      compensating: {
        ...(undoable.length === 0
          ? { always: endings() }
          : {
              type: 'parallel',
              states: Object.fromEntries(undoable.map((plan) => [plan.data.id, undoRegion(plan)])),
              onDone: endings(),
            }),
      },
      completed: { type: 'final' },
      failed: { type: 'final' },
      cancelled: { type: 'final' },
    },
  };

  function stepRegion({ data: step, condition }: CompiledStep): Record<string, unknown> {
    const { id } = step;
    const params = { step: id };
    const skipped = { type: 'mark', params: { step: id, mark: step.skipDependents ? 'cascading' : 'skipped' } };
    const fails = step.onFailure === 'fail';
    return {
      initial: 'pending',
      description: describe(step),
      states: {
        pending: {
          always: [
            ...(canCascade
              ? [{ guard: { type: 'cascades', params }, target: 'skipped', actions: mark(id, 'cascading') }]
              : []),
            ...(step.join === 'all'
              ? []
              : [{ guard: { type: 'tooFew', params }, target: 'skipped', actions: skipped }]),
            ...(condition === undefined
              ? []
              : [
                  {
                    guard: { type: 'isFalse', params: { ...params, condition: step.condition } },
                    target: 'skipped',
                    actions: skipped,
                  },
                ]),
            { guard: { type: 'isReady', params }, target: 'active', actions: mark(id, 'active') },
          ],
        },
        active: {
          always: [
            { guard: { type: 'is', params: { step: id, mark: 'completed' } }, target: 'completed' },
            { guard: { type: 'is', params: { step: id, mark: fails ? 'failed' : 'continued' } }, target: 'failed' },
          ],
          on: {
            [`done.${id}`]: { target: 'completed', actions: mark(id, 'completed') },
            [`failed.${id}`]: fails
              ? [
                  ...(canStick(id)
                    ? [{ ...failing, actions: [mark(id, 'failed'), { type: 'fail', params: { kind: 'failed' } }] }]
                    : []),
                  { target: '#draining', actions: [mark(id, 'failed'), { type: 'fail', params: { kind: 'failed' } }] },
                ]
              : { target: 'failed', actions: mark(id, 'continued') },
          },
        },
        completed: { type: 'final' },
        skipped: { type: 'final' },
        failed: fails
          ? { always: { guard: { type: 'is', params: { step: id, mark: 'active' } }, target: 'active' } }
          : { type: 'final' },
      },
    };
  }
}

/** The steps that must be over before a step can be completed, on every way to it. */
function waitedFor(steps: CompiledWorkflow['steps'], id: string): Set<string> {
  const before = new Set<string>();
  const open = [id];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const { dependencies, join } = (steps.get(at) as CompiledStep).data;
    for (const needed of join === 'all' ? dependencies : []) {
      if (!before.has(needed)) open.push(needed);
      before.add(needed);
    }
  }
  return before;
}

function undoRegion({ data: { id } }: CompiledStep): Record<string, unknown> {
  const params = { step: id };
  return {
    initial: 'waiting',
    states: {
      waiting: {
        always: [
          { guard: { type: 'needsNoUndo', params }, target: 'settled' },
          { guard: { type: 'isUndoable', params }, target: 'undoing' },
        ],
      },
      undoing: {
        on: {
          [`undone.${id}`]: { target: 'settled', actions: { type: 'undone', params } },
          [`undoFailed.${id}`]: { target: 'stuck' },
        },
      },
      stuck: { tags: ['stuck'], on: { retry: { target: 'undoing' } } },
      settled: { type: 'final' },
    },
  };
}

function endings(): unknown[] {
  return [{ guard: 'isCancelled', target: 'cancelled' }, { target: 'failed' }];
}

function mark(step: string, to: StepMark): { type: string; params: Record<string, unknown> } {
  return { type: 'mark', params: { step, mark: to } };
}

function describe({ work, condition, dependencies }: CompiledStep['data']): string {
  const what =
    work.kind === 'call'
      ? `${work.target.kind === 'system' ? work.target.system : work.target.definition}: ${work.action}`
      : work.kind;
  const after = dependencies.length === 0 ? '' : `, after ${dependencies.join(' and ')}`;
  return condition === undefined ? `${what}${after}` : `${what}${after}, if ${condition}`;
}

/**
 * The statechart as an XState machine that runs: `createActor(machineOf(definition), { input: { input, context } })`.
 *
 * @throws InvalidWorkflowError
 */
export function machineOf(definition: Chartable): ReturnType<typeof machineOfChart> {
  const workflow = definition.compile();
  const context = ({ input }: { input?: { input?: unknown; context?: object } }): ChartContext => ({
    input: input?.input,
    context: { ...workflow.data.context, ...input?.context },
    steps: Object.fromEntries(workflow.data.steps.map(({ id }) => [id, { mark: 'pending', status: 'pending' }])),
    undo: [],
    failure: undefined,
  });
  return machineOfChart({ ...configOf(workflow), context }, implementations(workflow));
}

function implementations(workflow: CompiledWorkflow): ChartImplementations {
  const contextOf = (given: { readonly context: unknown }): ChartContext => given.context as ChartContext;
  const markOf = (context: ChartContext, id: string): StepMark => context.steps[id]?.mark ?? 'pending';
  const isOver = (context: ChartContext, id: string): boolean =>
    ['completed', 'skipped', 'cascading', 'continued'].includes(markOf(context, id));
  const plan = (id: string): CompiledStep => workflow.steps.get(id) as CompiledStep;
  const isPast = (context: ChartContext): boolean =>
    workflow.data.steps.some(({ id, pivot }) => pivot && markOf(context, id) === 'completed');
  const completed = (context: ChartContext, ids: readonly string[]): number =>
    ids.filter((id) => markOf(context, id) === 'completed').length;
  const isReady = (context: ChartContext, id: string): boolean => {
    const { dependencies, join } = plan(id).data;
    return join === 'all'
      ? dependencies.every((needed) => isOver(context, needed))
      : completed(context, dependencies) >= join;
  };
  const isClear = (context: ChartContext, id: string): boolean =>
    !context.undo.includes(id) && plan(id).dependents.every((after) => isClear(context, after));
  return {
    guards: {
      pastPivot: (given) => isPast(contextOf(given)),
      cannotBeUndone: (given) => workflow.data.onFailure === 'park' || isPast(contextOf(given)),
      isCancelled: (given) => contextOf(given).failure === 'cancelled',
      // Cancelled, but a pivot was quicker.
      isToGoOn: (given) => {
        const context = contextOf(given);
        return context.failure === 'cancelled' && Object.values(context.steps).every((step) => step.mark !== 'failed');
      },
      is: (given, { step, mark: expected }: StepParameters & { mark: StepMark }) =>
        markOf(contextOf(given), step) === expected,
      isReady: (given, { step }: StepParameters) => isReady(contextOf(given), step),
      isFalse: (given, { step }: StepParameters) => {
        const context = contextOf(given);
        return isReady(context, step) && plan(step).condition?.evaluate(context) === false;
      },
      cascades: (given, { step }: StepParameters) => {
        const { dependencies, join } = plan(step).data;
        return join === 'all' && dependencies.some((id) => markOf(contextOf(given), id) === 'cascading');
      },
      tooFew: (given, { step }: StepParameters) => {
        const context = contextOf(given);
        const { dependencies, join } = plan(step).data;
        return (
          join !== 'all' && completed(context, dependencies) < join && dependencies.every((id) => isOver(context, id))
        );
      },
      needsNoUndo: (given, { step }: StepParameters) => !contextOf(given).undo.includes(step),
      isUndoable: (given, { step }: StepParameters) =>
        plan(step).dependents.every((after) => isClear(contextOf(given), after)),
    },
    changes: {
      mark: (given, { step, mark: to }: StepParameters & { mark: StepMark }) => {
        const context = contextOf(given);
        const { dependencies, join } = plan(step).data;
        // Skipped for want of enough completed dependencies: one that cascades is passed on.
        const passesOn =
          to === 'skipped' &&
          join !== 'all' &&
          dependencies.some((id) => markOf(context, id) === 'cascading') &&
          completed(context, dependencies) < join;
        const now: StepMark = passesOn
          ? 'cascading'
          : to === 'failed' && plan(step).data.onFailure === 'continue'
            ? 'continued'
            : to;
        // What follows from an event without one of its own is marked, too: the facts of the event are not about that step.
        const { type, undo, result } = given.event as { type: string; undo?: boolean; result?: unknown };
        const isOwn = type.slice(type.indexOf('.') + 1) === step;
        const status = now === 'cascading' ? 'skipped' : now === 'continued' ? 'failed' : now;
        const needs = isOwn && undo === true && plan(step).compensation !== undefined && !context.undo.includes(step);
        return {
          steps: { ...context.steps, [step]: { mark: now, status, ...(now === 'completed' ? { result } : {}) } },
          undo: needs ? [...context.undo, step] : context.undo,
        };
      },
      fail: (_given, { kind }: { kind: 'failed' | 'cancelled' }) => ({ failure: kind }),
      forgive: () => ({ failure: undefined }),
      reopen: (given) => {
        const { steps } = contextOf(given);
        return {
          steps: Object.fromEntries(
            Object.entries(steps).map(([id, step]) => [
              id,
              step.mark === 'failed' ? { mark: 'active', status: 'active' } : step,
            ]),
          ),
        };
      },
      undone: (given, { step }: StepParameters) => ({ undo: contextOf(given).undo.filter((id) => id !== step) }),
    },
  };
}
