/** What would break if X happened in order Y? Each case says in words who came at the wrong moment. */
import { describe, expect, test } from 'vitest';
import type { ChildSpec } from '../../supervisors/child-spec.ts';
import { dynamicSupervisorBehavior } from '../../supervisors/dynamic-supervisor.ts';
import { supervisorBehavior } from '../../supervisors/supervisor.ts';
import type { SupervisorSpec } from '../../supervisors/supervisor-spec.ts';
import type { SupervisorView } from '../../supervisors/supervisor-state.ts';
import { World } from './support/supervision-harness.ts';
import { childrenOf, ERROR, KILLED, NORMAL, SHUTDOWN, WORKERS } from './support/workers.ts';

const startWorld = (spec: Partial<SupervisorSpec>): { world: World; sup: string } => {
  const full = { intensity: 9, backoff: 'none', children: childrenOf(['a', 'b', 'c']), ...spec } as const;
  const world = new World({ ...WORKERS, sup: supervisorBehavior(full) });
  const sup = world.start('sup', 's');
  world.takeLog();
  return { world, sup };
};

const slow = (id: string, more: Partial<ChildSpec> = {}): ChildSpec => ({
  id,
  actor: { definition: 'slow', input: 100 },
  ...more,
});

const keyOf = (id: string): string => `worker/sup/s/${id}`;

describe('ends that are none of its business', () => {
  const ended = { kind: 'terminated', reason: ERROR } as const;

  test.each([
    ['of an actor that is no child', { ...ended, key: 'worker/x' }],
    ['of an unknown child', { ...ended, key: keyOf('z'), childId: 'z' }],
    ['of an actor that the child of this name is not', { ...ended, key: 'worker/old', childId: 'a' }],
  ])('the end %s', (_what, signal) => {
    for (const behavior of [
      supervisorBehavior({ intensity: 0, children: childrenOf(['a']) }),
      dynamicSupervisorBehavior({ intensity: 0, child: { actor: { definition: 'worker' } } }),
    ]) {
      const world = new World({ ...WORKERS, sup: behavior });
      const sup = world.start('sup', 's');
      world.ask(sup, { type: 'start_child', id: 'a' });
      const before = world.save(sup);
      world.signal(sup, signal);
      expect(world.save(sup)).toEqual(before);
    }
  });

  test('a second end of one life, while the child waits to be restarted, is not counted', () => {
    for (const behavior of [
      supervisorBehavior({ children: childrenOf(['a']) }),
      dynamicSupervisorBehavior({ child: { actor: { definition: 'worker' } } }),
    ]) {
      const world = new World({ ...WORKERS, sup: behavior });
      const sup = world.start('sup', 's');
      world.ask(sup, { type: 'start_child', id: 'a' });
      world.tell(keyOf('a'), { exit: ERROR });
      const before = world.save(sup);
      world.signal(sup, { ...ended, key: keyOf('a'), childId: 'a' });
      expect(world.save(sup)).toEqual(before);
    }
  });

  test('signals and timers of others change nothing', () => {
    const { world, sup } = startWorld({});
    const before = world.save(sup);
    world.signal(sup, { kind: 'timer', id: 'x', payload: null });
    world.signal(sup, { kind: 'timer', id: 'x', payload: { purpose: 'party', id: 'a' } });
    world.signal(sup, { kind: 'timer', id: 'x', payload: { purpose: 'restart', id: 'a' } });
    world.signal(sup, { kind: 'timer', id: 'x', payload: { purpose: 'shutdown', id: 'a' } });
    world.signal(sup, { kind: 'reply', ask: 'x', value: 1 });
    expect(world.save(sup)).toEqual(before);
    expect(world.log.filter((entry) => entry.startsWith('kill'))).toEqual([]);
  });
});

