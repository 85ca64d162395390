/**
 * Results as a markdown table: `node bench/table.ts [FILE]` prints that of `bench/results/latest.json`.
 *
 * Owns: how figures are written. One row for each of ours beside each baseline; every figure is a median with its smallest and
 * largest run, every ratio above 1 means that ours was the better one.
 */
import { type Difference, verdictOf } from './against.ts';
import { writeFigure, writeNumber, writeRatio } from './figures.ts';
import { hasAxis, renderGrowth } from './growth-table.ts';
import type { Metric, Workload } from './contract.ts';
import type { ContenderResult, Ratio, WorkloadResult } from './measurement.ts';
import { readResults, type Results, resultsPath } from './results-file.ts';
import type { Summary } from './statistics.ts';

/** The whole table, with what it was taken on above and what was left out below. */
export function renderTable(results: Results): string {
  const rows = results.workloads.filter((workload) => !hasAxis(workload)).flatMap(rowsOf);
  const table = [
    ['Work', 'Collaborative Blocks', 'Beside it, in the same run', 'Ratio'],
    ['---', '---', '---', '---'],
    ...rows,
  ].map((cells) => `| ${cells.join(' | ')} |`);
  const growth = results.workloads.filter(hasAxis).flatMap((workload) => [renderGrowth(workload), '']);
  const beside = rows.length === 0 ? [] : [...table, ''];
  const reading = rows.length === 0 ? 'Medians.' : READING;
  return [conditionsOf(results), '', ...beside, ...growth, ...leftOut(results.workloads), reading].join('\n');
}

const READING =
  'Medians with (smallest – largest) run. Ratio: paired round by round, above 1 Collaborative Blocks is the better one, ' +
  'for rates and for latencies alike.';

function conditionsOf({ machine, versions, commit, date, rounds, quick }: Results): string {
  const { collaborativeBlocks: own, ...others } = {
    collaborativeBlocks: versions['collaborative-blocks'],
    ...versions,
  } as Record<string, string>;
  const list = Object.entries(others)
    .filter(([name]) => name !== 'collaborative-blocks')
    .map(([name, version]) => `${name} ${version}`);
  const short = quick ? ' **A quick run: for a look, not for quoting.**' : '';
  return (
    `${own} at ${commit}, ${date.slice(0, 10)}: ${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, ` +
    `${machine.system}, ${machine.disk}; ${list.join(', ')}; ${rounds} rounds; load before ${machine.loadBefore}.${short}`
  );
}

function rowsOf(workload: WorkloadResult): string[][] {
  const { conditions, contenders, metrics } = workload;
  const rows: string[][] = [];
  const { durability, messageBytes, concurrency } = conditions;
  const size = messageBytes > 0 ? `, ${messageBytes} B` : '';
  let title = `**${workload.title}**<br>${durability}${size}, ${concurrency}`;
  for (const ours of contenders.filter(({ kind, failed, missing }) => kind === 'ours' && !failed && !missing)) {
    let name = `${ours.label}: ${figuresOf(ours, metrics)}${noteOf(ours)}`;
    const compared = workload.ratios.filter((one) => one.ours === ours.name).map(({ baseline }) => baseline);
    const beside = contenders.filter((one) => compared.includes(one.name));
    if (beside.length === 0) rows.push([title, name, '', '']);
    for (const baseline of beside) {
      const found = workload.ratios.filter((one) => one.ours === ours.name && one.baseline === baseline.name);
      const figure = `${baseline.label}: ${figuresOf(baseline, metrics)}${noteOf(baseline)}`;
      rows.push([title, name, figure, ratioOf(found, metrics)]);
      title = '';
      name = '';
    }
    title = '';
  }
  return rows;
}

function figuresOf({ figures }: ContenderResult, metrics: readonly Metric[]): string {
  const given = metrics.filter(({ name }) => figures[name] !== undefined);
  return given
    .map((metric) => `${labelOf(metric, given)}${writeFigure(figures[metric.name] as Summary, metric.unit)}`)
    .join(', ');
}

function ratioOf(found: readonly Ratio[], metrics: readonly Metric[]): string {
  const given = metrics.filter(({ name }) => found.some(({ metric }) => metric === name));
  return given
    .map((metric) => {
      const { ratio } = found.find((one) => one.metric === metric.name) as Ratio;
      return `${labelOf(metric, given)}${writeRatio(ratio.median)}`;
    })
    .join(', ');
}

/** The metric's name, where there is more than one. */
function labelOf(metric: Metric, given: readonly Metric[]): string {
  return given.length > 1 ? `${metric.name} ` : '';
}

function noteOf({ note }: ContenderResult): string {
  return note === undefined ? '' : ` (${note})`;
}

function leftOut(workloads: readonly WorkloadResult[]): string[] {
  const reasons = new Map<string, string[]>();
  for (const { name: workload, contenders } of workloads) {
    for (const { name, missing, failed } of contenders) {
      const why = missing ?? (failed === undefined ? undefined : `failed: ${failed.split('\n')[0]}`);
      if (why === undefined) continue;
      const where = reasons.get(`${name} (${why})`);
      if (where === undefined) reasons.set(`${name} (${why})`, [workload]);
      else where.push(workload);
    }
  }
  if (reasons.size === 0) return [];
  const list = [...reasons].map(([what, where]) => `${what} in ${where.join(', ')}`);
  return [`Not measured: ${list.join('; ')}.`, ''];
}

/** A comparison of two checkouts: for a terminal. */
export function renderDifferences(differences: readonly Difference[], theirs: string): string {
  const table = [
    ['Work', 'Metric', 'This checkout', theirs, 'Ratio: median', '95 % interval', 'All', ''],
    ['---', '---', '---', '---', '---', '---', '---', '---'],
    ...differences.map((difference) => {
      const { contender, interval, metric, ours, ratio, workload } = difference;
      return [
        `${workload}/${contender}`,
        metric.name === 'cpu' ? 'CPU a unit' : metric.name,
        `${writeNumber(ours.median)} ${metric.unit}`,
        `${writeNumber(difference.theirs.median)} ${metric.unit}`,
        `×${ratio.median.toFixed(3)}`,
        interval === undefined ? 'too few starts' : interval.map((end) => `×${end.toFixed(3)}`).join(' – '),
        `×${ratio.min.toFixed(2)} – ×${ratio.max.toFixed(2)}`,
        verdictOf(difference),
      ];
    }),
  ].map((cells) => `| ${cells.join(' | ')} |`);
  const reading =
    'Ratio: of samples next to each other, a value a start; above 1 this checkout is the better one, for rates, latencies and ' +
    'CPU time alike. A verdict where the interval is clear of 1.';
  return [...table, '', reading].join('\n');
}

/** Workloads by name with what they measure: for `--list`. */
export function renderList(workloads: readonly Workload[]): string {
  return workloads
    .map(({ name, title, contenders }) => {
      const names = contenders.map((contender) => `${contender.name}${contender.kind === 'ours' ? '' : '*'}`);
      return `${name.padEnd(20)} ${title}\n${' '.repeat(21)}${names.join(', ')}`;
    })
    .join('\n');
}

if (import.meta.main) {
  process.stdout.write(`${renderTable(readResults(process.argv[2] ?? resultsPath('main', false)))}\n`);
}
