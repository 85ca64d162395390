/**
 * What adaptation rules do to a run: asks which are engaged before something starts, and changes how it starts.
 *
 * Owns: when a run asks, which rule is heard for what, where a call goes, and the record of it. Which rules are engaged is the board's
 * (`adaptation-board.ts`), and comes as an event: a replay meets the same one.
 *
 * Invariants:
 * AD1. What a rule does to a run is in `decisions` with the figures that its condition read, and follows from recorded events alone.
 * AD2. A unit's call changes its way only while every try so far was answered with an error: what may have been done on one way is never
 *      done again on another.
 * AD3. What was done on a way is undone by that way's compensation, whatever rules are engaged by then.
 * AD4. A run that no rule can touch asks nobody and records nothing.
 */
import {
  type AdaptationDecision,
  type AppliedRoute,
  type ChangeData,
  concerns,
  type EngagedRule,
  type RouteData,
  type RuleData,
  type RuleSight,
} from './adaptation-data.ts';
import { routedTarget, undoOf } from './compiled-rules.ts';
import type { CallOutcome } from './call-metrics.ts';
import type { CompiledCall } from './compiled-workflow.ts';
import type { RunDraft } from './run-draft.ts';
import { type ExecutionName, executionName, type ExecutionState, isUnknown, UNADAPTED } from './run-state.ts';
import type { RetryData } from './workflow-data.ts';

/** How long an answer of the board is good for. */
const FRESH_MS = 1_000;
/** Decisions that a run keeps. */
const DECISIONS_LIMIT = 200;

/** Whether what could start has to wait for the board's answer; asks for it. */
export function isHeld(draft: RunDraft): boolean {
  const { adaptation, turn } = draft;
  if (adaptation === undefined) return false;
  if (adaptation.asking) return true;
  const { knownMs, byEngine } = adaptation;
  if (knownMs !== undefined && Math.abs(turn.nowMs - knownMs) < FRESH_MS) return false;
  const starting = [...draft.ready, ...draft.queue.map((id) => executionName(id).step)];
  if (!byEngine && !starting.some((id) => isTouched(draft, id))) return false;
  draft.adaptation = { ...adaptation, asking: true };
  draft.commands.push({ type: 'consult' });
  return true;
}

function isTouched(draft: RunDraft, id: string): boolean {
  const step = draft.plan(id).data;
  return [...draft.workflow.rules.values()].some(
    ({ data }) => data.change.parallelism !== undefined || concerns(data, step),
  );
}

export function onAdapted(draft: RunDraft, rules: readonly RuleSight[] | undefined): void {
  const { adaptation = UNADAPTED, turn } = draft;
  const { engaged: before } = adaptation;
  const engaged = (rules ?? [])
    .filter((sight): sight is EngagedRule => sight.sinceMs !== undefined && ruleOf(draft, sight) !== undefined)
    // Of equals those of the workflow come first: the board says them first.
    .sort((a, b) => priorityOf(draft, b) - priorityOf(draft, a));
  draft.adaptation = { ...adaptation, asking: false, knownMs: turn.nowMs, engaged };
  if (rules === undefined) {
    if (adaptation.decisions.at(-1)?.what !== 'unknown') decide(draft, { what: 'unknown' });
    return;
  }
  for (const { id, from, figures } of before) {
    if (engaged.some((now) => now.id === id && now.from === from)) continue;
    const sight = rules.find((rule) => rule.id === id && rule.from === from);
    decide(draft, { what: 'released', rule: id, from, figures: sight?.figures ?? figures });
  }
}

function priorityOf(draft: RunDraft, sight: EngagedRule): number {
  return ruleOf(draft, sight)?.priority ?? 0;
}

function ruleOf(draft: RunDraft, { from, id, rule }: RuleSight): RuleData | undefined {
  return from === 'engine' ? rule : draft.workflow.rules.get(id)?.data;
}

/** Rules of the engine concern this run and its children from now on. */
export function onGovern(draft: RunDraft): void {
  draft.adaptation = { ...(draft.adaptation ?? UNADAPTED), byEngine: true, knownMs: undefined };
  for (const { data } of draft.workflow.steps.values()) {
    if (data.work.kind !== 'workflow') continue;
    for (const [index, { run }] of draft.step(data.id).units.entries()) {
      if (run.status !== 'running') continue;
      draft.commands.push({
        type: 'child.govern',
        id: `${draft.idOf({ step: data.id, index, undo: false })}/${run.attempt}`,
      });
    }
  }
}

type Kind = keyof ChangeData;
type Value<K extends Kind> = Exclude<ChangeData[K], undefined>;

/** What the first engaged rule that has a say in it makes of `kind`, for a step, or for the run. Recorded. */
export function adapted<K extends Kind>(draft: RunDraft, step: string | undefined, kind: K): Value<K> | undefined {
  const found = chosen(draft, step, kind);
  if (found === undefined) return undefined;
  const { engaged, value } = found;
  const { id: rule, from, figures, sinceMs } = engaged;
  const shown = kind === 'route' ? routeText(value as RouteData) : value;
  const isKnown = draft.adaptation?.decisions.some(
    (one) =>
      one.what === 'applied' &&
      one.rule === rule &&
      one.from === from &&
      one.of === step &&
      one.change === kind &&
      one.sinceMs === sinceMs,
  );
  if (isKnown !== true)
    decide(draft, { what: 'applied', rule, from, of: step, change: kind, value: shown, figures, sinceMs });
  return value;
}

