/**
 * A folder of one's own that goes away: `await using dir = await tmpDir('journal')`, then `dir.path`.
 *
 * Knows nothing of the test runner, so that child processes and benches can use it too. Give `root` to have the folder
 * made somewhere else than in the system's temporary folder.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TmpDir extends AsyncDisposable {
  readonly path: string;
  /** A path inside the folder. */
  at(...segments: string[]): string;
}

export const tmpDir = async (name = 'test', root: string = tmpdir()): Promise<TmpDir> => {
  await mkdir(root, { recursive: true });
  const path = await mkdtemp(join(root, `collaborative-blocks-${name}-`));
  return {
    path,
    at: (...segments) => join(path, ...segments),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }),
  };
};
