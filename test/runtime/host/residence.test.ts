/** When a host stores its cells, and how much of what waits for them goes along. */
import { expect, test } from 'vitest';
import type { Cell } from '../../../runtime/cell/cell.ts';
import { outsideStreamOf } from '../../../runtime/cell/image.ts';
import { CellTurn } from '../../../runtime/cell/cell-turn.ts';
import { CommitQueue } from '../../../runtime/host/commit-queue.ts';
import { Residence } from '../../../runtime/host/residence.ts';
import { BatchWriter } from '../../../runtime/journal/batch-builder.ts';
import type { HostJournal } from '../../../runtime/journal/host-journal.ts';
import type { ImageRow } from '../../../runtime/journal/turn-record.ts';
import type { Behavior } from '../../../runtime/kernel/behavior.ts';
import { systemClock } from '../../../runtime/kernel/clock.ts';
import { defineBehavior } from '../../../runtime/kernel/definition.ts';

const RUN = 3;
const counting: Behavior<number> = {
  init: () => 0,
  receive: (state) => state + 1,
  save: (state) => state,
  load: (saved) => saved as number,
  view: (state) => state,
};
const definition = defineBehavior(import.meta.url, 'counting', counting, { snapshotEveryTurns: 100 });

const setUp = (): { residence: Residence; cell: Cell; images: ImageRow[] } => {
  const images: ImageRow[] = [];
  class Seen extends BatchWriter {
    override image(row: ImageRow): void {
      images.push(row);
      super.image(row);
    }
  }
  const journal: HostJournal = {
    newBatch: () => new Seen({ slot: 0, epoch: 1, run: RUN }),
    append: () => {},
    load: (keys, loaded) => loaded(keys.map((key) => ({ key, image: undefined, turns: [], pending: [] }))),
    clean: () => {},
    close: () => {},
  };
  const residence = new Residence({
    clock: systemClock,
    journal,
    commits: new CommitQueue(journal, { forward: () => {}, finish: () => {} }),
    turn: new CellTurn({ isDurable: () => true, log: () => {} }),
    run: RUN,
    residentCellsLimit: 10,
    definitions: { of: () => definition, isDurable: () => true, whenLoaded: () => {} },
    replaced: () => {},
    arrived: () => {},
    oldestUnaccepted: () => undefined,
  });
  const cell = residence.activate('counting/a', definition);
  residence.flushLoads();
  return { residence, cell, images };
};

/** `count` messages of `stream` that wait. */
const wait = (cell: Cell, stream: number, count: number): void => {
  for (let i = 0; i < count; i++) {
    cell.mailbox.push({ to: cell.key, message: { n: i }, id: { stream, position: i, index: 0 } });
  }
};

test('what waits from outside is in no image: nobody was told that it is kept', () => {
  const { residence, cell, images } = setUp();
  wait(cell, outsideStreamOf(RUN), 5_000);
  wait(cell, 1, 2);
  residence.image(cell);
  const row = images[0] as ImageRow;
  expect((row.body as { backlog: readonly unknown[] }).backlog).toHaveLength(2);
  expect(row.received).toEqual([{ stream: 1, lane: 'user', position: 1, index: 0 }]);
});

test('only outside messages: the cell need not be woken', () => {
  const { residence, cell, images } = setUp();
  wait(cell, outsideStreamOf(RUN), 1);
  residence.image(cell);
  expect(images[0]?.wakeAtMs).toBeUndefined();
});

test('a cell with much waiting is stored after as many turns as pay for writing it all again', () => {
  const { residence, cell, images } = setUp();
  wait(cell, 1, 1_000);
  for (let turns = 1; turns <= 16_000; turns++) {
    cell.sequence += 1;
    residence.imageIfDue(cell);
  }
  expect(images).toHaveLength(2);
});

test('a checkpoint asks nothing of a cell for which only outside messages wait', () => {
  const { residence, cell, images } = setUp();
  wait(cell, outsideStreamOf(RUN), 10);
  residence.checkpoint(1, 1_000);
  residence.continueCheckpoint();
  expect(images).toEqual([]);
});

test('a cell that waits for a timer is stored when it is unloaded, unchanged or not: its alarm may have rung by a wrong clock', () => {
  const { residence, cell, images } = setUp();
  const dueMs = systemClock.now() + 3_600_000;
  cell.run();
  cell.book.status = { kind: 'running' };
  cell.book.timers = new Map([['t', { dueMs, payload: null, armed: 1 }]]);
  cell.touched = false;
  residence.beginRound();
  residence.sweep();
  expect(residence.get(cell.key)).toBeUndefined();
  expect(images.map(({ wakeAtMs }) => wakeAtMs)).toEqual([dueMs]);
});
