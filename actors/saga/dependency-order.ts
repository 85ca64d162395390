/**
 * The order that dependencies leave: a topological order, the cycles that prevent one, and who comes before whom.
 *
 * Owns: the graph alone; knows nothing of what steps do.
 */

/** What the graph needs to know of a step. */
export interface Dependent {
  readonly id: string;
  readonly dependencies: readonly string[];
}

export interface DependencyOrder {
  /** Every step behind all that it depends on; among equals in the order in which they were written. Without those in cycles. */
  readonly order: readonly string[];
  /** Each from its first written step round to it again: `a`, `b`, `a`. */
  readonly cycles: readonly (readonly string[])[];
  /** By id: who depends on it, each once. */
  readonly dependents: ReadonlyMap<string, readonly string[]>;
}

/** Dependencies on steps that are not there are left out. */
export function dependencyOrder(steps: readonly Dependent[]): DependencyOrder {
  const dependencies = new Map<string, ReadonlySet<string>>();
  const dependents = new Map<string, string[]>();
  for (const { id } of steps) dependents.set(id, []);
  for (const step of steps) dependencies.set(step.id, new Set(step.dependencies.filter((id) => dependents.has(id))));
  for (const [id, needed] of dependencies) for (const before of needed) dependents.get(before)?.push(id);

  const missing = new Map([...dependencies].map(([id, needed]) => [id, needed.size]));
  const order: string[] = [];
  const cycles: string[][] = [];
  const settle = (id: string): void => {
    missing.delete(id);
    for (const after of dependents.get(id) ?? []) {
      const left = missing.get(after);
      if (left !== undefined) missing.set(after, left - 1);
    }
  };
  const drain = (): void => {
    const ready = [...missing].filter(([, count]) => count === 0).map(([id]) => id);
    for (let at = 0; at < ready.length; at++) {
      const id = ready[at] as string;
      order.push(id);
      settle(id);
      for (const after of dependents.get(id) ?? []) if (missing.get(after) === 0) ready.push(after);
    }
  };
  for (drain(); missing.size > 0; drain()) {
    const cycle = cycleAmong(missing, dependencies);
    cycles.push(cycle);
    for (const id of new Set(cycle)) settle(id);
  }
  return { order, cycles, dependents };
}

/** From a step that cannot start, along what it waits for, until a step comes again. */
function cycleAmong(
  left: ReadonlyMap<string, number>,
  dependencies: ReadonlyMap<string, ReadonlySet<string>>,
): string[] {
  const places = new Map<string, number>();
  const path: string[] = [];
  let [at] = left.keys() as Iterable<string> as [string];
  while (!places.has(at)) {
    places.set(at, path.length);
    path.push(at);
    at = [...(dependencies.get(at) ?? [])].find((id) => left.has(id)) as string;
  }
  return [...path.slice(places.get(at)), at];
}

/** Tells whether a step comes before another on every way: `before(a, b)`, a is among what b depends on, near or far. */
export function ancestry(steps: readonly Dependent[]): (id: string) => ReadonlySet<string> {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const known = new Map<string, ReadonlySet<string>>();
  return (id) => {
    const found = known.get(id);
    if (found !== undefined) return found;
    const ancestors = new Set<string>();
    const open = [...(byId.get(id)?.dependencies ?? [])];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (ancestors.has(next)) continue;
      ancestors.add(next);
      open.push(...(byId.get(next)?.dependencies ?? []));
    }
    known.set(id, ancestors);
    return ancestors;
  };
}