function chosen<K extends Kind>(
  draft: RunDraft,
  step: string | undefined,
  kind: K,
): { readonly engaged: EngagedRule; readonly value: Value<K> } | undefined {
  for (const engaged of draft.adaptation?.engaged ?? []) {
    const rule = ruleOf(draft, engaged);
    if (rule === undefined || (step !== undefined && !concerns(rule, draft.plan(step).data))) continue;
    const value = rule.change[kind];
    if (value !== undefined && value !== false) return { engaged, value: value as Value<K> };
  }
  return undefined;
}

function decide(draft: RunDraft, made: Pick<AdaptationDecision, 'what'> & Partial<AdaptationDecision>): void {
  const { adaptation = UNADAPTED, turn } = draft;
  const decision: AdaptationDecision = {
    rule: undefined,
    from: undefined,
    of: undefined,
    change: undefined,
    value: undefined,
    figures: {},
    sinceMs: undefined,
    ...made,
    atMs: turn.nowMs,
  };
  const kept = adaptation.decisions.slice(1 - DECISIONS_LIMIT);
  const forgotten = adaptation.forgotten + adaptation.decisions.length - kept.length;
  draft.adaptation = { ...adaptation, decisions: [...kept, decision], forgotten };
}

function routeText({ target, action }: RouteData): string {
  const name = target.kind === 'system' ? target.system : `${target.definition}/${target.id ?? '…'}`;
  return action === undefined ? name : `${name} ${action}`;
}

/** The way on which a unit's next try goes (AD2). */
export function nextRoute(draft: RunDraft, name: ExecutionName): AppliedRoute | undefined {
  const execution = draft.execution(name) as ExecutionState;
  if (draft.adaptation === undefined || isUnknown(execution)) return execution.route;
  const found = chosen(draft, name.step, 'route');
  if (found === undefined || draft.plan(name.step).call === undefined) return undefined;
  const { id: rule, from } = found.engaged;
  const route = adapted(draft, name.step, 'route');
  return { rule, route: from === 'engine' ? route : undefined };
}

/** The call that does a unit, or undoes it, on the way of the unit's tries; undefined: it is none. */
export function callOf(draft: RunDraft, { step, index, undo }: ExecutionName): CompiledCall | undefined {
  const plan = draft.plan(step);
  const own = undo ? plan.compensation : plan.call;
  const applied = draft.execution({ step, index, undo: false })?.route;
  if (applied === undefined) return own;
  if (applied.route !== undefined) return onWay(draft, step, undo, applied.route) ?? own;
  const route = draft.workflow.rules.get(applied.rule)?.routes.get(step);
  return route === undefined ? own : undo ? route.compensation : route.call;
}

/** A call on the way of a rule of the engine, which has no expressions of its own. */
function onWay(draft: RunDraft, step: string, undo: boolean, route: RouteData): CompiledCall | undefined {
  const { data, call, compensation } = draft.plan(step);
  const target = data.work.kind === 'call' ? routedTarget(route, data.work.target) : undefined;
  if (data.work.kind !== 'call' || call === undefined || target === undefined) return undefined;
  const { id } = target.kind === 'actor' ? target : { id: '' };
  const isOwnId = route.target.kind === 'actor' && route.target.id === undefined;
  const targetId = target.kind === 'system' ? undefined : isOwnId ? call.targetId : { evaluate: () => id };
  if (!undo) {
    const { action = data.work.action, parameters } = route;
    const given = parameters === undefined ? call.parameters : { evaluate: () => parameters };
    return { data: { ...data.work, target, action }, parameters: given, targetId };
  }
  const moved = undoOf(route, data.work, data.compensation, target);
  if (moved === undefined || compensation === undefined || moved === data.compensation) return undefined;
  return { data: moved, parameters: compensation.parameters, targetId };
}

/** A step's policy, with what a rule changes of it. */
export function retryOf(draft: RunDraft, step: string, retry: RetryData): RetryData {
  const change = adapted(draft, step, 'retry');
  return change === undefined ? retry : { ...retry, ...change };
}

/** Calls and child workflows of this run that may be under way at a time. */
export function parallelismOf(draft: RunDraft): number {
  return adapted(draft, undefined, 'parallelism') ?? draft.workflow.data.parallelism;
}

/** Whether a target takes no other call now, by a rule. Asked for each of a queue: what is under way is counted once. */
export function targetRoom(draft: RunDraft): (name: ExecutionName) => boolean {
  const isLimited = draft.adaptation?.engaged.some((engaged) => {
    return ruleOf(draft, engaged)?.change.targetConcurrency !== undefined;
  });
  if (isLimited !== true) return () => true;
  return ({ step, undo }) => {
    const limit = undo ? undefined : adapted(draft, step, 'targetConcurrency');
    if (limit === undefined) return true;
    const { work } = draft.plan(step).data;
    const target = work.kind === 'call' ? work.target : undefined;
    let underWay = 0;
    for (const other of draft.workflow.steps.values()) {
      if (other.data.work.kind !== 'call' || !isSame(other.data.work.target, target)) continue;
      for (const { run } of draft.step(other.data.id).units) if (run.status === 'running') underWay++;
    }
    return underWay < limit;
  };
}

function isSame(a: object, b: object | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A try is over: how its target did. Commands to systems are measured where they are published. */
export function sample(draft: RunDraft, name: ExecutionName, outcome: CallOutcome): void {
  if (draft.adaptation === undefined) return;
  const call = callOf(draft, name);
  const { startedMs } = draft.execution(name) as ExecutionState;
  if (call?.data.target.kind !== 'actor' || startedMs === undefined) return;
  const { target, action } = call.data;
  const ms = Math.max(0, draft.turn.nowMs - startedMs);
  draft.commands.push({ type: 'sample', definition: target.definition, action, ms, outcome });
}
