/** Circles of a graph against their definition: nodes that reach each other. */
import { expect, test } from 'vitest';
import { WaitGraph } from '../../../runtime/host/wait-graph.ts';
import { seededRandom } from '../../../runtime/kernel/random.ts';

test('nodes are in one circle when they reach each other, whatever the graph', () => {
  for (let seed = 1; seed <= 2_000; seed++) {
    const random = seededRandom(seed, 1);
    const below = (limit: number): number => Math.floor(random.next() * limit);
    const graph = new WaitGraph<number>();
    const nodes = 1 + below(12);
    for (let edge = below(2 * nodes); edge >= 0; edge--) graph.add(below(nodes), below(nodes));
    const expected = new Set<string>();
    for (let node = 0; node < nodes; node++) {
      const reached = graph.reach(node);
      const part = Array.from({ length: nodes }, (_, other) => other).filter(
        (other) => other === node || (reached.has(other) && graph.reach(other).has(node)),
      );
      if (part.length > 1) expected.add(part.join());
    }
    const found = graph.circles().map((part) => [...part].toSorted((a, b) => a - b).join());
    expect(new Set(found)).toEqual(expected);
    expect(found.length).toBe(expected.size);
  }
});

test('a circle of a hundred thousand does not overflow the stack', () => {
  const graph = new WaitGraph<number>();
  const size = 100_000;
  for (let node = 0; node < size; node++) graph.add(node, (node + 1) % size);
  expect(graph.circles().map(({ size: found }) => found)).toEqual([size]);
});
