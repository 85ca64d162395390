/** What one may ask a running supervisor, and every answer that OTP documents. */
import { describe, expect, test } from 'vitest';
import { supervisorBehavior } from '../../supervisors/supervisor.ts';
import type { SupervisorSpec } from '../../supervisors/supervisor-spec.ts';
import { World } from './support/supervision-harness.ts';
import { childrenOf, ERROR, NORMAL, WORKERS } from './support/workers.ts';

const startWorld = (spec: Partial<SupervisorSpec> = {}): { world: World; sup: string } => {
  const children = childrenOf(['a', 'b', 'c']);
  const world = new World({
    ...WORKERS,
    sup: supervisorBehavior({ children, intensity: 9, backoff: 'none', ...spec }),
  });
  const sup = world.start('sup', 's');
  world.takeLog();
  return { world, sup };
};

const [extra] = childrenOf(['x']);
const ok = (value: unknown) => ({ ok: true, value });
const refusal = (code: string, id: string) => ({ ok: false, error: { code, id } });
const slow = (id: string, ms: number) => ({ id, actor: { definition: 'slow', input: ms } });

describe('start_child', () => {
  test('adds and starts', () => {
    const { world, sup } = startWorld();
    expect(world.ask(sup, { type: 'start_child', spec: extra })).toEqual(ok('worker/sup/s/x'));
    expect(world.log).toEqual(['start x']);
  });

  test('already_started with the key, already_present without', () => {
    const { world, sup } = startWorld();
    const again = { type: 'start_child', spec: childrenOf(['a'])[0] };
    const error = { code: 'already_started', id: 'a', key: 'worker/sup/s/a' };
    expect(world.ask(sup, again)).toEqual({ ok: false, error });
    world.ask(sup, { type: 'terminate_child', id: 'a' });
    expect(world.ask(sup, again)).toEqual(refusal('already_present', 'a'));
  });

  test('invalid_child_spec names the fault', () => {
    const { world, sup } = startWorld();
    const spec = { ...extra, restart: 'always' };
    expect(world.ask(sup, { type: 'start_child', spec })).toMatchObject({
      ok: false,
      error: { code: 'invalid_child_spec', fault: 'invalid_restart_type' },
    });
    const long = { ...extra, id: 'y'.repeat(510) };
    expect(world.ask(sup, { type: 'start_child', spec: long })).toMatchObject({
      error: { code: 'invalid_child_spec', fault: 'INVALID_ADDRESS' },
    });
    expect(world.isLiving(sup)).toBe(true);
  });

  test('a temporary child that ended may be started again under its name', () => {
    const { world, sup } = startWorld();
    const [spec] = childrenOf(['t'], { restart: 'temporary' });
    for (let count = 0; count < 2; count++) {
      expect(world.ask(sup, { type: 'start_child', spec })).toEqual(ok('worker/sup/s/t'));
      world.tell('worker/sup/s/t', { exit: NORMAL });
    }
    expect(world.log).toEqual(['start t', 'end t normal', 'reset t', 'end t normal']);
  });
});

