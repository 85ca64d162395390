/**
 * One run of everything, two groups one after the other. Forked processes, because the tests open native databases and start threads
 * of their own.
 *
 * `proofs` and `tests` run beside each other, a file a core, the proofs first: they are the longest, and many small files behind them
 * keep both cores busy to the end. `alone` is what a neighbour would change: overload's memory has the seconds of the run to settle
 * in, not the work done, and with a third of the machine a run of 30 s has not settled.
 *
 * With CI set, the results are also written as JSON, which `.ci/summary.ts` counts.
 */
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const onCi = process.env['CI'] !== undefined && process.env['CI'] !== '';
const ALONE = 'test/proof/overload.test.ts';
const PROOFS = 'test/proof/*.test.ts';

// For the processes and threads that tests start: to compile the runtime is more than half of what it takes to start a system.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '.tmp', 'compile-cache');

export default defineConfig({
  test: {
    pool: 'forks',
    // Unless told, vitest leaves one core to itself: of two, that is half.
    maxWorkers: '100%',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: onCi ? ['default', 'json'] : ['default'],
    outputFile: { json: '.tmp/test-results.json' },
    projects: [
      { extends: true, test: { name: 'proofs', include: [PROOFS], exclude: [ALONE] } },
      { extends: true, test: { name: 'tests', include: ['test/**/*.test.ts'], exclude: [PROOFS] } },
      {
        extends: true,
        test: { name: 'alone', include: [ALONE], fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
