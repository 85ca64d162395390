/** The dynamic supervisor: OTP's simple_one_for_one, with very many children. */
import { describe, expect, test } from 'vitest';
import { dynamicSupervisorBehavior, SHUTDOWN_BATCH } from '../../supervisors/dynamic-supervisor.ts';
import type { DynamicState, DynamicSupervisorView } from '../../supervisors/dynamic-state.ts';
import { supervisorBehavior } from '../../supervisors/supervisor.ts';
import type { ChildPage } from '../../supervisors/supervisor-requests.ts';
import type { DynamicSupervisorSpec } from '../../supervisors/supervisor-spec.ts';
import { World, type WorldOptions } from './support/supervision-harness.ts';
import { ERROR, NORMAL, WORKERS } from './support/workers.ts';

type Template = Partial<DynamicSupervisorSpec['child']>;

const startWorld = (
  child: Template = {},
  flags: Omit<DynamicSupervisorSpec, 'child'> = {},
  options: WorldOptions = {},
): { world: World; sup: string; start: (id: string, input?: unknown) => unknown } => {
  const spec = { backoff: 'none', ...flags, child: { actor: { definition: 'worker' }, ...child } } as const;
  const world = new World({ ...WORKERS, sup: dynamicSupervisorBehavior(spec) }, options);
  const sup = world.start('sup', 's');
  return { world, sup, start: (id, input) => world.ask(sup, { type: 'start_child', id, input }) };
};

const ok = (value: unknown) => ({ ok: true, value });
const keyOf = (id: string) => `worker/sup/s/${id}`;

describe('start_child', () => {
  test('with a name, with an actor of its own, with neither', () => {
    const { world, sup, start } = startWorld();
    expect(start('a')).toEqual(ok(keyOf('a')));
    expect(world.ask(sup, { type: 'start_child', id: 'b', actorId: 'o-42' })).toEqual(ok('worker/o-42'));
    const keys = [1, 2].map(() => (world.ask(sup, { type: 'start_child' }) as { value: string }).value);
    expect(new Set(keys).size).toBe(2);
    expect(world.livingKeys()).toEqual([sup, keyOf('a'), 'worker/o-42', ...keys]);
  });

  test('with arguments, which it gets again at a restart', () => {
    const { world, start } = startWorld(
      { actor: { definition: 'worker', input: 'theirs' }, restartFrom: 'initial' },
      { intensity: 5 },
    );
    start('a', { n: 1 });
    start('b');
    for (const id of ['a', 'b']) world.tell(keyOf(id), { exit: ERROR });
    expect(world.isLiving(keyOf('a'))).toBe(true);
    expect([world.view(keyOf('a')), world.view(keyOf('b'))]).toMatchObject([{ input: { n: 1 } }, { input: 'theirs' }]);
  });

  test('already_started, and names that cannot be', () => {
    const { start } = startWorld();
    start('a');
    expect(start('a')).toEqual({ ok: false, error: { code: 'already_started', id: 'a', key: keyOf('a') } });
    expect(start('a~b')).toMatchObject({ error: { code: 'invalid_child_spec' } });
    expect(start('y'.repeat(512))).toMatchObject({ error: { code: 'invalid_child_spec' } });
  });

  test('no arguments are remembered of a temporary child, as in OTP', () => {
    const { world, sup, start } = startWorld({ restart: 'temporary' });
    start('a', { big: 'input' });
    expect(JSON.stringify(world.save(sup))).not.toContain('big');
    expect(world.view(keyOf('a'))).toMatchObject({ input: { big: 'input' } });
  });

  test('DC2: a supervisor that was restarted gives no name again', () => {
    const pool = dynamicSupervisorBehavior({ child: { actor: { definition: 'worker' } } });
    const top = supervisorBehavior({
      backoff: 'none',
      children: [{ id: 'pool', actor: { definition: 'pool' }, type: 'supervisor' }],
    });
    const world = new World({ ...WORKERS, pool, top });
    world.start('top', 't');
    const first = world.ask('pool/top/t/pool', { type: 'start_child' });
    world.advance(1);
    world.stop('pool/top/t/pool');
    expect(world.isLiving('pool/top/t/pool')).toBe(true);
    expect(world.ask('pool/top/t/pool', { type: 'start_child' })).not.toEqual(first);
  });
});

describe('ends', () => {
  test('each child is restarted alone; intensity is the supervisor’s', () => {
    const { world, sup, start } = startWorld({}, { intensity: 2 });
    for (const id of ['a', 'b', 'c']) start(id);
    world.takeLog();
    for (const id of ['a', 'b']) world.tell(keyOf(id), { exit: ERROR });
    expect(world.takeLog()).toEqual(['end a error', 'resume a', 'end b error', 'resume b']);
    world.tell(keyOf('c'), { exit: ERROR });
    expect(world.livingKeys()).toEqual([]);
    expect(world.log.at(-1)).toBe('end s error');
    expect(world.isLiving(sup)).toBe(false);
  });

  test('a transient child that finished is forgotten', () => {
    const { world, sup, start } = startWorld({ restart: 'transient' });
    start('a');
    world.tell(keyOf('a'), { exit: NORMAL });
    expect(world.ask(sup, { type: 'count_children' })).toEqual(ok({ specs: 1, active: 0, supervisors: 0, workers: 0 }));
    expect(start('a')).toMatchObject({ ok: true });
  });

  test('a restart waits, and can be given up', () => {
    const { world, sup, start } = startWorld({ backoff: { initialMs: 100, jitter: 'none' } });
    start('a');
    start('b');
    for (const id of ['a']) world.tell(keyOf(id), { exit: ERROR });
    expect(world.view(sup)).toMatchObject({ active: 1, restarting: 1, workers: 2 });
    expect(world.ask(sup, { type: 'terminate_child', id: 'a' })).toEqual(ok(null));
    expect(world.timers()).toEqual([]);
    world.tell(keyOf('b'), { exit: ERROR });
    world.stop(sup);
    expect(world.livingKeys()).toEqual([]);
    expect(world.timers()).toEqual([]);
  });
});

