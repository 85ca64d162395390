/** The data folder is taken away from under a running system: it is noticed within moments, and nothing more is acknowledged. */
import { cpSync, renameSync, rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { ledger } from '../../support/actors/ledger.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { errorOf, recordEvents } from '../../support/until.ts';

const MODULE = new URL('../../support/actors/ledger.ts', import.meta.url);

const LOSSES: Record<string, (folder: string, aside: string) => void> = {
  removed: (folder) => rmSync(folder, { recursive: true }),
  'given another name': (folder, aside) => renameSync(folder, aside),
  'replaced by a copy': (folder, aside) => {
    renameSync(folder, aside);
    cpSync(aside, folder, { recursive: true });
  },
};

describe.each(['group', 'relaxed'] as const)('sync: %s', (sync) => {
  test.each(Object.entries(LOSSES).flatMap(([name, lose]) => [0, 1].map((threads) => [name, threads, lose] as const)))(
    '%s (threads: %i)',
    async (_, threads, lose) => {
      await using dir = await tmpDir('lost');
      const system = await ActorSystem.start({ dataDir: dir.at('data'), sync, threads, actors: [MODULE] });
      const failed = recordEvents(system, 'failed');
      const ref = await system.spawn(ledger, { id: 'l' });
      await ref.tell({ type: 'ADD', n: 1 });
      lose(dir.at('data'), dir.at('aside'));
      // What is acknowledged until it is noticed is in the file that was taken away.
      let n = 1;
      const refused = async (): Promise<Error> => {
        for (;;) await ref.tell({ type: 'ADD', n: (n += 1) });
      };
      const error = await errorOf(refused());
      expect(error.cause ?? error).toMatchObject({ code: 'STORAGE_FAILED' });
      expect(String((error.cause as Error | undefined)?.message ?? error.message)).toMatch(
        /data.* was removed, renamed or replaced/,
      );
      expect(failed).toHaveLength(1);
      await system.stop();
    },
  );
});
