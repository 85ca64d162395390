/**
 * `npm run bench`: measures every workload, writes the results as JSON, prints them as a table.
 *
 * Owns: doing what the command line asks for, and the scratch folder. What is measured is in `workloads/`, how in `measurement.ts`.
 */
import { existsSync, rmSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { compareCheckouts, type Difference } from './against.ts';
import { type Command, HELP, parseCommand, UsageError } from './command-line.ts';
import { copyCheckout } from './checkout.ts';
import { describeEnvironment, REPOSITORY } from './environment.ts';
import { measure, type WorkloadResult } from './measurement.ts';
import { installPeers } from './peers/packages.ts';
import { drawAll } from './plots/plots.ts';
import { renderSection, withSection } from './readme-section.ts';
import { renderReach } from './reach.ts';
import { FORMAT, readResults, type Results, resultsPath, writeResults } from './results-file.ts';
import { renderDifferences, renderList, renderTable } from './table.ts';
import { ALL } from './workload-list.ts';

type Run<Kind> = Extract<Command, { readonly kind: Kind }>;

async function run({ json, part, profileDir, quick, rounds, sampleMs, ...options }: Run<'run'>): Promise<void> {
  if (part === 'peers') await installPeers(say);
  await inScratch(async (scratch) => {
    const environment = await describeEnvironment(scratch);
    if (environment.machine.disk === 'tmpfs')
      say('WARNING: the scratch folder is in memory, durable figures mean nothing');
    const workloads: WorkloadResult[] = [];
    for (const workload of options.workloads) {
      const startMs = performance.now();
      say(`${workload.name}: ${workload.title}`);
      workloads.push(await measure(workload, { scratch, setting: { sampleMs, quick }, rounds, profileDir, say }));
      say(`  ${((performance.now() - startMs) / 1_000).toFixed(1)} s`);
    }
    const results: Results = { format: FORMAT, ...environment, quick, rounds, sampleMs, workloads };
    if (json !== undefined) writeResults(json, results);
    process.stdout.write(`\n${renderTable(results)}\n`);
    if (part === 'main') process.stdout.write(`\n${renderReach(results)}\n`);
    if (json !== undefined) say(`\nwritten to ${json}`);
    // That another product cannot be measured is in the result; that ours cannot is a fault.
    const faults = workloads.flatMap(({ contenders }) => contenders.filter(({ failed }) => failed !== undefined));
    if (faults.some(({ kind }) => kind === 'ours')) process.exitCode = 1;
  });
}

async function against(command: Run<'against'>): Promise<void> {
  const { profileDir, quick, rounds: starts, sampleMs } = command;
  await inScratch(async (scratch) => {
    const ours = { ...(await copyCheckout(REPOSITORY, join(scratch, 'ours'))), name: 'this checkout' };
    const theirs = await copyCheckout(command.against, join(scratch, 'theirs'));
    const differences: Difference[] = [];
    for (const workload of command.workloads) {
      say(`${workload.name}: ${workload.title}`);
      const options = { scratch, setting: { sampleMs, quick }, profileDir, starts, ours, theirs, say };
      differences.push(...(await compareCheckouts(workload, options)));
    }
    const load = loadavg().map((value) => value.toFixed(1));
    process.stdout.write(`\n${renderDifferences(differences, theirs.name)}\n\nLoad now: ${load.join(', ')}.\n`);
  });
}

/** Not the system's temporary folder: that may be in memory, and a journal there measures nothing. */
async function inScratch(work: (scratch: string) => Promise<void>): Promise<void> {
  const scratch = join(REPOSITORY, '.tmp', 'bench', String(process.pid));
  await mkdir(scratch, { recursive: true });
  process.once('SIGINT', () => {
    rmSync(scratch, { recursive: true, force: true });
    process.exit(130);
  });
  try {
    await work(scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

async function rewriteReadme(): Promise<void> {
  const path = join(REPOSITORY, 'README.md');
  const results = resultsPath('main', false);
  if (!existsSync(results)) throw new UsageError(`there are no results in ${results} yet: npm run bench`);
  const peers = resultsPath('peers', false);
  const section = renderSection({
    main: readResults(results),
    peers: existsSync(peers) ? readResults(peers) : undefined,
    plots: drawAll(false),
  });
  await writeFile(path, withSection(await readFile(path, 'utf8'), section));
  say('README.md has the tables and plots of bench/results');
}

/** Progress goes to standard error, the table to standard output. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  const command = parseCommand(process.argv.slice(2));
  switch (command.kind) {
    case 'help':
      process.stdout.write(HELP);
      break;
    case 'list':
      process.stdout.write(`${renderList(ALL)}\n`);
      break;
    case 'readme':
      await rewriteReadme();
      break;
    case 'run':
      await run(command);
      break;
    case 'against':
      await against(command);
      break;
  }
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`bench: ${error.message}\n\n${HELP}`);
  process.exitCode = 2;
}
