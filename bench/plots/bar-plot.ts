/**
 * Ours beside others: a panel a workload, a bar a product, on a logarithmic scale, with the ratio written beside it.
 *
 * Owns: the drawing of results without an axis. Of several metrics it draws the first.
 */
import type { Metric } from '../contract.ts';
import type { ContenderResult, WorkloadResult } from '../measurement.ts';
import { writeNumber, writeRatio } from '../figures.ts';
import { logScale, writeTick } from './scale.ts';
import { CAPTION_LINE, document, element, line, text, TOP } from './svg.ts';

const WIDTH = 760;
const LABELS = 250;
const FIGURES = 150;
const BAR = 20;
const PITCH = 28;
const PANEL_HEAD = 46;
const PANEL_FOOT = 34;

interface Bar {
  readonly contender: ContenderResult;
  readonly ratio: string;
}

export interface BarPlot {
  readonly title: string;
  readonly workloads: readonly WorkloadResult[];
  readonly caption: readonly string[];
}

export function barPlot({ caption, title, workloads }: BarPlot): string {
  const body: string[] = [];
  let y = TOP;
  for (const workload of workloads) {
    const panel = panelOf(workload, y);
    body.push(...panel.body);
    y = panel.bottom;
  }
  const height = y + 22 + caption.length * CAPTION_LINE;
  const subtitle =
    'Logarithmic scales. Bar: median, whisker: smallest to largest run. ×: how many times as good ours is.';
  return document({ width: WIDTH, height, title, subtitle, caption }, body);
}

function panelOf(workload: WorkloadResult, y: number): { readonly body: string[]; readonly bottom: number } {
  const [metric] = workload.metrics;
  if (metric === undefined) throw new Error(`${workload.name} has no metric`);
  const bars = barsOf(workload, metric);
  const figures = bars.flatMap(({ contender }) => contender.figures[metric.name] ?? []);
  if (figures.length === 0) return { body: [], bottom: y };
  // A bar begins at half of the smallest figure at most, so that each has a length.
  const scale = logScale(Math.min(...figures.map(({ min }) => min)) / 2, Math.max(...figures.map(({ max }) => max)));
  const [left, right] = [LABELS, WIDTH - FIGURES];
  const toX = (value: number): number => left + Math.min(1, scale.place(value)) * (right - left);
  const top = y + PANEL_HEAD;
  const bottom = top + bars.length * PITCH;
  const name = metric.name === 'rate' ? '' : `${metric.name}, `;
  const { durability } = workload.conditions;
  return {
    body: [
      text(20, y + 22, workload.title, { class: 'strong' }),
      text(20, y + 38, `${name}${metric.unit}, ${metric.better} is better; ${durability}`, { class: 'small faint' }),
      ...scale.ticks.flatMap((tick) => [
        line(toX(tick), top, toX(tick), bottom, { class: 'grid' }),
        text(toX(tick), bottom + 16, writeTick(tick), { 'text-anchor': 'middle', class: 'small faint' }),
      ]),
      line(left, top, left, bottom, { class: 'axis' }),
      ...bars.flatMap((bar, i) => drawBar(bar, metric, top + i * PITCH + (PITCH - BAR) / 2, toX)),
    ],
    bottom: bottom + PANEL_FOOT,
  };
}

/** Ours first, then the others, the best one first. */
function barsOf({ contenders, ratios }: WorkloadResult, metric: Metric): Bar[] {
  const measured = contenders.filter(({ figures }) => figures[metric.name] !== undefined);
  const [ours] = measured.filter(({ kind }) => kind === 'ours');
  const medianOf = ({ figures }: ContenderResult): number => figures[metric.name]?.median ?? 0;
  const direction = metric.better === 'higher' ? 1 : -1;
  const others = measured
    .filter(({ kind }) => kind === 'baseline')
    .sort((a, b) => direction * (medianOf(b) - medianOf(a)));
  return [...(ours === undefined ? [] : [ours]), ...others].map((contender) => {
    const found = ratios.find(
      (one) => one.metric === metric.name && one.ours === ours?.name && one.baseline === contender.name,
    );
    return { contender, ratio: found === undefined ? '' : writeRatio(found.ratio.median) };
  });
}

function drawBar({ contender, ratio }: Bar, metric: Metric, y: number, toX: (value: number) => number): string[] {
  const { median, min, max } = contender.figures[metric.name] ?? { median: 0, min: 0, max: 0 };
  const ours = contender.kind === 'ours';
  const middle = y + BAR / 2;
  const label = ours ? 'Collaborative Blocks' : contender.label.split(/[:,]/)[0];
  return [
    text(LABELS - 10, middle + 4, label ?? '', { 'text-anchor': 'end', ...(ours ? { class: 'strong' } : {}) }),
    element('rect', {
      x: LABELS,
      y,
      width: Math.max(1, toX(median) - LABELS),
      height: BAR,
      rx: 2,
      class: ours ? 'f0' : 'other',
    }),
    line(toX(min), middle, toX(max), middle, { class: 'whisker' }),
    text(WIDTH - FIGURES + 12, middle + 4, writeNumber(median), ours ? { class: 'strong' } : {}),
    text(WIDTH - 20, middle + 4, ratio, { 'text-anchor': 'end' }),
  ];
}
