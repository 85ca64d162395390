/** Actors in memory whose host died while nobody could be told: parents that come back ask after them. */
import { describe, expect, test } from 'vitest';
import { Cell } from '../../../runtime/cell/cell.ts';
import { Bereavements } from '../../../runtime/host/bereavements.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';
import { placementOf } from '../../../runtime/kernel/address.ts';
import { refuser } from '../../simulation/workloads/stasher.ts';

const HOSTS = 2;
const CHILD = 'spark/1';
const SLOT = placementOf(CHILD, HOSTS);

function rig() {
  const routed: Envelope[] = [];
  const pushed: unknown[] = [];
  const bereavements = new Bereavements({
    hosts: HOSTS,
    isDurable: (key) => !key.startsWith('spark/'),
    link: () => ({
      push: (item) => void pushed.push(item),
      flush: () => {},
      writable: true,
      onceWritable: () => {},
      oldestUnacknowledgedMark: () => undefined,
    }),
    route: (envelope) => void routed.push(envelope),
  });
  const parent = new Cell('parent/1', refuser);
  parent.run();
  parent.book.children = new Map([
    ['s', { key: CHILD, incarnation: 4 }],
    ['durable', { key: 'leaf/1', incarnation: 2 }],
  ]);
  return { bereavements, parent, routed, pushed };
}

const heard = (incarnation: number) => ({
  to: 'parent/1',
  control: { kind: 'terminated', key: CHILD, childId: 's', incarnation, reason: { kind: 'host_lost' } },
});

test('a cell that comes back asks after its children in memory, and after no others', () => {
  const { bereavements, parent, routed, pushed } = rig();
  parent.book.watching = new Set(['spark/2', 'leaf/1']);
  bereavements.arrived(parent);
  expect(pushed).toEqual([['probe', CHILD, 'parent/1', 's', 4]]);
  expect(routed).toMatchObject([{ to: 'spark/2', control: { kind: 'watch', watcher: 'parent/1' } }]);
});

test('of those that are known to have died it is told', () => {
  const { bereavements, parent, routed, pushed } = rig();
  bereavements.diedBefore([SLOT]);
  bereavements.arrived(parent);
  expect(pushed).toEqual([]);
  expect(routed).toMatchObject([heard(4)]);
});

describe('whoever is asked', () => {
  const probe = ['probe', CHILD, 'parent/1', 's', 4] as const;
  const child = (incarnation: number): Cell => {
    const cell = new Cell(CHILD, refuser);
    cell.run();
    cell.book.status = { kind: 'running' };
    cell.book.incarnation = incarnation;
    return cell;
  };

  test('says nothing of one that lives', () => {
    const { bereavements, routed } = rig();
    bereavements.answer(probe, child(4));
    expect(routed).toEqual([]);
  });

  test('says nothing of one that waits to begin', () => {
    const { bereavements, routed } = rig();
    const cell = new Cell(CHILD, refuser);
    cell.mailbox.push({ to: CHILD, message: undefined, control: { kind: 'spawn', input: {}, ifExists: 'resume' } });
    bereavements.answer(probe, cell);
    expect(routed).toEqual([]);
  });

  test('tells the end of one that is not there, and of an earlier start', () => {
    const { bereavements, routed } = rig();
    bereavements.answer(probe, undefined);
    bereavements.answer(probe, child(3));
    expect(routed).toMatchObject([heard(4), heard(4)]);
  });
});
