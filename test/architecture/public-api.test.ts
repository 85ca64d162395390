/**
 * The public names, held against a checked-in list, so that no name comes or goes by accident.
 * After a change on purpose: `npm run api:update`, and look at the difference.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { exportsOf } from './source-scan.ts';
import { REPOSITORY } from './source-tree.ts';

const ENTRIES: Readonly<Record<string, string>> = {
  'collaborative-blocks': 'runtime/index.ts',
  'collaborative-blocks/actors': 'actors/index.ts',
  'collaborative-blocks/supervisors': 'supervisors/index.ts',
  'collaborative-blocks/testing': 'runtime/testing/index.ts',
};

const LIST = join(REPOSITORY, 'test/architecture/public-api.txt');
const update = process.env['CB_UPDATE_PUBLIC_API'] === '1';

const entryFaults = (text: string): string[] => {
  const { names, hasStar } = exportsOf(text);
  const faults = hasStar ? ['exports by star instead of by name'] : [];
  if (names.length === 0) faults.push('exports nothing by name');
  const seen = names.map(({ name }) => name);
  return [...faults, ...seen.filter((name, index) => seen.indexOf(name) !== index).map((name) => `${name} twice`)];
};

const listNames = (entry: string, text: string): string =>
  [entry, ...exportsOf(text).names.map(({ name, kind }) => `  ${kind} ${name}`), ''].join('\n');

const readEntry = (path: string): Promise<string> => readFile(join(REPOSITORY, path), 'utf8');

test.each(Object.entries(ENTRIES))('%s lists its names one by one', async (_entry, path) => {
  expect(entryFaults(await readEntry(path))).toEqual([]);
});

test.each(Object.entries(ENTRIES))('%s has at run time the values it lists', async (_entry, path) => {
  const module = (await import(pathToFileURL(join(REPOSITORY, path)).href)) as Record<string, unknown>;
  const listed = exportsOf(await readEntry(path)).names.filter(({ kind }) => kind === 'value');
  expect(Object.keys(module).sort()).toEqual(listed.map(({ name }) => name).sort());
});

test('the public names are those of the checked-in list', async () => {
  const sections = await Promise.all(
    Object.entries(ENTRIES).map(async ([entry, path]) => listNames(entry, await readEntry(path))),
  );
  const list = sections.join('\n');
  if (update) await writeFile(LIST, list);
  expect(list, 'changed on purpose? npm run api:update').toBe(await readFile(LIST, 'utf8'));
});

test('a planted star, an empty entry and a double name are found', () => {
  expect(entryFaults("export * from './a.ts';\nexport { b } from './b.ts';")).toEqual([
    'exports by star instead of by name',
  ]);
  expect(entryFaults("import './a.ts';")).toEqual(['exports nothing by name']);
  expect(entryFaults("export { a } from './a.ts';\nexport { b as a } from './b.ts';")).toEqual(['a twice']);
});

test('every way to export a name is listed', () => {
  const text = `
    export { a, b as c, type D } from './a.ts'; // and { z }
    export type { E } from './e.ts';
    export interface F {}
    export type G = 1;
    export const h = 1;
    export abstract class I {}
    export async function j() {}
    export * as k from './k.ts';
  `;
  const { names, hasStar } = exportsOf(text);
  expect(names.map(({ name, kind }) => `${kind} ${name}`)).toEqual([
    'type D',
    'type E',
    'type F',
    'type G',
    'value I',
    'value a',
    'value c',
    'value h',
    'value j',
    'value k',
  ]);
  expect(hasStar).toBe(false);
});
