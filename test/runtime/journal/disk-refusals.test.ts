/** What the system says when a file operation fails has a name that tells what to do, and whether it is worth trying again. */
import { expect, test } from 'vitest';
import { refusalOf } from '../../../runtime/journal/disk-refusals.ts';
import { StorageFullError } from '../../../runtime/kernel/errors.ts';

test.each([
  ['ENOSPC', 'STORAGE_FULL', true],
  ['EDQUOT', 'STORAGE_FULL', true],
  ['EFBIG', 'STORAGE_FULL', true],
  ['EROFS', 'DATA_FOLDER_READ_ONLY', false],
  ['EACCES', 'DATA_FOLDER_READ_ONLY', false],
  ['EPERM', 'DATA_FOLDER_READ_ONLY', false],
  ['EMFILE', 'STORAGE_FAILED', false],
  ['EIO', 'STORAGE_FAILED', false],
])('%s is %s', (code, name, retryable) => {
  const cause = Object.assign(new Error(`${code}: as the system words it`), { code });
  const refusal = refusalOf(cause, '/srv/data', 'opened');
  expect(refusal).toMatchObject({ code: name, retryable, cause, details: { path: '/srv/data' } });
  expect(refusal.message).toContain('/srv/data');
});

test('an error that has a name keeps it; what is none is told all the same', () => {
  const named = new StorageFullError('no room');
  expect(refusalOf(named, '/srv/data', 'opened')).toBe(named);
  expect(refusalOf(undefined, '/srv/data', 'opened').message).toBe('/srv/data cannot be opened: undefined');
});
