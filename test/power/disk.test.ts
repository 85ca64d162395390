/** The instrument itself: does the record hold everything, and does the disk keep what it must? */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { REPOSITORY } from '../../bench/environment.ts';
import { tmpDir } from '../support/tmp-dir.ts';
import { readChain, recordSegment } from './chain.ts';
import { claimedFrom } from './claims.ts';
import { boundariesOf, choose, planCuts } from './cut-plan.ts';
import { DiskHistory, readDisk } from './disk.ts';
import type { Change, Entry, Recording } from './recording.ts';
import { shimMissing } from './shim.ts';

const inode = 1;
const FILE: Entry = { kind: 'file', inode };
const write = (at: number, offset: number, text: string, safeFrom = Infinity): Change => ({
  kind: 'data',
  at,
  safeFrom,
  inode,
  offset,
  bytes: Buffer.from(text),
});
const recorded = (...changes: Change[]): Recording => ({
  base: { names: new Map([['file', FILE]]), files: new Map([[inode, Buffer.from('....')]]) },
  changes,
  promises: [],
  syncEnds: [2],
  events: 10,
  mapped: new Set(),
  timesMs: [],
  paths: new Map([[inode, 'file']]),
});
const contentAt = (recording: Recording, cut: number, fates: ('kept' | 'lost')[], order?: number[]): string => {
  const history = new DiskHistory(recording);
  history.moveTo(cut);
  return String(history.disk({ fates, order, hole: 'none', mapped: 'zeros' }).files.get(inode));
};

describe('a cut disk', () => {
  test('DK2: keeps what is safe, and of the rest what the choice says', () => {
    const recording = recorded(write(0, 0, 'AA', 2), write(1, 1, 'B', 2), write(3, 2, 'C'), write(4, 4, 'D'));
    expect(contentAt(recording, 2, [])).toBe('....');
    expect(contentAt(recording, 2, ['lost', 'kept'])).toBe('.B..');
    expect(contentAt(recording, 3, [])).toBe('AB..');
    expect(contentAt(recording, 5, ['kept', 'lost'])).toBe('ABC.');
    expect(contentAt(recording, 5, ['lost', 'kept'])).toBe('AB..D');
  });

  test('changes that overlap may arrive in another order', () => {
    const recording = recorded(write(0, 0, 'AA'), write(1, 1, 'BB'));
    expect(contentAt(recording, 2, ['kept', 'kept'])).toBe('ABB.');
    expect(contentAt(recording, 2, ['kept', 'kept'], [1, 0])).toBe('AAB.');
  });

  test('a write is torn at the sectors of the disk', () => {
    const recording = recorded(write(0, 500, 'x'.repeat(600)));
    const history = new DiskHistory(recording);
    history.moveTo(1);
    const torn = { sectors: [false, true, false] };
    const bytes = history.disk({ fates: [torn], hole: 'zeros', mapped: 'zeros' }).files.get(inode) as Buffer;
    expect(bytes).toHaveLength(1_100);
    expect([511, 512, 1_023, 1_024].map((at) => bytes[at])).toEqual([0, 120, 120, 0]);
  });

  test('names are lost without their folder being synced, and come all at once', () => {
    const moved: Entry = { kind: 'file', inode: 2 };
    const names: Change = {
      kind: 'names',
      at: 0,
      safeFrom: 3,
      names: [
        ['file', undefined],
        ['moved', moved],
      ],
    };
    const history = new DiskHistory(recorded(names));
    history.moveTo(2);
    const none = { hole: 'none', mapped: 'zeros' } as const;
    expect([...history.disk({ ...none, fates: ['lost'] }).names.keys()]).toEqual(['file']);
    expect([...history.disk({ ...none, fates: ['kept'] }).names.keys()]).toEqual(['moved']);
    history.moveTo(4);
    expect([...history.disk({ ...none, fates: [] }).names.keys()]).toEqual(['moved']);
  });
});

const missing = shimMissing();
test.skipIf(missing !== undefined)(
  `DK1: nothing that a system does to its disk escapes the record${missing === undefined ? '' : ` [skipped: no ${missing}]`}`,
  async () => {
    await using dir = await tmpDir('record', join(REPOSITORY, '.tmp'));
    const life = { threads: 2, retention: 'trim', checkpointEveryTurns: 20, messages: 6, stops: true } as const;
    const lives = [
      { ...life, sync: 'group', backup: 'copy' },
      { ...life, sync: 'relaxed' },
      { ...life, sync: 'group', stops: false },
    ] as const;
    const options = { scratch: dir.path, name: 'one', seed: 1 };
    const segment = await recordSegment([], { after: undefined, life: 1, lives }, options);
    const [lived] = readChain([segment]);
    const recording = lived?.recording as Recording;

    const history = new DiskHistory(recording);
    history.moveTo(recording.events);
    const all = history.disk({ fates: history.unsafe().map(() => 'kept'), hole: 'none', mapped: 'zeros' });
    const found = readDisk(segment.root);
    expect([...all.names.keys()].sort()).toEqual([...found.names.keys()].sort());
    for (const [path, entry] of all.names) {
      // Their readers' tables are written through memory.
      if (entry.kind === 'folder' || path.endsWith('lock.mdb')) continue;
      const content = all.files.get(entry.inode) as Buffer;
      expect(Buffer.compare(content, readFileSync(join(segment.root, path))), path).toBe(0);
    }
    expect([...recording.mapped].map((mapped) => recording.paths.get(mapped)?.replace(/^.*\//, ''))).toEqual(
      expect.not.arrayContaining(['data.mdb', 'AHEAD', 'FORMAT']),
    );

    // What was promised in group mode holds at once, what was promised in relaxed mode holds with the next flush.
    const waits = recording.promises.map((promise) => claimedFrom(recording, promise) - promise.at);
    expect(waits.some((wait) => wait === 0)).toBe(true);
    expect(waits.some((wait) => wait > 0 && wait < Infinity)).toBe(true);

    const cuts = planCuts([recording], 7, 500);
    expect(cuts).toHaveLength(500);
    expect(planCuts([recording], 7, 500)).toEqual(cuts);
    expect(planCuts([recording], 8, 500)).not.toEqual(cuts);
    expect(boundariesOf([recording])).toBeGreaterThan(30);
    for (const cut of cuts) {
      const at = new DiskHistory(recording);
      at.moveTo(cut.at);
      expect(choose(cut, at.unsafe(), recording).fates).toHaveLength(at.unsafe().length);
    }
  },
);