describe('requests', () => {
  test('terminate_child answers when the child has ended, and forgets it', () => {
    const { world, sup } = startWorld({ actor: { definition: 'naughty' }, shutdownMs: 50 });
    world.ask(sup, { type: 'start_child', id: 'a' });
    const calls = [1, 2].map(() => world.post(sup, { type: 'terminate_child', id: 'a' }));
    const again = world.post(sup, { type: 'start_child', id: 'a' });
    world.settle();
    expect(calls.map((call) => world.calls[call]?.state)).toEqual(['pending', 'pending']);
    world.advance(50);
    expect([...calls, again].map((call) => world.calls[call]?.value)).toEqual([
      ok(null),
      ok(null),
      ok('naughty/sup/s/a'),
    ]);
    expect(world.ask(sup, { type: 'terminate_child', id: 'z' })).toEqual({
      ok: false,
      error: { code: 'not_found', id: 'z' },
    });
  });

  test('restart_child and delete_child are refused, any child has the one spec', () => {
    const { world, sup } = startWorld();
    for (const type of ['restart_child', 'delete_child']) {
      expect(world.ask(sup, { type, id: 'a' })).toEqual({ ok: false, error: { code: 'simple_one_for_one' } });
    }
    expect(world.ask(sup, { type: 'get_childspec' })).toMatchObject({ value: { restart: 'permanent' } });
    expect(world.ask(sup, { type: 'dance' })).toBe('UNKNOWN_SUPERVISOR_REQUEST');
  });

  test('which_children comes in pages', () => {
    const { world, sup, start } = startWorld();
    const ids = Array.from({ length: 25 }, (_, index) => `c${index}`);
    for (const id of ids) start(id);
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const { value } = world.ask(sup, { type: 'which_children', after, limit: 10 }) as { value: ChildPage };
      expect(value.children.length).toBeLessThanOrEqual(10);
      seen.push(...value.children.map(({ id }) => id));
      after = value.next;
    } while (after !== undefined);
    expect(seen.toSorted()).toEqual(ids.toSorted());
  });
});

describe('the end', () => {
  test('all children are asked at once, and the rest is killed at the deadline', () => {
    const { world, sup } = startWorld({ actor: { definition: 'slow' }, shutdownMs: 100 });
    for (const [id, input] of [
      ['a', 50],
      ['b', 500],
    ] as const)
      world.ask(sup, { type: 'start_child', id, input });
    world.takeLog();
    world.stop(sup);
    expect(world.takeLog().toSorted()).toEqual(['stop a', 'stop b', 'stop s']);
    world.advance(50);
    expect(world.takeLog()).toEqual(['end a shutdown']);
    expect(world.ask(sup, { type: 'start_child', id: 'c' })).toBe('SUPERVISOR_STOPPING');
    world.advance(50);
    expect(world.takeLog()).toEqual(['kill b', 'end b killed', 'end s shutdown']);
  });

  test('more than a batch: one batch after the other', () => {
    const { world, sup } = startWorld({ actor: { definition: 'slow', input: 10 } }, {}, { twice: false });
    const count = SHUTDOWN_BATCH + 10;
    for (let index = 0; index < count; index++) world.post(sup, { type: 'start_child', id: `c${index}` });
    world.settle();
    world.takeLog();
    world.stop(sup);
    expect(world.takeLog().filter((entry) => entry.startsWith('stop c'))).toHaveLength(SHUTDOWN_BATCH);
    world.advance(10);
    expect(world.takeLog().filter((entry) => entry.startsWith('stop c'))).toHaveLength(10);
    world.advance(10);
    expect(world.livingKeys()).toEqual([]);
  });
});

/** Turns of a bare behavior: no world, so that what is measured is the supervisor. */
test('D1: with 100,000 children a turn costs what it costs with none', () => {
  const behavior = dynamicSupervisorBehavior({
    intensity: 1_000_000,
    backoff: 'none',
    child: { actor: { definition: 'worker' } },
  });
  const ignore = (): void => {};
  const turn = new Proxy(
    { self: 'sup/s', nowMs: 1 },
    {
      get: (known, name) => (name in known ? known[name as keyof typeof known] : ignore),
    },
  ) as never;
  let state: DynamicState = behavior.init(undefined, turn);
  const start = (from: number, to: number): number => {
    const begin = performance.now();
    for (let index = from; index < to; index++) {
      state = behavior.receive(state, { type: 'start_child', id: `c${index}` }, turn);
    }
    return performance.now() - begin;
  };
  start(0, 5_000);
  const few = start(5_000, 10_000);
  start(10_000, 95_000);
  const many = start(95_000, 100_000);
  expect(behavior.view(state)).toMatchObject({ active: 100_000 } satisfies Partial<DynamicSupervisorView>);
  // Generous, for a busy machine: a copy per turn would be hundreds of times dearer.
  expect(many).toBeLessThan(20 * few + 200);
  const loaded = behavior.load(behavior.save(state), { self: 'sup/s', parent: undefined });
  expect([...loaded.children.entries()]).toEqual([...state.children.entries()]);
  const key = keyOf('c77');
  const ended = behavior.signal?.(state, { kind: 'terminated', key, childId: 'c77', reason: ERROR }, turn);
  expect(behavior.view(ended as DynamicState)).toMatchObject({ active: 100_000, restarts: 1 });
});
