/**
 * The package as its users get it: packed, installed into an empty project, imported by each of its entries, type checked.
 *
 * Run by `npm run test:smoke`, which builds first. Not a vitest file: it must see the tarball and nothing of the repository.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tmpDir } from '../support/tmp-dir.ts';

interface Manifest {
  version: string;
  exports: Record<string, unknown>;
  scripts: Record<string, string>;
  overrides: Record<string, string>;
  devDependencies: Record<string, string>;
}

const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const PUBLISHED = /^(?:dist\/.*\.(?:js|js\.map|d\.ts|d\.ts\.map)|README\.md|LICENSE|CHANGELOG\.md|package\.json)$/;
const BUILD_OUTPUT = /^dist\/(?:runtime|actors|supervisors)\//;
const THREAD_ENTRY = /['"](\.{1,2}\/[\w./-]+\.js)['"]\s*,\s*import\.meta\.url/g;

const npm = (cwd: string, ...args: string[]): string =>
  execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

const manifest = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as Manifest;
const entries = Object.keys(manifest.exports)
  .filter((entry) => entry !== './package.json')
  .map((entry) => entry.replace(/^\./, 'collaborative-blocks'));

for (const script of ['preinstall', 'install', 'postinstall', 'prepare'])
  assert.equal(manifest.scripts[script], undefined, `package.json has a ${script} script`);

await using scratch = await tmpDir('smoke');

const [packed] = JSON.parse(npm(REPOSITORY, 'pack', '--json', '--pack-destination', scratch.path)) as [
  { filename: string; files: { path: string }[]; unpackedSize: number },
];
for (const { path } of packed.files) {
  assert.match(path, PUBLISHED, `${path} should not be published`);
  if (path.startsWith('dist/')) assert.match(path, BUILD_OUTPUT, `${path} should not be published`);
}

writeFileSync(
  scratch.at('package.json'),
  JSON.stringify({
    name: 'scratch',
    private: true,
    type: 'module',
    allowScripts: { lmdb: false, 'msgpackr-extract': false },
    overrides: manifest.overrides,
  }),
);
npm(scratch.path, 'install', '--prefer-offline', '--no-audit', '--no-fund', `./${packed.filename}`);

const installed = scratch.at('node_modules/collaborative-blocks');
for (const file of readdirSync(join(installed, 'dist'), { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.js')) continue;
  const path = join(installed, 'dist', file);
  for (const [, entry] of readFileSync(path, 'utf8').matchAll(THREAD_ENTRY))
    assert.ok(existsSync(join(dirname(path), entry as string)), `dist/${file} starts ${entry}, which is not there`);
}

writeFileSync(
  scratch.at('consumer.ts'),
  `${entries.map((entry, index) => `import * as entry${index} from '${entry}';`).join('\n')}
import manifest from 'collaborative-blocks/package.json' with { type: 'json' };

const counts = [${entries.map((_entry, index) => `Object.keys(entry${index}).length`).join(', ')}];
if (counts.some((count) => count === 0)) throw new Error('an entry exports nothing: ' + counts.join(', '));
if (manifest.version !== '${manifest.version}') throw new Error('the version is ' + manifest.version);
const inside: string = 'collaborative-blocks/dist/runtime/index.js';
const refused = await import(inside).then(() => 'open', (error: { code?: string }) => error.code);
if (refused !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw new Error('the inside can be imported: ' + refused);
console.log(counts.join(' '));
`,
);
const counts = execFileSync(process.execPath, ['consumer.ts'], { cwd: scratch.path, encoding: 'utf8' }).trim();

npm(
  scratch.path,
  'install',
  '--prefer-offline',
  '--no-audit',
  '--no-fund',
  '--save-dev',
  `@types/node@${manifest.devDependencies['@types/node']}`,
);
writeFileSync(
  scratch.at('tsconfig.json'),
  JSON.stringify({
    compilerOptions: {
      strict: true,
      noEmit: true,
      module: 'nodenext',
      target: 'es2024',
      resolveJsonModule: true,
      skipLibCheck: true,
      types: ['node'],
    },
    files: ['consumer.ts'],
  }),
);
execFileSync(process.execPath, [join(REPOSITORY, 'node_modules/typescript/bin/tsc'), '-p', scratch.path], {
  stdio: ['ignore', 'inherit', 'inherit'],
});

const size = `${(packed.unpackedSize / 1_000_000).toFixed(2)} MB unpacked`;
console.log(`The tarball works: ${packed.files.length} files, ${size}, exported values ${counts}.`);
