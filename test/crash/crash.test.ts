/**
 * A real process, killed with SIGKILL under load and recovered, again and again, on one data folder.
 *
 *     CRASH_SEED=123 vitest run test/crash      the same kills again, as far as a machine can
 *     CRASH_RUNS=1000 vitest run test/crash     as many; the figures go to test/crash/results/
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type Random, seededRandom } from '../../runtime/kernel/random.ts';
import type { SystemOptions } from '../../runtime/system/options.ts';
import { tmpDir } from '../support/tmp-dir.ts';
import type { ProcessOrder } from './process.ts';
import { Claims, type World } from './world.ts';

const KILLS = Number(process.env['CRASH_RUNS'] ?? 50);
const SEED = Number(process.env['CRASH_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const LEDGERS = 10;
const VAULTS = 4;
/** Of a kill, after the process has found its world. */
const LATEST_KILL_MS = 600;
const PROCESS = fileURLToPath(new URL('./process.ts', import.meta.url));
const A_KILL_TAKES_AT_MOST_MS = 30_000;

interface Round {
  readonly options: SystemOptions;
  /** From the start of the process to its first finding; undefined when it was killed before. */
  readonly recoveryMs: number | undefined;
}

const pick = <T>(random: Random, values: readonly [T, ...T[]]): T =>
  values[Math.floor(random.next() * values.length)] ?? values[0];

/** Runs the process until it ends; `kill` gets a function that kills it, at the start and when it has found its world. */
const run = async (
  order: ProcessOrder,
  claims: Claims,
  kill: (moment: 'started' | 'found', now: () => void) => void,
): Promise<{ recoveryMs: number | undefined; final: World | undefined }> => {
  const child = spawn(process.execPath, [PROCESS, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const startMs = performance.now();
  let recoveryMs: number | undefined;
  let final: World | undefined;
  let complaints = '';
  child.stderr.on('data', (text) => (complaints += String(text)));
  kill('started', () => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const at = line.indexOf(' ');
    const word = line.slice(0, at);
    let value: unknown;
    try {
      value = JSON.parse(line.slice(at + 1));
    } catch {
      // The last line of a killed process.
      return;
    }
    claims.hear(word, value);
    if (word === 'FOUND') {
      recoveryMs = performance.now() - startMs;
      claims.found(value as World);
      kill('found', () => child.kill('SIGKILL'));
    }
    if (word === 'FINAL') final = value as World;
  });
  const linesEnd = new Promise((resolve) => lines.once('close', resolve));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.once('close', (exitCode, exitSignal) => resolve([exitCode, exitSignal]));
  });
  await linesEnd;
  if (signal !== 'SIGKILL' && code !== 0) claims.faults.push(`the process ended with ${code ?? signal}: ${complaints}`);
  return { recoveryMs, final };
};

test(
  `killed ${KILLS} times under load, nothing is lost and nothing done twice (CRASH_SEED=${SEED})`,
  async () => {
    await using folder = await tmpDir('crash');
    const random = seededRandom(SEED, 1);
    const claims = new Claims(LEDGERS, VAULTS);
    const sink = folder.at('sink');
    const rounds: Round[] = [];
    const common = { sink, ledgers: LEDGERS, vaults: VAULTS };
    const dataDir = folder.at('data');
    for (let i = 0; i < KILLS; i++) {
      const options: SystemOptions & { dataDir: string } = {
        dataDir,
        threads: pick(random, [2, 2, 1, 0, 3]),
        sync: pick(random, ['group', 'group', 'relaxed']),
        retention: pick(random, ['keep', 'trim']),
        checkpointEveryTurns: pick(random, [500, 5_000, 500_000]),
      };
      // One in five dies while it is recovering.
      const early = random.next() < 0.2;
      const killMs = random.next() * LATEST_KILL_MS;
      const { recoveryMs } = await run({ ...common, options, settle: false }, claims, (moment, now) => {
        if ((moment === 'started') === early) setTimeout(now, early ? killMs * 2 : killMs);
      });
      rounds.push({ options: { ...options, dataDir: '' }, recoveryMs });
      expect(claims.faults, `after kill ${i + 1}, ${JSON.stringify(options)}, CRASH_SEED=${SEED}`).toEqual([]);
    }
    const { final } = await run({ ...common, options: { dataDir, threads: 2 }, settle: true }, claims, () => {});
    if (final === undefined) claims.faults.push('the last process did not come to its end');
    else claims.final(final, readFileSync(sink, 'utf8'));
    expect(claims.faults, `in the end, CRASH_SEED=${SEED}`).toEqual([]);
    expect(claims.acknowledged).toBeGreaterThan(KILLS * 10);
    if (process.env['CRASH_RUNS'] !== undefined) report(rounds, claims, final, statSync(`${dataDir}/data.mdb`).size);
  },
  (KILLS + 1) * A_KILL_TAKES_AT_MOST_MS,
);

const report = (rounds: readonly Round[], claims: Claims, final: World | undefined, fileBytes: number): void => {
  const recoveries = rounds
    .flatMap(({ recoveryMs }) => (recoveryMs === undefined ? [] : [recoveryMs]))
    .sort((a, b) => a - b);
  const at = (part: number): number => Math.round(recoveries[Math.floor(recoveries.length * part)] ?? 0);
  const sum = (of: (vault: World['vaults'][number]) => number): number =>
    (final?.vaults ?? []).reduce((total, vault) => total + of(vault), 0);
  const folder = new URL('./results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const results = {
    time: new Date().toISOString(),
    node: process.version,
    seed: SEED,
    kills: rounds.length,
    killedWhileRecovering: rounds.filter(({ recoveryMs }) => recoveryMs === undefined).length,
    acknowledged: claims.acknowledged,
    repliesRepeated: claims.repliesRepeated,
    timersFired: sum(({ timers }) => timers.fired),
    effects: sum(({ moves, copies }) => moves.started + copies.started),
    unknownOutcomes: sum(({ moves }) => moves.unknown.length),
    recoveryMs: { p50: at(0.5), p90: at(0.9), p99: at(0.99) },
    fileBytes,
    faults: claims.faults,
  };
  writeFileSync(new URL(`crash-${rounds.length}.json`, folder), `${JSON.stringify(results, undefined, 2)}\n`);
};
