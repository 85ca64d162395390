/**
 * The board: metrics of targets, and which adaptation rules are engaged by them. One actor; runs ask it before they start something.
 *
 * Owns: the sliding windows, the gauges, the rules of the engine, and each rule's hold. What an engaged rule does is the run's business.
 * Calls of systems come from the engine, which publishes their commands; those of actors from the runs that a rule concerns.
 *
 * Invariants:
 * BD1. An answer follows from the messages before it alone: the board is journaled, and so are the runs that ask.
 * BD2. Bounded: `CALLS_LIMIT` windows, `RULES_LIMIT` rules; of more, those that were used least lately are forgotten.
 * BD3. A rule is judged at every message that may change it, but at most every `JUDGE_EVERY_MS` unless a run asks for it.
 */
import { type CellKey, keyOf } from '../../runtime/kernel/address.ts';
import type { Behavior, Turn } from '../../runtime/kernel/behavior.ts';
import { type Figures, type RuleData, type RuleSight, type RuleWatch, watchOf } from './adaptation-data.ts';
import { addCalls, type CallBatch, type CallSlices, figuresOf, lastCallMs, type SystemGauges } from './call-metrics.ts';
import { compileMetricCondition, type MetricCondition, type MetricRead } from './metric-condition.ts';
import { engagedSinceMs, IDLE, nextHold, type RuleHold } from './rule-hold.ts';

export const BOARD_DEFINITION = 'saga-board';
export const BOARD_KEY: CellKey = keyOf(BOARD_DEFINITION, 'metrics');

/** Calls of one action of one target. */
export interface TargetCalls {
  readonly kind: 'systems' | 'actors';
  readonly target: string;
  readonly action: string;
  readonly batch: CallBatch;
}

export type BoardMessage =
  | { readonly type: 'calls'; readonly of: readonly TargetCalls[] }
  /** By system; members that are not given stay as they are. */
  | { readonly type: 'gauges'; readonly of: Readonly<Record<string, SystemGauges>> }
  /** Answered with a `RuleSight` for each of these rules, and for each of the engine's that concerns the workflow. */
  | {
      readonly type: 'consult';
      readonly workflow: string;
      /** Hash of its definition: runs of one definition share their rules' holds. */
      readonly definition: string;
      readonly rules: readonly RuleWatch[];
    }
  | { readonly type: 'adapt'; readonly rule: RuleData }
  /** Answered with whether there was one. */
  | { readonly type: 'forget'; readonly ruleId: string }
  /** Answered with the rules of the engine. */
  | { readonly type: 'rules' };

interface WatchedRule {
  readonly watch: RuleWatch;
  readonly hold: RuleHold;
  readonly usedMs: number;
}

interface Board {
  /** By kind, target and action. */
  readonly calls: Readonly<Record<string, CallSlices>>;
  readonly gauges: Readonly<Record<string, { readonly atMs: number; readonly values: SystemGauges }>>;
  readonly engineRules: readonly RuleData[];
  readonly watched: Readonly<Record<string, WatchedRule>>;
  readonly judgedMs: number;
}

const CALLS_LIMIT = 512;
const RULES_LIMIT = 1_000;
const ENGINE_RULES_LIMIT = 100;
const JUDGE_EVERY_MS = 100;
/** Gauges that nobody renewed for so long are not known any more: their engine is gone. */
export const GAUGES_VALID_MS = 15_000;
/** A rule that no run asked for in this time is forgotten. */
const UNUSED_MS = 600_000;

/** Compiled conditions of this thread, by their text. */
const compiled = new Map<string, MetricCondition>();
const COMPILED_LIMIT = 2_000;

