/** Who may import whom, proved from the imports. The table is the architecture; change it only with a decision record. */
import { expect, test } from 'vitest';
import { importsOf } from './source-scan.ts';
import { matchesPath, PRODUCT_FOLDERS, planted, readSources, resolveRelative, type SourceFile } from './source-tree.ts';

const BELOW_JOURNAL = ['kernel', 'wire', 'telemetry'] as const;
const BELOW_CELL = [...BELOW_JOURNAL, 'journal', 'transport'] as const;
const BELOW_SYSTEM = [...BELOW_CELL, 'cell', 'host'] as const;
const BELOW_BROKER = [...BELOW_SYSTEM, 'system'] as const;
const ALL_LAYERS = [...BELOW_BROKER, 'broker', 'streams'] as const;

/** A folder of runtime/ may import itself and these. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  wire: ['kernel'],
  telemetry: ['kernel'],
  journal: BELOW_JOURNAL,
  transport: BELOW_JOURNAL,
  cell: BELOW_CELL,
  host: [...BELOW_CELL, 'cell'],
  system: BELOW_SYSTEM,
  broker: BELOW_BROKER,
  streams: BELOW_BROKER,
  doctor: [...BELOW_CELL, 'cell'],
  cli: [...BELOW_CELL, 'cell', 'doctor'],
  testing: [...ALL_LAYERS, 'doctor'],
  'index.ts': [...ALL_LAYERS, 'doctor'],
};

/** supervisors/ and actors/ plug in here, and nowhere else. */
const OPEN_TO_PLUGINS = [
  'runtime/kernel/**',
  'runtime/broker/*contract.ts',
  'runtime/broker/contract/**',
  // Messages as CloudEvents: what connectors speak over HTTP.
  'runtime/broker/cloud-event*.ts',
  // Spans and metrics of what a plug-in does.
  'runtime/telemetry/**',
  'runtime/streams/*contract.ts',
  'runtime/streams/contract/**',
];

/** The package's entry puts runtime and plug-ins together (decision 0001): the one file that knows both. */
const COMPOSITION_ROOT = 'runtime/index.ts';
const COMPOSED = ['actors/index.ts'];

/** Entry points are for users: no file of the product imports them. */
const ENTRY_POINTS = ['runtime/index.ts', 'runtime/testing/index.ts', 'actors/index.ts', 'supervisors/index.ts'];

const layerOf = (path: string): string => path.split('/')[1] ?? '';
const pluginOf = (path: string): string | undefined =>
  ['actors', 'supervisors'].find((plugin) => path.startsWith(`${plugin}/`));

const mayImport = (from: string, to: string): boolean => {
  if (from === COMPOSITION_ROOT && COMPOSED.includes(to)) return true;
  if (ENTRY_POINTS.includes(to)) return false;
  const plugin = pluginOf(from);
  if (plugin !== undefined) return pluginOf(to) === plugin || OPEN_TO_PLUGINS.some((open) => matchesPath(to, open));
  if (!to.startsWith('runtime/')) return false;
  const layer = layerOf(from);
  return layerOf(to) === layer || (LAYERS[layer]?.includes(layerOf(to)) ?? false);
};

const layeringFaults = (files: readonly SourceFile[]): string[] =>
  files.flatMap(({ path, text }) => {
    if (path.startsWith('runtime/') && LAYERS[layerOf(path)] === undefined) return [`${path} belongs to no layer`];
    return importsOf(text).flatMap(({ specifier, line }) => {
      if (specifier === 'collaborative-blocks' || specifier.startsWith('collaborative-blocks/'))
        return [`${path}:${line} imports the package by its own name`];
      const target = resolveRelative(path, specifier);
      if (target === undefined || mayImport(path, target)) return [];
      return [`${path}:${line} may not import ${target}`];
    });
  });

