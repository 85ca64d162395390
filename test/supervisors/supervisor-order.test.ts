/** Order of starts and stops, deadlines, waits, and what a restarted child begins with. */
import { describe, expect, test } from 'vitest';
import { supervisorBehavior } from '../../supervisors/supervisor.ts';
import type { SupervisorEvent } from '../../supervisors/supervisor-events.ts';
import type { SupervisorSpec } from '../../supervisors/supervisor-spec.ts';
import type { SupervisorView } from '../../supervisors/supervisor-state.ts';
import { World } from './support/supervision-harness.ts';
import { childrenOf, ERROR, KILLED, NORMAL, WORKERS } from './support/workers.ts';

const startWorld = (spec: SupervisorSpec): { world: World; sup: string } => {
  const world = new World({ ...WORKERS, sup: supervisorBehavior({ backoff: 'none', ...spec }) });
  return { world, sup: world.start('sup', 's') };
};

const statusesOf = (world: World, sup: string): string =>
  (world.view(sup) as SupervisorView).children.map(({ id, status }) => `${id} ${status}`).join(', ');

const eventTypes = (world: World): string[] => world.events.map(({ event }) => (event as SupervisorEvent).type);

describe('S1', () => {
  test('children start in list order and stop in reverse, one after the other', () => {
    const children = ['a', 'b', 'c'].map((id) => ({ id, actor: { definition: 'slow', input: 100 } }));
    const { world, sup } = startWorld({ children });
    expect(world.takeLog()).toEqual(['start s', 'start a', 'start b', 'start c']);
    world.stop(sup);
    expect(world.takeLog()).toEqual(['stop s', 'stop c']);
    world.advance(100);
    expect(world.takeLog()).toEqual(['end c shutdown', 'stop b']);
    world.advance(200);
    expect(world.takeLog()).toEqual(['end b shutdown', 'stop a', 'end a shutdown', 'end s shutdown']);
    expect(world.timers()).toEqual([]);
  });

  test('a supervisor without children ends at once, for the reason it was given', () => {
    const { world, sup } = startWorld({ children: [] });
    world.stop(sup, ERROR);
    expect(world.log).toEqual(['start s', 'stop s', 'end s error']);
  });

  test('the second of two stops changes nothing', () => {
    const { world, sup } = startWorld({ children: [{ id: 'a', actor: { definition: 'slow', input: 100 } }] });
    world.stop(sup);
    world.stop(sup, ERROR);
    world.advance(100);
    expect(world.log.slice(2)).toEqual(['stop s', 'stop a', 'stop s', 'end a shutdown', 'end s shutdown']);
  });
});

describe('deadlines', () => {
  const naughty = (shutdownMs?: number | 'brutal_kill' | 'infinity') =>
    startWorld({ children: [{ id: 'a', actor: { definition: 'naughty' }, shutdownMs }, ...childrenOf(['b'])] });

  test('a child that does not stop is killed after 5,000 ms', () => {
    const { world, sup } = naughty();
    world.stop(sup);
    world.takeLog();
    world.advance(4_999);
    expect(world.takeLog()).toEqual([]);
    world.advance(1);
    expect(world.takeLog()).toEqual(['kill a', 'end a killed', 'end s shutdown']);
    expect(eventTypes(world)).toContain('child_killed');
  });

  test('at once with a deadline of 0, and unasked with brutal_kill', () => {
    const zero = naughty(0);
    zero.world.stop(zero.sup);
    zero.world.advance(0);
    expect(zero.world.takeLog().slice(6)).toEqual(['stop a', 'kill a', 'end a killed', 'end s shutdown']);
    const brutal = naughty('brutal_kill');
    brutal.world.stop(brutal.sup);
    expect(brutal.world.takeLog().slice(6)).toEqual(['kill a', 'end a killed', 'end s shutdown']);
  });

  test('infinity waits, and keeps the supervisor', () => {
    const { world, sup } = naughty('infinity');
    world.stop(sup);
    world.advance(1e9);
    expect(world.isLiving(sup)).toBe(true);
    expect(world.timers()).toEqual([]);
    world.tell('naughty/sup/s/a', { exit: NORMAL });
    expect(world.isLiving(sup)).toBe(false);
  });

  test('a child that stops in time takes its deadline with it', () => {
    const { world, sup } = startWorld({ children: [{ id: 'a', actor: { definition: 'slow', input: 10 } }] });
    world.ask(sup, { type: 'terminate_child', id: 'a' });
    expect(world.timers()).toEqual(['a slow', 's shutdown:a']);
    world.advance(10);
    expect(world.timers()).toEqual([]);
  });

  test('a naughty sibling holds up a restart until it is killed, and nobody else', () => {
    const children = [...childrenOf(['a']), { id: 'b', actor: { definition: 'naughty' }, shutdownMs: 50 }];
    const { world, sup } = startWorld({ strategy: 'one_for_all', children });
    world.tell('worker/sup/s/a', { exit: ERROR });
    expect(statusesOf(world, sup)).toBe('a restarting, b stopping');
    expect(world.ask(sup, { type: 'count_children' })).toMatchObject({ value: { active: 1 } });
    world.takeLog();
    world.advance(50);
    expect(world.takeLog()).toEqual(['kill b', 'end b killed', 'resume a', 'resume b']);
  });
});

