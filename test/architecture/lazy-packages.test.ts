/**
 * What importing the library does not load. Every host's thread imports the modules of its actors, and those import the library: a
 * package with native code that is ended while it loads takes the process with it, and one that most systems never need costs each
 * host's start.
 */
import { expect, test } from 'vitest';
import { importsOf } from './source-scan.ts';
import { PRODUCT_FOLDERS, planted, readSources, resolveRelative, type SourceFile } from './source-tree.ts';

/** Whatever a host's thread begins with, or a module of an actor may import. */
const ENTRIES = [
  'runtime/host/host-entry.ts',
  'runtime/index.ts',
  'runtime/testing/index.ts',
  'actors/index.ts',
  'supervisors/index.ts',
];
/** LMDB aborts the process when its thread is ended meanwhile; the others are for those who use them. */
const LAZY = [
  'lmdb',
  'ajv',
  'ajv-formats',
  'redis',
  '@redis/client',
  'ioredis',
  '@nats-io/transport-node',
  'pg',
  'yaml',
];

/** The ways from `entry`, by imports that are followed at once, to packages of the list. */
const loadedAtOnce = (entry: string, files: readonly SourceFile[]): string[] => {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const ways = new Map([[entry, entry]]);
  const found: string[] = [];
  for (const [path, way] of ways) {
    for (const { specifier, kind } of importsOf(byPath.get(path)?.text ?? '')) {
      if (kind !== 'value') continue;
      if (LAZY.includes(specifier)) found.push(`${way} > ${specifier}`);
      const next = resolveRelative(path, specifier);
      if (next !== undefined && !ways.has(next)) ways.set(next, `${way} > ${next}`);
    }
  }
  return found;
};

test.each(ENTRIES)('%s loads no package that has to wait until it is wanted', (entry) => {
  const product = readSources(PRODUCT_FOLDERS);
  expect(product.map(({ path }) => path)).toContain(entry);
  expect(loadedAtOnce(entry, product)).toEqual([]);
});

test('a planted way is found, a lazy one and a type pass', () => {
  const files = planted({
    'runtime/index.ts': "export { a } from './doctor/a.ts';\nexport type { T } from './doctor/t.ts';",
    'runtime/doctor/a.ts': "import { open } from '../journal/lmdb-store.ts';\nconst b = await import('./b.ts');",
    'runtime/doctor/b.ts': "import { open } from 'lmdb';",
    'runtime/doctor/t.ts': "import { open } from 'lmdb';",
    'runtime/journal/lmdb-store.ts': "import { open } from 'lmdb';",
  });
  expect(loadedAtOnce('runtime/index.ts', files)).toEqual([
    'runtime/index.ts > runtime/doctor/a.ts > runtime/journal/lmdb-store.ts > lmdb',
  ]);
});
