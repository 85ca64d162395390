/** Between the acceptance of a batch and its write: what hosts are told, and what becomes of it when somebody dies or the disk is full. */
import { expect, test } from 'vitest';
import { MemoryStore } from '../../../runtime/journal/memory-store.ts';
import { StorageError, SystemStoppedError } from '../../../runtime/kernel/errors.ts';
import { Rig, type RigHost, turn } from './journal-rig.ts';

const WRITE_MS = 5;

/** Accepted, and not yet on the disk. */
function accept(rig: Rig, host: RigHost, ...sequences: number[]): void {
  for (const sequence of sequences) host.batch.turn(turn('cell/a', sequence));
  host.append(true);
  rig.clock.run();
}

/** A journal of `hosts` slots: the host of slot 0 was told that its turn is accepted, and is fenced; the disk has no room for the turn. */
async function diedWithoutRoom(hosts: number): Promise<{ readonly rig: Rig; readonly disk: { full: boolean } }> {
  const disk = { full: false };
  const rig = await Rig.open({ hosts }, new MemoryStore({ faults: { full: () => disk.full } }), WRITE_MS);
  const old = rig.host(0, 1);
  disk.full = true;
  accept(rig, old, 1);
  rig.clock.advance(WRITE_MS);
  await rig.control.fence(0, 2);
  return { rig, disk };
}

/** Whether the promise has not settled. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = {};
  const settled = promise.catch(() => {});
  for (let i = 0; i < 10; i++) await Promise.resolve();
  return (await Promise.race([settled, Promise.resolve(pending)])) === pending;
}

test('J6, P5: who forwards is told of the acceptance, once, before the write', async () => {
  const rig = await Rig.open({ hosts: 2 }, undefined, WRITE_MS);
  const [a, b] = [rig.host(0), rig.host(1)];
  b.batch.turn(turn('cell/b', 1));
  b.append();
  accept(rig, a, 1, 2);
  expect(a.heard).toEqual([['accepted', 1, 2]]);
  expect(b.heard).toEqual([]);
  expect([...rig.store.logFrom(0)]).toEqual([]);
  rig.clock.advance(WRITE_MS);
  expect(a.heard).toEqual([
    ['accepted', 1, 2],
    ['committed', 1, 2],
  ]);
  expect(b.heard).toEqual([['committed', 1, 1]]);
});

test('P5: what is appended during the write is behind it in the log, and waits for its own', async () => {
  const rig = await Rig.open({ hosts: 2 }, undefined, WRITE_MS);
  const [a, b] = [rig.host(0), rig.host(1)];
  accept(rig, a, 1);
  b.batch.turn(turn('cell/b', 1));
  b.append(true);
  rig.clock.run();
  expect(b.heard).toEqual([]);
  rig.clock.advance(WRITE_MS);
  expect(a.of('committed')).toEqual([['committed', 1, 1]]);
  expect(b.heard).toEqual([['accepted', 1, 2]]);
  rig.clock.advance(WRITE_MS);
  expect(b.of('committed')).toEqual([['committed', 1, 2]]);
});

test('a batch that nobody waits for is written at once', async () => {
  const rig = await Rig.open({}, undefined, WRITE_MS);
  const host = rig.host();
  host.write(turn('cell/a', 1));
  expect(host.heard).toEqual([['committed', 1, 1]]);
});

test('J7: what was accepted of a host that dies is committed before its slot is recovered, what was not is given up', async () => {
  const rig = await Rig.open({}, undefined, WRITE_MS);
  const old = rig.host(0, 1);
  accept(rig, old, 1);
  old.batch.turn(turn('cell/a', 2));
  old.append(true);
  await rig.control.fence(0, 2);
  rig.clock.run();
  expect((await rig.control.recover(0)).end).toBe(2);
  rig.clock.advance(10 * WRITE_MS);
  expect((await rig.control.turns('cell/a')).map(({ sequence }) => sequence)).toEqual([1]);
  const next = rig.host(0, 2);
  next.write(turn('cell/a', 2));
  expect(next.heard).toEqual([['committed', 1, 2]]);
});

test('J8: on a full disk what was told keeps its place and what is before it, the rest may still be given up', async () => {
  let full = false;
  const rig = await Rig.open({ hosts: 3 }, new MemoryStore({ faults: { full: () => full } }), WRITE_MS);
  const [before, told, after] = [rig.host(0), rig.host(1), rig.host(2)];
  full = true;
  before.batch.turn(turn('cell/before', 1));
  before.append();
  told.batch.turn(turn('cell/told', 1));
  told.append(true);
  after.batch.turn(turn('cell/after', 1));
  after.append();
  rig.clock.run();
  rig.clock.advance(WRITE_MS);
  expect(told.of('accepted')).toEqual([['accepted', 1, 2]]);
  expect(told.of('storage')).toEqual([['storage', 'full']]);
  for (const slot of [0, 1, 2]) await rig.control.fence(slot, 2);
  rig.clock.advance(10_000);
  full = false;
  rig.clock.advance(10_000);
  const keys = (await rig.control.stats()).end === 3 ? ['cell/before', 'cell/told', 'cell/after'] : [];
  const turns = await Promise.all(keys.map((key) => rig.control.turns(key)));
  expect(turns.map((list) => list.map(({ position }) => position))).toEqual([[1], [2], []]);
});

test('J7, J8: a recovery waits for room when others may have acted on what has none', async () => {
  const { rig, disk } = await diedWithoutRoom(2);
  const recovery = rig.control.recover(0);
  expect(await isPending(recovery)).toBe(true);
  // The place of what was told is not given to anybody else.
  const other = rig.host(1);
  other.write(turn('cell/b', 1));
  disk.full = false;
  rig.clock.advance(10_000);
  expect((await recovery).end).toBe(3);
  expect(other.of('committed')).toEqual([['committed', 1, 2]]);
});

test('a recovery that waits for room ends with the journal', async () => {
  const { rig } = await diedWithoutRoom(1);
  const recovery = rig.control.recover(0);
  recovery.catch(() => {});
  await rig.control.close();
  await expect(recovery).rejects.toThrowError(SystemStoppedError);
});

test('J9: a store that fails between takes the write with it', async () => {
  let broken = false;
  const faults = {
    beforeCommit: () => {
      if (broken) throw new StorageError('the disk is on fire');
    },
  };
  const rig = await Rig.open({}, new MemoryStore({ faults }), WRITE_MS);
  const host = rig.host();
  broken = true;
  accept(rig, host, 1);
  rig.clock.advance(WRITE_MS);
  broken = false;
  accept(rig, host, 2);
  rig.clock.advance(10 * WRITE_MS);
  expect(host.heard).toEqual([['accepted', 1, 1]]);
  expect(rig.failures).toHaveLength(1);
  expect([...rig.store.logFrom(0)]).toEqual([]);
});
