/**
 * Two projects: `tests` (`npm test`) and `proofs` (`npm run test:proofs`), a file a core. Forked processes, because both open native
 * databases and start threads of their own.
 *
 * Owns: the order of the proofs. Each keeps two processes busy, but those that kill mostly wait for what they have killed to start
 * again: these go first, one of them beside one that computes, so that both cores are busy to the end.
 *
 * With CI set, the results are also written as JSON, which `.ci/summary.ts` counts.
 */
import { basename, join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const onCi = process.env['CI'] !== undefined && process.env['CI'] !== '';
const PROOFS = 'test/proof/*.test.ts';
const ORDER = ['sigkill', 'power-cuts', 'simulation', 'thread-deaths', 'hostile-frames', 'damage', 'machine-faults'];

class LongProofsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = ORDER.indexOf(basename(moduleId, '.test.ts'));
      return at === -1 ? ORDER.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

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
    sequence: { sequencer: LongProofsFirst },
    projects: [
      { extends: true, test: { name: 'proofs', include: [PROOFS] } },
      { extends: true, test: { name: 'tests', include: ['test/**/*.test.ts'], exclude: [PROOFS] } },
    ],
  },
});
