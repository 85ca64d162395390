/**
 * Adaptation rules as plain data, every default written out: what definitions and the board keep.
 *
 * Owns: the shapes, and which step a rule concerns. How one is written is `adaptation-rule.ts`.
 */
import type { CallData, RetryData, StepData, TargetData } from './workflow-data.ts';

/** When a rule is engaged, and when it is let go: what the board needs of it. */
export interface RuleWatch {
  readonly id: string;
  /** A condition over metrics. */
  readonly when: string;
  /** Lets it go; undefined: that `when` does not hold. */
  readonly until: string | undefined;
  readonly windowMs: number;
  /** Of fewer, rates and latencies are not known to `when`. */
  readonly minimumCalls: number;
  readonly forMs: number;
  readonly releaseForMs: number;
  readonly cooldownMs: number;
}

/** Where a step's call goes instead. */
export interface RouteData {
  /** Of an actor, `id` undefined: as the step has it. */
  readonly target:
    | { readonly kind: 'system'; readonly system: string }
    | { readonly kind: 'actor'; readonly definition: string; readonly id: string | undefined };
  /** Undefined: the step's own. */
  readonly action: string | undefined;
  /** A template; undefined: the step's own. */
  readonly parameters: unknown;
  /** `moves`: the step's compensation, sent where the call went. `stays`: as the step says. */
  readonly compensation: 'moves' | 'stays' | CallData;
}

export interface ChangeData {
  readonly route: RouteData | undefined;
  readonly retry: Partial<RetryData> | undefined;
  readonly attemptTimeoutMs: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly parallelism: number | undefined;
  readonly concurrency: number | undefined;
  readonly targetConcurrency: number | undefined;
  readonly skip: boolean;
}

export interface RuleData extends RuleWatch {
  readonly priority: number;
  /** A workflow's id; of a rule of the engine. Undefined: all. */
  readonly workflow: string | undefined;
  readonly steps: readonly string[] | undefined;
  readonly system: string | undefined;
  /** A definition. */
  readonly actor: string | undefined;
  readonly action: string | undefined;
  readonly change: ChangeData;
}

/** What conditions read, by path: `{ 'systems.payments.p99Ms': 812 }`. */
export type Figures = Readonly<Record<string, number | string>>;

/** A rule, as a run is told of it. */
export interface RuleSight {
  readonly id: string;
  readonly from: 'workflow' | 'engine';
  /** Since when it is engaged; undefined: it is not. */
  readonly sinceMs: number | undefined;
  readonly figures: Figures;
  /** Of the engine's; a workflow's own are in its definition. */
  readonly rule: RuleData | undefined;
}

/** A rule that acts now. */
export type EngagedRule = RuleSight & { readonly sinceMs: number };

/** What a rule did to a run, once for each step and each time that it was engaged. */
export interface AdaptationDecision {
  readonly atMs: number;
  /** `unknown`: the board did not answer, and nothing is adapted. */
  readonly what: 'applied' | 'released' | 'unknown';
  readonly rule: string | undefined;
  readonly from: 'workflow' | 'engine' | undefined;
  /** The step; undefined: the run. */
  readonly of: string | undefined;
  readonly change: keyof ChangeData | undefined;
  readonly value: unknown;
  /** What the rule's condition read. */
  readonly figures: Figures;
  /** Since when it was engaged. */
  readonly sinceMs: number | undefined;
}

/** What a run knows of the rules that concern it. */
export interface RunAdaptation {
  /** Rules of the engine concern it, too. */
  readonly byEngine: boolean;
  /** When the board's last answer came. */
  readonly knownMs: number | undefined;
  /** An answer is on its way: nothing starts before it is there. */
  readonly asking: boolean;
  /** In the order in which they are to be heard. */
  readonly engaged: readonly EngagedRule[];
  /** The latest. */
  readonly decisions: readonly AdaptationDecision[];
  /** Decisions that are not kept any more. */
  readonly forgotten: number;
}

/** The way on which an execution's tries go. */
export interface AppliedRoute {
  readonly rule: string;
  /** Of a rule of the engine, which may be gone tomorrow; a workflow's is in its definition. */
  readonly route: RouteData | undefined;
}

/** Whether the rule names this step, by id or by whom it calls. */
export function concerns(rule: RuleData, { id, work }: StepData): boolean {
  const { steps, system, actor, action } = rule;
  if (steps !== undefined) return steps.includes(id);
  if (system === undefined && actor === undefined) return false;
  if (work.kind !== 'call' || (action !== undefined && action !== work.action)) return false;
  return isOf(work.target, system, actor);
}

function isOf(target: TargetData, system: string | undefined, actor: string | undefined): boolean {
  return target.kind === 'system' ? target.system === system : target.definition === actor;
}

export function watchOf(rule: RuleData): RuleWatch {
  const { id, when, until, windowMs, minimumCalls, forMs, releaseForMs, cooldownMs } = rule;
  return { id, when, until, windowMs, minimumCalls, forMs, releaseForMs, cooldownMs };
}
