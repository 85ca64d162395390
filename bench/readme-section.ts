/**
 * The bench section of README.md: everything between two markers is written by this.
 *
 * Owns: the markers and what is between them: goals and tables, the plots, the peers' table. Touches nothing else.
 */
import type { Plot } from './plots/plots.ts';
import type { Results } from './results-file.ts';
import { renderReach } from './reach.ts';
import { renderTable } from './table.ts';

const START = '<!-- bench:start -->';
const END = '<!-- bench:end -->';

export interface SectionParts {
  /** Of `npm run bench`. */
  readonly main: Results;
  /** Of `npm run bench -- --peers`, where it was run. */
  readonly peers: Results | undefined;
  readonly plots: readonly Plot[];
}

/** The section as markdown. */
export function renderSection({ main, peers, plots }: SectionParts): string {
  const images = plots.map(({ file, title }) => `![${title}](bench/results/${file})`);
  return [
    '## How fast',
    '',
    'Written by `npm run bench -- --readme` from the results in [bench/results](bench/results); [bench/README.md](bench/README.md) says how ' +
      'each figure is taken and what is not measured. Run it yourself: `npm run bench`.',
    '',
    ...(peers === undefined
      ? []
      : [
          '### Beside other products',
          '',
          ...images.slice(0, 1),
          '',
          ...folded('The same as a table', renderTable(peers)),
        ]),
    '### Beside the bare work',
    '',
    'What this library set out to reach on two cores, and what it reaches: figures, or ratios to the baseline named (above 1, ours is the ' +
      'better one). Where the rest of the time goes is in [bench/README.md](bench/README.md).',
    '',
    renderReach(main),
    '',
    ...folded('All workloads, with their baselines, smallest and largest runs', renderTable(main)),
    ...growthOf(peers === undefined ? images : images.slice(1)),
  ]
    .join('\n')
    .trimEnd();
}

function growthOf(images: readonly string[]): string[] {
  return images.length === 0 ? [] : ['### How cost grows', '', ...images.flatMap((image) => [image, ''])];
}

function folded(summary: string, body: string): string[] {
  return ['<details>', `<summary>${summary}</summary>`, '', body, '', '</details>', ''];
}

/** `readme` with `section` between its markers; throws when it has none. */
export function withSection(readme: string, section: string): string {
  const start = readme.indexOf(START);
  const end = readme.indexOf(END);
  if (start === -1 || end === -1 || end < start) {
    throw new Error(`README.md has no place for the results: put ${START} and ${END} on lines of their own`);
  }
  return `${readme.slice(0, start + START.length)}\n\n${section}\n\n${readme.slice(end)}`;
}
