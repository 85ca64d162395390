/** Plots: scales, and drawings that are well formed, say what they show, and stay inside their frame. */
import { describe, expect, test } from 'vitest';
import { skewedAccess, uniformAccess } from '../../bench/access.ts';
import { renderGrowth } from '../../bench/growth-table.ts';
import type { ContenderResult, WorkloadResult } from '../../bench/measurement.ts';
import { barPlot } from '../../bench/plots/bar-plot.ts';
import { linePlot } from '../../bench/plots/line-plot.ts';
import { growthPlots, peersPlot } from '../../bench/plots/plots.ts';
import { evenScaleOf, linearScale, logScale, logScaleOf, writeTick } from '../../bench/plots/scale.ts';
import { FORMAT, type Results } from '../../bench/results-file.ts';
import { summarize } from '../../bench/statistics.ts';

const contender = (
  name: string,
  kind: 'ours' | 'baseline',
  rates: readonly number[],
  point?: ContenderResult['point'],
): ContenderResult => ({
  name,
  kind,
  label: `${name} & <others>`,
  runs: rates.map((rate) => ({ rate })),
  figures: rates.length === 0 ? {} : { rate: summarize(rates) },
  ...(point === undefined ? {} : { point }),
});

const base: WorkloadResult = {
  name: 'growth-actors',
  title: 'Turns by actors',
  what: '',
  conditions: { durability: 'in memory', messageBytes: 21, concurrency: '', hosts: 1 },
  metrics: [{ name: 'rate', unit: 'turns/s', better: 'higher' }],
  contenders: [],
  ratios: [],
};

const growing = {
  ...base,
  axis: { label: 'actors', scale: 'log' as const },
  contenders: [10, 1_000, 100_000].flatMap((x) => [
    contender(`memory-${x}`, 'ours', [1e6, 2e6, 3e6], { series: 'in memory', x }),
    contender(`durable-${x}`, 'ours', x === 10 ? [] : [1e4, 2e4, 3e4], { series: 'durable', x }),
  ]),
};

const beside: WorkloadResult = {
  ...base,
  name: 'peer-rate',
  contenders: [
    contender('slow', 'baseline', [10, 11, 12]),
    contender('ours', 'ours', [9_000, 10_000, 11_000]),
    contender('fast', 'baseline', [20_000, 20_000, 20_000]),
    contender('absent', 'baseline', []),
  ],
  ratios: [{ metric: 'rate', ours: 'ours', baseline: 'slow', ratio: { median: 909, min: 800, max: 1_000 } }],
};

const results: Results = {
  format: FORMAT,
  date: '2026-11-22T10:00:00.000Z',
  commit: 'abc1234',
  machine: { cores: 2, cpu: 'a CPU', memoryGb: 8, system: 'linux', loadBefore: 0.1, disk: 'ext4' },
  versions: { 'collaborative-blocks': '0.1.0', node: '24.0.0' },
  quick: false,
  rounds: 3,
  sampleMs: 1_000,
  workloads: [growing],
};

/** Every element is closed, in order. */
const wellFormed = (svg: string): boolean => {
  const open: string[] = [];
  for (const [, end, name = '', self] of svg.replace(/<style>.*?<\/style>/s, '').matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)) {
    if (end === '/') {
      if (open.pop() !== name) return false;
    } else if (self !== '/') open.push(name);
  }
  return open.length === 0;
};

const numbers = (svg: string, ...names: readonly string[]): number[] =>
  [...svg.matchAll(/ ([\w-]+)="(-?[\d.]+)"/g)]
    .filter(([, name]) => names.includes(name ?? ''))
    .map(([, , n]) => Number(n));

describe('scales', () => {
  test('a linear one begins at 0 and ends at a round number', () => {
    const { high, low, place, ticks } = linearScale(930);
    expect([low, high, place(0), place(high)]).toEqual([0, 1_000, 0, 1]);
    expect(ticks).toEqual([0, 200, 400, 600, 800, 1_000]);
  });

  test('a logarithmic one ends where 1, 2 or 5 times a power of ten does', () => {
    const { high, low, place, ticks } = logScale(30, 150_000);
    expect([low, high]).toEqual([20, 200_000]);
    expect(ticks).toEqual([100, 1_000, 10_000, 100_000]);
    expect([place(20), place(200_000), place(2_000)].map((at) => at.toFixed(3))).toEqual(['0.000', '1.000', '0.500']);
    expect(logScale(0.9, 3).ticks).toEqual([0.5, 1, 2, 5]);
    expect(place(0)).toBe(0);
  });

  test('one of given values has room at its ends, in their order', () => {
    for (const make of [logScaleOf, evenScaleOf]) {
      const { place, ticks } = make([4, 1, 16, 4]);
      expect(ticks).toEqual([1, 4, 16]);
      expect(place(1)).toBeGreaterThan(0);
      expect(place(1)).toBeLessThan(place(4));
      expect(place(16)).toBeLessThan(1);
      expect(make([7]).place(7)).toBeCloseTo(0.5);
    }
  });

  test.each([
    [0.5, '0.5'],
    [200, '200'],
    [1_024, '1,024'],
    [20_000, '20 k'],
    [1_500, '1.5 k'],
    [5e6, '5 M'],
  ])('%d is written %s', (value, written) => {
    expect(writeTick(value)).toBe(written);
  });
});

