/**
 * Planted bugs: mistakes that somebody could make, made on purpose for the time of a run. None of them is in the shipped code:
 * a method of a class is replaced and put back, or what passes a port of the simulation is changed.
 *
 * Owns: the shape, the replacing, and looking for a bug seed by seed.
 */
import type { SimulationSeams } from '../../../runtime/testing/simulation-topology.ts';
import type { Store, StoreWrites } from '../../../runtime/journal/store.ts';
import { caseOf, runSeed, WORKLOADS } from '../seeds.ts';

/** Replaces a method until the seed is over; `make` is given the one that was there. */
export type Replace = <T extends object, K extends keyof T>(target: T, name: K, make: (before: T[K]) => T[K]) => void;

export interface PlantedBug {
  /** A few words with hyphens. */
  readonly name: string;
  readonly what: string;
  /** Where it shows soonest, and from which seed on it was last seen. */
  readonly shows: { readonly workload: string; readonly plan: string; readonly seed?: number };
  /** Once a seed. Gives the seams that it needs, if any. */
  plant(replace: Replace): SimulationSeams | undefined;
}

export interface Hunt {
  /** Seeds until the bug showed, or all of them. */
  readonly seeds: number;
  /** The seed, the rule that it broke, and what was said of it. */
  readonly found: string | undefined;
}

/**
 * Looks for a bug in `limit` seeds at most: from seed `from` on, in what the seeds draw by themselves, or `near`: only where it
 * shows soonest.
 */
export async function huntFor(bug: PlantedBug, from: number | 'near', limit: number): Promise<Hunt> {
  const near = from === 'near';
  const first = near ? (bug.shows.seed ?? 1) : from;
  const workload = near ? WORKLOADS.find(({ name }) => name === bug.shows.workload) : undefined;
  const plan = near ? bug.shows.plan : undefined;
  for (let seed = first; seed < first + limit; seed++) {
    const undo: (() => void)[] = [];
    const seams = bug.plant((target, name, make) => {
      const before = target[name];
      target[name] = make(before);
      undo.unshift(() => {
        target[name] = before;
      });
    });
    try {
      const { violations } = await runSeed(seed, { workload, plan, seams });
      const [violation] = violations;
      if (violation === undefined) continue;
      const drawn = caseOf(seed, { workload, plan });
      const found = `seed ${seed} (${drawn.workload.name}, ${drawn.plan}): ${violation.rule}: ${violation.what}`;
      return { seeds: seed - first + 1, found: found.slice(0, 400) };
    } catch (error) {
      // A start that the bug makes impossible is a find too.
      return { seeds: seed - first + 1, found: `seed ${seed}: ${String(error).slice(0, 400)}` };
    } finally {
      for (const back of undo) back();
    }
  }
  return { seeds: limit, found: undefined };
}

/** Seams under which the writes of all commits are changed by what `make` makes of them. */
export function spoiledStore(make: (writes: StoreWrites) => Partial<StoreWrites>): SimulationSeams {
  const method = (target: object, name: string | symbol): unknown => {
    const value: unknown = Reflect.get(target, name, target);
    return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
  };
  const wrapStore = (store: Store): Store =>
    new Proxy(store, {
      get(target, name) {
        if (name !== 'commit') return method(target, name);
        return (write: (writes: StoreWrites) => void) =>
          target.commit((writes) => {
            const changed = make(writes);
            write(new Proxy(writes, { get: (inner, key) => Reflect.get(changed, key) ?? method(inner, key) }));
          });
      },
    });
  return { wrapStore };
}

/** True once every `every` calls. */
export function nowAndThen(every: number): () => boolean {
  let calls = 0;
  return () => {
    calls += 1;
    return calls % every === 0;
  };
}
