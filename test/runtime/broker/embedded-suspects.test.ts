/**
 * A handler that kills its process, by a real SIGKILL: what was merely in the hands of the dead process does not die of it, and the one
 * message that kills is found after a bounded number of crashes.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { tmpDir } from '../../support/tmp-dir.ts';

const PROCESS = fileURLToPath(new URL('../../support/killing-handler.ts', import.meta.url));
const MESSAGES = 200;
/** `maxAttempts` of a broker that was told nothing. */
const ATTEMPTS = 3;

const run = async (...args: readonly string[]): Promise<'killed' | number | null> => {
  const child = spawn(process.execPath, [PROCESS, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  return signal === 'SIGKILL' ? 'killed' : code;
};

const linesOf = (file: string, what: string): readonly string[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${what} `))
    .map((line) => line.slice(what.length + 1));

test('a process that dies again and again at its 20th message buries none of them', async () => {
  await using dir = await tmpDir('broker-suspects');
  const [data, file] = [dir.at('data'), dir.at('history')];
  expect(await run(data, file, String(MESSAGES), 'count:20')).toBe('killed');
  for (let again = 0; again < 3; again++) expect(await run(data, file, '0', 'count:20')).toBe('killed');
  expect(await run(data, file, '0', 'none')).toBe(0);
  expect(linesOf(file, 'dead')).toEqual([]);
  expect(new Set(linesOf(file, 'end')).size).toBe(MESSAGES);
}, 120_000);

test('the message that kills is dead after a bounded number of crashes, and no other', async () => {
  await using dir = await tmpDir('broker-killer');
  const [data, file] = [dir.at('data'), dir.at('history')];
  let crashes = 0;
  let ended = await run(data, file, String(MESSAGES), 'id:m60');
  while (ended === 'killed' && crashes < 20) {
    crashes += 1;
    ended = await run(data, file, '0', 'id:m60');
  }
  expect(ended).toBe(0);
  expect(crashes).toBe(2 + ATTEMPTS);
  const dead = linesOf(file, 'dead');
  expect(dead).toHaveLength(1);
  expect(dead[0]).toMatch(/^m60 attempts .*alone.*3 times/u);
  expect(new Set(linesOf(file, 'end')).size).toBe(MESSAGES - 1);
}, 120_000);
