/** Planted in timers, effects and the lives of children. */
import { BatchWriter } from '../../../runtime/journal/batch-builder.ts';
import { CellTurn } from '../../../runtime/cell/cell-turn.ts';
import { Cell } from '../../../runtime/cell/cell.ts';
import { EffectRunner } from '../../../runtime/host/effect-runner.ts';
import { TimerQueue } from '../../../runtime/host/timer-queue.ts';
import { nowAndThen, type PlantedBug } from './planted-bug.ts';

export const LIFE_BUGS: readonly PlantedBug[] = [
  {
    name: 'versions-mixed-up',
    what: 'after a crash, what an older version did is repeated by the present one',
    shows: { workload: 'upgrade', plan: 'crashes' },
    plant(replace) {
      replace(
        Cell.prototype,
        'resolveBehavior',
        (before) =>
          function (this: Cell) {
            this.edition = this.definition;
            return before.call(this);
          },
      );
    },
  },
  {
    name: 'version-not-written',
    what: 'turns say version 1, whoever made them',
    shows: { workload: 'upgrade', plan: 'crashes' },
    plant(replace) {
      replace(
        BatchWriter.prototype,
        'turn',
        (before) =>
          function (this: BatchWriter, record) {
            before.call(this, { ...record, version: 1 });
          },
      );
    },
  },
  {
    name: 'timers-early',
    what: 'timers fire a tenth of a second early',
    shows: { workload: 'clockwork', plan: 'calm' },
    plant(replace) {
      replace(
        TimerQueue.prototype,
        'add',
        (before) =>
          function (this: TimerQueue, key, id, dueMs, ...setting) {
            before.call(this, key, id, dueMs - 100, ...setting);
          },
      );
    },
  },
  {
    name: 'timers-forgotten',
    what: 'every ninth timer is not armed',
    shows: { workload: 'clockwork', plan: 'calm' },
    plant(replace) {
      const forgotten = nowAndThen(9);
      replace(
        TimerQueue.prototype,
        'add',
        (before) =>
          function (this: TimerQueue, ...timer) {
            if (!forgotten()) before.apply(this, timer);
          },
      );
    },
  },
  {
    name: 'at-most-once-again',
    what: 'an at-most-once effect is begun again after a crash',
    shows: { workload: 'clockwork', plan: 'crashes' },
    plant(replace) {
      replace(
        EffectRunner.prototype,
        'resume',
        () =>
          function (this: EffectRunner, cell: Cell) {
            for (const [id, entry] of cell.book.effects ?? []) this.start(cell, id, entry.started);
          },
      );
    },
  },
  {
    name: 'effects-forgotten',
    what: 'effects that were under way are forgotten in a crash',
    shows: { workload: 'clockwork', plan: 'crashes' },
    plant(replace) {
      replace(EffectRunner.prototype, 'resume', () => () => {});
    },
  },
  {
    name: 'effect-under-another-key',
    what: 'an effect that is taken up again has another idempotency key',
    shows: { workload: 'clockwork', plan: 'crashes' },
    plant(replace) {
      replace(
        EffectRunner.prototype,
        'resume',
        (before) =>
          function (this: EffectRunner, cell: Cell) {
            const { effects } = cell.book;
            for (const [id, entry] of effects ?? []) effects?.set(id, { ...entry, started: entry.started + 1_000 });
            before.call(this, cell);
          },
      );
    },
  },
  {
    name: 'end-of-another-start',
    what: 'the end of a child does not say which start of it has ended',
    shows: { workload: 'tree', plan: 'deaths' },
    plant(replace) {
      replace(
        CellTurn.prototype,
        'tellTerminated',
        (before) =>
          function (this: CellTurn, parent, childId, _incarnation, reason) {
            before.call(this, parent, childId, undefined, reason);
          },
      );
    },
  },
];
