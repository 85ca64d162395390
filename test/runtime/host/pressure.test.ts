/** Who waits for whom, cell by cell: relief, and calls that are refused. */
import { expect, test } from 'vitest';
import { Cell } from '../../../runtime/cell/cell.ts';
import { Pressure } from '../../../runtime/host/pressure.ts';
import { member } from '../../support/actors/ring.ts';

interface Rig {
  readonly pressure: Pressure;
  readonly resumed: Cell[];
  /** A cell with so many messages; it has room for four. */
  cell(name: string, messages: number): Cell;
  /** The cell handles messages until so many are left. */
  drain(cell: Cell, left: number): void;
}

function rig(): Rig {
  const resumed: Cell[] = [];
  const pressure = new Pressure(
    (cell) => void resumed.push(cell),
    () => {},
  );
  return {
    pressure,
    resumed,
    cell(name, messages) {
      const cell = new Cell(`member/${name}`, member);
      for (let i = 0; i < messages; i++) cell.mailbox.push({ to: cell.key, message: i });
      return cell;
    },
    drain(cell, left) {
      while (cell.mailbox.userLength > left) cell.mailbox.shift();
      pressure.worked(cell);
    },
  };
}

test('a cell that sends to the same full mailbox again and again waits once', () => {
  const { pressure, cell, drain, resumed } = rig();
  const sender = cell('a', 1);
  const full = cell('b', 4);
  for (let i = 0; i < 3; i++) pressure.pauseUntil(sender, { drained: full });
  drain(full, 2);
  expect(pressure.isPaused(sender)).toBe(false);
  expect(resumed).toEqual([sender]);
});

test('a relieved cell waits for what is not of its circle', () => {
  const { pressure, cell, drain } = rig();
  const [a, b, elsewhere] = [cell('a', 4), cell('b', 4), cell('c', 4)] as const;
  pressure.pauseUntil(a, { drained: b });
  pressure.pauseUntil(b, { drained: a });
  pressure.relieve(a, new Set([b]), new Set([a, b]));
  expect(pressure.isPaused(a)).toBe(false);
  pressure.pauseUntil(a, { drained: b });
  expect(pressure.isPaused(a)).toBe(false);
  pressure.pauseUntil(a, { drained: elsewhere });
  expect(pressure.isPaused(a)).toBe(true);
  // When it is down to half, it is as before.
  drain(a, 2);
  drain(elsewhere, 2);
  expect(pressure.isPaused(b)).toBe(false);
  pressure.pauseUntil(a, { drained: b });
  expect(pressure.isPaused(a)).toBe(true);
});

test('relief lets the circle go on at once, and strangers in when it is still so after a look', () => {
  const { pressure, cell, drain } = rig();
  const [a, b, stranger] = [cell('a', 4), cell('b', 4), cell('s', 1)] as const;
  const rooms: number[] = [];
  for (const full of [false, true]) {
    pressure.pauseUntil(a, { drained: b });
    pressure.pauseUntil(b, { drained: a });
    pressure.pauseUntil(stranger, { drained: a });
    pressure.hold(a, (room) => void rooms.push(room));
    pressure.relieve(a, new Set([b]), new Set([a, b]));
    drain(a, 2);
    expect([pressure.isPaused(b), pressure.isPaused(stranger), rooms.length]).toEqual([false, true, 0]);
    expect(pressure.isCalm).toBe(false);
    if (full) {
      // The circle has filled it again: there is no room for others.
      for (let i = 0; i < 2; i++) a.mailbox.push({ to: a.key, message: i });
      pressure.endSpan();
      expect([pressure.isPaused(stranger), rooms.length]).toEqual([true, 0]);
      drain(a, 2);
    } else pressure.endSpan();
    expect([pressure.isPaused(stranger), rooms]).toEqual([false, [2]]);
    expect(pressure.isCalm).toBe(true);
    rooms.length = 0;
    for (let i = 0; i < 2; i++) a.mailbox.push({ to: a.key, message: i });
  }
});

test('one that refuses calls stays in memory until those that it has refused are there again', () => {
  const { pressure, cell, drain } = rig();
  const full = cell('a', 4);
  expect(pressure.refuses(full)).toBe(true);
  pressure.hold(full, () => {});
  drain(full, 0);
  // Unloaded and loaded again, it would take the next call before the refused ones, which would then pass for repeated.
  expect(full.holds).toBe(1);
  expect(pressure.refuses(full)).toBe(true);
  pressure.admit(full);
  pressure.admit(full);
  expect(full.holds).toBe(0);
});

test('a blocked actor that is loaded again is another cell: nobody waits for the old one, and calls are refused as before', () => {
  const { pressure, cell } = rig();
  const [old, fresh, sender] = [cell('a', 4), cell('a', 0), cell('b', 1)] as const;
  expect(pressure.refuses(old)).toBe(true);
  pressure.pauseUntil(sender, { drained: old });
  pressure.replaced(old, fresh);
  expect(pressure.isPaused(sender)).toBe(false);
  expect(pressure.refuses(fresh)).toBe(true);
});
