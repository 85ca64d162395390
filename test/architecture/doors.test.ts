/** One door per package: each package from outside is imported from the files named here, and from nowhere else. */
import { builtinModules } from 'node:module';
import { expect, test } from 'vitest';
import { importsOf } from './source-scan.ts';
import { matchesPath, PRODUCT_FOLDERS, planted, readSources, resolveRelative, type SourceFile } from './source-tree.ts';

const DOORS: Readonly<Record<string, readonly string[]>> = {
  lmdb: ['runtime/journal/lmdb-*.ts'],
  msgpackr: ['runtime/wire/**'],
  comlink: ['runtime/host/control-*.ts', 'runtime/host/comlink-*.d.ts'],
  piscina: ['runtime/host/cpu-pool.ts'],
  // The driver, and the charts of the actors that this library brings.
  xstate: ['actors/machine/**', 'actors/*/*-machine.ts'],
  '@marcbachmann/cel-js': ['actors/saga/expression-engine.ts'],
  yaml: ['actors/saga/workflow-text.ts'],
  '@opentelemetry/api': ['runtime/telemetry/**'],
  ajv: ['runtime/broker/contracts/ajv-door.ts'],
  'ajv-formats': ['runtime/broker/contracts/ajv-door.ts'],
  croner: ['runtime/broker/schedule.ts'],
  // Optional peers of the adapters.
  '@redis/client': ['runtime/broker/adapters/**'],
  redis: ['runtime/broker/adapters/**'],
  ioredis: ['runtime/broker/adapters/**'],
  '@nats-io/transport-node': ['runtime/broker/adapters/**'],
  '@nats-io/jetstream': ['runtime/broker/adapters/**'],
  '@nats-io/kv': ['runtime/broker/adapters/**'],
  pg: ['runtime/streams/adapters/**'],
  '@modelcontextprotocol/client': ['actors/mcp/**'],
  '@modelcontextprotocol/server': ['actors/mcp/**'],
};

/** Built-in modules with a door; the others are free. */
const BUILT_IN_DOORS: Readonly<Record<string, readonly string[]>> = {
  'node:worker_threads': [
    'runtime/system/thread-topology.ts',
    'runtime/system/host-thread.ts',
    'runtime/host/host-entry.ts',
    'runtime/host/control-plane.ts',
    'runtime/host/comlink-*.d.ts',
    'runtime/host/cpu-*.ts',
    'runtime/journal/journal-entry.ts',
    'runtime/journal/journal-thread.ts',
    'runtime/journal/journal-messages.ts',
    'runtime/transport/port-*.ts',
  ],
};

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

const doorFaults = (files: readonly SourceFile[]): string[] =>
  files.flatMap(({ path, text }) =>
    importsOf(text).flatMap(({ specifier, line }) => {
      if (resolveRelative(path, specifier) !== undefined || specifier.startsWith('collaborative-blocks')) return [];
      if (builtinModules.includes(specifier)) return [`${path}:${line} must write node:${specifier}`];
      const builtIn = specifier.startsWith('node:');
      const doors = builtIn ? (BUILT_IN_DOORS[specifier] ?? ['**']) : DOORS[packageOf(specifier)];
      if (doors === undefined) return [`${path}:${line} imports ${specifier}, which has no door`];
      return doors.some((door) => matchesPath(path, door)) ? [] : [`${path}:${line} is no door to ${specifier}`];
    }),
  );

test('every package is imported through its door', () => {
  const product = readSources(PRODUCT_FOLDERS);
  expect(product.length).toBeGreaterThan(0);
  expect(doorFaults(product)).toEqual([]);
});

test.each([
  ['a package past its door', 'runtime/cell/cell.ts', "import { open } from 'lmdb';"],
  ['in the right folder, in the wrong file', 'runtime/journal/store.ts', "import { open } from 'lmdb';"],
  ['by a deep path', 'runtime/system/ref.ts', "import n from 'comlink/dist/esm/node-adapter.mjs';"],
  ['even as a type', 'runtime/kernel/behavior.ts', "import type { AnyActorLogic } from 'xstate';"],
  ['a scoped package', 'runtime/cell/cell.ts', "import { trace } from '@opentelemetry/api';"],
  ['lazily', 'runtime/broker/broker.ts', "const redis = await import('@redis/client');"],
  ['a package without a door', 'runtime/wire/frame.ts', "import leftPad from 'left-pad';"],
  ['threads', 'runtime/cell/cell.ts', "import { Worker } from 'node:worker_threads';"],
  ['a built-in by its bare name', 'runtime/cell/cell.ts', "import { join } from 'path';"],
])('a planted import is found: %s', (_what, path, text) => {
  expect(doorFaults(planted({ [path]: text }))).toHaveLength(1);
});

test('lawful imports pass', () => {
  const files = planted({
    'runtime/journal/lmdb-store.ts': "import { open } from 'lmdb';",
    'runtime/transport/port-link.ts': "import { MessageChannel } from 'node:worker_threads';",
    'actors/machine/machine-behavior.ts': "import { setup } from 'xstate';\nexport { x } from 'xstate/actors';",
    'runtime/kernel/random.ts': "import { randomBytes } from 'node:crypto';",
  });
  expect(doorFaults(files)).toEqual([]);
});