describe('terminate_child', () => {
  test('answers when the child has ended, to everybody who asked', () => {
    const { world, sup } = startWorld({ children: [slow('a', 100)] });
    const calls = [1, 2].map(() => world.post(sup, { type: 'terminate_child', id: 'a' }));
    world.settle();
    expect(calls.map((call) => world.calls[call]?.state)).toEqual(['pending', 'pending']);
    world.advance(100);
    expect(calls.map((call) => world.calls[call]?.value)).toEqual([ok(null), ok(null)]);
    expect(world.log).toEqual(['stop a', 'end a shutdown']);
  });

  test('keeps the spec, forgets a temporary child, knows what it does not know', () => {
    const { world, sup } = startWorld({
      children: [...childrenOf(['a']), ...childrenOf(['t'], { restart: 'temporary' })],
    });
    world.ask(sup, { type: 'terminate_child', id: 'a' });
    world.ask(sup, { type: 'terminate_child', id: 't' });
    expect(world.ask(sup, { type: 'terminate_child', id: 'a' })).toEqual(ok(null));
    expect(world.ask(sup, { type: 'terminate_child', id: 't' })).toEqual(refusal('not_found', 't'));
  });

  test('gives up a restart that waits', () => {
    const { world, sup } = startWorld({ backoff: { initialMs: 100, jitter: 'none' } });
    world.tell('worker/sup/s/a', { exit: ERROR });
    expect(world.ask(sup, { type: 'terminate_child', id: 'a' })).toEqual(ok(null));
    expect(world.timers()).toEqual([]);
    world.advance(1_000);
    expect(world.isLiving('worker/sup/s/a')).toBe(false);
  });

  test('of the leader of a waiting group: the others are started without it', () => {
    const { world, sup } = startWorld({ strategy: 'one_for_all', backoff: { initialMs: 100, jitter: 'none' } });
    world.tell('worker/sup/s/b', { exit: ERROR });
    world.ask(sup, { type: 'terminate_child', id: 'b' });
    world.ask(sup, { type: 'delete_child', id: 'b' });
    world.takeLog();
    world.advance(100);
    expect(world.takeLog()).toEqual(['resume a', 'resume c']);
  });

  test('tells nobody when nobody asked', () => {
    const { world, sup } = startWorld();
    world.tell(sup, { type: 'terminate_child', id: 'a' });
    expect(world.isLiving('worker/sup/s/a')).toBe(false);
  });
});

describe('restart_child and delete_child', () => {
  test.each(['restart_child', 'delete_child'])('%s: running, restarting, not_found', (type) => {
    const { world, sup } = startWorld({ backoff: { initialMs: 100, jitter: 'none' } });
    world.tell('worker/sup/s/b', { exit: ERROR });
    expect(world.ask(sup, { type, id: 'a' })).toEqual(refusal('running', 'a'));
    expect(world.ask(sup, { type, id: 'b' })).toEqual(refusal('restarting', 'b'));
    expect(world.ask(sup, { type, id: 'z' })).toEqual(refusal('not_found', 'z'));
  });

  test('restart_child starts at its old place in the order, uncounted', () => {
    const { world, sup } = startWorld({ intensity: 0 });
    world.ask(sup, { type: 'terminate_child', id: 'b' });
    expect(world.ask(sup, { type: 'restart_child', id: 'b' })).toEqual(ok('worker/sup/s/b'));
    world.takeLog();
    world.stop(sup);
    expect(world.takeLog().filter((entry) => entry.startsWith('stop'))).toEqual([
      'stop s',
      'stop c',
      'stop b',
      'stop a',
    ]);
  });

  test('delete_child forgets', () => {
    const { world, sup } = startWorld();
    world.ask(sup, { type: 'terminate_child', id: 'b' });
    expect(world.ask(sup, { type: 'delete_child', id: 'b' })).toEqual(ok(null));
    expect(world.ask(sup, { type: 'get_childspec', id: 'b' })).toEqual(refusal('not_found', 'b'));
  });

  test('a change of a child that is stopping comes after the stop, in order', () => {
    const { world, sup } = startWorld({ children: [slow('a', 100)] });
    const terminated = world.post(sup, { type: 'terminate_child', id: 'a' });
    const restarted = world.post(sup, { type: 'restart_child', id: 'a' });
    const deleted = world.post(sup, { type: 'delete_child', id: 'a' });
    world.settle();
    expect([restarted, deleted].map((call) => world.calls[call]?.state)).toEqual(['pending', 'pending']);
    world.advance(100);
    expect([terminated, restarted, deleted].map((call) => world.calls[call]?.value)).toEqual([
      ok(null),
      ok('slow/sup/s/a'),
      refusal('running', 'a'),
    ]);
  });
});

