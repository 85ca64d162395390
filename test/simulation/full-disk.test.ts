/** A disk that is full for longer than actors stay in memory: what they had asked for is done when there is room again. */
import { expect, test } from 'vitest';
import { StorageFullError } from '../../runtime/kernel/errors.ts';
import type { Store } from '../../runtime/journal/store.ts';
import { simulate } from '../../runtime/testing/simulate.ts';
import { worker } from './workloads/clockwork-actors.ts';

test('an actor whose turns wait for the disk stays in memory, and its effects are run', async () => {
  let full = false;
  const wrapStore = (store: Store): Store =>
    new Proxy(store, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (name === 'commit' && full) {
          return () => {
            throw new StorageFullError('full, says the test');
          };
        }
        return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
      },
    });
  const { violations } = await simulate({
    seed: 1,
    hosts: 1,
    actors: [new URL('./workloads/clockwork-actors.ts', import.meta.url)],
    seams: { wrapStore },
    async run(sim) {
      const system = await sim.up();
      const refs = await Promise.all(
        Array.from({ length: 20 }, (_, i) => system.spawn(worker, { id: String(i), input: { rounds: 1 } })),
      );
      await Promise.all(refs.map((ref) => ref.tell({ type: 'START' })));
      await sim.advance(690);
      full = true;
      // Traffic in memory and alarms that ring meanwhile keep the host's loop turning.
      for (let i = 0; i < 30; i++) {
        await sim.advance(100);
        await Promise.all(refs.slice(0, 2).map((ref) => ref.snapshot({ timeoutMs: 50 }).catch(() => undefined)));
      }
      full = false;
      await sim.advance(5_000);
      const views = await Promise.all(
        refs.map(async (ref) => (await ref.snapshot()).view as { readonly value: unknown }),
      );
      expect(views.map(({ value }) => value)).toEqual(views.map(() => 'done'));
    },
  });
  expect(violations).toEqual([]);
});