describe('waits between restarts', () => {
  const waiting = (strategy: SupervisorSpec['strategy'] = 'one_for_one') =>
    startWorld({
      strategy,
      intensity: 9,
      backoff: { initialMs: 100, jitter: 'none', stableAfterMs: 10_000 },
      children: childrenOf(['a', 'b', 'c']),
    });

  test('they grow while the child fails, and begin anew when it has been stable', () => {
    const { world } = waiting();
    for (const waitMs of [100, 200, 400]) {
      world.tell('worker/sup/s/b', { exit: ERROR });
      world.advance(waitMs - 1);
      expect(world.isLiving('worker/sup/s/b')).toBe(false);
      world.advance(1);
      expect(world.isLiving('worker/sup/s/b')).toBe(true);
    }
    world.advance(10_000);
    world.tell('worker/sup/s/b', { exit: ERROR });
    world.advance(100);
    expect(world.isLiving('worker/sup/s/b')).toBe(true);
  });

  test('the group is down during the wait, and starts in order', () => {
    const { world, sup } = waiting('rest_for_one');
    world.tell('worker/sup/s/b', { exit: ERROR });
    expect(statusesOf(world, sup)).toBe('a running, b restarting, c restarting');
    world.takeLog();
    world.advance(100);
    expect(world.takeLog()).toEqual(['resume b', 'resume c']);
  });

  test('a failure further up takes a waiting group over', () => {
    const { world, sup } = waiting('rest_for_one');
    world.tell('worker/sup/s/b', { exit: ERROR });
    world.advance(60);
    world.tell('worker/sup/s/a', { exit: ERROR });
    expect(world.timers()).toEqual(['s restart:a']);
    world.takeLog();
    world.advance(99);
    expect(statusesOf(world, sup)).toBe('a restarting, b restarting, c restarting');
    world.advance(1);
    expect(world.takeLog()).toEqual(['resume a', 'resume b', 'resume c']);
  });

  test('a stop during the wait ends it', () => {
    const { world, sup } = waiting('one_for_all');
    world.tell('worker/sup/s/b', { exit: ERROR });
    world.stop(sup);
    expect(world.isLiving(sup)).toBe(false);
    expect(world.timers()).toEqual([]);
  });

  test('a child may wait in its own way', () => {
    const children = [...childrenOf(['a'], { backoff: 'none' }), ...childrenOf(['b'])];
    const { world } = startWorld({ backoff: { initialMs: 50, jitter: 'none' }, intensity: 5, children });
    world.tell('worker/sup/s/a', { exit: ERROR });
    world.tell('worker/sup/s/b', { exit: ERROR });
    expect(world.isLiving('worker/sup/s/a')).toBe(true);
    expect(world.isLiving('worker/sup/s/b')).toBe(false);
  });
});

describe('what a restarted child begins with', () => {
  test.each([
    ['last_good', ERROR, 'resume', 4],
    ['last_good', KILLED, 'resume', 3],
    ['last_good', NORMAL, 'reset', 0],
    ['initial', ERROR, 'reset', 0],
  ] as const)('%s after %j: %s', (restartFrom, reason, how, seen) => {
    const { world } = startWorld({ children: childrenOf(['a'], { restartFrom }) });
    const a = 'worker/sup/s/a';
    for (let count = 0; count < 3; count++) world.tell(a, {});
    world.takeLog();
    if (reason.kind === 'killed') world.stop(a, reason);
    else world.tell(a, { exit: reason });
    expect(world.takeLog().at(-1)).toBe(`${how} a`);
    expect(world.view(a)).toMatchObject({ seen });
  });

  test('its input is that of its spec, every time', () => {
    const { world } = startWorld({
      children: [{ id: 'a', actor: { definition: 'worker', id: 'own', input: { n: 1 } }, restartFrom: 'initial' }],
    });
    world.tell('worker/own', { exit: ERROR });
    expect(world.view('worker/own')).toEqual({ input: { n: 1 }, seen: 0 });
  });
});

test('the spec may be a function of the input', () => {
  const pool = supervisorBehavior((input) => ({ children: childrenOf(input as string[]) }));
  const world = new World({ ...WORKERS, pool });
  world.start('pool', 'p', ['x', 'y']);
  expect(world.log).toEqual(['start p', 'start x', 'start y']);
});

test('a supervisor that is resumed after its end starts what it had', () => {
  const spec = { id: 's', actor: { definition: 'inner' }, restartFrom: 'last_good' } as const;
  const top = supervisorBehavior({ backoff: 'none', children: [{ ...spec, type: 'supervisor' }] });
  const inner = supervisorBehavior({ children: childrenOf(['a']), backoff: 'none', intensity: 1 });
  const world = new World({ ...WORKERS, top, inner });
  world.start('top', 't');
  const sup = 'inner/top/t/s';
  world.ask(sup, { type: 'start_child', spec: childrenOf(['b'])[0] });
  world.stop(sup);
  world.takeLog();
  world.ask(sup, { type: 'count_children' });
  expect(world.takeLog()).toEqual(['resume a', 'resume b']);
});
