/**
 * What this library set out to reach, row by row: `node bench/reach.ts [FILE]` says how far a result is from it.
 *
 * Owns: the goals, which are of a machine with two cores. A goal is a ratio to a baseline of the same run, or a figure.
 */
import type { Metric } from './contract.ts';
import { writeNumber, writeRatio } from './figures.ts';
import { readResults, type Results, resultsPath } from './results-file.ts';

interface Goal {
  readonly workload: string;
  readonly ours: string;
  /** Default `rate`. */
  readonly metric?: string;
  /** Ratio to a baseline, above 1 better; without one, `reach` and `aim` are figures. */
  readonly beside?: string;
  readonly reach: number;
  readonly aim?: number;
}

const GOALS: readonly Goal[] = [
  { workload: 'tell-in-host', ours: 'thread', beside: 'nact', reach: 20 },
  { workload: 'tell-in-host', ours: 'thread', beside: 'erlang', reach: 2 },
  { workload: 'tell-in-host', ours: 'thread', reach: 0, aim: 10e6 },
  { workload: 'tell-across-hosts', ours: 'hosts', beside: 'post-message', reach: 5 },
  { workload: 'tell-across-hosts', ours: 'hosts', reach: 0, aim: 1.5e6 },
  { workload: 'ask', ours: 'in-host', metric: 'p50', beside: 'nact', reach: 1 / 0.5 },
  { workload: 'ask', ours: 'across-hosts', metric: 'p50', beside: 'post-message', reach: 1 / 1.5, aim: 1 / 1.2 },
  { workload: 'machine-step', ours: 'hosts-1', beside: 'xstate-send', reach: 0.9, aim: 1.3 },
  { workload: 'machine-step', ours: 'hosts-2', beside: 'xstate-send', reach: 0, aim: 1.8 },
  { workload: 'durable-turns', ours: 'in-host', reach: 250e3, aim: 800e3 },
  { workload: 'durable-machine', ours: 'durable', beside: 'in-memory', reach: 0.7, aim: 0.9 },
  { workload: 'durable-ask', ours: 'outside', metric: 'p50', beside: 'lmdb-put', reach: 1 / 1.5, aim: 1 },
  { workload: 'spawn', ours: 'by-actor', beside: 'nact', reach: 1 },
  { workload: 'spawn', ours: 'by-actor', beside: 'erlang', reach: 0, aim: 1 },
  { workload: 'spawn-durable', ours: 'outside', reach: 50e3 },
  { workload: 'spawn-durable', ours: 'by-actor', reach: 50e3 },
  { workload: 'idle-heap', ours: 'reducer', metric: 'heap', reach: 1_000, aim: 500 },
  { workload: 'idle-heap', ours: 'machine', metric: 'heap', reach: 2_000, aim: 1_000 },
  { workload: 'idle-heap', ours: 'passivated', metric: 'heap', reach: 50 },
  { workload: 'replay', ours: 'first-answer', reach: 300e3, aim: 1e6 },
  { workload: 'breaker-check', ours: 'check', metric: 'time', reach: 200 },
  { workload: 'restart', ours: 'default', metric: 'first', reach: 2_000, aim: 500 },
  { workload: 'broker-rate', ours: 'function', reach: 50e3, aim: 200e3 },
  { workload: 'broker-rate', ours: 'actor', reach: 50e3, aim: 200e3 },
  { workload: 'broker-trip', ours: 'thread', metric: 'p50', reach: 1_000, aim: 400 },
  { workload: 'broker-redis', ours: 'adapter', beside: 'redis-loop', reach: 0.7 },
  { workload: 'broker-nats', ours: 'adapter', beside: 'confirmed-loop', reach: 0.7 },
  { workload: 'workflow-rate', ours: 'engine', reach: 5e3, aim: 20e3 },
  { workload: 'workflow-trip', ours: 'engine', metric: 'p50', reach: 2_000, aim: 1_000 },
  { workload: 'workflow-saga', ours: 'engine', reach: 3e3 },
  { workload: 'workflow-wake', ours: 'asleep', metric: 'first', reach: 3_000 },
  { workload: 'workflow-restart', ours: 'engine', metric: 'all', reach: 2_000 },
  { workload: 'subject-match', ours: 'new-100000', metric: 'match', reach: 2 },
  { workload: 'subject-match', ours: 'known-100000', metric: 'match', reach: 2 },
];

export interface Reached {
  readonly goal: Goal;
  readonly metric: Metric | undefined;
  /** Median of the ratio or of the figure; undefined where it was not measured. */
  readonly value: number | undefined;
  readonly verdict: 'aim' | 'reached' | 'short' | 'below aim' | 'not measured';
}

export function reachedBy({ workloads }: Pick<Results, 'workloads'>, goals: readonly Goal[] = GOALS): Reached[] {
  return goals.map((goal) => {
    const workload = workloads.find(({ name }) => name === goal.workload);
    const name = goal.metric ?? 'rate';
    const metric = workload?.metrics.find((one) => one.name === name);
    const ratio = workload?.ratios.find(
      (one) => one.ours === goal.ours && one.baseline === goal.beside && one.metric === name,
    );
    const figure = workload?.contenders.find((one) => one.name === goal.ours)?.figures[name];
    const value = (goal.beside === undefined ? figure : ratio?.ratio)?.median;
    const lower = goal.beside === undefined && metric?.better === 'lower';
    return { goal, metric, value, verdict: verdictOf(goal, value, lower) };
  });
}

function verdictOf({ aim, reach }: Goal, value: number | undefined, lower: boolean): Reached['verdict'] {
  if (value === undefined) return 'not measured';
  const meets = (goal: number): boolean => (lower ? value <= goal : value >= goal);
  if (aim !== undefined && meets(aim)) return 'aim';
  // A goal of an aim alone.
  if (reach === 0) return 'below aim';
  return meets(reach) ? 'reached' : 'short';
}

export function renderReach(results: Results): string {
  const measured = results.workloads.map(({ name }) => name);
  const goals = GOALS.filter(({ workload }) => measured.includes(workload));
  const rows = reachedBy(results, goals).map(({ goal, metric, value, verdict }) => {
    const write = (number: number | undefined): string => {
      if (number === undefined || number === 0) return '';
      return goal.beside === undefined ? `${writeNumber(number)} ${metric?.unit ?? ''}` : writeRatio(number);
    };
    const beside = goal.beside === undefined ? '' : ` beside ${goal.beside}`;
    return [`${goal.workload}/${goal.ours}${beside}`, write(value), write(goal.reach), write(goal.aim), verdict];
  });
  return [['Goal', 'Measured', 'Reach', 'Aim', ''], ['---', '---', '---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

if (import.meta.main) {
  process.stdout.write(`${renderReach(readResults(process.argv[2] ?? resultsPath('main', false)))}\n`);
}
