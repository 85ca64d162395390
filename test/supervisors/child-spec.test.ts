/** Child specs and supervisor flags: OTP's defaults, one fault per field, and the combinations that OTP refuses. */
import { describe, expect, test } from 'vitest';
import type { Behavior } from '../../runtime/kernel/behavior.ts';
import { defineBehavior } from '../../runtime/kernel/definition.ts';
import { BlocksError } from '../../runtime/kernel/errors.ts';
import { type ChildSpec, checkChildSpec, childActorId } from '../../supervisors/child-spec.ts';
import { defineDynamicSupervisor, defineSupervisor } from '../../supervisors/define-supervisor.ts';
import { checkDynamicSpec, checkSupervisorSpec, type SupervisorSpec } from '../../supervisors/supervisor-spec.ts';
import { WORKERS } from './support/workers.ts';

const spec = (more: object = {}): ChildSpec => ({ id: 'a', actor: { definition: 'worker' }, ...more });

const faultOf = (run: () => unknown): { code: string; details: unknown; message: string } => {
  try {
    run();
  } catch (error) {
    if (error instanceof BlocksError) return { code: error.code, details: error.details, message: error.message };
    throw error;
  }
  throw new Error('nothing was thrown');
};

test("the defaults are OTP's", () => {
  expect(checkChildSpec(spec(), 'never')).toEqual({
    id: 'a',
    actor: { definition: 'worker' },
    restart: 'permanent',
    shutdownMs: 5_000,
    significant: false,
    type: 'worker',
    restartFrom: 'last_good',
  });
  expect(checkSupervisorSpec({ children: [] }).policy).toEqual({
    strategy: 'one_for_one',
    intensity: 1,
    periodMs: 5_000,
    autoShutdown: 'never',
    backoff: {},
  });
});

test('a supervisor may take as long as it likes to stop, and starts afresh; a temporary child starts afresh', () => {
  const supervisor = checkChildSpec(spec({ type: 'supervisor' }), 'never');
  expect([supervisor.shutdownMs, supervisor.restartFrom]).toEqual(['infinity', 'initial']);
  expect(checkChildSpec(spec({ restart: 'temporary' }), 'never').restartFrom).toBe('initial');
});

test('the definition of a supervisor is known for one', () => {
  const inner = defineSupervisor(import.meta.url, 'inner', { children: [] });
  const pool = defineDynamicSupervisor(import.meta.url, 'pool', { child: { actor: { definition: 'worker' } } });
  const plain = defineBehavior(import.meta.url, 'plain', WORKERS.worker as Behavior);
  const typeOf = (definition: ChildSpec['actor']['definition']): string =>
    checkChildSpec(spec({ actor: { definition } }), 'never').type;
  expect([inner, pool, plain].map(typeOf)).toEqual(['supervisor', 'supervisor', 'worker']);
  expect(checkChildSpec(spec({ actor: { definition: inner } }), 'never').actor).toEqual({ definition: 'inner' });
});

test('CS1: a checked spec is complete', () => {
  const given = spec({ actor: { definition: 'worker', id: 'x', input: { n: 1 } }, backoff: { maxMs: 5 } });
  const checked = checkChildSpec(given, 'any_significant');
  expect(checkChildSpec(checked, 'any_significant')).toEqual(checked);
});

describe('CS2: a fault names the child, the field and the offender', () => {
  test.each([
    ['missing_id', { id: undefined }],
    ['invalid_id', { id: 'a~b' }],
    ['invalid_id', { id: 7 }],
    ['missing_actor', { actor: undefined }],
    ['invalid_definition', { actor: { definition: () => 1 } }],
    ['invalid_definition', { actor: { definition: '9' } }],
    ['invalid_actor_id', { actor: { definition: 'worker', id: '' } }],
    ['invalid_restart_type', { restart: 'always' }],
    ['invalid_shutdown', { shutdownMs: -1 }],
    ['invalid_shutdown', { shutdownMs: 1.5 }],
    ['invalid_shutdown', { shutdownMs: Number.POSITIVE_INFINITY }],
    ['invalid_shutdown', { shutdownMs: 'soon' }],
    ['invalid_significant', { significant: 'yes' }],
    ['invalid_child_type', { type: 'boss' }],
    ['invalid_restart_from', { restartFrom: 'middle' }],
    ['invalid_backoff', { backoff: { initialMs: -1 } }],
    ['invalid_backoff', { backoff: { factor: 0.5 } }],
    ['invalid_backoff', { backoff: { jitter: 'some' } }],
    ['invalid_backoff', { backoff: 7 }],
  ])('%s %j', (fault, more) => {
    const { code, details } = faultOf(() => checkChildSpec(spec(more), 'any_significant'));
    expect(code).toBe('INVALID_CHILD_SPEC');
    expect(details).toMatchObject({ fault });
  });

  test('in words', () => {
    const { message } = faultOf(() => checkChildSpec(spec({ restart: 'always' }), 'never'));
    expect(message).toBe('child "a": invalid_restart_type: "always"');
  });
});

test.each([
  ['never', 'transient', true],
  ['never', 'temporary', true],
  ['any_significant', 'permanent', true],
  ['all_significant', 'permanent', true],
  ['any_significant', 'transient', false],
  ['all_significant', 'temporary', false],
  ['never', 'permanent', true],
] as const)('significant with %s and %s is refused: %s', (autoShutdown, restart, refused) => {
  const check = () => checkChildSpec(spec({ significant: true, restart }), autoShutdown);
  if (refused) expect(faultOf(check).details).toMatchObject({ fault: 'bad_combination', childId: 'a' });
  else expect(check().significant).toBe(true);
});

test.each([
  ['invalid_strategy', { strategy: 'simple_one_for_one' }],
  ['invalid_intensity', { intensity: -1 }],
  ['invalid_intensity', { intensity: 1.5 }],
  ['invalid_period', { periodMs: 0 }],
  ['invalid_auto_shutdown', { autoShutdown: 'sometimes' }],
])('flags: %s %j', (fault, more) => {
  const { code, details } = faultOf(() => checkSupervisorSpec({ children: [], ...more } as unknown as SupervisorSpec));
  expect(code).toBe('INVALID_SUPERVISOR_SPEC');
  expect(details).toMatchObject({ fault });
});

test('CS3: ids differ', () => {
  const check = () => checkSupervisorSpec({ children: [spec(), spec({ restart: 'temporary' })] });
  expect(faultOf(check).details).toMatchObject({ fault: 'duplicate_child_id', value: '"a"' });
});

test('a faulty spec is found when it is defined', () => {
  const children = [spec({ restart: 'always' })];
  expect(faultOf(() => defineSupervisor(import.meta.url, 's', { children })).code).toBe('INVALID_CHILD_SPEC');
  const child = { actor: { definition: 'worker' }, significant: true } as const;
  expect(faultOf(() => defineDynamicSupervisor(import.meta.url, 's', { child })).code).toBe('INVALID_CHILD_SPEC');
  expect(checkDynamicSpec({ child: { actor: { definition: 'worker' } } }).child.restart).toBe('permanent');
});

test("a child's actor is named after its supervisor, also an inline one", () => {
  expect(childActorId('shop/main', 'stock', undefined)).toBe('shop/main/stock');
  expect(childActorId('shop/main~inner', 'stock', undefined)).toBe('shop/main/inner/stock');
  expect(childActorId('shop/main', 'stock', 'the-stock')).toBe('the-stock');
  expect(faultOf(() => childActorId(`shop/${'x'.repeat(510)}`, 'stock', undefined)).code).toBe('INVALID_ADDRESS');
});
