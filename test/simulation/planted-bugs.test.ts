/** The model finds what is wrong: bugs planted in the store, each of which must be found within a few seeds. */
import { expect, test } from 'vitest';
import type { Store, StoreWrites } from '../../runtime/journal/store.ts';
import { runSeed, WORKLOADS } from './seeds.ts';

const SEEDS_LIMIT = 60;

/** `store` with the writes of its commits changed by `spoil`. */
function spoiled(store: Store, spoil: Partial<StoreWrites>, own: (writes: StoreWrites) => Partial<StoreWrites>): Store {
  const method = (target: object, name: string | symbol): unknown => {
    const value: unknown = Reflect.get(target, name, target);
    return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
  };
  return new Proxy(store, {
    get(target, name) {
      if (name !== 'commit') return method(target, name);
      return (write: (writes: StoreWrites) => void) =>
        target.commit((writes) => {
          const changed = { ...spoil, ...own(writes) };
          write(
            new Proxy(writes, {
              get: (inner, key) => Reflect.get(changed, key) ?? method(inner, key),
            }),
          );
        });
    },
  });
}

const BUGS: Readonly<Record<string, () => (store: Store) => Store>> = {
  'every eleventh batch is acknowledged and not kept': () => {
    let batches = 0;
    return (store) =>
      spoiled(store, {}, (writes) => ({
        log: (position, bytes) => {
          batches += 1;
          if (batches % 11 !== 0) writes.log(position, bytes);
        },
      }));
  },
  'images are not kept': () => (store) => spoiled(store, { image: () => {} }, () => ({})),
  'the checkpoint moves further than the images reach': () => (store) =>
    spoiled(store, {}, (writes) => ({
      meta: (name, value) => writes.meta(name, name === 'checkpoint' ? value + 40 : value),
    })),
  'an image forgets when its actor is to be woken': () => (store) =>
    spoiled(store, {}, (writes) => ({ image: (key, row) => writes.image(key, row, undefined) })),
};

test.each(Object.entries(BUGS))('%s', { timeout: 120_000 }, async (_what, plant) => {
  for (let seed = 1; seed <= SEEDS_LIMIT; seed++) {
    for (const workload of WORKLOADS) {
      const wrapStore = plant();
      // A start that the bug makes impossible is a find too.
      const found = await runSeed(workload, seed, { plan: 'crashes', seams: { wrapStore } }).then(
        ({ violations }) => violations.length > 0,
        () => true,
      );
      if (found) return;
    }
  }
  expect.fail(`not found within ${SEEDS_LIMIT} seeds`);
});

test('the same wrapping without a bug finds nothing', { timeout: 120_000 }, async () => {
  for (const workload of WORKLOADS) {
    for (let seed = 1; seed <= 5; seed++) {
      const wrapStore = (store: Store): Store => spoiled(store, {}, () => ({}));
      expect((await runSeed(workload, seed, { plan: 'crashes', seams: { wrapStore } })).violations).toEqual([]);
    }
  }
});
