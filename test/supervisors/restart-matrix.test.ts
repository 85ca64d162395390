/**
 * OTP's matrix (`supervisor_SUITE`): strategy × restart type × reason of the end, each with its twin in which the restart is one
 * too many. Four children a, b, c, d of one restart type; b ends.
 */
import { describe, expect, test } from 'vitest';
import type { ExitReason } from '../../runtime/kernel/exit.ts';
import type { RestartType } from '../../supervisors/child-spec.ts';
import { RESTART_STRATEGIES, type RestartStrategy } from '../../supervisors/restart-strategy.ts';
import { supervisorBehavior } from '../../supervisors/supervisor.ts';
import type { SupervisorEvent } from '../../supervisors/supervisor-events.ts';
import type { SupervisorView } from '../../supervisors/supervisor-state.ts';
import { World } from './support/supervision-harness.ts';
import { childrenOf, ERROR, HOST_LOST, KILLED, NORMAL, SHUTDOWN, WORKERS } from './support/workers.ts';

const REASONS: Readonly<Record<string, ExitReason>> = {
  normal: NORMAL,
  shutdown: SHUTDOWN,
  abnormal: ERROR,
  killed: KILLED,
  host_lost: HOST_LOST,
};

/** Whether b is started again: OTP's table, written out. */
const RESTARTED: Readonly<Record<RestartType, readonly string[]>> = {
  permanent: ['normal', 'shutdown', 'abnormal', 'killed', 'host_lost'],
  transient: ['abnormal', 'killed', 'host_lost'],
  temporary: [],
};

/** What reaches the actors when b is restarted. It resumes, unless it had finished. */
const RESTART_LOG: Readonly<Record<RestartStrategy, (again: string) => readonly string[]>> = {
  one_for_one: (again) => [`${again} b`],
  one_for_all: (again) => [
    'stop d',
    'end d shutdown',
    'stop c',
    'end c shutdown',
    'stop a',
    'end a shutdown',
    'resume a',
    `${again} b`,
    'resume c',
    'resume d',
  ],
  rest_for_one: (again) => [
    'stop d',
    'end d shutdown',
    'stop c',
    'end c shutdown',
    `${again} b`,
    'resume c',
    'resume d',
  ],
};

const cases = RESTART_STRATEGIES.flatMap((strategy) =>
  (['permanent', 'transient', 'temporary'] as const).flatMap((restart) =>
    Object.keys(REASONS).map((reason) => ({ name: `${restart}_${reason}`, strategy, restart, reason })),
  ),
);

const worldOf = (strategy: RestartStrategy, restart: RestartType, intensity: number): { world: World; sup: string } => {
  const children = childrenOf(['a', 'b', 'c', 'd'], { restart });
  const spec = { strategy, intensity, periodMs: 5_000, backoff: 'none', children } as const;
  const world = new World({ ...WORKERS, sup: supervisorBehavior(spec) });
  const sup = world.start('sup', 's');
  world.takeLog();
  return { world, sup };
};

const endB = (world: World, reason: ExitReason): void => {
  const b = 'worker/sup/s/b';
  if (reason.kind === 'killed') world.stop(b, reason);
  else world.tell(b, { exit: reason });
};

const eventsOf = (world: World): readonly SupervisorEvent[] =>
  world.events.map(({ event }) => event as SupervisorEvent);

describe.each(RESTART_STRATEGIES)('%s', (strategy) => {
  const own = cases.filter((one) => one.strategy === strategy);

  test.each(own)('$name', ({ restart, reason }) => {
    const { world, sup } = worldOf(strategy, restart, 1);
    endB(world, REASONS[reason] as ExitReason);
    const log = world.takeLog().filter((entry) => !entry.startsWith('kill') && entry !== `end b ${kindOf(reason)}`);
    const { children, restarts } = world.view(sup) as SupervisorView;
    if (RESTARTED[restart].includes(reason)) {
      expect(log).toEqual(
        RESTART_LOG[strategy](reason === 'normal' ? 'reset' : 'resume')
          .join(', ')
          .split(', '),
      );
      expect(children.map(({ id, status }) => `${id} ${status}`)).toEqual(
        ['a', 'b', 'c', 'd'].map((id) => `${id} running`),
      );
      expect(restarts).toBe(1);
      return;
    }
    expect(log).toEqual([]);
    expect(children.find(({ id }) => id === 'b')?.status).toBe(restart === 'temporary' ? undefined : 'stopped');
    expect(children.filter(({ status }) => status === 'running').map(({ id }) => id)).toEqual(['a', 'c', 'd']);
    expect(restarts).toBe(0);
  });

  test.each(own)('$name_escalation', ({ restart, reason }) => {
    const { world, sup } = worldOf(strategy, restart, 0);
    endB(world, REASONS[reason] as ExitReason);
    const log = world.takeLog().filter((entry) => !entry.startsWith('kill') && entry !== `end b ${kindOf(reason)}`);
    if (!RESTARTED[restart].includes(reason)) {
      expect(log).toEqual([]);
      expect(world.isLiving(sup)).toBe(true);
      return;
    }
    expect(log).toEqual(['d', 'c', 'a'].flatMap((id) => [`stop ${id}`, `end ${id} shutdown`]).concat('end s error'));
    expect(world.livingKeys()).toEqual([]);
    const events = eventsOf(world);
    expect(events.find(({ type }) => type === 'escalated')).toMatchObject({ id: 'b', intensity: 0, periodMs: 5_000 });
    expect(events.at(-1)).toMatchObject({
      type: 'stopped',
      reason: { kind: 'error', error: { code: 'RESTART_INTENSITY_EXCEEDED', details: { childId: 'b' } } },
    });
  });
});

const kindOf = (reason: string): string => (REASONS[reason] as ExitReason).kind;

test.each([
  [5_000, false],
  [5_001, true],
])('two restarts %i ms apart, with intensity 1 in 5,000 ms: lives on is %s', (apartMs, lives) => {
  const { world, sup } = worldOf('one_for_one', 'permanent', 1);
  endB(world, ERROR);
  world.advance(apartMs);
  endB(world, ERROR);
  expect(world.isLiving(sup)).toBe(lives);
});

test('restarts of all children count together', () => {
  const { world, sup } = worldOf('one_for_one', 'permanent', 3);
  for (const id of ['a', 'b', 'c']) world.tell(`worker/sup/s/${id}`, { exit: ERROR });
  expect(world.isLiving(sup)).toBe(true);
  world.tell('worker/sup/s/d', { exit: ERROR });
  expect(world.isLiving(sup)).toBe(false);
});

test('a child that does not start is restarted until the supervisor gives up', () => {
  const children = [...childrenOf(['a']), { id: 'b', actor: { definition: 'stillborn' } }];
  const world = new World({ ...WORKERS, sup: supervisorBehavior({ children, intensity: 2, backoff: 'none' }) });
  const sup = world.start('sup', 's');
  expect(world.log.filter((entry) => entry === 'fail b')).toHaveLength(3);
  expect(world.isLiving(sup)).toBe(false);
  expect(eventsOf(world).at(-1)).toMatchObject({ reason: { error: { cause: { code: 'START_FAILED' } } } });
});
