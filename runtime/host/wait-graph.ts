/**
 * Who waits for whom, as a graph, and its circles.
 *
 * Owns: the strongly connected parts of more than one node (Tarjan), and what can be reached from a node.
 *
 * Invariants:
 * WG1. Every node of a circle is in exactly one part, and every node of a part is on a circle.
 */

/** Where the walk is: at a node, with its next edge. */
interface Place {
  readonly node: number;
  next: number;
}

export class WaitGraph<N> {
  readonly #numbers = new Map<N, number>();
  readonly #nodes: N[] = [];
  readonly #edges: number[][] = [];

  /** `from` waits for `to`. */
  add(from: N, to: N): void {
    const edges = this.#edges[this.#numberOf(from)] as number[];
    edges.push(this.#numberOf(to));
  }

  /** Whatever `from` waits for, by however many others. */
  reach(from: N): Set<N> {
    const reached = new Set<N>();
    const start = this.#numbers.get(from);
    const left = start === undefined ? [] : [start];
    for (let node = left.pop(); node !== undefined; node = left.pop()) {
      for (const to of this.#edges[node] as number[]) {
        const name = this.#nodes[to] as N;
        if (reached.has(name)) continue;
        reached.add(name);
        left.push(to);
      }
    }
    return reached;
  }

  /** Sets of nodes that wait for each other. */
  circles(): Set<N>[] {
    const parts: Set<N>[] = [];
    const count = this.#nodes.length;
    const order = Array.from({ length: count }, () => -1);
    const lowest = Array.from({ length: count }, () => 0);
    const isOpen = Array.from({ length: count }, () => false);
    const open: number[] = [];
    let seen = 0;
    const enter = (node: number): Place => {
      order[node] = seen;
      lowest[node] = seen;
      seen += 1;
      open.push(node);
      isOpen[node] = true;
      return { node, next: 0 };
    };
    const lower = (node: number, to: number): void => {
      if (to < (lowest[node] as number)) lowest[node] = to;
    };
    for (let root = 0; root < count; root++) {
      if (order[root] !== -1) continue;
      const path = [enter(root)];
      for (let place = path.at(-1); place !== undefined; place = path.at(-1)) {
        const { node } = place;
        const to = (this.#edges[node] as number[])[place.next];
        place.next += 1;
        if (to === undefined) {
          path.pop();
          const before = path.at(-1);
          if (before !== undefined) lower(before.node, lowest[node] as number);
          if (lowest[node] === order[node]) this.#close(node, open, isOpen, parts);
        } else if (order[to] === -1) path.push(enter(to));
        else if (isOpen[to] === true) lower(node, order[to] as number);
      }
    }
    return parts;
  }

  #close(root: number, open: number[], isOpen: boolean[], parts: Set<N>[]): void {
    const part = open.splice(open.lastIndexOf(root));
    for (const node of part) isOpen[node] = false;
    if (part.length > 1) parts.push(new Set(part.map((node) => this.#nodes[node] as N)));
  }

  #numberOf(node: N): number {
    const known = this.#numbers.get(node);
    if (known !== undefined) return known;
    const number = this.#nodes.length;
    this.#numbers.set(node, number);
    this.#nodes.push(node);
    this.#edges.push([]);
    return number;
  }
}