export const boardBehavior: Behavior<Board> = {
  init: () => ({ calls: {}, gauges: {}, engineRules: [], watched: {}, judgedMs: 0 }),
  receive(state, given, turn) {
    const message = given as BoardMessage;
    switch (message.type) {
      case 'calls':
        return judge(withCalls(state, message.of, turn.nowMs), turn.nowMs);
      case 'gauges':
        return judge(withGauges(state, message.of, turn.nowMs), turn.nowMs);
      case 'consult':
        return consulted(state, message, turn);
      case 'adapt': {
        const others = state.engineRules.filter(({ id }) => id !== message.rule.id);
        turn.reply(null);
        return { ...state, engineRules: [...others, message.rule].slice(-ENGINE_RULES_LIMIT) };
      }
      case 'forget': {
        const engineRules = state.engineRules.filter(({ id }) => id !== message.ruleId);
        turn.reply(engineRules.length < state.engineRules.length);
        return { ...state, engineRules };
      }
      case 'rules':
        turn.reply(state.engineRules);
        return state;
    }
  },
  signal: (state) => state,
  save: (state) => state,
  load: (saved) => saved as Board,
  view: ({ engineRules, watched, calls }): BoardView => ({
    targets: Object.keys(calls),
    engineRules,
    holds: Object.fromEntries(Object.entries(watched).map(([key, { hold }]) => [key, hold])),
  }),
};

export interface BoardView {
  readonly targets: readonly string[];
  readonly engineRules: readonly RuleData[];
  /** By `engine/<rule>`, or `<hash of the definition>/<rule>`. */
  readonly holds: Readonly<Record<string, RuleHold>>;
}

function callsKey(kind: string, target: string, action: string): string {
  return `${kind} ${target} ${action}`;
}

function withCalls(state: Board, of: readonly TargetCalls[], nowMs: number): Board {
  const calls: Record<string, CallSlices> = { ...state.calls };
  for (const { kind, target, action, batch } of of) {
    const key = callsKey(kind, target, action);
    calls[key] = addCalls(calls[key] ?? [], batch, nowMs);
  }
  const keys = Object.keys(calls);
  if (keys.length > CALLS_LIMIT) {
    const byAge = keys.sort((a, b) => lastCallMs(calls[a] ?? []) - lastCallMs(calls[b] ?? []));
    for (const key of byAge.slice(0, keys.length - CALLS_LIMIT)) delete calls[key];
  }
  return { ...state, calls };
}

function withGauges(state: Board, of: Readonly<Record<string, SystemGauges>>, nowMs: number): Board {
  const gauges = { ...state.gauges };
  for (const [system, values] of Object.entries(of)) {
    gauges[system] = { atMs: nowMs, values: { ...gauges[system]?.values, ...values } };
  }
  const old = Object.keys(gauges).filter((system) => nowMs - (gauges[system]?.atMs ?? 0) > UNUSED_MS);
  for (const system of old) delete gauges[system];
  return { ...state, gauges };
}

/** All rules that are watched; often enough to see a figure waver. */
function judge(state: Board, nowMs: number): Board {
  if (Math.abs(nowMs - state.judgedMs) < JUDGE_EVERY_MS) return state;
  const watched = Object.fromEntries(
    Object.entries(state.watched)
      .filter(([, { usedMs }]) => nowMs - usedMs < UNUSED_MS)
      .map(([key, rule]) => [key, { ...rule, hold: held(state, rule.watch, rule.hold, nowMs) }]),
  );
  return { ...state, watched, judgedMs: nowMs };
}

function consulted(state: Board, question: BoardMessage & { readonly type: 'consult' }, turn: Turn): Board {
  const { workflow, definition, rules } = question;
  const { nowMs } = turn;
  const watched: Record<string, WatchedRule> = { ...state.watched };
  const see = (key: string, watch: RuleWatch, from: RuleSight['from'], rule: RuleData | undefined): RuleSight => {
    const hold = held(state, watch, watched[key]?.hold ?? IDLE, nowMs);
    watched[key] = { watch, hold, usedMs: nowMs };
    return { id: watch.id, from, sinceMs: engagedSinceMs(hold), figures: figuresFor(state, watch, nowMs), rule };
  };
  const own = rules.map((watch) => see(`${definition}/${watch.id}`, watch, 'workflow', undefined));
  const general = state.engineRules
    .filter((rule) => rule.workflow === undefined || rule.workflow === workflow)
    .map((rule) => see(`engine/${rule.id}`, watchOf(rule), 'engine', rule));
  turn.reply([...own, ...general]);
  const keys = Object.keys(watched);
  if (keys.length > RULES_LIMIT) {
    const byUse = keys.sort((a, b) => (watched[a]?.usedMs ?? 0) - (watched[b]?.usedMs ?? 0));
    for (const key of byUse.slice(0, keys.length - RULES_LIMIT)) delete watched[key];
  }
  return { ...state, watched };
}

