/**
 * A run in flight, moved to another version of its workflow.
 *
 * Owns: what may be moved and what may not, and the state of the run afterwards. Pure; the run's actor does it in one turn, and
 * `engine.check` asks the same question without doing it.
 *
 * Invariants:
 * MI1. What has begun stays what it is: its calls go where they went, its answers are recognised, what is registered to undo it is there.
 * MI2. What has not begun is as if the run had been started with the new definition.
 * MI3. A refusal names every reason, and changes nothing.
 * MI4. A command's id names one try for ever (RS2), over all migrations: a name once used in a run is never another step's.
 */
import type { CompiledWorkflow } from './compiled-workflow.ts';
import { RunDraft } from './run-draft.ts';
import { fateOf, settle } from './run-forward.ts';
import {
  isUnknown,
  newRun,
  type PlannerTurn,
  REGISTERED,
  type RunCommand,
  type RunState,
  type StepState,
  UNADAPTED,
} from './run-state.ts';
import { valueFaults } from './value-shape.ts';
import type { StepData } from './workflow-data.ts';

/** How a run comes from one definition to another. Whatever is not named keeps its name. */
export interface MigrationMap {
  /** Names of steps: the old one, and the new one. A step that is under way keeps its name. */
  readonly steps?: Readonly<Record<string, string>>;
  /** New steps that stand before something that has begun already, and are skipped in such a run. */
  readonly skip?: readonly string[];
  /** Variables that are set; others stay, and those that the new definition adds have its values. */
  readonly context?: Readonly<Record<string, unknown>>;
}

export type Migration =
  | { readonly kind: 'refused'; readonly faults: readonly string[] }
  | {
      readonly kind: 'moved';
      readonly run: RunState;
      /** Timers whose time has changed. */
      readonly commands: readonly RunCommand[];
      readonly left: readonly string[];
    };

export interface Move {
  readonly from: CompiledWorkflow;
  readonly to: CompiledWorkflow;
  readonly map: MigrationMap;
  /** Names that earlier moves have left behind. */
  readonly left: readonly string[];
  /** Tokens of promises that are new. */
  readonly tokenOf?: ((step: string) => string) | undefined;
}

/** The run under its new definition, or why it cannot be. */
export function migrateRun(run: RunState, move: Move, turn: PlannerTurn): Migration {
  const { from, to, map } = move;
  const names = namesOf(from, map);
  const faults = [...mapFaults(run, move, names), ...runFaults(run, move), ...stepFaults(run, move, names)];
  if (faults.length > 0) return { kind: 'refused', faults };
  const context = { ...to.data.context, ...run.context, ...map.context };
  const fresh = newRun(to, run.input, context, run.startedMs, move.tokenOf);
  const kept = [...from.steps.keys()].filter((id) => isKept(run, to, id, names));
  const steps: Record<string, StepState> = { ...fresh.steps };
  for (const id of kept) {
    const next = names(id);
    steps[next] = registered(run.steps[id] as StepState, to.steps.get(next)?.data as StepData);
  }
  const skipped = (map.skip ?? []).filter((id) => steps[id]?.status === 'pending');
  for (const id of skipped) steps[id] = { ...(steps[id] as StepState), status: 'skipped', endedMs: turn.nowMs };
  const isOpen = ({ status }: StepState): boolean => status === 'pending' || status === 'ready' || status === 'active';
  const moved: RunState = {
    ...run,
    context,
    steps,
    open: Object.values(steps).filter(isOpen).length,
    ready: run.ready.filter((id) => kept.includes(id)).map(names),
    ...adaptationOf(run, to),
  };
  const draft = new RunDraft(to, moved, turn);
  if (run.phase.kind === 'running' || (run.phase.kind === 'stuck' && run.phase.in === 'step')) placeSteps(draft);
  changeTimers(draft, run, from, kept);
  const left = kept.filter((id) => names(id) !== id && hasBegun(run.steps[id]));
  const late = tooLate(draft);
  return late.length > 0
    ? { kind: 'refused', faults: late }
    : { kind: 'moved', run: draft.finish(), commands: draft.commands, left };
}

/** Which rules are engaged is asked anew: they are those of the new definition. */
function adaptationOf({ adaptation }: RunState, { rules }: CompiledWorkflow): Pick<RunState, 'adaptation'> {
  if (adaptation === undefined && rules.size === 0) return {};
  return { adaptation: { ...(adaptation ?? UNADAPTED), knownMs: undefined } };
}

