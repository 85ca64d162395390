/**
 * `node bench/plots/plots.ts`: draws every plot from the results in bench/results, as SVG beside them.
 *
 * Owns: which results become which files, and their captions. `npm run bench -- --readme` does it too.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { hasAxis } from '../growth-table.ts';
import { readResults, type Results, resultsPath } from '../results-file.ts';
import { barPlot } from './bar-plot.ts';
import { linePlot } from './line-plot.ts';

export interface Plot {
  /** File name. */
  readonly file: string;
  /** For readers who cannot see it. */
  readonly title: string;
  readonly svg: string;
}

/** A plot for each workload with an axis of which at least one series could be measured. */
export function growthPlots(results: Results, source: string): Plot[] {
  const caption = captionOf(results, source);
  return results.workloads
    .filter(hasAxis)
    .filter(({ contenders }) => contenders.some(({ figures }) => Object.keys(figures).length > 0))
    .map((workload) => ({
      file: `${workload.name}.svg`,
      title: workload.title,
      svg: linePlot(workload, caption),
    }));
}

export function peersPlot(results: Results, source: string): Plot {
  const title = 'Beside what one would otherwise pick';
  const svg = barPlot({ title, workloads: results.workloads, caption: captionOf(results, source) });
  return { file: 'peers.svg', title, svg };
}

function captionOf({ commit, date, machine, quick, rounds, versions }: Results, source: string): string[] {
  return [
    ...(quick ? ['A quick run: for a look, not for quoting.'] : []),
    `${source}, ${date.slice(0, 10)}, commit ${commit}, ${rounds} rounds, load before ${machine.loadBefore}.`,
    `${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, ${machine.disk}, Node ${versions['node'] ?? '?'}.`,
  ];
}

/** Draws what there are results for; returns the plots, peers first. */
export function drawAll(quick: boolean): Plot[] {
  const plots: Plot[] = [];
  for (const part of ['peers', 'growth'] as const) {
    const path = resultsPath(part, quick);
    if (!existsSync(path)) continue;
    const results = readResults(path);
    const source = `bench/results/${basename(path)}`;
    plots.push(...(part === 'peers' ? [peersPlot(results, source)] : growthPlots(results, source)));
  }
  for (const { file, svg } of plots) writeFileSync(join(dirname(resultsPath('main', false)), file), svg);
  return plots;
}

if (import.meta.main) {
  for (const { file } of drawAll(process.argv.includes('--quick'))) process.stdout.write(`bench/results/${file}\n`);
}
