/** Supervisors of supervisors: escalation goes up level by level, stops go down, and each level goes by its own spec. */
import { describe, expect, test } from 'vitest';
import { ActorAlreadyExistsError } from '../../runtime/kernel/errors.ts';
import type { ChildSpec, RestartType } from '../../supervisors/child-spec.ts';
import { supervisorBehavior } from '../../supervisors/supervisor.ts';
import { World, type WorldOptions } from './support/supervision-harness.ts';
import { childrenOf, ERROR, KILLED, WORKERS } from './support/workers.ts';

const branch = (id: string, definition: string, restart: RestartType = 'permanent'): ChildSpec => ({
  id,
  actor: { definition },
  restart,
  type: 'supervisor',
});

/** top ─ mid ─ leaf ─ w1, w2; and beside leaf a worker m, beside mid a worker t. */
const startTree = (restart: RestartType = 'permanent', options: WorldOptions = {}): { world: World; top: string } => {
  const flags = { backoff: 'none', intensity: 1 } as const;
  const world = new World(
    {
      ...WORKERS,
      top: supervisorBehavior({ ...flags, children: [...childrenOf(['t']), branch('mid', 'mid', restart)] }),
      mid: supervisorBehavior({ ...flags, children: [...childrenOf(['m']), branch('leaf', 'leaf', restart)] }),
      leaf: supervisorBehavior({ ...flags, children: childrenOf(['w1', 'w2']) }),
    },
    options,
  );
  return { world, top: world.start('top', 'root') };
};

const MID = 'mid/top/root/mid';
const LEAF = `leaf/${MID}/leaf`;
const W1 = `worker/${LEAF}/w1`;

const fail = (world: World, times: number): void => {
  for (let count = 0; count < times; count++) world.tell(W1, { exit: ERROR });
};

test('the tree starts from the top and stops from the bottom, last branch first', () => {
  const { world, top } = startTree();
  expect(world.takeLog()).toEqual([
    'start root',
    'start t',
    'start mid',
    'start m',
    'start leaf',
    'start w1',
    'start w2',
  ]);
  world.stop(top);
  expect(world.takeLog().filter((entry) => entry.startsWith('end'))).toEqual(
    ['w2', 'w1', 'leaf', 'm', 'mid', 't', 'root'].map((id) => `end ${id} shutdown`),
  );
  expect(world.livingKeys()).toEqual([]);
});

describe('escalation', () => {
  test('one failure too many ends the leaf, which its supervisor starts afresh', () => {
    const { world } = startTree();
    world.takeLog();
    fail(world, 2);
    expect(world.takeLog()).toEqual([
      'end w1 error',
      'resume w1',
      'end w1 error',
      'stop w2',
      'end w2 shutdown',
      'end leaf error',
      'reset leaf',
      'resume w1',
      'resume w2',
    ]);
  });

  test('it goes up to the top: 2 failures end a leaf, 2 leaves a mid, 2 mids the top', () => {
    const { world, top } = startTree();
    fail(world, 7);
    expect(world.isLiving(top)).toBe(true);
    fail(world, 1);
    expect(world.livingKeys()).toEqual([]);
    expect(world.log.at(-1)).toBe('end root error');
    expect(world.log.filter((entry) => entry === 'end mid error')).toHaveLength(2);
    expect(world.log.filter((entry) => entry === 'end leaf error')).toHaveLength(4);
  });

  test('a transient supervisor that gives up is restarted: it has failed, not finished', () => {
    const { world } = startTree('transient');
    fail(world, 2);
    expect(world.isLiving(LEAF)).toBe(true);
  });

  test('a temporary one is not', () => {
    const { world, top } = startTree('temporary');
    fail(world, 2);
    expect(world.isLiving(LEAF)).toBe(false);
    expect(world.isLiving(MID)).toBe(true);
    expect(world.isLiving(top)).toBe(true);
  });
});

test('a killed supervisor takes its children with it, and comes back with them', () => {
  const { world } = startTree();
  world.takeLog();
  world.stop(LEAF, KILLED);
  expect(world.livingKeys()).toHaveLength(7);
  expect(world.takeLog()).toContain('reset leaf');
});

test('a terminated branch stays down, and comes back on request', () => {
  const { world, top } = startTree();
  world.ask(top, { type: 'terminate_child', id: 'mid' });
  expect(world.livingKeys()).toEqual([top, 'worker/top/root/t']);
  world.ask(top, { type: 'restart_child', id: 'mid' });
  expect(world.livingKeys()).toHaveLength(7);
});

test('an actor that lives elsewhere is a start that fails', () => {
  const children = [{ id: 'a', actor: { definition: 'worker', id: 'taken' } }];
  const world = new World({ ...WORKERS, sup: supervisorBehavior({ children, intensity: 1, backoff: 'none' }) });
  world.start('worker', 'taken');
  const sup = world.start('sup', 's');
  expect(world.isLiving(sup)).toBe(false);
  expect(world.isLiving('worker/taken')).toBe(true);
  expect(world.events.at(-1)?.event).toMatchObject({
    reason: { error: { cause: { code: new ActorAlreadyExistsError('').code } } },
  });
});
