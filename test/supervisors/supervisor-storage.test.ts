/**
 * A supervisor that is stored and loaded between any two turns behaves as one that never was; and however its children, its callers
 * and time come at it, it keeps its invariants and comes to an end when it is told to.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Behavior } from '../../runtime/kernel/behavior.ts';
import { seededRandom } from '../../runtime/kernel/random.ts';
import type { ChildSpec } from '../../supervisors/child-spec.ts';
import { defineDynamicSupervisor, defineSupervisor } from '../../supervisors/define-supervisor.ts';
import { dynamicSupervisorBehavior } from '../../supervisors/dynamic-supervisor.ts';
import type { RestartBackoff } from '../../supervisors/restart-backoff.ts';
import { supervisorBehavior } from '../../supervisors/supervisor.ts';
import type { SupervisorSpec } from '../../supervisors/supervisor-spec.ts';
import type { SupervisorView } from '../../supervisors/supervisor-state.ts';
import { World } from './support/supervision-harness.ts';
import { childrenOf, ERROR, KILLED, NORMAL, SHUTDOWN, WORKERS } from './support/workers.ts';

const IDS = ['a', 'b', 'c', 'd', 'e'];
const DEFINITIONS = ['worker', 'naughty', 'slow', 'polite', 'stillborn'] as const;

const childSpecs = (id: string): fc.Arbitrary<ChildSpec> =>
  fc.record({
    id: fc.constant(id),
    actor: fc.constantFrom('worker', 'worker', ...DEFINITIONS).map((definition) => ({ definition, input: 300 })),
    restart: fc.constantFrom('permanent', 'transient', 'temporary'),
    shutdownMs: fc.constantFrom('brutal_kill' as const, 0, 200, 1_000),
    restartFrom: fc.constantFrom('last_good', 'initial'),
    backoff: fc.constantFrom<RestartBackoff>(
      'none',
      { initialMs: 100 },
      { initialMs: 250, jitter: 'none', stableAfterMs: 2_000 },
    ),
  });

const specs: fc.Arbitrary<SupervisorSpec> = fc.record({
  strategy: fc.constantFrom('one_for_one', 'one_for_all', 'rest_for_one'),
  intensity: fc.constantFrom(0, 1, 3, 20),
  periodMs: fc.constantFrom(500, 5_000),
  children: fc.tuple(...IDS.map(childSpecs)).chain((all) => fc.nat(all.length).map((count) => all.slice(0, count))),
});

type Move =
  | { readonly kind: 'exit'; readonly id: string; readonly how: number }
  | { readonly kind: 'ask'; readonly message: object }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'deliver'; readonly count: number };

const someId = fc.constantFrom(...IDS);
const moves: fc.Arbitrary<readonly Move[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('exit' as const), id: someId, how: fc.nat(3) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('ask' as const),
        message: fc.oneof(
          fc.record({
            type: fc.constantFrom('terminate_child', 'restart_child', 'delete_child', 'get_childspec'),
            id: someId,
          }),
          fc.record({ type: fc.constantFrom('which_children', 'count_children') }),
          fc.record({ type: fc.constant('start_child'), spec: someId.chain(childSpecs) }),
        ),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 100, 300, 3_000) }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('deliver' as const), count: fc.nat(6) }) },
  ),
  { maxLength: 30 },
);

const EXITS = [NORMAL, SHUTDOWN, ERROR, KILLED] as const;

const dynamicOf = (spec: SupervisorSpec): Behavior<never> => {
  const [first = { id: 'a', actor: { definition: 'worker' } }] = spec.children;
  const { id: _id, actor, ...rest } = first;
  const child = { ...rest, actor: { definition: actor.definition, input: 300 } };
  return dynamicSupervisorBehavior({ ...spec, child }) as Behavior<never>;
};

/** Runs a script of moves; how the messages interleave is drawn from `seed`. */
const play = (behavior: Behavior<never>, script: readonly Move[], seed: number, reload: boolean): World => {
  const order = seededRandom(seed, 1);
  const reloads = seededRandom(seed, 2);
  const world = new World(
    { ...WORKERS, sup: behavior },
    {
      pick: (links) => Math.floor(order.next() * links),
      ...(reload ? { reload: () => reloads.next() < 0.5 } : {}),
    },
  );
  world.start('sup', 's');
  for (const move of script) {
    switch (move.kind) {
      case 'exit':
        for (const definition of DEFINITIONS) {
          const key = `${definition}/sup/s/${move.id}`;
          const reason = EXITS[move.how] as (typeof EXITS)[number];
          if (reason.kind === 'killed') world.postStop(key, reason);
          else world.postTell(key, { exit: reason });
        }
        break;
      case 'ask':
        world.post('sup/s', move.message);
        break;
      case 'pass':
        world.advance(move.ms);
        break;
      case 'deliver':
        for (let count = 0; count < move.count; count++) world.step();
    }
  }
  world.settle();
  return world;
};

const traceOf = (world: World): unknown => ({
  log: world.log,
  events: world.events,
  calls: world.calls,
  timers: world.timers(),
  saved: world.save('sup/s'),
});

const behaviors = (spec: SupervisorSpec): readonly Behavior<never>[] => [
  supervisorBehavior(spec) as Behavior<never>,
  dynamicOf(spec),
];