describe('while a group goes down', () => {
  test('a sibling that fails before it is asked is not counted, and comes back with the rest', () => {
    const { world, sup } = startWorld({ strategy: 'one_for_all', children: [...childrenOf(['a', 'b']), slow('c')] });
    world.tell(keyOf('a'), { exit: ERROR });
    world.tell(keyOf('b'), { exit: ERROR });
    world.advance(100);
    expect(world.view(sup)).toMatchObject({ restarts: 1 });
    expect(world.livingKeys()).toHaveLength(4);
  });

  test('a sibling that fails after it was asked is not counted either', () => {
    const { world, sup } = startWorld({ strategy: 'one_for_all', children: [...childrenOf(['a']), slow('b')] });
    world.tell(keyOf('a'), { exit: ERROR });
    world.tell('slow/sup/s/b', { exit: ERROR });
    expect(world.view(sup)).toMatchObject({ restarts: 1, phase: 'running' });
    expect(world.livingKeys()).toHaveLength(3);
  });

  test('a child further up fails: the two groups become one, and nobody is started in between', () => {
    const { world, sup } = startWorld({ strategy: 'rest_for_one', children: [...childrenOf(['a', 'b']), slow('c')] });
    world.tell(keyOf('b'), { exit: ERROR });
    world.tell(keyOf('a'), { exit: ERROR });
    world.takeLog();
    world.advance(100);
    expect(world.takeLog()).toEqual(['end c shutdown', 'resume a', 'resume b', 'resume c']);
    expect(world.view(sup)).toMatchObject({ restarts: 2 });
  });

  test('a child further up fails once too often: everything stops', () => {
    const children = [...childrenOf(['a', 'b']), slow('c')];
    const { world } = startWorld({ strategy: 'rest_for_one', intensity: 1, children });
    world.tell(keyOf('b'), { exit: ERROR });
    world.tell(keyOf('a'), { exit: ERROR });
    world.advance(100);
    expect(world.log.slice(-2)).toEqual(['end c shutdown', 'end s error']);
    expect(world.livingKeys()).toEqual([]);
  });

  test('the supervisor is stopped: it goes on with the stop it was at, and starts nothing', () => {
    const { world, sup } = startWorld({ strategy: 'one_for_all', children: [...childrenOf(['a', 'b']), slow('c')] });
    world.tell(keyOf('a'), { exit: ERROR });
    world.stop(sup);
    world.advance(100);
    expect(world.log).toEqual([
      'end a error',
      'stop c',
      'stop s',
      'end c shutdown',
      'stop b',
      'end b shutdown',
      'end s shutdown',
    ]);
  });

  test('a sibling is being terminated on request: one end serves both', () => {
    const { world, sup } = startWorld({ strategy: 'one_for_all', children: [...childrenOf(['a']), slow('b')] });
    const call = world.post(sup, { type: 'terminate_child', id: 'b' });
    world.settle();
    world.tell(keyOf('a'), { exit: ERROR });
    world.advance(100);
    expect(world.calls[call]?.state).toBe('replied');
    expect(world.log.filter((entry) => entry === 'stop b')).toHaveLength(1);
    expect(world.livingKeys()).toHaveLength(3);
  });
});

describe('while a group waits', () => {
  const waiting = (): { world: World; sup: string } => {
    const started = startWorld({ strategy: 'rest_for_one', backoff: { initialMs: 100, jitter: 'none' } });
    started.world.tell(keyOf('b'), { exit: ERROR });
    started.world.takeLog();
    return started;
  };

  test('a child is added to it: when the wait is over it goes down, and up with the others (OTP tries the whole restart again)', () => {
    const { world, sup } = waiting();
    world.ask(sup, { type: 'start_child', spec: childrenOf(['d'])[0] });
    world.advance(100);
    expect(world.log).toEqual(['start d', 'stop d', 'end d shutdown', 'resume b', 'resume c', 'resume d']);
  });

  test('a child is added and fails: it waits for itself, until the group takes it along', () => {
    const { world, sup } = waiting();
    world.ask(sup, { type: 'start_child', spec: childrenOf(['d'])[0] });
    world.advance(50);
    world.tell(keyOf('d'), { exit: ERROR });
    expect(world.timers()).toEqual(['s restart:b', 's restart:d']);
    world.advance(50);
    expect(world.timers()).toEqual([]);
    expect(world.livingKeys()).toHaveLength(5);
  });

  test('its leader is terminated and restarted by hand: the others start when their wait is over', () => {
    const { world, sup } = waiting();
    world.ask(sup, { type: 'terminate_child', id: 'b' });
    world.ask(sup, { type: 'restart_child', id: 'b' });
    expect(world.timers()).toEqual(['s restart:b']);
    world.advance(100);
    expect(world.log).toEqual(['resume b', 'resume c']);
  });

  test('all of it is terminated: nothing is left to wait for', () => {
    const { world, sup } = waiting();
    for (const id of ['b', 'c']) world.ask(sup, { type: 'terminate_child', id });
    expect(world.timers()).toEqual([]);
  });
});

