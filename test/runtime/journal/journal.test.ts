/** Commits: grouping, order, positions, fencing, a full disk, and a store that fails. */
import { describe, expect, test } from 'vitest';
import { MemoryStore } from '../../../runtime/journal/memory-store.ts';
import { StorageError, SystemStoppedError } from '../../../runtime/kernel/errors.ts';
import { imageRow, keysOn, Rig, send, turn } from './journal-rig.ts';

describe('group commit', () => {
  test('J5, J6: what waits is one commit; positions are gapless, in the order of arrival', async () => {
    const rig = await Rig.open({ hosts: 2 });
    const [a, b] = [rig.host(0), rig.host(1)];
    const before = (await rig.control.stats()).commits;
    a.batch.turn(turn('cell/a', 1));
    a.batch.turn(turn('cell/a', 2));
    a.append();
    b.batch.turn(turn('cell/b', 1));
    b.append();
    a.batch.turn(turn('cell/a', 3));
    a.append();
    expect(a.heard).toEqual([]);
    rig.clock.run();
    expect(a.heard).toEqual([
      ['committed', 1, 1],
      ['committed', 2, 4],
    ]);
    expect(b.heard).toEqual([['committed', 1, 3]]);
    const stats = await rig.control.stats();
    expect(stats).toMatchObject({ end: 5, batches: 3, commits: before + 1, storage: 'ok' });
    expect((await rig.control.turns('cell/a')).map((one) => [one.sequence, one.position])).toEqual([
      [1, 1],
      [2, 2],
      [3, 4],
    ]);
  });

  test('a batch without turns takes no position', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    host.image('cell/a', 1);
    host.write(turn('cell/b', 1));
    host.image('cell/b', 1);
    expect(host.heard).toEqual([
      ['committed', 1, 1],
      ['committed', 2, 1],
      ['committed', 3, 2],
    ]);
    expect([...rig.store.logFrom(0)]).toHaveLength(1);
    expect(await rig.control.keys({})).toEqual(['cell/a', 'cell/b']);
  });

  test('P4: a load answers as of every batch before it', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    host.batch.image(imageRow('cell/a', 7));
    host.append();
    expect(host.load('cell/a')[0]?.image?.sequence).toBe(7);
  });

  test('a crash before the commit leaves nothing, a crash after it leaves everything', async () => {
    for (const [fault, kept] of [
      ['beforeCommit', 0],
      ['afterCommit', 1],
    ] as const) {
      let armed = false;
      const faults = {
        [fault]: () => {
          if (armed) throw new Error('power cut');
        },
      };
      const rig = await Rig.open({}, new MemoryStore({ faults }));
      const host = rig.host();
      armed = true;
      host.write(turn('cell/a', 1));
      expect(host.heard).toEqual([]);
      const after = await rig.crash();
      expect(after.report.tailTurns).toBe(kept);
      expect(await after.control.turns('cell/a')).toHaveLength(kept);
    }
  });

  test('J9: after a failure nothing is written, and the system is told', async () => {
    let broken = false;
    const faults = {
      beforeCommit: () => {
        if (broken) throw new StorageError('the disk is on fire');
      },
    };
    const rig = await Rig.open({}, new MemoryStore({ faults }));
    const host = rig.host();
    broken = true;
    host.write(turn('cell/a', 1));
    broken = false;
    host.write(turn('cell/a', 2));
    expect(host.heard).toEqual([]);
    expect(rig.failures).toHaveLength(1);
    await expect(rig.control.putImage(imageRow('cell/a', 1))).rejects.toThrowError(/has failed/);
    await rig.control.close();
    await expect(rig.control.recover(0)).rejects.toThrowError(SystemStoppedError);
  });

  test.each(['when an alarm rings', 'when a row is committed'])(
    'J9: a read that fails %s ends it too, and not its thread',
    async (when) => {
      const store = new MemoryStore();
      const rig = await Rig.open({}, store);
      const host = rig.host();
      host.image('cell/a', 1, { wakeAtMs: rig.clock.now() + 100 });
      store.wakes = () => {
        throw new StorageError('the disk is on fire');
      };
      if (when === 'when an alarm rings') {
        rig.clock.advance(200);
      } else {
        rig.clock.set(rig.clock.now() - 50);
        host.image('cell/b', 1, { wakeAtMs: rig.clock.now() + 10 });
      }
      expect(rig.failures).toHaveLength(1);
    },
  );
});