describe('drawings', () => {
  const drawn = [
    ['lines', linePlot(growing, ['source.json', 'machine'])],
    ['bars', barPlot({ title: 'Peers', workloads: [beside], caption: ['source.json', 'machine'] })],
  ] as const;

  test.each(drawn)('%s are well formed, in both modes, with their source', (_, svg) => {
    expect(wellFormed(svg)).toBe(true);
    expect(svg).toContain('prefers-color-scheme:dark');
    expect(svg).toContain('source.json');
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  test.each(drawn)('%s stay inside', (_, svg) => {
    const [width = 0, height = 0] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)?.slice(1).map(Number) ?? [];
    expect(Math.max(...numbers(svg, 'x', 'x1', 'x2', 'cx'))).toBeLessThanOrEqual(width);
    expect(Math.max(...numbers(svg, 'y', 'y1', 'y2', 'cy'))).toBeLessThanOrEqual(height);
    expect(
      Math.min(...numbers(svg, 'x', 'x1', 'x2', 'cx', 'y', 'y1', 'y2', 'cy', 'width', 'height')),
    ).toBeGreaterThanOrEqual(0);
  });

  test('a line for each series, without the points that could not be measured', () => {
    const [, svg] = drawn[0];
    expect(svg.match(/class="line s\d"/g)).toHaveLength(4);
    expect(svg.match(/<circle/g)).toHaveLength(3 + 1);
    expect(svg).toContain('actors (logarithmic)');
    expect(() => linePlot({ ...growing, contenders: [] }, [])).toThrow('nothing to draw');
  });

  test('ours first, the others by how good they are, names escaped', () => {
    const [, svg] = drawn[1];
    const order = ['Collaborative Blocks', 'fast &amp; &lt;others&gt;', 'slow &amp; &lt;others&gt;'].map((name) =>
      svg.indexOf(name),
    );
    expect(order.every((at, i) => at > (order[i - 1] ?? -1))).toBe(true);
    expect(svg).toContain('×909');
    expect(svg).not.toContain('absent');
  });

  test('a file a workload with an axis; a quick run says so', () => {
    expect(growthPlots({ ...results, workloads: [growing, beside] }, 'a.json').map(({ file }) => file)).toEqual([
      'growth-actors.svg',
    ]);
    expect(peersPlot({ ...results, quick: true, workloads: [beside] }, 'a.json').svg).toContain('not for quoting');
  });

  test('the same as text', () => {
    expect(renderGrowth(growing).split('\n').slice(2)).toEqual([
      '| | 10 | 1,000 | 100,000 |',
      '| --- | ---: | ---: | ---: |',
      '| in memory | 2.00 M | 2.00 M | 2.00 M |',
      '| durable |  | 20.0 k | 20.0 k |',
    ]);
  });
});

describe('access', () => {
  const times = 20_000;
  const countsOf = (access: () => number, count: number): number[] => {
    const counts = Array.from({ length: count }, () => 0);
    for (let i = 0; i < times; i++) {
      const index = access();
      counts[index] = (counts[index] as number) + 1;
    }
    return counts.toSorted((a, b) => b - a);
  };

  test('uniform: all alike', () => {
    const counts = countsOf(uniformAccess(100), 100);
    expect(counts).toHaveLength(100);
    expect(counts[0]).toBeLessThan((times / 100) * 1.5);
    expect(counts.at(-1)).toBeGreaterThan((times / 100) * 0.5);
  });

  test('skewed: in proportion to 1 / rank, and every index can be met', () => {
    const counts = countsOf(skewedAccess(100), 100);
    const harmonic = Array.from({ length: 100 }, (_, i) => 1 / (i + 1)).reduce((a, b) => a + b);
    expect(counts[0]).toBeGreaterThan((times / harmonic) * 0.9);
    expect(counts[0]).toBeLessThan((times / harmonic) * 1.1);
    expect(counts.at(-1)).toBeGreaterThan(0);
  });

  test('the same sequence each time', () => {
    const [a, b] = [skewedAccess(1_000), skewedAccess(1_000)];
    expect(Array.from({ length: 50 }, a)).toEqual(Array.from({ length: 50 }, b));
  });
});
