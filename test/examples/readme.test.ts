/**
 * README's code is run, not believed. A block that opens with
 *
 *     ```ts file=quick-start.ts run
 *
 * is written to a scratch project in which `collaborative-blocks` is the built package. All files are type checked; those
 * marked `run` must end with exit code 0, and print what the next block says, if that one opens with
 *
 *     ```text output
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TmpDir, tmpDir } from '../support/tmp-dir.ts';

const run = promisify(execFile);

interface Block {
  readonly language: string;
  readonly words: readonly string[];
  readonly text: string;
}

interface ReadmeFile {
  readonly name: string;
  readonly text: string;
  readonly runs: boolean;
  readonly output: string | undefined;
}

const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const RUN_TIMEOUT_MS = 60_000;

const blocksOf = (markdown: string): Block[] =>
  [...markdown.matchAll(/^(`{3,})(\w*)[ \t]*([^\n`]*)\n([\s\S]*?)^\1[ \t]*$/gm)].map((match) => ({
    language: match[2] ?? '',
    words: (match[3] ?? '').split(/\s+/).filter((word) => word !== ''),
    text: match[4] ?? '',
  }));

const filesOf = (markdown: string): ReadmeFile[] => {
  const blocks = blocksOf(markdown);
  return blocks.flatMap((block, index) => {
    const name = block.words.find((word) => word.startsWith('file='))?.slice('file='.length);
    if (block.language !== 'ts' || name === undefined) return [];
    const next = blocks[index + 1];
    const output = next?.language === 'text' && next.words.includes('output') ? next.text : undefined;
    return [{ name, text: block.text, runs: block.words.includes('run'), output }];
  });
};

const scratchProject = async (files: readonly ReadmeFile[]): Promise<TmpDir> => {
  // Inside the repository, so that the package finds its dependencies by walking up.
  const scratch = await tmpDir('readme', join(REPOSITORY, '.tmp'));
  const installed = scratch.at('node_modules/collaborative-blocks');
  const tsc = join(REPOSITORY, 'node_modules/typescript/bin/tsc');
  await mkdir(installed, { recursive: true });
  await run(process.execPath, [
    tsc,
    '-p',
    join(REPOSITORY, 'tsconfig.build.json'),
    '--outDir',
    join(installed, 'dist'),
  ]);
  await cp(join(REPOSITORY, 'package.json'), join(installed, 'package.json'));
  await mkdir(scratch.at('node_modules/@types'), { recursive: true });
  await symlink(join(REPOSITORY, 'node_modules/@types/node'), scratch.at('node_modules/@types/node'));
  await writeFile(scratch.at('package.json'), JSON.stringify({ name: 'scratch', private: true, type: 'module' }));
  await writeFile(
    scratch.at('tsconfig.json'),
    JSON.stringify({
      extends: join(REPOSITORY, 'tsconfig.base.json'),
      compilerOptions: { noEmit: true, exactOptionalPropertyTypes: false },
      include: ['**/*.ts'],
    }),
  );
  for (const { name, text } of files) {
    await mkdir(dirname(scratch.at(name)), { recursive: true });
    await writeFile(scratch.at(name), text);
  }
  return scratch;
};

const files = filesOf(await readFile(join(REPOSITORY, 'README.md'), 'utf8').catch(() => ''));

describe('the code in README', () => {
  let scratch: TmpDir;

  beforeAll(async () => {
    scratch = await scratchProject(files);
  }, RUN_TIMEOUT_MS);

  afterAll(async () => {
    await scratch?.[Symbol.asyncDispose]();
  });

  test('is there, and some of it runs', () => {
    expect(files.filter(({ runs }) => runs).length).toBeGreaterThan(0);
  });

  test('type checks', { timeout: RUN_TIMEOUT_MS }, async () => {
    const tsc = join(REPOSITORY, 'node_modules/typescript/bin/tsc');
    const faults = await run(process.execPath, [tsc, '-p', scratch.path]).then(
      () => '',
      (error: { stdout: string }) => error.stdout,
    );
    expect(faults).toBe('');
  });

  for (const { name, output } of files.filter(({ runs }) => runs)) {
    test(`${name} runs`, { timeout: RUN_TIMEOUT_MS }, async () => {
      const { stdout } = await run(process.execPath, [name], { cwd: scratch.path, timeout: RUN_TIMEOUT_MS });
      expect(output === undefined ? undefined : stdout.trimEnd()).toBe(output?.trimEnd());
    });
  }
});

test('blocks are found by their info strings', () => {
  const fence = '```';
  const markdown = [
    'Words.',
    `${fence}ts file=machine.ts`,
    'export const a = 1;',
    fence,
    `${fence}ts file=app.ts run`,
    'console.log(1);',
    fence,
    'It prints:',
    `${fence}text output`,
    '1',
    fence,
    `${fence}ts`,
    'not.a.file();',
    fence,
  ].join('\n');
  expect(filesOf(markdown)).toEqual([
    { name: 'machine.ts', text: 'export const a = 1;\n', runs: false, output: undefined },
    { name: 'app.ts', text: 'console.log(1);\n', runs: true, output: '1\n' },
  ]);
});