describe('fencing', () => {
  test('J7: nothing of a lower epoch is committed after fence', async () => {
    const rig = await Rig.open();
    const old = rig.host(0, 1);
    old.write(turn('cell/a', 1));
    old.batch.turn(turn('cell/a', 2));
    old.append();
    await rig.control.fence(0, 2);
    rig.clock.run();
    old.write(turn('cell/a', 3));
    expect(old.heard).toEqual([['committed', 1, 1], ['fenced']]);
    expect((await rig.control.stats()).end).toBe(2);

    const zombie = rig.host(0, 1);
    expect(zombie.heard).toEqual([['fenced']]);
    zombie.write(turn('cell/a', 2));
    const next = rig.host(0, 2);
    next.write(turn('cell/a', 2));
    expect(next.heard).toEqual([['committed', 1, 2]]);
    expect((await rig.control.turns('cell/a')).map((one) => one.sequence)).toEqual([1, 2]);
  });

  test('batches that a closed host left behind are given up when it is replaced', async () => {
    let full = false;
    const rig = await Rig.open({}, new MemoryStore({ faults: { full: () => full } }));
    const old = rig.host(0, 1);
    full = true;
    old.write(turn('cell/a', 1));
    old.journal.close();
    await rig.control.fence(0, 2);
    full = false;
    rig.clock.advance(10_000);
    expect((await rig.control.stats()).end).toBe(1);
  });

  test('a host that loses count of its batches is shut out', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    host.write(turn('cell/a', 1));
    host.batch.turn(turn('cell/a', 2));
    host.journal.append(7, host.batch.seal());
    rig.clock.run();
    expect(host.heard.at(-1)).toEqual(['fenced']);
    expect((await rig.control.stats()).end).toBe(2);
  });

  test('bytes that are no batch shut the host out, not the journal', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    host.journal.append(1, Buffer.from('nonsense'));
    rig.clock.run();
    expect(host.heard).toEqual([['fenced']]);
    const next = rig.host(0, 2);
    next.write(turn('cell/a', 1));
    expect(next.of('committed')).toHaveLength(1);
  });

  test('a new host with the same epoch replaces the old one', async () => {
    const rig = await Rig.open();
    const first = rig.host(0, 5);
    const second = rig.host(0, 5);
    expect(first.heard).toEqual([['fenced']]);
    second.write(turn('cell/a', 1));
    expect(second.of('committed')).toHaveLength(1);
  });
});

describe('a full disk', () => {
  test('J8: batches are held, everybody is told, and all is committed in order when there is room', async () => {
    let full = false;
    const rig = await Rig.open({ hosts: 2 }, new MemoryStore({ faults: { full: () => full } }));
    const [a, b] = [rig.host(0), rig.host(1)];
    a.write(turn('cell/a', 1));
    full = true;
    a.write(turn('cell/a', 2));
    b.write(turn('cell/b', 1));
    a.batch.turn(turn('cell/a', 3));
    a.append();
    rig.clock.advance(5_000);
    expect(a.heard).toEqual([
      ['committed', 1, 1],
      ['storage', 'full'],
    ]);
    expect(b.heard).toEqual([['storage', 'full']]);
    expect(await rig.control.stats()).toMatchObject({ end: 2, storage: 'full' });

    const late = rig.host(1, 2);
    expect(late.heard).toEqual([['storage', 'full']]);
    full = false;
    rig.clock.advance(5_000);
    expect(a.heard.slice(2)).toEqual([
      ['storage', 'ok'],
      ['committed', 2, 2],
      ['committed', 3, 3],
    ]);
    expect(late.heard.slice(1)).toEqual([['storage', 'ok']]);
    expect(await rig.control.stats()).toMatchObject({ end: 4, storage: 'ok' });
  });

  test('a load of a host with nothing held is answered, one behind a held batch waits', async () => {
    let full = false;
    const rig = await Rig.open({ hosts: 2 }, new MemoryStore({ faults: { full: () => full } }));
    const [a, b] = [rig.host(0), rig.host(1)];
    a.image('cell/a', 1);
    full = true;
    a.image('cell/a', 2);
    const loaded: number[] = [];
    a.journal.load(['cell/a'], ([cell]) => loaded.push(cell?.image?.sequence ?? -1));
    rig.clock.run();
    expect(b.load('cell/a')[0]?.image?.sequence).toBe(1);
    expect(loaded).toEqual([]);
    full = false;
    rig.clock.advance(1_000);
    expect(loaded).toEqual([2]);
  });

  test('closing with a disk that stays full keeps what was acknowledged', async () => {
    let full = false;
    const rig = await Rig.open({}, new MemoryStore({ faults: { full: () => full } }));
    const host = rig.host();
    host.write(turn('cell/a', 1));
    full = true;
    host.write(turn('cell/a', 2));
    await rig.control.close();
    const after = await rig.crash();
    expect(await after.control.turns('cell/a')).toHaveLength(1);
  });
});

