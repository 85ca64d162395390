/**
 * One run of everything. Forked processes, because the tests open native databases and start threads of their own.
 * With CI set, the results are also written as JSON, which `.ci/summary.ts` counts.
 */
import { defineConfig } from 'vitest/config';

const onCi = process.env['CI'] !== undefined && process.env['CI'] !== '';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: onCi ? ['default', 'json'] : ['default'],
    outputFile: { json: '.tmp/test-results.json' },
  },
});
