/** The bench's own arithmetic, tables, files and command line, and one tiny run of one workload from end to end. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { BREAKER_CYCLE, messageOf, OPENINGS_PER_CYCLE, sizeOf } from '../../bench/actors/messages.ts';
import { differencesOf, type Pair, verdictOf } from '../../bench/against.ts';
import { copyCheckout } from '../../bench/checkout.ts';
import { parseCommand, UsageError } from '../../bench/command-line.ts';
import type { Sample } from '../../bench/contract.ts';
import type { ContenderResult, WorkloadResult } from '../../bench/measurement.ts';
import { inFlight, Pace } from '../../bench/pace.ts';
import { reachedBy, renderReach } from '../../bench/reach.ts';
import { renderSection, withSection } from '../../bench/readme-section.ts';
import { FORMAT, readResults, type Results, writeResults } from '../../bench/results-file.ts';
import { latencies, median, medianInterval, percentile, ratios, summarize } from '../../bench/statistics.ts';
import { writeFigure, writeNumber, writeRatio } from '../../bench/figures.ts';
import { renderDifferences, renderTable } from '../../bench/table.ts';
import { ALL, contenderOf, WORKLOADS } from '../../bench/workload-list.ts';
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

describe('two checkouts', () => {
  const [tellInHost] = WORKLOADS;
  const ours = tellInHost?.contenders.find(({ kind }) => kind === 'ours');
  if (tellInHost === undefined || ours === undefined) throw new Error('no workload to compare');
  const measured = (rate: number, cpuMs: number) => ({ sample: { rate }, cpuMs, tookMs: 100 });
  const pairs = (starts: number, ratio: number): Pair[] =>
    Array.from({ length: starts }, (_, start) => start).flatMap((start) => [
      { start, ours: measured(1_000 * ratio, 50), theirs: measured(1_000, 50) },
      { start, ours: measured(1_000 * ratio, 50), theirs: measured(1_000, 50) },
    ]);

  test.each([
    [[1, 2, 3, 4, 5], undefined],
    [
      [6, 5, 4, 3, 2, 1],
      [1, 6],
    ],
    [
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      [2, 9],
    ],
    [Array.from({ length: 20 }, (_, i) => i), [5, 14]],
  ])('the true median of %j is within %j', (values, interval) => {
    expect(medianInterval(values)).toEqual(interval);
  });

  test.each([
    [10, 1.2, 'better'],
    [10, 0.8, 'worse'],
    [10, 1, 'no difference seen'],
    [5, 1.2, 'no difference seen'],
  ])('%d starts with %d times the rate: %s', (starts, ratio, verdict) => {
    const found = differencesOf(tellInHost, ours, pairs(starts, ratio));
    expect(found.map(({ metric }) => metric.name)).toEqual(['rate', 'cpu']);
    expect(found.map(verdictOf)).toEqual([verdict, verdict]);
    expect(found[0]?.ratio.median).toBeCloseTo(ratio);
    expect(renderDifferences(found, 'theirs')).toContain(verdict);
  });

  test('one outlier of a start is not the verdict', () => {
    const [first, ...rest] = pairs(10, 1);
    const odd = { ...(first as Pair), ours: measured(9_000, 50) };
    expect(differencesOf(tellInHost, ours, [odd, ...rest]).map(verdictOf)).toEqual([
      'no difference seen',
      'no difference seen',
    ]);
  });

  test('a copy of a checkout has its library and the bench of this one', { timeout: 60_000 }, async () => {
    await using dir = await tmpDir('bench');
    const { entry } = await copyCheckout('.', dir.at('copy'));
    expect(entry).toBe(dir.at('copy/bench/contender-process.ts'));
    await readFile(entry);
    await readFile(dir.at('copy/runtime/index.ts'));
    await expect(copyCheckout('no-such-commit', dir.at('other'))).rejects.toThrow('no-such-commit');
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
    const written = withSection(readme, 'TABLE');
    expect(written).toBe('# A\n\n<!-- bench:start -->\n\nTABLE\n\n<!-- bench:end -->\n\nrest\n');
    expect(withSection(written, 'TABLE')).toBe(written);
    expect(() => withSection('# A\n', 'TABLE')).toThrow('<!-- bench:start -->');
  });

  test('the section has the peers and the plots, where there are any', () => {
    const plots = ['peers', 'growth-a'].map((name) => ({ file: `${name}.svg`, title: name, svg: '' }));
    const whole = renderSection({ main: results, peers: results, plots });
    expect(whole.match(/^### .*$/gm)).toEqual([
      '### Beside other products',
      '### Beside the bare work',
      '### How cost grows',
    ]);
    expect(whole).toContain('![growth-a](bench/results/growth-a.svg)');
    expect(renderSection({ main: results, peers: undefined, plots: [] }).match(/^### .*$/gm)).toEqual([
      '### Beside the bare work',
    ]);
  });

  test('microseconds become milliseconds where there are many', () => {
    expect(writeFigure({ median: 999, min: 1, max: 2_000 }, 'µs')).toBe('999 µs (1.00 – 2,000)');
    expect(writeFigure({ median: 1_500, min: 800, max: 2_000 }, 'µs')).toBe('1.50 ms (0.8 – 2.00)');
  });
});

describe('goals', () => {
  const goal = { workload: 'tell', ours: 'mine' };

  test.each([
    [{ ...goal, beside: 'bare', reach: 0.4, aim: 0.6 }, 0.5, 'reached'],
    [{ ...goal, beside: 'bare', reach: 0.4, aim: 0.5 }, 0.5, 'aim'],
    [{ ...goal, beside: 'bare', reach: 0.6 }, 0.5, 'short'],
    [{ ...goal, reach: 900_000 }, 1_000_000, 'reached'],
    [{ ...goal, reach: 2_000_000 }, 1_000_000, 'short'],
    [{ ...goal, beside: 'nact', reach: 1 }, undefined, 'not measured'],
    [{ ...goal, metric: 'heap', reach: 1 }, undefined, 'not measured'],
  ])('%j: %d, %s', (wanted, value, verdict) => {
    expect(reachedBy(results, [wanted])).toMatchObject([{ value, verdict }]);
  });

  test('where less is better, less is reached', () => {
    const heap: WorkloadResult = { ...workload, metrics: [{ name: 'rate', unit: 'B', better: 'lower' }] };
    const reached = [900_000, 1_000_000].map((reach) => reachedBy({ workloads: [heap] }, [{ ...goal, reach }]));
    expect(reached.map(([one]) => one?.verdict)).toEqual(['short', 'reached']);
  });

  test('every goal is of something that is measured', () => {
    for (const { goal: one } of reachedBy({ workloads: [] })) {
      const contender = contenderOf(one.workload, one.ours);
      expect(contender.kind).toBe('ours');
      if (one.beside === undefined) continue;
      expect(contenderOf(one.workload, one.beside).kind).toBe('baseline');
      expect(contender.beside ?? [one.beside]).toContain(one.beside);
    }
    const goalsOf = (name: string): string => renderReach({ ...results, workloads: [{ ...workload, name }] });
    expect(goalsOf('tell-in-host')).toContain('| tell-in-host/thread beside nact |  | ×20 |  | not measured |');
    expect(goalsOf('tell')).not.toContain('not measured');
  });

  test('what one of ours is set beside exists', () => {
    for (const { contenders } of ALL) {
      const names = contenders.filter(({ kind }) => kind === 'baseline').map(({ name }) => name);
      const listed = contenders.flatMap(({ beside }) => beside ?? []);
      const elsewhere = ALL.flatMap((one) => one.contenders).map(({ name }) => name);
      for (const name of listed) expect(names.includes(name) || elsewhere.includes(name)).toBe(true);
    }
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
    for (const { name } of ALL) expect(readme).toContain(`\`${name}\``);
  });
});

describe('command line', () => {
  test.each([
    [['--bogus'], 'Unknown option'],
    [['--only', 'nothing'], 'no such workload'],
    [['--only', 'ask/nobody'], 'no such contender (known: in-host'],
    [['--against', '.', '--json', 'there.json'], '--against writes no file'],
    [['--rounds', '0'], 'not a whole number'],
    [['--peers', '--growth'], 'two runs'],
    [['stray'], 'Unexpected argument'],
  ])('%j is a clear error', (args, words) => {
    expect(() => parseCommand(args)).toThrow(UsageError);
    expect(() => parseCommand(args)).toThrow(words);
  });

  test.each([
    [[], 'latest.json', 5],
    [['--quick'], 'quick.json', 3],
    [['--peers'], 'peers.json', 5],
    [['--growth', '--quick'], 'growth-quick.json', 3],
    [['--rounds', '7'], 'latest.json', 7],
    [['--json', 'there.json', '--only', 'ask'], 'there.json', 5],
    [['--only', 'ask'], undefined, 5],
    [['--sample-ms', '50'], undefined, 5],
    [['--profile', 'there'], undefined, 5],
  ])('%j is written to %s', (args, file, rounds) => {
    const command = parseCommand(args);
    if (command.kind !== 'run') throw new Error(command.kind);
    expect(command.json?.split('/').at(-1)).toBe(file);
    expect(command.rounds).toBe(rounds);
  });

  test('workloads and contenders are chosen by name', () => {
    const command = parseCommand(['--only', 'ask/outside', '--only', 'ask/in-host', '--only', 'ask/outside']);
    if (command.kind !== 'run') throw new Error(command.kind);
    expect(command.workloads.map(({ contenders }) => contenders.map(({ name }) => name))).toEqual([
      ['outside', 'in-host'],
    ]);
  });

  test('a wrong option ends with code 2 and how it is used', async () => {
    await expect(run(process.execPath, [RUN, '--bogus'])).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('npm run bench -- [options]') as unknown,
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
