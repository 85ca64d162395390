/**
 * How cost grows, as text: a table a workload, a row a series, a column a point. What the plots draw, for a terminal.
 *
 * Owns: tables of workloads that have an axis.
 */
import type { Axis } from './contract.ts';
import type { WorkloadResult } from './measurement.ts';
import { writeNumber } from './figures.ts';

export function hasAxis(workload: WorkloadResult): workload is WorkloadResult & { readonly axis: Axis } {
  return workload.axis !== undefined;
}

export function renderGrowth(workload: WorkloadResult & { readonly axis: Axis }): string {
  const { axis, contenders, metrics, title } = workload;
  const [metric] = metrics;
  if (metric === undefined) throw new Error(`${workload.name} has no metric`);
  const points = contenders.flatMap(({ figures, point }) => {
    const figure = figures[metric.name];
    return point === undefined || figure === undefined ? [] : [{ ...point, figure }];
  });
  const columns = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  const rows = [...Map.groupBy(points, ({ series }) => series)].map(([series, some]) => [
    series,
    ...columns.map((column) => {
      const found = some.find(({ x }) => x === column);
      return found === undefined ? '' : writeNumber(found.figure.median);
    }),
  ]);
  const heads = columns.map((column) => column.toLocaleString('en-US'));
  return [
    `**${title}** (${metric.unit}, ${metric.better} is better), by ${axis.label}:`,
    '',
    `| | ${heads.join(' | ')} |`,
    `| --- |${heads.map(() => ' ---: |').join('')}`,
    ...rows.map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n');
}