/** Groups of files that need each other while loading: strongly connected components of the value imports (Tarjan). */
const importCycles = (files: readonly SourceFile[]): string[][] => {
  const known = new Set(files.map(({ path }) => path));
  const edges = new Map(
    files.map(({ path, text }) => [
      path,
      importsOf(text)
        .filter(({ kind }) => kind === 'value')
        .map(({ specifier }) => resolveRelative(path, specifier))
        .filter((target) => target !== undefined && known.has(target)) as string[],
    ]),
  );
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const open: string[] = [];
  const cycles: string[][] = [];
  const visit = (node: string): void => {
    order.set(node, order.size);
    low.set(node, order.get(node) as number);
    open.push(node);
    for (const next of edges.get(node) ?? []) {
      if (!order.has(next)) visit(next);
      if (open.includes(next)) low.set(node, Math.min(low.get(node) as number, low.get(next) as number));
    }
    if (low.get(node) !== order.get(node)) return;
    const group = open.splice(open.indexOf(node));
    if (group.length > 1 || edges.get(node)?.includes(node)) cycles.push(group.sort());
  };
  for (const { path } of files) if (!order.has(path)) visit(path);
  return cycles;
};

const product = readSources(PRODUCT_FOLDERS);

test('there are sources to judge', () => {
  expect(product.length).toBeGreaterThan(0);
});

test('imports go one way', () => {
  expect(layeringFaults(product)).toEqual([]);
});

test('no files need each other while loading', () => {
  expect(importCycles(product)).toEqual([]);
});

test.each([
  ['up the layers', 'runtime/wire/frame.ts', "import { a } from '../journal/store.ts';"],
  ['even as a type', 'runtime/kernel/clock.ts', "import type { A } from '../wire/frame.ts';"],
  ['between neighbours', 'runtime/journal/store.ts', "export { a } from '../transport/link.ts';"],
  ['wire to telemetry', 'runtime/wire/frame.ts', "import '../telemetry/spans.ts';"],
  ['lazily', 'runtime/cell/cell.ts', "const a = await import('../host/host.ts');"],
  ['runtime to a plug-in', 'runtime/system/ref.ts', "import { a } from '../../supervisors/supervisor.ts';"],
  ['a plug-in to the inside', 'actors/saga/saga.ts', "import { a } from '../../runtime/cell/cell.ts';"],
  ['a plug-in to another', 'actors/saga/saga.ts', "import { a } from '../../supervisors/child-spec.ts';"],
  ['a plug-in to an adapter', 'actors/sync/sync.ts', "import { a } from '../../runtime/broker/adapters/redis.ts';"],
  ['an entry point', 'runtime/testing/probe.ts', "import { a } from '../index.ts';"],
  ['the package itself', 'actors/saga/saga.ts', "import { a } from 'collaborative-blocks';"],
  ['out of the product', 'runtime/cell/cell.ts', "import { a } from '../../test/support/tmp-dir.ts';"],
  ['from a folder without a layer', 'runtime/extras/thing.ts', ''],
])('a planted import is found: %s', (_what, path, text) => {
  expect(layeringFaults(planted({ [path]: `\n/** head */\n${text}\n` }))).toHaveLength(1);
});

test.each([
  ['down the layers', 'runtime/cell/cell.ts', "import { a } from '../journal/store.ts';"],
  ['within a folder', 'runtime/broker/broker.ts', "import { a } from './adapters/redis.ts';"],
  ['to the kernel', 'supervisors/healing/probe.ts', "import { a } from '../../runtime/kernel/clock.ts';"],
  ['to a contract', 'actors/sync/sync.ts', "import type { A } from '../../runtime/broker/broker-contract.ts';"],
  ['in a comment', 'runtime/kernel/clock.ts', "// import { a } from '../cell/cell.ts'\n/* import '../cell/cell.ts' */"],
  ['in a string', 'runtime/kernel/clock.ts', 'const a = "import \'../cell/cell.ts\'" + `import "../cell/cell.ts"`;'],
])('a lawful import passes: %s', (_what, path, text) => {
  expect(layeringFaults(planted({ [path]: text }))).toEqual([]);
});

test('a planted cycle is found, and a cycle of types is none', () => {
  const cycle = (keyword: string): SourceFile[] =>
    planted({
      'runtime/kernel/a.ts': "import { b } from './b.ts';",
      'runtime/kernel/b.ts': "import {\n  c, // the third\n} from './c.ts';",
      'runtime/kernel/c.ts': `${keyword} { a } from './a.ts';`,
      'runtime/kernel/d.ts': "import { a } from './a.ts';",
    });
  expect(importCycles(cycle('import'))).toEqual([
    ['runtime/kernel/a.ts', 'runtime/kernel/b.ts', 'runtime/kernel/c.ts'],
  ]);
  expect(importCycles(cycle('export'))).toHaveLength(1);
  expect(importCycles(cycle('import type'))).toEqual([]);
});
