/** Plans: who goes down and comes up with a failed child, and in which order children are stopped. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planRestart, RESTART_STRATEGIES } from '../../supervisors/restart-strategy.ts';
import { shutdownOrder, stopOrder } from '../../supervisors/shutdown-order.ts';

const four = ['a', 'b', 'c', 'd'].map((id) => ({ id, restart: 'permanent' as const }));

test.each([
  ['one_for_one', [], ['b']],
  ['one_for_all', ['d', 'c', 'a'], ['a', 'b', 'c', 'd']],
  ['rest_for_one', ['d', 'c'], ['b', 'c', 'd']],
] as const)('%s: b of a, b, c, d', (strategy, stop, start) => {
  expect(planRestart(four, 'b', strategy)).toEqual({ stop, start });
});

test('a temporary sibling is stopped and not started again', () => {
  const children = [...four, { id: 'e', restart: 'temporary' as const }];
  expect(planRestart(children, 'd', 'one_for_all')).toEqual({
    stop: ['e', 'c', 'b', 'a'],
    start: ['a', 'b', 'c', 'd'],
  });
});

test('nothing is planned for a child that is not there', () => {
  expect(planRestart(four, 'z', 'one_for_all')).toEqual({ stop: [], start: [] });
});

const children = fc
  .uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 12 })
  .chain((ids) =>
    fc.tuple(
      fc.constant(ids),
      fc.array(fc.constantFrom('permanent', 'transient', 'temporary'), {
        minLength: ids.length,
        maxLength: ids.length,
      }),
      fc.nat(ids.length - 1),
    ),
  );

test('RS1 to RS3 for any children', () => {
  fc.assert(
    fc.property(children, fc.constantFrom(...RESTART_STRATEGIES), ([ids, restarts, at], strategy) => {
      const all = ids.map((id, index) => ({ id, restart: restarts[index] ?? 'permanent' }) as const);
      const failed = ids[at] as string;
      const { stop, start } = planRestart(all, failed, strategy);
      const inOrder = (some: readonly string[]) => ids.filter((id) => some.includes(id));
      expect(stop).not.toContain(failed);
      expect(start).toContain(failed);
      expect([...stop].reverse()).toEqual(inOrder(stop));
      expect(start).toEqual(inOrder(start));
      for (const { id, restart } of all) {
        const index = ids.indexOf(id);
        const grouped = id === failed || strategy === 'one_for_all' || (strategy === 'rest_for_one' && index > at);
        expect(stop.includes(id)).toBe(grouped && id !== failed);
        expect(start.includes(id)).toBe(grouped && (id === failed || restart !== 'temporary'));
      }
    }),
  );
});

test('shutdown goes backwards', () => {
  expect(shutdownOrder(['a', 'b', 'c'])).toEqual(['c', 'b', 'a']);
});

test.each([
  ['brutal_kill', { reason: { kind: 'killed' }, killAfterMs: undefined }],
  ['infinity', { reason: { kind: 'shutdown' }, killAfterMs: undefined }],
  [0, { reason: { kind: 'shutdown' }, killAfterMs: 0 }],
  [250, { reason: { kind: 'shutdown' }, killAfterMs: 250 }],
] as const)('shutdown %s', (shutdown, order) => {
  expect(stopOrder(shutdown)).toEqual(order);
});
