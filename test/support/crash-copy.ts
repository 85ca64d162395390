/**
 * A crash without a process: the data folder as a process that is killed now would leave it. Only for a system with `threads: 0`, whose
 * commits happen on the calling thread, so that none is under way.
 */
import { cpSync } from 'node:fs';
import { openStore } from '../../runtime/journal/open-store.ts';

export const crashCopy = (dataDir: string, target: string): string => {
  cpSync(dataDir, target, { recursive: true, filter: (source) => !source.endsWith('LOCK') });
  return target;
};

/** The same, of a process that was killed when everything had found its way from the file ahead into the database. */
export const settledCrashCopy = async (dataDir: string, target: string): Promise<string> => {
  crashCopy(dataDir, target);
  const retention = 'keep';
  const { store } = await openStore({
    dataDir: target,
    sync: 'group',
    retention,
    hosts: 1,
    checkpointEveryTurns: 1e9,
    checkpointEveryBytes: 1e12,
  });
  await store.close();
  return target;
};
