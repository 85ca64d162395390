/**
 * `npm run bench`: measures every workload, writes the results as JSON, prints them as a table.
 *
 * Owns: the command line. What is measured is in `workloads/`, how in `measurement.ts`.
 */
import { existsSync, rmSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Workload } from './contract.ts';
import { describeEnvironment, REPOSITORY } from './environment.ts';
import { measure, type WorkloadResult } from './measurement.ts';
import { withTable } from './readme-section.ts';
import { FORMAT, readResults, type Results, resultsPath, writeResults } from './results-file.ts';
import { renderList, renderTable } from './table.ts';
import { WORKLOADS } from './workload-list.ts';

const HELP = `npm run bench -- [options]

  --quick         a run of under two minutes: short samples, 3 rounds, small data sets
  --only NAME     only this workload; may be given several times. Then nothing is written unless --json says where
  --json FILE     where to write the results (default: bench/results/latest.json, quick.json with --quick)
  --rounds N      samples of each contender (default 5, 3 with --quick)
  --sample-ms N   how long a sample takes (default 1000, 250 with --quick)
  --readme        put the table of bench/results/latest.json into README.md, between its markers; measures nothing
  --profile DIR   write a CPU profile of every thread of every contender to DIR; the figures are then worth less
  --list          the workloads, with their contenders (* baselines)
  --help          this

Each contender runs in a process of its own; rounds are interleaved. See bench/README.md for what is measured and what is not.
`;

const QUICK = { rounds: 3, sampleMs: 250 };
const FULL = { rounds: 5, sampleMs: 1_000 };

/** Said in plain words, without a stack. */
class UsageError extends Error {}

interface Options {
  readonly quick: boolean;
  readonly only: readonly Workload[];
  readonly json: string | undefined;
  readonly rounds: number;
  readonly sampleMs: number;
  readonly profileDir: string | undefined;
}

type Command = { readonly kind: 'help' | 'list' | 'readme' } | ({ readonly kind: 'run' } & Options);

function parse(args: readonly string[]): Command {
  const { values } = readArguments(args);
  if (values.help === true) return { kind: 'help' };
  if (values.list === true) return { kind: 'list' };
  if (values.readme === true) return { kind: 'readme' };
  const quick = values.quick === true;
  const usual = quick ? QUICK : FULL;
  const rounds = wholeNumber('--rounds', values.rounds, usual.rounds);
  const sampleMs = wholeNumber('--sample-ms', values['sample-ms'], usual.sampleMs);
  return {
    kind: 'run',
    quick,
    only: selected(values.only),
    json: jsonPath(values, quick),
    rounds,
    sampleMs,
    profileDir: values.profile,
  };
}

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string', multiple: true },
        json: { type: 'string' },
        rounds: { type: 'string' },
        'sample-ms': { type: 'string' },
        readme: { type: 'boolean' },
        profile: { type: 'string' },
        list: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, given: string | undefined, usual: number): number {
  const number = given === undefined ? usual : Number(given);
  if (!Number.isInteger(number) || number < 1)
    throw new UsageError(`${name} ${given}: not a whole number of 1 or more`);
  return number;
}

function selected(names: readonly string[] | undefined): readonly Workload[] {
  if (names === undefined) return WORKLOADS;
  return names.map((name) => {
    const found = WORKLOADS.find((workload) => workload.name === name);
    if (found === undefined) {
      throw new UsageError(`--only ${name}: no such workload (known: ${WORKLOADS.map((one) => one.name).join(', ')})`);
    }
    return found;
  });
}

function jsonPath(
  values: { only?: string[]; json?: string; profile?: string; 'sample-ms'?: string },
  quick: boolean,
): string | undefined {
  if (values.json !== undefined) return values.json;
  // A part of a run, or a disturbed one, must not pass for a whole one.
  const partial = values.only !== undefined || values.profile !== undefined || values['sample-ms'] !== undefined;
  return partial ? undefined : resultsPath(quick);
}

async function run(options: Options): Promise<void> {
  const { quick, rounds, sampleMs, profileDir } = options;
  // Not the system's temporary folder: that may be in memory, and a journal there measures nothing.
  const scratch = join(REPOSITORY, '.tmp', 'bench', String(process.pid));
  await mkdir(scratch, { recursive: true });
  process.once('SIGINT', () => {
    rmSync(scratch, { recursive: true, force: true });
    process.exit(130);
  });
  try {
    const environment = await describeEnvironment(scratch);
    if (environment.machine.disk === 'tmpfs')
      say('WARNING: the scratch folder is in memory, durable figures mean nothing');
    const workloads: WorkloadResult[] = [];
    for (const workload of options.only) {
      const startMs = performance.now();
      say(`${workload.name}: ${workload.title}`);
      workloads.push(await measure(workload, { scratch, setting: { sampleMs, quick }, rounds, profileDir, say }));
      say(`  ${((performance.now() - startMs) / 1_000).toFixed(1)} s`);
    }
    const results: Results = { format: FORMAT, ...environment, quick, rounds, sampleMs, workloads };
    if (options.json !== undefined) writeResults(options.json, results);
    process.stdout.write(`\n${renderTable(results)}\n`);
    if (options.json !== undefined) say(`\nwritten to ${options.json}`);
    if (workloads.some(({ contenders }) => contenders.some(({ failed }) => failed !== undefined))) process.exitCode = 1;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function rewriteReadme(): Promise<void> {
  const path = join(REPOSITORY, 'README.md');
  const results = resultsPath(false);
  if (!existsSync(results)) throw new UsageError(`there are no results in ${results} yet: npm run bench`);
  await writeFile(path, withTable(await readFile(path, 'utf8'), renderTable(readResults(results))));
  say('README.md has the table of bench/results/latest.json');
}

/** Progress goes to standard error, the table to standard output. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  const command = parse(process.argv.slice(2));
  switch (command.kind) {
    case 'help':
      process.stdout.write(HELP);
      break;
    case 'list':
      process.stdout.write(`${renderList(WORKLOADS)}\n`);
      break;
    case 'readme':
      await rewriteReadme();
      break;
    case 'run':
      await run(command);
      break;
  }
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`bench: ${error.message}\n\n${HELP}`);
  process.exitCode = 2;
}