describe('a significant child ends while the other one is stopping on request', () => {
  test('the other one counts as gone', () => {
    const significant = { restart: 'transient', significant: true } as const;
    const children = [...childrenOf(['a'], significant), slow('b', significant)];
    const { world, sup } = startWorld({ autoShutdown: 'all_significant', children });
    world.post(sup, { type: 'terminate_child', id: 'b' });
    world.settle();
    world.tell(keyOf('a'), { exit: NORMAL });
    world.advance(100);
    expect(world.livingKeys()).toEqual([]);
  });

  test('also of a dynamic supervisor', () => {
    const child = { actor: { definition: 'slow', input: 100 }, restart: 'transient', significant: true } as const;
    const world = new World({ ...WORKERS, sup: dynamicSupervisorBehavior({ autoShutdown: 'all_significant', child }) });
    const sup = world.start('sup', 's');
    for (const id of ['a', 'b']) world.ask(sup, { type: 'start_child', id });
    world.post(sup, { type: 'terminate_child', id: 'b' });
    world.settle();
    world.tell('slow/sup/s/a', { exit: NORMAL });
    world.advance(100);
    expect(world.livingKeys()).toEqual([]);
  });
});

test('a child that answers a stop by finishing is no failure, and starts afresh when it is started again', () => {
  const children = [...childrenOf(['a']), { id: 'b', actor: { definition: 'polite' } }];
  const { world, sup } = startWorld({ strategy: 'one_for_all', children });
  world.tell(keyOf('a'), { exit: ERROR });
  expect(world.log).toEqual(['end a error', 'stop b', 'end b normal', 'resume a', 'reset b']);
  expect(world.view(sup)).toMatchObject({ restarts: 1 });
});

test('a child is killed from outside while it is stopping: one end, and no deadline left', () => {
  const { world, sup } = startWorld({ children: [slow('a')] });
  world.post(sup, { type: 'terminate_child', id: 'a' });
  world.settle();
  world.stop('slow/sup/s/a', KILLED);
  expect(world.timers()).toEqual([]);
  expect((world.view(sup) as SupervisorView).children[0]?.status).toBe('stopped');
});

test('the deadline and the end come together: the kill of a child that has ended hits nobody, not even its next life', () => {
  const { world, sup } = startWorld({ children: [slow('a', { shutdownMs: 100 })] });
  const call = world.post(sup, { type: 'terminate_child', id: 'a' });
  world.post(sup, { type: 'restart_child', id: 'a' });
  world.settle();
  world.advance(100);
  expect(world.calls[call]?.state).toBe('replied');
  expect(world.isLiving('slow/sup/s/a')).toBe(true);
});

test('the only child ends as the supervisor is told to stop', () => {
  const { world, sup } = startWorld({ children: childrenOf(['a']) });
  world.postTell(keyOf('a'), { exit: ERROR });
  world.postStop(sup, SHUTDOWN);
  world.settle();
  expect(world.livingKeys()).toEqual([]);
  expect(world.log.at(-1)).toBe('end s shutdown');
});
