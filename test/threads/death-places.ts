/**
 * Where a thread comes to the moments of its death: put into the classes of the runtime from outside.
 *
 *     node --import ./test/threads/death-places.ts …
 *
 * The main thread makes the row in shared memory; every thread that it starts finds it in its environment.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData, workerData } from 'node:worker_threads';
import { ahead, behind, replace } from '../crash/replace.ts';
import { onPass } from '../crash/points.ts';
import { watchWorkers } from '../support/workers.ts';
import { DeathRow, newDeathMemory } from './deaths.ts';

const ROW = 'collaborative-blocks.death-row';
/** A thread that is idle looks so often whether it is to die. */
const IDLE_LOOK_MS = 2;
/** Into a batch, so that some of its turns are released and some are not. */
const RELEASES = 3;

/** All threads that this one starts. */
export const workers = watchWorkers();

export const deathRow = (): DeathRow => new DeathRow(getEnvironmentData(ROW) as SharedArrayBuffer);

const placeInHost = async (row: DeathRow): Promise<void> => {
  row.pass('starting', false);
  const { CommitQueue } = await import('../../runtime/host/commit-queue.ts');
  const { Host } = await import('../../runtime/host/host.ts');
  const { Releaser } = await import('../../runtime/host/release.ts');
  ahead(CommitQueue.prototype, 'seal', (queue) => {
    if (!queue.idle) row.pass('before commit', false);
  });
  ahead(Host.prototype, 'committed', () => row.pass('after commit', false));
  let released = 0;
  ahead(Host.prototype, 'committed', () => {
    released = 0;
  });
  // Others have its messages, and their turn is not known to be on the disk.
  behind(Releaser.prototype, 'forward', () => row.pass('forwarded', false));
  ahead(Releaser.prototype, 'finish', () => {
    released += 1;
    if (released === RELEASES) row.pass('release', false);
  });
  onPass((point) => {
    if (point === 'turn.within') row.pass('turn', true);
    if (point === 'effect.after') row.pass('effect', true);
  });
};

const placeInJournal = async (row: DeathRow): Promise<void> => {
  const { LogTrim } = await import('../../runtime/journal/log-trim.ts');
  const { WriteList } = await import('../../runtime/journal/write-list.ts');
  ahead(WriteList.prototype, 'checkPositions', () => row.pass('before commit', false));
  ahead(LogTrim.prototype, 'committed', () => row.pass('after commit', false));
};

/** No successor's epoch shuts a host out. */
const withoutFences = async (): Promise<void> => {
  const { HostSessions } = await import('../../runtime/journal/host-sessions.ts');
  replace(HostSessions.prototype, 'shutOut', () => () => {});
};

/** A dead host is not ended: what must hold then is the fence alone. */
const withoutTermination = async (): Promise<void> => {
  const { HostThread } = await import('../../runtime/system/host-thread.ts');
  replace(
    HostThread.prototype,
    'terminate',
    () =>
      async function (this: InstanceType<typeof HostThread>) {
        this.outside.close();
      },
  );
};

const variant = process.env['CB_DEATHS'] ?? '';

if (isMainThread) {
  setEnvironmentData(ROW, newDeathMemory());
  if (variant.includes('survive')) await withoutTermination();
} else {
  const { config, options } = workerData as { config?: unknown; options?: unknown };
  if (config !== undefined || options !== undefined) {
    const row = deathRow();
    if (config !== undefined) await placeInHost(row);
    else await placeInJournal(row);
    if (options !== undefined && variant.includes('unfenced')) await withoutFences();
    setInterval(() => row.pass('idle', true), IDLE_LOOK_MS).unref();
  }
}
