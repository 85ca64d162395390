/** Reads of a long log, while the journal has other things to do: commits, trimming, its end. */
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MemoryStore } from '../../../runtime/journal/memory-store.ts';
import { type Slices, SlicedReads } from '../../../runtime/journal/sliced-reads.ts';
import type { LogRow, StoreWrites } from '../../../runtime/journal/store.ts';
import { SystemStoppedError } from '../../../runtime/kernel/errors.ts';
import { Rig, type RigHost, turn } from './journal-rig.ts';

const ROWS = 3_000;
/** As many rows as may be read while commits wait. */
const SLICE_ROWS = 256;

/** Writes down commits, and the rows that were read between them. */
class WatchedStore extends MemoryStore {
  readonly done: (number | 'commit')[] = [];

  override commit(write: (writes: StoreWrites) => void): void {
    super.commit(write);
    this.done.push('commit');
  }

  override *logFrom(from: number): Generator<LogRow> {
    const at = this.done.push(0) - 1;
    for (const row of super.logFrom(from)) {
      this.done[at] = (this.done[at] as number) + 1;
      yield row;
    }
  }
}

async function withTurns(options: Parameters<typeof Rig.open>[0] = {}): Promise<[Rig, RigHost, WatchedStore]> {
  const store = new WatchedStore();
  const rig = await Rig.open(options, store);
  // A checkpoint waits until the host knows what it owes.
  await rig.control.recover(0);
  const host = rig.host();
  for (let i = 1; i <= ROWS; i++) host.write(turn('cell/a', i));
  store.done.length = 0;
  return [rig, host, store];
}

const sequences = (turns: readonly { readonly sequence: number }[]): number[] => turns.map(({ sequence }) => sequence);
const upTo = (last: number, first = 1): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);

test('Q3: a commit waits for one slice of a long read, and what it adds is not in the answer', async () => {
  const [rig, host, store] = await withTurns();
  const asked = rig.control.turns('cell/a', { limit: 1e6 });
  host.batch.turn(turn('cell/a', ROWS + 1));
  host.append();
  expect(sequences(await rig.settle(asked))).toEqual(upTo(ROWS));
  const reads = store.done.filter((one) => one !== 'commit');
  // A row more is looked at, to see that it is beyond the end.
  expect(Math.max(...reads)).toBeLessThanOrEqual(SLICE_ROWS + 1);
  expect(reads.length).toBeGreaterThanOrEqual(Math.floor(ROWS / SLICE_ROWS));
  expect(store.done.indexOf('commit')).toBe(1);
});

test('SR1: of several long reads one goes on in a turn of the loop, one after another', async () => {
  const deferred: (() => void)[] = [];
  const reads = new SlicedReads({ defer: (run) => void deferred.push(run) });
  const slices: string[] = [];
  function* read(name: string): Slices<string> {
    for (let i = 1; i <= 3; i++) {
      slices.push(name + i);
      yield;
    }
    return name;
  }
  const asked = Promise.all(['a', 'b', 'c'].map((name) => reads.run(read(name), () => {})));
  expect(slices.splice(0)).toEqual(['a1', 'b1', 'c1']);
  for (const name of ['a2', 'b2', 'c2', 'a3', 'b3', 'c3']) {
    for (const run of deferred.splice(0)) run();
    await setImmediate();
    expect(slices.splice(0)).toEqual([name]);
  }
  while (deferred.length > 0) {
    deferred.shift()?.();
    await setImmediate();
  }
  expect(await asked).toEqual(['a', 'b', 'c']);
});

test('rows trimmed during the read: the answer is whole from where the log now begins', async () => {
  const [rig, host, store] = await withTurns({ retention: 'trim' });
  const rounds: number[] = [];
  host.onCheckpoint = (round) => void rounds.push(round);
  const checkpoint = rig.control.checkpoint();
  rig.clock.run();
  for (let i = 1; i <= 2 * SLICE_ROWS; i++) host.write(turn('cell/a', ROWS + i));
  const asked = rig.control.turns('cell/a', { limit: 1e6 });
  host.batch.image({ key: 'cell/a', sequence: ROWS, received: [], wakeAtMs: undefined, body: 0 });
  host.append();
  host.onCheckpoint = (round) => host.journal.clean(round);
  for (const round of rounds) host.journal.clean(round);
  // The trimming overtakes the read, which has had its first slice.
  rig.clock.run();
  expect(store.logPositions(0, 1)).toEqual([ROWS + 1]);
  expect(sequences(await rig.settle(asked))).toEqual(upTo(ROWS + 2 * SLICE_ROWS, ROWS + 1));
  expect(await rig.settle(checkpoint)).toBe(ROWS + 1);
});

test('the journal is closed during the read: the reader is told', async () => {
  const [rig] = await withTurns();
  const asked = rig.settle(rig.control.turns('cell/a', { limit: 1e6 }));
  const closed = rig.control.close();
  await expect(asked).rejects.toThrowError(SystemStoppedError);
  await closed;
});

test('a read of one turn ends with it', async () => {
  const [rig, , store] = await withTurns();
  expect(sequences(await rig.control.turns('cell/a', { fromSequence: 2, toSequence: 3 }))).toEqual([2, 3]);
  expect(store.done).toEqual([3]);
});
