/**
 * One workload measured: every contender opened, then sampled in turn, round by round.
 *
 * Owns: the order of things, and what a result of a workload looks like. A contender that fails is left out with its reason; the
 * others go on.
 */
import { availableParallelism } from 'node:os';
import { type ClientOptions, ContenderClient } from './contender-client.ts';
import type { Axis, Conditions, Contender, Metric, Point, Sample, Workload } from './contract.ts';
import { inFlight } from './pace.ts';
import { ratios, type Summary, summarize } from './statistics.ts';

export interface ContenderResult {
  readonly name: string;
  readonly kind: Contender['kind'];
  readonly label: string;
  readonly point?: Point;
  readonly note?: string;
  /** One a round. Empty when it was left out. */
  readonly runs: readonly Sample[];
  /** By metric. */
  readonly figures: Readonly<Record<string, Summary>>;
  /** Why there are no figures. */
  readonly missing?: string;
  readonly failed?: string;
}

/** How one of ours compares with one baseline: above 1, ours is better. */
export interface Ratio {
  readonly metric: string;
  readonly ours: string;
  readonly baseline: string;
  readonly ratio: Summary;
}

export interface WorkloadResult {
  readonly name: string;
  readonly title: string;
  readonly what: string;
  readonly conditions: Conditions;
  readonly metrics: readonly Metric[];
  readonly axis?: Axis;
  readonly contenders: readonly ContenderResult[];
  readonly ratios: readonly Ratio[];
}

export interface MeasureOptions extends ClientOptions {
  readonly rounds: number;
  /** Told what goes on. */
  readonly say: (line: string) => void;
}

export async function measure(workload: Workload, options: MeasureOptions): Promise<WorkloadResult> {
  const contenders: ContenderResult[] = [];
  const groups = workload.oneAtATime === true ? workload.contenders.map((one) => [one]) : [workload.contenders];
  for (const group of groups) contenders.push(...(await measureTogether(workload, group, options)));
  const { axis, conditions, metrics, name, title, what } = workload;
  return {
    name,
    title,
    what,
    conditions,
    metrics,
    ...(axis === undefined ? {} : { axis }),
    contenders,
    ratios: compare(workload, contenders),
  };
}

async function measureTogether(
  workload: Workload,
  contenders: readonly Contender[],
  options: MeasureOptions,
): Promise<ContenderResult[]> {
  const entries: Entry[] = [];
  // A quick run spends its time on starting processes: on all cores, though they then disturb each other's warm-up.
  const width = options.setting.quick ? availableParallelism() : 1;
  try {
    await inFlight(contenders.length, width, async (i) => {
      entries[i] = await enter(workload, contenders[i] as Contender, options);
    });
    // A sample that is a process's death and its successor's start takes seconds: a quick look has one.
    const rounds = options.setting.quick && workload.inOtherProcesses === true ? 1 : options.rounds;
    for (let round = 0; round < rounds; round++) {
      for (const entry of entries) await sampleOnce(entry, options);
    }
  } finally {
    await inFlight(entries.length, width, (i) => leave(entries[i] as Entry, options));
  }
  return entries.map(resultOf);
}

interface Entry {
  readonly contender: Contender;
  readonly note: string;
  readonly runs: Sample[];
  client?: ContenderClient | undefined;
  missing?: string;
  failed?: string;
}

async function enter(workload: Workload, contender: Contender, options: MeasureOptions): Promise<Entry> {
  const missing = await contender.missing?.(options.setting.quick);
  if (missing !== undefined) {
    options.say(`  ${contender.name}: left out, ${missing}`);
    return { contender, note: contender.note ?? '', runs: [], missing };
  }
  try {
    const client = await openPatiently(workload, contender, options);
    const note = [contender.note, client.note].filter((part) => part !== undefined).join('; ');
    return { contender, note, runs: [], client };
  } catch (error) {
    const failed = error instanceof Error ? error.message : String(error);
    options.say(`  ${contender.name}: FAILED to open: ${failed}`);
    return { contender, note: contender.note ?? '', runs: [], failed };
  }
}

/** Twice, if need be: a machine that stands still while threads start is no finding. */
async function openPatiently(
  workload: Workload,
  contender: Contender,
  options: MeasureOptions,
): Promise<ContenderClient> {
  try {
    return await ContenderClient.open(workload, contender, options);
  } catch (error) {
    options.say(
      `  ${contender.name}: did not open, tried again: ${error instanceof Error ? error.message : String(error)}`,
    );
    return ContenderClient.open(workload, contender, options);
  }
}

async function sampleOnce(entry: Entry, options: MeasureOptions): Promise<void> {
  if (entry.client === undefined) return;
  try {
    entry.runs.push((await entry.client.sample()).sample);
  } catch (error) {
    entry.failed = error instanceof Error ? error.message : String(error);
    options.say(`  ${entry.contender.name}: FAILED: ${entry.failed}`);
    await entry.client.kill();
    entry.client = undefined;
  }
}

async function leave(entry: Entry, options: MeasureOptions): Promise<void> {
  try {
    await entry.client?.close();
  } catch (error) {
    // The figures stand; that it cannot be closed is worth a word.
    options.say(`  ${entry.contender.name}: did not close: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function resultOf({ contender, failed, missing, note, runs }: Entry): ContenderResult {
  const { name, kind, label, point } = contender;
  const names = Object.keys(runs[0] ?? {});
  const figures =
    failed === undefined ? names.map((metric) => [metric, summarize(valuesOf(runs, metric))] as const) : [];
  return {
    name,
    kind,
    label,
    ...(point === undefined ? {} : { point }),
    ...(note === '' ? {} : { note }),
    runs,
    figures: Object.fromEntries(figures),
    ...(missing === undefined ? {} : { missing }),
    ...(failed === undefined ? {} : { failed }),
  };
}

/** Every one of ours with every baseline that does the same work and has the metric. */
function compare({ contenders: asked, metrics }: Workload, contenders: readonly ContenderResult[]): Ratio[] {
  const found: Ratio[] = [];
  for (const ours of contenders.filter(({ kind }) => kind === 'ours')) {
    const beside = asked.find(({ name }) => name === ours.name)?.beside;
    for (const baseline of contenders) {
      if (baseline.kind !== 'baseline' || baseline.point?.x !== ours.point?.x) continue;
      if (beside !== undefined && !beside.includes(baseline.name)) continue;
      for (const { name: metric, better } of metrics) {
        if (ours.figures[metric] === undefined || baseline.figures[metric] === undefined) continue;
        const ratio = summarize(ratios(valuesOf(ours.runs, metric), valuesOf(baseline.runs, metric), better));
        found.push({ metric, ours: ours.name, baseline: baseline.name, ratio });
      }
    }
  }
  return found;
}

function valuesOf(runs: readonly Sample[], metric: string): number[] {
  return runs.map((run) => run[metric]).filter((value) => value !== undefined);
}
