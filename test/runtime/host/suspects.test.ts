/** Actors that were running when a host died: handled with care, and not for ever. */
import { expect, test } from 'vitest';
import { Handler, type HandlerPorts } from '../../../runtime/host/handler.ts';
import { Cell as RealCell, type Cell } from '../../../runtime/cell/cell.ts';
import { CellTurn } from '../../../runtime/cell/cell-turn.ts';
import { step } from '../../../runtime/cell/step.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';
import { refuser } from '../../simulation/workloads/stasher.ts';

const handler = (): Handler => new Handler({} as HandlerPorts);
const cell = (sequence: number, waiting: number): Cell =>
  ({ key: 'a/b', sequence, mailbox: { length: waiting } }) as unknown as Cell;

test('a suspect whose mailbox is never empty is acquitted after what it may have lost, and what waited', () => {
  const host = handler();
  host.suspect([{ key: 'a/b', deaths: 1, sequence: 400, deathsInAll: 1 }]);
  let careful = 1;
  // It had run 300 turns ahead of what is on the disk, and its senders are always faster.
  while (host.mustWait(cell(100 + careful, 50))) careful += 1;
  expect(careful).toBeGreaterThanOrEqual(300 + 50);
  expect(careful).toBeLessThan(1_000);
  expect(host.isSuspect(cell(0, 0))).toBe(false);
});

test('thousands that wait for a suspect are not each a commit, unless it kills again and again', () => {
  const carefulAfter = (deathsInAll: number): number => {
    const host = handler();
    host.suspect([{ key: 'a/b', deaths: 1, sequence: 100, deathsInAll }]);
    let careful = 1;
    while (host.mustWait(cell(100 + careful, 5_000))) careful += 1;
    return careful;
  };
  expect(carefulAfter(1)).toBeLessThan(1_000);
  expect(carefulAfter(2)).toBeGreaterThan(1_000);
  expect(carefulAfter(6)).toBeGreaterThan(10_000);
});

test('one with nothing left to do is acquitted at once', () => {
  const host = handler();
  host.suspect([{ key: 'a/b', deaths: 1, sequence: 400, deathsInAll: 1 }]);
  expect(host.mustWait(cell(101, 0))).toBe(false);
  expect(host.isSuspect(cell(101, 0))).toBe(false);
});

test('one that dies again is careful again', () => {
  const host = handler();
  host.suspect([{ key: 'a/b', deaths: 1, sequence: 4, deathsInAll: 1 }]);
  while (host.mustWait(cell(9, 1)));
  host.suspect([{ key: 'a/b', deaths: 2, sequence: 9, deathsInAll: 2 }]);
  expect(host.mustWait(cell(9, 1))).toBe(true);
});

test('what a suspect has handled before is not taken for what kills, when it comes again', () => {
  const told: number[] = [];
  const turn = new CellTurn({ isDurable: () => true, log: () => {} });
  const host = new Handler({
    outsideStream: 65_537,
    turn,
    commits: { after: (run: () => void) => run() },
    releaser: { receipt: (call: number) => void told.push(call) },
  } as unknown as HandlerPorts);
  const suspect = new RealCell('refuser/1', refuser);
  suspect.run();
  const spawn: Envelope = {
    to: suspect.key,
    message: undefined,
    control: { kind: 'spawn', logic: [], input: {}, ifExists: 'refuse' },
  };
  const message: Envelope = { to: suspect.key, message: 1, id: { stream: 65_537, position: 2, index: 0 } };
  step(suspect, spawn, turn, 0);
  step(suspect, message, turn, 0);
  host.suspect([{ key: suspect.key, deaths: 1, sequence: suspect.sequence, deathsInAll: 1 }]);
  host.handle(suspect, message, 0, undefined);
  expect(suspect.sequence).toBe(2);
  expect(told).toEqual([2]);
});
