/**
 * How a figure grows along an axis: a line a series, with the smallest and the largest run as a band.
 *
 * Owns: the drawing of a workload that has an axis.
 */
import type { Axis } from '../contract.ts';
import type { WorkloadResult } from '../measurement.ts';
import type { Summary } from '../statistics.ts';
import { evenScaleOf, linearScale, logScale, logScaleOf, type Scale, writeTick } from './scale.ts';
import { CAPTION_LINE, document, element, line, SERIES, text, TOP } from './svg.ts';

const WIDTH = 760;
const PLOT = { left: 78, right: WIDTH - 24, height: 270 };
const LEGEND_LINE = 20;
/** A linear axis from 0 says more where the figures are of one size. */
const LOG_FROM = 8;

interface Series {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly figure: Summary }[];
}

export function linePlot(workload: WorkloadResult & { readonly axis: Axis }, caption: readonly string[]): string {
  const series = seriesOf(workload);
  const [metric] = workload.metrics;
  if (metric === undefined || series.length === 0) throw new Error(`${workload.name} has nothing to draw`);
  const top = TOP + Math.ceil(series.length / 2) * LEGEND_LINE + 14;
  const bottom = top + PLOT.height;
  const height = bottom + 58 + caption.length * CAPTION_LINE;
  const xs = series.flatMap(({ points }) => points.map(({ x }) => x));
  const x = workload.axis.scale === 'log' ? logScaleOf(xs) : evenScaleOf(xs);
  const y = yScaleOf(series);
  const toX = (value: number): number => PLOT.left + x.place(value) * (PLOT.right - PLOT.left);
  const toY = (value: number): number => bottom - Math.min(1, Math.max(0, y.place(value))) * PLOT.height;
  const body = [
    ...y.ticks.flatMap((tick) => [
      line(PLOT.left, toY(tick), PLOT.right, toY(tick), { class: 'grid' }),
      text(PLOT.left - 8, toY(tick) + 4, writeTick(tick), { 'text-anchor': 'end', class: 'small' }),
    ]),
    line(PLOT.left, bottom, PLOT.right, bottom, { class: 'axis' }),
    ...xTicks(x).flatMap((tick) => [
      line(toX(tick), bottom, toX(tick), bottom + 5, { class: 'axis' }),
      text(toX(tick), bottom + 20, writeTick(tick), { 'text-anchor': 'middle', class: 'small' }),
    ]),
    text((PLOT.left + PLOT.right) / 2, bottom + 40, axisLabel(workload.axis), { 'text-anchor': 'middle' }),
    ...series.flatMap((one, i) => drawSeries(one, i, toX, toY)),
    ...series.flatMap(({ name }, i) => legend(name, i)),
  ];
  const logarithmic = y.low > 0 ? ', logarithmic scale' : '';
  const subtitle = `${metric.unit}${logarithmic}; ${metric.better} is better. Line: median, band: smallest to largest run.`;
  return document({ width: WIDTH, height, title: workload.title, subtitle, caption }, body);
}

/** Points of the contenders that could be measured, by series, in the order in which series appear. */
function seriesOf({ contenders, metrics }: WorkloadResult): Series[] {
  const name = metrics[0]?.name ?? '';
  const found = new Map<string, { x: number; figure: Summary }[]>();
  for (const { figures, point } of contenders) {
    const figure = figures[name];
    if (point === undefined || figure === undefined) continue;
    const points = found.get(point.series) ?? [];
    points.push({ x: point.x, figure });
    found.set(point.series, points);
  }
  const series = [...found].map(([series, points]) => ({ name: series, points: points.sort((a, b) => a.x - b.x) }));
  if (series.length > SERIES) throw new Error(`${series.length} series cannot be told apart`);
  return series;
}

function yScaleOf(series: readonly Series[]): Scale {
  const values = series.flatMap(({ points }) => points.flatMap(({ figure }) => [figure.min, figure.max]));
  const medians = series
    .flatMap(({ points }) => points.map(({ figure }) => figure.median))
    .filter((value) => value > 0);
  const most = Math.max(...values);
  const least = Math.min(...medians);
  return most / least < LOG_FROM ? linearScale(most) : logScale(least, most);
}

/** Ticks that have room. */
function xTicks({ place, ticks }: Scale): number[] {
  const kept: number[] = [];
  for (const tick of ticks) {
    const before = kept.at(-1);
    if (before === undefined || place(tick) - place(before) > 0.055) kept.push(tick);
  }
  return kept;
}

const axisLabel = ({ label, scale }: Axis): string => (scale === 'log' ? `${label} (logarithmic)` : label);

type Place = (value: number) => number;

function drawSeries({ points }: Series, index: number, toX: Place, toY: Place): string[] {
  const path = (values: readonly (readonly [number, number])[]): string =>
    values.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
  const upper = points.map(({ x, figure }) => [toX(x), toY(figure.max)] as const);
  const lower = points.map(({ x, figure }) => [toX(x), toY(figure.min)] as const).reverse();
  const middle = points.map(({ x, figure }) => [toX(x), toY(figure.median)] as const);
  return [
    element('path', { d: `${path([...upper, ...lower])}Z`, class: `band f${index}` }),
    element('path', { d: path(middle), class: `line s${index}` }),
    ...middle.map(([x, y]) => marker(x, y, index)),
  ];
}

function legend(name: string, index: number): string[] {
  const x = 20 + (index % 2) * ((WIDTH - 40) / 2);
  const y = TOP + Math.trunc(index / 2) * LEGEND_LINE + 6;
  return [line(x, y, x + 26, y, { class: `line s${index}` }), marker(x + 13, y, index), text(x + 34, y + 4, name, {})];
}

/** A shape of its own for each series. */
function marker(x: number, y: number, index: number): string {
  const shape = `f${index}`;
  const size = 4.5;
  switch (index % SERIES) {
    case 0:
      return element('circle', { cx: x, cy: y, r: size, class: shape });
    case 1:
      return element('rect', { x: x - 4, y: y - 4, width: 8, height: 8, class: shape });
    case 2:
      return polygon([x, y - 5.5, x + 5, y + 4, x - 5, y + 4], shape);
    case 3:
      return polygon([x, y - 6, x + 5.5, y, x, y + 6, x - 5.5, y], shape);
    default:
      return polygon([x, y + 5.5, x + 5, y - 4, x - 5, y - 4], shape);
  }
}

function polygon(corners: readonly number[], shape: string): string {
  return element('polygon', { points: corners.map((corner) => corner.toFixed(1)).join(' '), class: shape });
}