describe('queries', () => {
  test('turns by range, images, letters', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    for (let i = 1; i <= 10; i++) host.write(turn('cell/a', i), turn('cell/b', i, { intents: [send('cell/a', i)] }));
    const sequences = async (range: object): Promise<number[]> =>
      (await rig.control.turns('cell/a', range)).map((one) => one.sequence);
    expect(await sequences({ fromSequence: 3, toSequence: 5 })).toEqual([3, 4, 5]);
    expect(await sequences({ fromSequence: 8, limit: 2 })).toEqual([8, 9]);
    expect(await sequences({ limit: 1 })).toEqual([1]);
    expect(await rig.control.turns('cell/none')).toEqual([]);
    expect((await rig.control.turns('cell/b', { fromSequence: 10 }))[0]).toEqual({
      ...turn('cell/b', 10, { intents: [send('cell/a', 10)] }),
      position: 20,
    });

    await rig.settle(rig.control.putImage(imageRow('cell/c', 3, { body: { fork: true } })));
    expect(await rig.control.image('cell/c')).toEqual(imageRow('cell/c', 3, { body: { fork: true } }));
    expect(await rig.control.image('cell/none')).toBeUndefined();

    const letter = (id: string) => ({
      id,
      timeMs: 1,
      reason: 'expired' as const,
      error: { name: 'E', code: 'C', message: 'm' },
      attempts: 1,
      envelope: { to: 'cell/a', message: id },
    });
    for (const id of ['l1', 'l2', 'l2', 'l3']) host.letter(letter(id));
    expect((await rig.control.deadLetters()).map((one) => one.id)).toEqual(['l1', 'l2', 'l3']);
    expect(await rig.control.deadLetters({ after: 'l1', limit: 1 })).toEqual([letter('l2')]);
    expect(await rig.settle(rig.control.removeDeadLetters(['l1', 'l1', 'l3', 'none']))).toBe(2);
    expect((await rig.control.deadLetters()).map((one) => one.id)).toEqual(['l2']);
  });

  test('run numbers grow, positions go on', async () => {
    const rig = await Rig.open();
    rig.host().write(turn('cell/a', 1));
    const second = await rig.crash();
    expect([rig.report.run, second.report.run, second.report.end]).toEqual([1, 2, 2]);
    const host = second.host();
    host.write(turn('cell/a', 2));
    expect(host.heard).toEqual([['committed', 1, 2]]);
  });
});

describe('wakes', () => {
  test('V1: a cell is woken when its time has come, once, at its host', async () => {
    const rig = await Rig.open({ hosts: 2 });
    const [key] = keysOn(1, 2, 1) as [string];
    const [a, b] = [rig.host(0), rig.host(1)];
    b.image(key, 1, { wakeAtMs: rig.clock.now() + 100_000 });
    b.image(key, 2, { wakeAtMs: rig.clock.now() + 200_000 });
    rig.clock.advance(199_999);
    expect(b.of('wake')).toEqual([]);
    rig.clock.advance(1);
    expect(b.of('wake')).toEqual([['wake', key]]);
    rig.clock.advance(1_000_000);
    expect([a.of('wake'), b.of('wake').length]).toEqual([[], 1]);
  });

  test('an earlier time moves the wait, a past time wakes at once, 0 is left to recovery', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    const now = rig.clock.now();
    host.image('cell/late', 1, { wakeAtMs: now + 5_000 });
    host.image('cell/early', 1, { wakeAtMs: now + 1_000 });
    host.image('cell/past', 1, { wakeAtMs: now - 1 });
    host.image('cell/zero', 1, { wakeAtMs: 0 });
    expect(host.of('wake')).toEqual([['wake', 'cell/past']]);
    rig.clock.advance(1_000);
    expect(host.of('wake').slice(1)).toEqual([['wake', 'cell/early']]);
    rig.clock.advance(4_000);
    expect(host.of('wake').slice(2)).toEqual([['wake', 'cell/late']]);
  });

  test('V1: after the clock was set back, what lies ahead again is waited for again', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    const now = rig.clock.now();
    host.image('cell/old', 1, { wakeAtMs: now + 1_000 });
    rig.clock.advance(5_000);
    rig.clock.set(now - 86_400_000);
    host.image('cell/new', 1, { wakeAtMs: now - 1_000 });
    expect(host.of('wake')).toEqual([['wake', 'cell/old']]);
    rig.clock.advance(86_400_000 - 1_000);
    expect(host.of('wake').slice(1)).toEqual([['wake', 'cell/new']]);
    rig.clock.advance(2_000);
    expect(host.of('wake').slice(2)).toEqual([['wake', 'cell/old']]);
  });

  test('a wake for a slot without a host is kept for the next one', async () => {
    const rig = await Rig.open();
    const first = rig.host(0, 1);
    first.image('cell/a', 1, { wakeAtMs: rig.clock.now() + 10 });
    first.journal.close();
    rig.clock.advance(50);
    expect(rig.host(0, 2).heard).toEqual([['wake', 'cell/a']]);
  });

  test('V2: what was due at the start is in the recovery, what is not is waited for', async () => {
    const rig = await Rig.open();
    const host = rig.host();
    const now = rig.clock.now();
    host.image('cell/past', 1, { wakeAtMs: now - 5 });
    host.image('cell/zero', 1, { wakeAtMs: 0 });
    host.image('cell/never', 1);
    host.image('cell/soon', 1, { wakeAtMs: now + 50 });
    const after = await rig.crash();
    expect((await after.control.recover(0)).wake).toEqual(['cell/zero', 'cell/past']);
    const next = after.host(0, 2);
    after.clock.advance(50);
    expect(next.heard).toEqual([['wake', 'cell/soon']]);
  });
});