describe('questions', () => {
  test('which_children, in start order', () => {
    const { world, sup } = startWorld({ backoff: { initialMs: 100, jitter: 'none' } });
    world.ask(sup, { type: 'terminate_child', id: 'a' });
    world.tell('worker/sup/s/b', { exit: ERROR });
    expect(world.ask(sup, { type: 'which_children' })).toEqual(
      ok(
        [
          ['a', 'stopped'],
          ['b', 'restarting'],
          ['c', 'running'],
        ].map(([id, status]) => ({ id, status, key: `worker/sup/s/${id}`, type: 'worker' })),
      ),
    );
  });

  test('count_children counts specs, running ones, and both types running or not', () => {
    const inner = { id: 'i', actor: { definition: 'inner' }, type: 'supervisor' } as const;
    const world = new World({
      ...WORKERS,
      inner: supervisorBehavior({ children: [] }),
      sup: supervisorBehavior({ children: [...childrenOf(['a', 'b']), inner] }),
    });
    const sup = world.start('sup', 's');
    world.ask(sup, { type: 'terminate_child', id: 'a' });
    world.ask(sup, { type: 'terminate_child', id: 'i' });
    const counts = { specs: 3, active: 1, supervisors: 1, workers: 2 };
    expect(world.ask(sup, { type: 'count_children' })).toEqual(ok(counts));
  });

  test('get_childspec is complete and can be given back', () => {
    const { world, sup } = startWorld();
    const { value: spec } = world.ask(sup, { type: 'get_childspec', id: 'a' }) as { value: object };
    expect(spec).toMatchObject({ id: 'a', restart: 'permanent', shutdownMs: 5_000 });
    expect(world.ask(sup, { type: 'start_child', spec: { ...spec, id: 'a2' } })).toMatchObject({ ok: true });
  });
});

describe('what is no request', () => {
  test.each([[null], ['hello'], [{ type: 'dance' }], [{ type: 'terminate_child' }], [{ type: 'start_child' }]])(
    '%j fails the ask and nothing else',
    (message) => {
      const { world, sup } = startWorld();
      expect(world.ask(sup, message)).toBe('UNKNOWN_SUPERVISOR_REQUEST');
      expect(world.livingKeys()).toHaveLength(4);
    },
  );
});

describe('while it stops children', () => {
  test('during a group restart questions are answered, changes come after it', () => {
    const { world, sup } = startWorld({ strategy: 'one_for_all', children: [...childrenOf(['a']), slow('b', 100)] });
    world.tell('worker/sup/s/a', { exit: ERROR });
    expect(world.ask(sup, { type: 'count_children' })).toMatchObject({ ok: true });
    const started = world.post(sup, { type: 'start_child', spec: extra });
    const terminated = world.post(sup, { type: 'terminate_child', id: 'a' });
    world.settle();
    expect(world.calls[started]?.state).toBe('pending');
    world.takeLog();
    world.advance(100);
    const [first, ...rest] = world.takeLog();
    expect(first).toBe('end b shutdown');
    expect(rest.toSorted()).toEqual(['end a shutdown', 'resume a', 'resume b', 'start x', 'stop a']);
    expect([started, terminated].map((call) => world.calls[call]?.state)).toEqual(['replied', 'replied']);
  });

  test('before its end questions are answered, changes are refused', () => {
    const { world, sup } = startWorld({ children: [slow('a', 100)] });
    world.stop(sup);
    expect(world.ask(sup, { type: 'which_children' })).toMatchObject({ ok: true });
    for (const request of [
      { type: 'start_child', spec: extra },
      { type: 'terminate_child', id: 'a' },
    ]) {
      expect(world.ask(sup, request)).toBe('SUPERVISOR_STOPPING');
    }
  });

  test('what was kept for later is refused when the supervisor comes to end', () => {
    const { world, sup } = startWorld({ strategy: 'one_for_all', children: [...childrenOf(['a']), slow('b', 100)] });
    world.tell('worker/sup/s/a', { exit: ERROR });
    const started = world.post(sup, { type: 'start_child', spec: extra });
    world.settle();
    world.stop(sup);
    expect(world.calls[started]).toEqual({ state: 'failed', value: 'SUPERVISOR_STOPPING' });
  });
});
