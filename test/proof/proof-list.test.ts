import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PROOFS } from './proof-list.ts';

test('every proof has a name and a test file of its own', () => {
  const names = PROOFS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(existsSync(new URL(`./${name}.test.ts`, import.meta.url)), name).toBe(true);
});