function held(state: Board, watch: RuleWatch, hold: RuleHold, nowMs: number): RuleHold {
  const { when, until, windowMs, minimumCalls } = watch;
  const valueOf = reader(state, windowMs, nowMs);
  // Of too few calls rates and latencies are not known. To be let go none need come: gone round, a target has none.
  const known = (read: MetricRead): number | string | undefined =>
    needsCalls(read) && callsOf(valueOf, read) < minimumCalls ? undefined : valueOf(read);
  const rises = isTrue(conditionOf(when), known);
  const falls = until === undefined ? !rises : isTrue(conditionOf(until), valueOf);
  return nextHold(hold, { rises, falls }, nowMs, watch);
}

/** What is not known does not hold, nor what cannot be calculated. */
function isTrue(condition: MetricCondition, valueOf: Parameters<MetricCondition['holds']>[0]): boolean {
  try {
    return condition.holds(valueOf);
  } catch {
    return false;
  }
}

/** Rates and latencies; a count says how many it is of. */
function needsCalls({ metric }: MetricRead): boolean {
  return metric.endsWith('Ms') || metric.endsWith('Rate');
}

function callsOf(valueOf: (read: MetricRead) => number | string, read: MetricRead): number {
  return valueOf({ ...read, metric: 'calls' }) as number;
}

function figuresFor(state: Board, { when, windowMs }: RuleWatch, nowMs: number): Figures {
  const valueOf = reader(state, windowMs, nowMs);
  const figures: Record<string, number | string> = {};
  for (const read of conditionOf(when).reads) {
    figures[read.path] = valueOf(read);
    if (!needsCalls(read)) continue;
    figures[`${read.path.slice(0, -read.metric.length)}calls`] = callsOf(valueOf, read);
  }
  return figures;
}

/** Reads metrics as of now; of each target once. */
function reader(state: Board, windowMs: number, nowMs: number): (read: MetricRead) => number | string {
  const known = new Map<string, ReturnType<typeof figuresOf>>();
  return ({ kind, target, action, metric }) => {
    if (kind === 'systems' && GAUGE_DEFAULTS[metric] !== undefined) {
      const gauges = state.gauges[target];
      const isKnown = gauges !== undefined && Math.abs(nowMs - gauges.atMs) <= GAUGES_VALID_MS;
      return (isKnown ? gauges.values[metric as keyof SystemGauges] : undefined) ?? GAUGE_DEFAULTS[metric];
    }
    const prefix = callsKey(kind, target, action ?? '');
    let figures = known.get(prefix);
    if (figures === undefined) {
      const windows =
        action === undefined
          ? Object.entries(state.calls).flatMap(([key, slices]) => (key.startsWith(prefix) ? [slices] : []))
          : [state.calls[prefix] ?? []];
      figures = figuresOf(windows, windowMs, nowMs);
      known.set(prefix, figures);
    }
    return figures[metric as keyof typeof figures];
  };
}

/** What is said of a gauge that nobody told. */
const GAUGE_DEFAULTS: Readonly<Record<string, number | string>> = {
  inFlight: 0,
  waiting: 0,
  breaker: 'unknown',
  bulkheadRunning: 0,
  bulkheadWaiting: 0,
};

function conditionOf(written: string): MetricCondition {
  const known = compiled.get(written);
  if (known !== undefined) return known;
  const outcome = compileMetricCondition(written, undefined);
  // It was compiled when the rule was defined; a later version of this library may see it otherwise, and then it never holds.
  const condition: MetricCondition = 'compiled' in outcome ? outcome.compiled : { reads: [], holds: () => false };
  if (compiled.size >= COMPILED_LIMIT) compiled.delete(compiled.keys().next().value as string);
  compiled.set(written, condition);
  return condition;
}
