/** The house rules that a formatter cannot keep: sizes, names, heads, and who may ask the clock. */
import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { scan } from './source-scan.ts';
import { matchesPath, PRODUCT_FOLDERS, planted, readSources, type SourceFile } from './source-tree.ts';

const FOLDERS = [...PRODUCT_FOLDERS, 'bench', 'examples', 'test'];

/** 100 to 400 lines is the aim; these are the ends of patience. */
const LINES_MAX = 450;
const TEST_LINES_MAX = 700;

/** A product file longer than this opens with a block comment: what it owns, what it does not, its invariants. */
const HEADLESS_LINES_MAX = 60;

/** Names that say nothing. Neither a folder, nor a file, nor the last word of a file's name. */
const BANNED_NAMES = ['utils', 'util', 'helpers', 'common', 'types', 'manager', 'misc', 'shared', 'lib', 'core'];

const UNFINISHED = new RegExp(`\\b(?:${['TO' + 'DO', 'FIX' + 'ME', 'X'.repeat(3)].join('|')})\\b`);

/** `@ts-expect-error` is allowed: it fails when it is no longer needed. */
const SILENCED = /\/[/*]\s*@ts-(?:ignore|nocheck)/;

const KEBAB_CASE = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

/** What is not deterministic comes in through a port; only these files may reach for the real thing. */
const NONDETERMINISM_DOORS = ['runtime/kernel/clock.ts', 'runtime/kernel/random.ts'];
const NONDETERMINISM = [
  /\bDate\.now\s*\(/,
  /\bnew\s+Date\s*(?:\(\s*\)|(?=[;,)\n]))/,
  /\bMath\.random\s*\(/,
  /\bperformance\.now\s*\(/,
  /\bsetTimeout\s*\(/,
  /\bsetInterval\s*\(/,
  /\brandomUUID\s*\(/,
];

const isProduct = (path: string): boolean => PRODUCT_FOLDERS.some((folder) => path.startsWith(`${folder}/`));

const lengthFaults = ({ path, text }: SourceFile): string[] => {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  const max = path.startsWith('test/') ? TEST_LINES_MAX : LINES_MAX;
  const faults = lines > max ? [`${path} has ${lines} lines, more than ${max}`] : [];
  if (isProduct(path) && lines > HEADLESS_LINES_MAX && !/^(?:#!.*\n)?\/\*\*/.test(text))
    faults.push(`${path} has ${lines} lines and no head comment`);
  return faults;
};

const nameFaults = ({ path }: SourceFile): string[] => {
  const segments = path.split('/');
  const stem = posix.basename(path, '.ts');
  const words = [...segments.slice(0, -1), ...stem.split('.')];
  const faults = words.filter((word) => !KEBAB_CASE.test(word)).map((word) => `${path}: ${word} is not kebab-case`);
  const empty = words.filter((word) => BANNED_NAMES.some((name) => word === name || word.endsWith(`-${name}`)));
  return [...faults, ...empty.map((word) => `${path}: ${word} says nothing`)];
};

const codeFaults = ({ path, text }: SourceFile): string[] => {
  const { code } = scan(text);
  const faults: string[] = [];
  if (UNFINISHED.test(text)) faults.push(`${path} is unfinished: ${UNFINISHED.exec(text)?.[0]}`);
  if (/\bas\s+any\b/.test(code)) faults.push(`${path} casts to any`);
  if (SILENCED.test(text)) faults.push(`${path} silences the compiler`);
  if (isProduct(path) && !NONDETERMINISM_DOORS.some((door) => matchesPath(path, door))) {
    for (const [index, line] of code.split('\n').entries())
      if (NONDETERMINISM.some((pattern) => pattern.test(line)))
        faults.push(`${path}:${index + 1} is not deterministic: ${line.trim()}`);
  }
  return faults;
};

const tidyFaults = (files: readonly SourceFile[]): string[] =>
  files.flatMap((file) => [...lengthFaults(file), ...nameFaults(file), ...codeFaults(file)]);

test('the house is tidy', () => {
  const files = readSources(FOLDERS);
  expect(files.some(({ path }) => isProduct(path))).toBe(true);
  expect(tidyFaults(files)).toEqual([]);
});

const lines = (count: number, head = '/** Head. */\n'): string => head + 'a();\n'.repeat(count - 1);

test.each([
  ['a long file', 'runtime/cell/cell.ts', lines(451)],
  ['a long test', 'test/cell/cell.test.ts', lines(701)],
  ['no head', 'actors/saga/saga.ts', lines(61, 'a();\n')],
  ['a folder that says nothing', 'runtime/utils/frame.ts', ''],
  ['a file that says nothing', 'runtime/cell/types.ts', ''],
  ['a name that ends in nothing', 'runtime/cell/cell-helpers.ts', ''],
  ['a test folder that says nothing', 'test/common/clock.ts', ''],
  ['camel case', 'runtime/cell/mailBox.ts', ''],
  ['unfinished', 'bench/run.ts', `// ${'TO' + 'DO'}: later`],
  ['a cast', 'test/cell/cell.test.ts', 'const a = b as any;'],
  ['silence', 'runtime/cell/cell.ts', '// @ts' + '-ignore'],
  ['the clock', 'runtime/cell/cell.ts', 'const at = Date.now();'],
  ['the clock, again', 'runtime/cell/cell.ts', 'const at = new Date();'],
  ['the clock, in a template', 'runtime/cell/cell.ts', 'const at = `at ${performance.now()}`;'],
  ['chance', 'supervisors/backoff.ts', 'const delay = Math.random() * 3;'],
  ['a timer', 'runtime/host/host.ts', 'globalThis.setTimeout(() => {}, 3);'],
])('a planted fault is found: %s', (_what, path, text) => {
  expect(tidyFaults(planted({ [path]: text }))).toHaveLength(1);
});

test.each([
  ['a file of 450 lines', 'runtime/cell/cell.ts', lines(450)],
  ['a short file without a head', 'runtime/cell/cell.ts', lines(60, 'a();\n')],
  ['the clock itself', 'runtime/kernel/clock.ts', 'export const now = () => Date.now();'],
  ['the clock in a test', 'test/cell/cell.test.ts', 'const at = Date.now();'],
  ['the clock in words', 'runtime/cell/cell.ts', "// Date.now()\nconst a = 'Date.now()'; const b = new Date(3);"],
  ['words that only look alike', 'runtime/cell/types-of-cell.ts', "const a = 'b as any'; // as any"],
])('a tidy file passes: %s', (_what, path, text) => {
  expect(tidyFaults(planted({ [path]: text }))).toEqual([]);
});