/** Dynamic children are started by name, so that both kinds can be driven by one script. */
const forDynamic = (script: readonly Move[]): readonly Move[] =>
  script.map((move) => {
    if (move.kind !== 'ask' || !('spec' in move.message)) return move;
    return { kind: 'ask', message: { type: 'start_child', id: (move.message.spec as ChildSpec).id } };
  });

test('H3: to be stored and loaded between any two turns changes nothing', () => {
  fc.assert(
    fc.property(specs, moves, fc.nat(), (spec, script, seed) => {
      for (const [kind, behavior] of behaviors(spec).entries()) {
        const own = kind === 0 ? script : forDynamic(script);
        expect(traceOf(play(behavior, own, seed, true))).toEqual(traceOf(play(behavior, own, seed, false)));
      }
    }),
    { numRuns: 300 },
  );
});

test('whatever happens: nothing is spawned twice, every call is answered, and a stop ends everything', () => {
  fc.assert(
    fc.property(specs, moves, fc.nat(), (spec, script, seed) => {
      for (const [kind, behavior] of behaviors(spec).entries()) {
        const world = play(behavior, kind === 0 ? script : forDynamic(script), seed, false);
        expect(world.log.filter((entry) => entry.startsWith('refuse'))).toEqual([]);
        if (kind === 0 && world.isLiving('sup/s')) {
          // Time settles everything but what keeps failing, and that has an end, too.
          const { children } = world.view('sup/s') as SupervisorView;
          const running = children.filter(({ status }) => status === 'running').map(({ key }) => key);
          for (const key of running) expect([key, world.isLiving(key)]).toEqual([key, true]);
        }
        world.stop('sup/s');
        world.advance(20_000);
        expect(world.livingKeys()).toEqual([]);
        expect(world.timers()).toEqual([]);
        expect(world.calls.filter(({ state }) => state === 'pending')).toEqual([]);
      }
    }),
    { numRuns: 500 },
  );
});

test('S1: children end in reverse start order, whatever had happened before', () => {
  fc.assert(
    fc.property(specs, moves, fc.nat(), (spec, script, seed) => {
      const world = play(supervisorBehavior(spec) as Behavior<never>, script, seed, false);
      if (!world.isLiving('sup/s')) return;
      const { children, phase } = world.view('sup/s') as SupervisorView;
      if (phase !== 'running' || children.some(({ status }) => status === 'stopping')) return;
      const order = children.filter(({ status }) => status === 'running').map(({ id }) => id);
      world.takeLog();
      world.stop('sup/s');
      world.advance(20_000);
      const ended = world
        .takeLog()
        .filter((entry) => entry.startsWith('end'))
        .map((entry) => entry.split(' ')[1]);
      expect(ended).toEqual([...order.toReversed(), 's']);
    }),
  );
});

describe('stored forms', () => {
  const stored = (): { world: World; saved: Record<string, unknown> } => {
    const world = new World({ ...WORKERS, sup: supervisorBehavior({ children: childrenOf(['a', 'b', 'c']) }) });
    world.start('sup', 's');
    return { world, saved: world.save('sup/s') as Record<string, unknown> };
  };

  test('save shares nothing with the state', () => {
    const { world, saved } = stored();
    const before = structuredClone(saved);
    (saved['children'] as { status: object }[]).pop();
    Object.assign((saved['children'] as { status: object }[])[0]?.status ?? {}, { kind: 'stopped' });
    expect(world.save('sup/s')).toEqual(before);
  });

  test('a form of another version is refused by name', () => {
    const { saved } = stored();
    const behaviors = [supervisorBehavior({ children: [] }), dynamicOf({ children: [] })];
    for (const { load } of behaviors) {
      expect(() => load({ ...saved, format: 99 }, { self: 'sup/s', parent: undefined })).toThrow(
        expect.objectContaining({ code: 'SUPERVISOR_STATE' }),
      );
    }
  });

  test("a new version of the definition: OTP's code change", () => {
    const { world, saved } = stored();
    const next = defineSupervisor(
      import.meta.url,
      'sup',
      { intensity: 7, children: [...childrenOf(['x', 'c']), ...childrenOf(['a'], { restart: 'transient' })] },
      { version: 2 },
    );
    const migrated = next.migrate?.(saved, 1);
    const behavior = next.behavior as Behavior;
    const state = behavior.load(structuredClone(migrated), { self: 'sup/s', parent: undefined });
    const { children } = behavior.view(state) as SupervisorView;
    expect(children.map(({ id, status }) => `${id} ${status}`)).toEqual([
      'x stopped',
      'c running',
      'a running',
      'b running',
    ]);
    expect(children[0]?.key).toBe('worker/sup/s/x');
    expect(behavior.save(state)).toMatchObject({ policy: { intensity: 7 } });
    expect(world.isLiving('worker/sup/s/b')).toBe(true);
  });

  test('a new version of a dynamic supervisor replaces the one spec', () => {
    const old = defineDynamicSupervisor(import.meta.url, 'pool', { child: { actor: { definition: 'worker' } } });
    const world = new World({ ...WORKERS, pool: old.behavior });
    world.start('pool', 'p');
    world.ask('pool/p', { type: 'start_child', id: 'a' });
    const next = defineDynamicSupervisor(
      import.meta.url,
      'pool',
      { child: { actor: { definition: 'worker' }, restart: 'temporary' } },
      { version: 2 },
    );
    expect(next.migrate?.(world.save('pool/p'), 1)).toMatchObject({
      spec: { restart: 'temporary' },
      children: [['a', { key: 'worker/pool/p/a' }]],
    });
  });
});
