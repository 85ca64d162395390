/** The persistent map against a Map. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashOf } from '../../runtime/kernel/random.ts';
import { PersistentMap } from '../../supervisors/persistent-map.ts';

/** FNV-1a makes one number of each pair. */
const COLLISIONS = ['costarring', 'liquid', 'declinate', 'macallums', 'altarage', 'zinke'];

const keys = fc.oneof(fc.constantFrom(...COLLISIONS), fc.string({ maxLength: 2 }));
const changes = fc.array(
  fc.oneof(fc.record({ key: keys, value: fc.nat() }), fc.record({ key: keys, value: fc.constant(undefined) })),
  { maxLength: 300 },
);

test('there are collisions to test with', () => {
  expect(hashOf('costarring')).toBe(hashOf('liquid'));
});

test('it is a map, and old versions stay what they were', () => {
  fc.assert(
    fc.property(changes, (list) => {
      let map = PersistentMap.empty<number>();
      const model = new Map<string, number>();
      const versions: [PersistentMap<number>, [string, number][]][] = [];
      for (const { key, value } of list) {
        versions.push([map, [...model]]);
        if (value === undefined) {
          map = map.delete(key);
          model.delete(key);
        } else {
          map = map.set(key, value);
          model.set(key, value);
        }
        expect(map.get(key)).toBe(value);
        expect(map.size).toBe(model.size);
      }
      for (const [version, entries] of [...versions, [map, [...model]] as const]) {
        expect(new Map(version.entries())).toEqual(new Map(entries));
      }
    }),
    { numRuns: 60 },
  );
});

test('PM1: the order depends on the keys alone', () => {
  fc.assert(
    fc.property(changes, fc.func(fc.integer()), (list, rank) => {
      let map = PersistentMap.empty<number>();
      for (const { key, value } of list) map = value === undefined ? map.delete(key) : map.set(key, value);
      const entries = [...map.entries()];
      const other = PersistentMap.from(entries.toSorted(([a], [b]) => rank(a) - rank(b)));
      expect([...other.entries()]).toEqual(entries);
    }),
  );
});

test('entries behind a key, in the map or not, go on where it stands', () => {
  fc.assert(
    fc.property(changes, keys, (list, after) => {
      let map = PersistentMap.empty<number>();
      for (const { key, value } of list) if (value !== undefined) map = map.set(key, value);
      const order = [...map.set(after, 0).entries()].map(([key]) => key);
      const behind = order.slice(order.indexOf(after) + 1);
      expect([...map.entries(after)].map(([key]) => key)).toEqual(behind);
    }),
  );
});

test('a hundred thousand keys', () => {
  let map = PersistentMap.empty<number>();
  for (let index = 0; index < 100_000; index++) map = map.set(`child-${index}`, index);
  expect(map.size).toBe(100_000);
  expect([...map.entries()].length).toBe(100_000);
  for (let index = 0; index < 100_000; index += 2) map = map.delete(`child-${index}`);
  expect(map.size).toBe(50_000);
  expect([map.get('child-7'), map.get('child-8')]).toEqual([7, undefined]);
});
