/**
 * What a flooded process says in the end, and what must be true of it.
 *
 * Owns: the shapes, and the judgement: everything sent is accounted for, memory and file are flat, control calls are answered.
 */
import type { Delays } from './probe.ts';

/** What became of the calls of one lane, by what their callers were told. */
export interface Outcomes {
  sent: number;
  /** Answered, or with a receipt. */
  done: number;
  /** No room: at once, or at the deadline while held back. */
  refused: number;
  /** The handler threw, and the caller was told. One who wanted a receipt alone has it, and the message is parked. */
  failed: number;
  /** Too old when its turn came. */
  expired: number;
  /** No answer before the deadline; handled or not. */
  late: number;
  /** Told anything else. */
  otherwise: number;
}

export interface LaneReport extends Outcomes {
  readonly lane: string;
  /** What its actors say they handled. */
  readonly handled: number;
  /** Dead letters of the lane. */
  readonly parked: number;
}

export interface Sample {
  readonly atS: number;
  /** What the process holds: `process-memory.ts`. */
  readonly heldMb: number;
  /** Of it, what is alive on the heaps of its threads. */
  readonly heapMb: number;
  readonly fileMb: number;
}

export interface OverloadReport {
  readonly seconds: number;
  readonly lanes: readonly LaneReport[];
  /** Messages between actors: sent by pumps, handled by their sinks. */
  readonly pumped: readonly LaneReport[];
  readonly disorder: number;
  readonly hostsLost: readonly string[];
  readonly samples: readonly Sample[];
  /** Processor time of the flood, of what its threads would have had on a machine of their own: 1 is all of it. */
  readonly processorShare: number;
  readonly baseline: Delays;
  readonly control: Readonly<Record<string, Delays>>;
  readonly errors: readonly string[];
  readonly sendsLost: number;
}

/** The bound for a control call. */
const CONTROL_MS = 100;
/** A machine on which an idle thread answers late is busy with something else: so much of its delay is allowed besides. */
const BASELINE_SHARE = 4;
const MANY_CALLS = 300;
const SOME_CALLS = 50;
/** Memory may grow so much from the second quarter of the run to the last. The first one is not looked at: there it grows to its size. */
const GROWTH_SHARE = 1.1;
/** A checkpoint's worth of turns, and what a backup under way keeps from being used again. */
const FILE_SPARE_MB = 12;

export function judgeOverload(report: OverloadReport): string[] {
  return [
    ...report.errors,
    ...report.hostsLost.map((host) => `a host was lost: ${host}`),
    ...report.lanes.flatMap(judgeLane),
    ...report.pumped.flatMap(judgePump),
    ...(report.disorder === 0 ? [] : [`${report.disorder} messages were handled twice or overtook another`]),
    ...judgeGrowth(report),
    ...judgeControl(report),
  ];
}

function judgeLane(lane: LaneReport): string[] {
  const { sent, done, refused, failed, expired, late, otherwise, handled, parked } = lane;
  const faults: string[] = [];
  if (otherwise > 0) faults.push(`${lane.lane}: ${otherwise} callers were told something unheard of`);
  const told = done + refused + failed + expired + late + otherwise;
  if (sent !== told) faults.push(`${lane.lane}: ${sent} sent, ${told} callers were told what came of it`);
  // Who was told nothing in time may have been handled all the same, and nobody else.
  const taken = done + failed;
  const found = handled + parked;
  if (found < taken) faults.push(`${lane.lane}: ${taken} were taken, of which ${handled} handled and ${parked} parked`);
  if (found > taken + late)
    faults.push(`${lane.lane}: ${handled} handled and ${parked} parked, where ${taken} were taken and ${late} late`);
  return faults;
}

function judgePump({ lane, sent, handled }: LaneReport): string[] {
  return sent === handled ? [] : [`${lane}: ${sent} sent from actor to actor, ${handled} handled`];
}

function judgeGrowth({ samples }: OverloadReport): string[] {
  const faults: string[] = [];
  const early = samples.slice(Math.floor(samples.length / 4), Math.floor(samples.length / 2));
  const late = samples.slice(Math.floor((samples.length * 3) / 4));
  if (early.length === 0 || late.length === 0) return ['too few samples of memory'];
  for (const what of ['heldMb', 'heapMb'] as const) {
    const before = median(early.map((sample) => sample[what]));
    const after = median(late.map((sample) => sample[what]));
    if (after > before * GROWTH_SHARE) faults.push(`${what} grew from ${before} to ${after}`);
  }
  const before = Math.max(...samples.slice(0, Math.ceil(samples.length / 2)).map(({ fileMb }) => fileMb));
  const after = Math.max(...late.map(({ fileMb }) => fileMb));
  if (after > before * GROWTH_SHARE + FILE_SPARE_MB)
    faults.push(`the database file grew from ${before} to ${after} MB`);
  return faults;
}

/**
 * The bound holds for a machine that does nothing else: where others take processor time, all threads of the process wait so much longer,
 * and a busy one more than an idle one. One in a hundred needs some hundreds of calls, and a few of them prove nothing.
 */
function judgeControl({ control, baseline, processorShare }: OverloadReport): string[] {
  return Object.entries(control).flatMap(([call, delays]) => {
    if (delays.count < SOME_CALLS) return [];
    const which = delays.count >= MANY_CALLS ? 'p99Ms' : 'p50Ms';
    const boundMs = CONTROL_MS / Math.min(1, processorShare) + BASELINE_SHARE * baseline[which];
    if (delays[which] <= boundMs) return [];
    return [`${call}: ${which} is ${delays[which]}, where an idle thread has ${baseline[which]} (bound ${boundMs})`];
  });
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
