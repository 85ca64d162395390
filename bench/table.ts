/**
 * Results as a markdown table: `node bench/table.ts [FILE]` prints that of `bench/results/latest.json`.
 *
 * Owns: how figures are written. One row for each of ours beside each baseline; every figure is a median with its smallest and
 * largest run, every ratio above 1 means that ours was the better one.
 */
import type { Metric, Workload } from './contract.ts';
import type { ContenderResult, Ratio, WorkloadResult } from './measurement.ts';
import { readResults, type Results, resultsPath } from './results-file.ts';
import type { Summary } from './statistics.ts';

/** The whole table, with what it was taken on above and what was left out below. */
export function renderTable(results: Results): string {
  const rows = results.workloads.flatMap(rowsOf);
  const table = [
    ['Work', 'Collaborative Blocks', 'Beside it, in the same run', 'Ratio'],
    ['---', '---', '---', '---'],
    ...rows,
  ].map((cells) => `| ${cells.join(' | ')} |`);
  return [conditionsOf(results), '', ...table, '', ...leftOut(results.workloads), READING].join('\n');
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
    const beside = contenders.filter((one) => one.kind === 'baseline' && Object.keys(one.figures).length > 0);
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

/** `1.23 M (1.10 – 1.31 M) msg/s` */
export function writeFigure({ median, min, max }: Summary, unit: Metric['unit']): string {
  return `${writeNumber(median)} ${unit} (${writeNumber(min)} – ${writeNumber(max)})`;
}

/** Three significant digits, thousands as k, millions as M. */
export function writeNumber(value: number): string {
  if (value >= 999_500) return `${threeDigits(value / 1_000_000)} M`;
  if (value >= 9_995) return `${threeDigits(value / 1_000)} k`;
  if (value >= 999.5) return Math.round(value).toLocaleString('en-US');
  return threeDigits(value);
}

/** `×2.1`, `×0.053`: two significant digits. */
export function writeRatio(value: number): string {
  if (value >= 99.5) return `×${Math.round(value).toLocaleString('en-US')}`;
  return `×${Number(value.toPrecision(2))}`;
}

function threeDigits(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  if (value >= 9.995) return value.toFixed(1);
  if (value >= 0.9995 || value === 0) return value.toFixed(2);
  return String(Number(value.toPrecision(3)));
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
  process.stdout.write(`${renderTable(readResults(process.argv[2] ?? resultsPath(false)))}\n`);
}