function namesOf(from: CompiledWorkflow, { steps = {} }: MigrationMap): (id: string) => string {
  return (id) => (from.steps.has(id) && Object.hasOwn(steps, id) ? (steps[id] as string) : id);
}

/** Steps that keep their state: those of the old definition that are in the new one, and may have begun. */
function isKept(run: RunState, to: CompiledWorkflow, id: string, names: (id: string) => string): boolean {
  return to.steps.has(names(id)) && run.steps[id]?.status !== 'pending';
}

function hasBegun(step: StepState | undefined): boolean {
  return step !== undefined && step.status !== 'pending' && step.status !== 'ready';
}

/** What is wrong with the map itself. */
function mapFaults(run: RunState, { from, to, map, left }: Move, names: (id: string) => string): string[] {
  const faults: string[] = [];
  const renamed = Object.entries(map.steps ?? {}).filter(([before, after]) => before !== after);
  for (const [before, after] of renamed) {
    if (!from.steps.has(before)) faults.push(`steps: version ${from.data.version} has no step "${before}"`);
    if (!to.steps.has(after)) faults.push(`steps: version ${to.data.version} has no step "${after}"`);
    if (from.steps.has(after))
      faults.push(`steps: "${before}" cannot be "${after}": another step was called so before`);
  }
  for (const [id, count] of countOf([...from.steps.keys()].map(names))) {
    if (count > 1) faults.push(`steps: ${count} steps cannot all be "${id}"`);
  }
  for (const id of map.skip ?? []) {
    if (!to.steps.has(id)) faults.push(`skip: version ${to.data.version} has no step "${id}"`);
    else if ([...from.steps.keys()].some((before) => names(before) === id && hasBegun(run.steps[before])))
      faults.push(`skip: step "${id}" has begun`);
  }
  for (const id of left) {
    if (to.steps.has(id))
      faults.push(`step "${id}": another step of this run was called so before an earlier migration`);
  }
  return faults;
}

