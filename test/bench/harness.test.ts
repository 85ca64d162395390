/** The bench's own arithmetic, tables, files and command line, and one tiny run of one workload from end to end. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { BREAKER_CYCLE, messageOf, OPENINGS_PER_CYCLE, sizeOf } from '../../bench/actors/messages.ts';
import type { Sample } from '../../bench/contract.ts';
import type { ContenderResult, WorkloadResult } from '../../bench/measurement.ts';
import { inFlight, Pace } from '../../bench/pace.ts';
import { withTable } from '../../bench/readme-section.ts';
import { FORMAT, readResults, type Results, writeResults } from '../../bench/results-file.ts';
import { latencies, median, percentile, ratios, summarize } from '../../bench/statistics.ts';
import { renderTable, writeNumber, writeRatio } from '../../bench/table.ts';
import { WORKLOADS } from '../../bench/workload-list.ts';
import { tmpDir } from '../support/tmp-dir.ts';

const run = promisify(execFile);
const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

const contender = (name: string, kind: 'ours' | 'baseline', rates: readonly number[]): ContenderResult => ({
  name,
  kind,
  label: `label of ${name}`,
  runs: rates.map((rate): Sample => ({ rate })),
  figures: { rate: summarize(rates) },
});

const workload: WorkloadResult = {
  name: 'tell',
  title: 'Tell',
  what: 'A tells B.',
  conditions: { durability: 'in memory', messageBytes: 21, concurrency: '1 sender', hosts: 1 },
  metrics: [{ name: 'rate', unit: 'msg/s', better: 'higher' }],
  contenders: [
    contender('mine', 'ours', [900_000, 1_000_000, 1_200_000]),
    contender('bare', 'baseline', [2_000_000, 2_000_000, 2_000_000]),
    { name: 'nact', kind: 'baseline', label: 'nact', runs: [], figures: {}, missing: 'nact is not installed' },
  ],
  ratios: [{ metric: 'rate', ours: 'mine', baseline: 'bare', ratio: { median: 0.5, min: 0.45, max: 0.6 } }],
};

const results: Results = {
  format: FORMAT,
  date: '2026-11-22T10:00:00.000Z',
  commit: 'abc1234',
  machine: { cores: 2, cpu: 'a CPU', memoryGb: 8, system: 'linux 6 x64', loadBefore: 0.1, disk: 'ext4' },
  versions: { 'collaborative-blocks': '0.1.0', node: '24.0.0', lmdb: '3.5.6', msgpackr: '2.1.3', xstate: '5.33.3' },
  quick: false,
  rounds: 3,
  sampleMs: 1_000,
  workloads: [workload],
};

describe('arithmetic', () => {
  test.each([
    [[3], 3],
    [[3, 1, 2], 2],
    [[4, 1, 3, 2], 2.5],
    [[10, 2, 2, 10, 10], 10],
  ])('median of %j', (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  test('the median of nothing is an error, not NaN', () => {
    expect(() => median([])).toThrow(RangeError);
    expect(() => percentile([], 0.5)).toThrow(RangeError);
  });

  test('percentiles are values that occurred, by nearest rank', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([0, 0.5, 0.99, 1].map((share) => percentile(values, share))).toEqual([1, 50, 99, 100]);
    expect(percentile([7], 0.99)).toBe(7);
  });

  test('latencies come in nanoseconds and go in microseconds', () => {
    expect(latencies([1_000, 2_000, 3_000])).toEqual({ p50: 2, p99: 3 });
  });

  test('a ratio above 1 means ours is better, for rates and for latencies', () => {
    expect(ratios([200, 100], [100, 100], 'higher')).toEqual([2, 1]);
    expect(ratios([200, 100], [100, 100], 'lower')).toEqual([0.5, 1]);
    expect(ratios([200, 100, 50], [100], 'higher')).toEqual([2]);
  });
});

describe('pace', () => {
  test('counts what a batch says it did', async () => {
    const sizes: number[] = [];
    const pace = new Pace(5, (size) => {
      sizes.push(size);
      const endMs = performance.now() + 0.5;
      while (performance.now() < endMs);
      return size * 2;
    });
    await pace.warmUp();
    const settled = sizes.length;
    const rate = await pace.rate();
    const done = sizes.slice(settled).reduce((sum, size) => sum + size * 2, 0);
    expect(rate).toBeGreaterThan(0);
    expect(rate).toBeLessThanOrEqual((done / 5) * 1_000);
  });

  test('a batch that is always short does not warm up for ever, and keeps to its bound', async () => {
    let largest = 0;
    const pace = new Pace(
      5,
      (size) => {
        largest = Math.max(largest, size);
        return size;
      },
      { most: 64 },
    );
    await pace.warmUp();
    expect(largest).toBeLessThanOrEqual(64);
  });

  test('as many calls are under way as allowed, and all are made', async () => {
    let under = 0;
    let most = 0;
    const made: number[] = [];
    await inFlight(20, 3, async (index) => {
      under += 1;
      most = Math.max(most, under);
      await Promise.resolve();
      made.push(index);
      under -= 1;
    });
    expect(most).toBe(3);
    expect(made.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    await inFlight(0, 3, () => Promise.reject(new Error('never called')));
    await expect(
      inFlight(4, 2, (i) => (i === 2 ? Promise.reject(new Error('two')) : Promise.resolve())),
    ).rejects.toThrow('two');
  });
});

describe('messages', () => {
  test('an order is about 150 bytes of JSON, whatever its number', () => {
    const sizes = [1, 99, 12_345, 1_000_000].map((id) => JSON.stringify(messageOf('order', id)).length);
    for (const size of [...sizes, sizeOf('order')]) expect(size).toBeGreaterThan(130);
    for (const size of [...sizes, sizeOf('order')]) expect(size).toBeLessThan(170);
  });

  test('a cycle of the breaker is whole', () => {
    const events = BREAKER_CYCLE.map((_, i) => messageOf('breaker', i).type);
    expect(events).toEqual(BREAKER_CYCLE);
    expect(events.filter((type) => type === 'probe')).toHaveLength(OPENINGS_PER_CYCLE);
  });
});

describe('tables', () => {
  test.each([
    [0, '0.00'],
    [0.0534, '0.0534'],
    [3.456, '3.46'],
    [34.56, '34.6'],
    [345.6, '346'],
    [3_456, '3,456'],
    [34_560, '34.6 k'],
    [345_600, '346 k'],
    [999_999, '1.00 M'],
    [3_456_000, '3.46 M'],
    [34_560_000, '34.6 M'],
  ])('%d is written %s', (value, written) => {
    expect(writeNumber(value)).toBe(written);
  });

  test.each([
    [0.0534, '×0.053'],
    [0.5, '×0.5'],
    [2.14, '×2.1'],
    [345.6, '×346'],
  ])('a ratio of %d is written %s', (value, written) => {
    expect(writeRatio(value)).toBe(written);
  });

  test('a row for each of ours beside each baseline, and what was left out', () => {
    const lines = renderTable(results).split('\n');
    expect(lines[0]).toContain('0.1.0 at abc1234, 2026-11-22: 2 cores (a CPU), 8 GB, linux 6 x64, ext4; node 24.0.0');
    expect(lines).toContain(
      '| **Tell**<br>in memory, 21 B, 1 sender | label of mine: 1.00 M msg/s (900 k – 1.20 M) ' +
        '| label of bare: 2.00 M msg/s (2.00 M – 2.00 M) | ×0.5 |',
    );
    expect(lines).toContain('Not measured: nact (nact is not installed) in tell.');
    expect(lines.filter((line) => line.startsWith('|'))).toHaveLength(3);
  });

  test('a quick run says so', () => {
    expect(renderTable({ ...results, quick: true })).toContain('not for quoting');
  });

  test('the table goes between the markers and nowhere else', () => {
    const readme = '# A\n\n<!-- bench:start -->\nold\n<!-- bench:end -->\n\nrest\n';
    const written = withTable(readme, 'TABLE');
    expect(written).toBe('# A\n\n<!-- bench:start -->\n\nTABLE\n\n<!-- bench:end -->\n\nrest\n');
    expect(withTable(written, 'TABLE')).toBe(written);
    expect(() => withTable('# A\n', 'TABLE')).toThrow('<!-- bench:start -->');
  });
});

describe('results', () => {
  test('what is written is read back, anything else is refused', async () => {
    await using dir = await tmpDir('bench');
    const path = dir.at('deep/results.json');
    writeResults(path, results);
    expect(readResults(path)).toEqual(results);
    writeResults(path, { ...results, format: 99 } as never);
    expect(() => readResults(path)).toThrow('format 99');
  });

  test('every workload has a name of its own, something of ours and a baseline', () => {
    expect(new Set(WORKLOADS.map(({ name }) => name)).size).toBe(WORKLOADS.length);
    for (const { contenders, metrics } of WORKLOADS) {
      expect(new Set(contenders.map(({ name }) => name)).size).toBe(contenders.length);
      expect(contenders.map(({ kind }) => kind)).toContain('ours');
      expect(contenders.map(({ kind }) => kind)).toContain('baseline');
      expect(metrics.length).toBeGreaterThan(0);
    }
  });

  test('the README of the bench names every workload', async () => {
    const readme = await readFile(fileURLToPath(new URL('../../bench/README.md', import.meta.url)), 'utf8');
    for (const { name } of WORKLOADS) expect(readme).toContain(`\`${name}\``);
  });
});

describe('command line', () => {
  test.each([
    [['--bogus'], 'Unknown option'],
    [['--only', 'nothing'], 'no such workload'],
    [['--rounds', '0'], 'not a whole number'],
    [['stray'], 'Unexpected argument'],
  ])('%j is a clear error', async (args, words) => {
    await expect(run(process.execPath, [RUN, ...args])).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining(words) as unknown,
    });
  });

  test('a tiny run of one workload', { timeout: 60_000 }, async () => {
    await using dir = await tmpDir('bench');
    const json = dir.at('tiny.json');
    const args = ['--quick', '--only', 'durable-ask', '--rounds', '2', '--sample-ms', '20', '--json', json];
    const { stdout } = await run(process.execPath, [RUN, ...args]);
    const written = readResults(json);
    expect(stdout).toContain('**Durable ask, round trip**');
    expect(written).toMatchObject({ quick: true, rounds: 2, sampleMs: 20 });
    expect(Object.keys(written.versions).sort()).toEqual([
      'collaborative-blocks',
      'lmdb',
      'msgpackr',
      'node',
      'xstate',
    ]);
    const [only] = written.workloads;
    expect(only?.conditions).toMatchObject({ durability: 'journal, fsync', concurrency: '1 under way' });
    expect(only?.contenders.map(({ name, failed }) => [name, failed])).toEqual([
      ['outside', undefined],
      ['lmdb-put', undefined],
    ]);
    for (const { runs, figures } of only?.contenders ?? []) {
      expect(runs).toHaveLength(2);
      for (const metric of ['p50', 'p99']) {
        const figure = figures[metric];
        expect(figure?.min).toBeGreaterThan(0);
        expect(figure?.min).toBeLessThanOrEqual(figure?.median ?? 0);
        expect(figure?.median).toBeLessThanOrEqual(figure?.max ?? 0);
      }
    }
    expect(only?.ratios.map(({ metric, ours, baseline }) => [metric, ours, baseline])).toEqual([
      ['p50', 'outside', 'lmdb-put'],
      ['p99', 'outside', 'lmdb-put'],
    ]);
  });
});
