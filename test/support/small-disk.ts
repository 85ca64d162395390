/** A disk of a few megabytes, or a read-only one, in memory: a tmpfs, which root may mount. Undefined where that is not permitted. */
import { execFileSync } from 'node:child_process';
import { tmpDir } from './tmp-dir.ts';

export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  readOnly(): void;
}

export const smallDisk = async (megabytes: number): Promise<SmallDisk | undefined> => {
  const folder = await tmpDir('disk');
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder.path], { stdio: 'ignore' });
  } catch {
    await folder[Symbol.asyncDispose]();
    return undefined;
  }
  return {
    path: folder.path,
    readOnly: () => void execFileSync('mount', ['-o', 'remount,ro', folder.path], { stdio: 'ignore' }),
    [Symbol.asyncDispose]: async () => {
      execFileSync('umount', ['-l', folder.path], { stdio: 'ignore' });
      await folder[Symbol.asyncDispose]();
    },
  };
};