function countOf(ids: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

function runFaults(run: RunState, { from, to }: Move): string[] {
  const { phase } = run;
  const faults: string[] = [];
  if (from.data.id !== to.data.id) faults.push(`it is a run of "${from.data.id}", not of "${to.data.id}"`);
  if (phase.kind !== 'running' && phase.kind !== 'stuck')
    faults.push(`it is ${phase.kind}: only a run that is running or stuck can be moved`);
  for (const { path, expected } of valueFaults(run.input, to.data.input, 'input'))
    faults.push(`its input does not fit: ${path}: ${expected}`);
  return faults;
}

function stepFaults(run: RunState, { from, to }: Move, names: (id: string) => string): string[] {
  const faults: string[] = [];
  for (const [id, plan] of from.steps) {
    const step = run.steps[id] as StepState;
    if (!hasBegun(step)) continue;
    const next = to.steps.get(names(id))?.data;
    const say = (message: string): void => void faults.push(`step "${id}" is ${step.status}, and ${message}`);
    if (step.status === 'skipped') continue;
    if (next === undefined) {
      say(`is not in version ${to.data.version}`);
      continue;
    }
    if (names(id) !== id && isUnderWay(step)) say(`cannot be called "${names(id)}" meanwhile`);
    const [before, after] = [targetOf(plan.data), targetOf(next)];
    if (before !== after && mayHaveDone(step)) say(`was ${before}, not ${after}`);
    if ((plan.data.forEach === undefined) !== (next.forEach === undefined))
      say(next.forEach === undefined ? 'is no loop any more' : 'is a loop now');
    for (const rule of lostWays(step, plan.data.id, names(id), from, to))
      say(
        `its call went another way by the adaptation "${rule}", which version ${to.data.version} has not, or otherwise`,
      );
    const isUndone = step.units.some(({ undo }) => undo !== undefined && undo.status !== 'dropped');
    if (isUndone && next.compensation === undefined) say('what would undo it is gone');
    if (step.status === 'completed' && next.forEach === undefined) {
      for (const { path, expected } of valueFaults(step.result, next.result, 'result'))
        say(`its result does not fit: ${path}: ${expected}`);
    }
  }
  return faults;
}

/** Rules that sent a call another way, and would not know any more how it is undone there. */
function lostWays(
  { units }: StepState,
  before: string,
  after: string,
  from: CompiledWorkflow,
  to: CompiledWorkflow,
): ReadonlySet<string> {
  const lost = new Set<string>();
  for (const { run } of units) {
    // A way of a rule of the engine is in the run itself.
    if (run.route === undefined || run.route.route !== undefined) continue;
    const { rule } = run.route;
    const way = (workflow: CompiledWorkflow, step: string): string =>
      JSON.stringify(workflow.rules.get(rule)?.routes.get(step)?.call.data.target ?? null);
    if (way(from, before) !== way(to, after)) lost.add(rule);
  }
  return lost;
}

/** What has failed, and has certainly done nothing, may be done by somebody else. */
function mayHaveDone({ status, units }: StepState): boolean {
  return status !== 'failed' || units.some(({ run }) => run.status === 'done' || isUnknown(run));
}

/** Answers and timers bear its name. */
function isUnderWay({ status, units }: StepState): boolean {
  const moves = new Set(['queued', 'running', 'backoff']);
  return status === 'active' || units.some(({ run, undo }) => moves.has(run.status) || moves.has(undo?.status ?? ''));
}

/** What a step does, and to whom: what must not change once it has begun. */
function targetOf({ work }: StepData): string {
  switch (work.kind) {
    case 'call':
      return work.target.kind === 'system'
        ? `"${work.action}" of the system "${work.target.system}"`
        : `"${work.action}" of the actor ${work.target.definition}/${work.target.id}`;
    case 'workflow':
      return `the workflow "${work.workflow}"`;
    case 'sleep':
    case 'until':
      return 'a sleep';
    default:
      return `a ${work.kind}`;
  }
}

/** What has been done, and could not be undone before, can be now. */
function registered(step: StepState, { compensation }: StepData): StepState {
  if (compensation === undefined || step.units.every(({ undo }) => undo !== undefined)) return step;
  return { ...step, units: step.units.map((unit) => ({ ...unit, undo: unit.undo ?? REGISTERED })) };
}

/** Steps that have not begun: those that may start are ready, those that never will are skipped. */
function placeSteps(draft: RunDraft): void {
  for (const id of draft.workflow.order) {
    const { status } = draft.step(id);
    if (status !== 'pending' && status !== 'ready') continue;
    const fate = draft.plan(id).data.dependencies.length === 0 ? 'ready' : fateOf(draft, id);
    const at = draft.ready.indexOf(id);
    if (fate === 'ready') {
      draft.setStep(id, { status: 'ready' });
      if (at === -1) draft.ready.push(id);
      continue;
    }
    if (at !== -1) draft.ready.splice(at, 1);
    draft.setStep(id, { status: 'pending' });
    if (fate !== 'wait') settle(draft, id, { status: 'skipped', cascades: fate === 'skip all' });
  }
}

/** Steps that have begun, though what they now depend on is not over. */
function tooLate(draft: RunDraft): string[] {
  const faults: string[] = [];
  for (const [id, { data }] of draft.workflow.steps) {
    const { status } = draft.step(id);
    if (!hasBegun(draft.step(id)) || status === 'skipped' || data.dependencies.length === 0) continue;
    if (fateOf(draft, id) !== 'wait') continue;
    const open = data.dependencies.filter((needed) => !hasBegun(draft.step(needed)));
    if (open.length === 0) continue;
    faults.push(
      `step "${id}" is ${status}, and now depends on ${open.map((needed) => `"${needed}"`).join(', ')}, too late: skip it, or leave it out`,
    );
  }
  return faults;
}

/** Deadlines of what is under way are those of the new definition, from when it began. */
function changeTimers(draft: RunDraft, run: RunState, from: CompiledWorkflow, kept: readonly string[]): void {
  const change = (id: string, startedMs: number, before: number | undefined, after: number | undefined): void => {
    if (before === after) return;
    if (after === undefined) draft.cancelTimer(id);
    else draft.setTimer(id, Math.max(0, startedMs + after - draft.turn.nowMs));
  };
  if (run.phase.kind === 'running') change('run', run.startedMs, from.data.timeoutMs, draft.workflow.data.timeoutMs);
  for (const id of kept) {
    const step = run.steps[id] as StepState;
    // A rule has given it another time, which stays.
    if (step.status !== 'active' || step.timeoutMs !== undefined) continue;
    change(
      `step:${id}`,
      step.startedMs ?? draft.turn.nowMs,
      from.steps.get(id)?.data.timeoutMs,
      draft.plan(id).data.timeoutMs,
    );
  }
}
