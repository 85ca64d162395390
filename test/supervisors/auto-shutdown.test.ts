/** Automatic shutdown: which ends of significant children end the supervisor. OTP's table, for both kinds of supervisor. */
import { describe, expect, test } from 'vitest';
import type { AutoShutdown, ChildSpec } from '../../supervisors/child-spec.ts';
import { dynamicSupervisorBehavior } from '../../supervisors/dynamic-supervisor.ts';
import type { RestartStrategy } from '../../supervisors/restart-strategy.ts';
import { supervisorBehavior } from '../../supervisors/supervisor.ts';
import { World } from './support/supervision-harness.ts';
import { ERROR, NORMAL, SHUTDOWN, WORKERS } from './support/workers.ts';

const REASONS = { normal: NORMAL, shutdown: SHUTDOWN, abnormal: ERROR } as const;

const child = (id: string, restart: ChildSpec['restart'], significant: boolean): ChildSpec => ({
  id,
  actor: { definition: 'worker' },
  restart,
  significant,
});

const startWorld = (
  autoShutdown: AutoShutdown,
  children: readonly ChildSpec[],
  strategy: RestartStrategy = 'one_for_one',
): { world: World; sup: string; end: (id: string, reason?: keyof typeof REASONS) => void } => {
  const spec = { autoShutdown, strategy, children, backoff: 'none', intensity: 5 } as const;
  const world = new World({ ...WORKERS, sup: supervisorBehavior(spec) });
  const sup = world.start('sup', 's');
  return { world, sup, end: (id, reason = 'normal') => world.tell(`worker/sup/s/${id}`, { exit: REASONS[reason] }) };
};

describe('the end of one of two significant children', () => {
  test.each([
    ['any_significant', 'transient', 'normal', true],
    ['any_significant', 'transient', 'shutdown', true],
    ['any_significant', 'transient', 'abnormal', false],
    ['any_significant', 'temporary', 'normal', true],
    ['any_significant', 'temporary', 'abnormal', true],
    ['all_significant', 'transient', 'normal', false],
    ['all_significant', 'temporary', 'abnormal', false],
  ] as const)('%s, %s, %s: ends is %s', (autoShutdown, restart, reason, ends) => {
    const { world, sup, end } = startWorld(autoShutdown, [
      child('a', restart, true),
      child('b', restart, true),
      child('c', 'permanent', false),
    ]);
    end('a', reason);
    expect(world.isLiving(sup)).toBe(!ends);
    if (ends) expect(world.log.at(-1)).toBe('end s shutdown');
  });
});

test('all_significant ends with the last of them', () => {
  const { world, sup, end } = startWorld('all_significant', [
    child('a', 'transient', true),
    child('b', 'temporary', true),
    child('c', 'permanent', false),
  ]);
  end('b', 'abnormal');
  expect(world.isLiving(sup)).toBe(true);
  end('a');
  expect(world.isLiving(sup)).toBe(false);
});

test('the end of an insignificant child ends nothing', () => {
  const { world, sup, end } = startWorld('any_significant', [
    child('a', 'transient', false),
    child('b', 'temporary', true),
  ]);
  end('a');
  expect(world.isLiving(sup)).toBe(true);
});

test('a stop that was asked for is no such end, but the child is gone for those that come after', () => {
  const { world, sup, end } = startWorld('all_significant', [
    child('a', 'transient', true),
    child('b', 'transient', true),
  ]);
  world.ask(sup, { type: 'terminate_child', id: 'a' });
  expect(world.isLiving(sup)).toBe(true);
  end('b');
  expect(world.isLiving(sup)).toBe(false);
});

test('a sibling that is stopped for a group restart is no such end', () => {
  const children = [child('a', 'permanent', false), child('b', 'transient', true), child('c', 'temporary', true)];
  const { world, sup, end } = startWorld('any_significant', children, 'one_for_all');
  end('a', 'abnormal');
  expect(world.livingKeys()).toEqual([sup, 'worker/sup/s/a', 'worker/sup/s/b']);
});

test('never is never', () => {
  const { world, sup, end } = startWorld('never', [child('a', 'temporary', false)]);
  end('a');
  expect(world.isLiving(sup)).toBe(true);
});

describe('dynamic', () => {
  test.each([
    ['any_significant', 1],
    ['all_significant', 3],
  ] as const)('%s ends with child %i of 3', (autoShutdown, last) => {
    const spec = { actor: { definition: 'worker' }, restart: 'transient', significant: true } as const;
    const world = new World({ ...WORKERS, sup: dynamicSupervisorBehavior({ autoShutdown, child: spec }) });
    const sup = world.start('sup', 's');
    for (const id of ['a', 'b', 'c']) world.ask(sup, { type: 'start_child', id });
    for (const [index, id] of ['a', 'b', 'c'].entries()) {
      expect(world.isLiving(sup)).toBe(index < last);
      if (world.isLiving(sup)) world.tell(`worker/sup/s/${id}`, { exit: NORMAL });
    }
    expect(world.livingKeys()).toEqual([]);
  });
});
