/** Files that have their name only when they are whole. That the names are waited for is shown by the proof of power cuts. */
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openDataFolder } from '../../../runtime/journal/data-folder.ts';
import { makeFolder, placeFile, replaceFile, syncNames } from '../../../runtime/journal/durable-files.ts';
import { makeLmdbFile } from '../../../runtime/journal/lmdb-store.ts';
import { systemClock } from '../../../runtime/kernel/clock.ts';
import { tmpDir } from '../../support/tmp-dir.ts';

test('a placed file is the first one that came, and leaves no draft', async () => {
  await using dir = await tmpDir('durable');
  placeFile(dir.at('LOCK'), 'first', dir.at('a.draft'));
  expect(() => placeFile(dir.at('LOCK'), 'second', dir.at('b.draft'))).toThrowError(
    expect.objectContaining({ code: 'EEXIST' }),
  );
  expect(readFileSync(dir.at('LOCK'), 'utf8')).toBe('first');
  expect(readdirSync(dir.path)).toEqual(['LOCK']);
});

test('a draft of a process that was killed is in nobody’s way', async () => {
  await using dir = await tmpDir('durable');
  writeFileSync(dir.at('FORMAT.new'), 'half of a for');
  replaceFile(dir.at('FORMAT'), 'whole');
  expect(readFileSync(dir.at('FORMAT'), 'utf8')).toBe('whole');
  expect(existsSync(dir.at('FORMAT.new'))).toBe(false);

  writeFileSync(dir.at('a.draft'), 'half');
  placeFile(dir.at('LOCK'), 'whole', dir.at('a.draft'));
  expect(readFileSync(dir.at('LOCK'), 'utf8')).toBe('whole');
});

test('the owner of a data folder clears away what killed processes have left of their locks', async () => {
  await using dir = await tmpDir('durable');
  const data = makeFolder(dir.at('data'));
  writeFileSync(dir.at('data', 'LOCK.123-abc.draft'), '');
  const folder = openDataFolder(data, systemClock);
  expect(readdirSync(data).sort()).toEqual(['FORMAT', 'LOCK']);
  expect(JSON.parse(readFileSync(dir.at('data', 'LOCK'), 'utf8'))).toMatchObject({ pid: process.pid });
  folder.release();
  expect(readdirSync(data)).toEqual(['FORMAT']);
});

test('folders are made with those above them, by any path, and again', async () => {
  await using dir = await tmpDir('durable');
  mkdirSync(dir.at('real'));
  symlinkSync(dir.at('real'), dir.at('link'));
  const expected = `${realpathSync(dir.at('real'))}/a/b/c`;
  expect(makeFolder(dir.at('link', 'a', 'b', 'c'))).toBe(expected);
  expect(makeFolder(dir.at('real', 'a', 'b', 'c'))).toBe(expected);
  expect(() => syncNames(dir.at('gone'))).toThrowError(expect.objectContaining({ code: 'ENOENT' }));
});

test('a database is made under another name, and one that is there is left alone', async () => {
  await using dir = await tmpDir('durable');
  // What a process left that was killed in the middle of it.
  writeFileSync(dir.at('new.mdb'), 'half of a page');
  await makeLmdbFile(dir.path);
  expect(readdirSync(dir.path)).toEqual(['data.mdb']);
  writeFileSync(dir.at('data.mdb'), 'somebody’s');
  await makeLmdbFile(dir.path);
  expect(readFileSync(dir.at('data.mdb'), 'utf8')).toBe('somebody’s');
});
