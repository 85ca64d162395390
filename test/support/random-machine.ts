/**
 * Random statecharts for the conformance property.
 *
 * Every choice is read from a tape of numbers, and is the plainest one when the tape has ended: shrinking the tape shrinks the chart.
 * Charts are well formed and end every step: eventless transitions and those of done states burn a fuel that is never filled up.
 */
import {
  type AnyStateMachine,
  assign,
  cancel,
  createMachine,
  emit,
  fromPromise,
  raise,
  sendParent,
  sendTo,
  setup,
  spawnChild,
  stateIn,
} from 'xstate';
import { typed } from './typed.ts';

export const EVENTS = ['A', 'B', 'C', 'D.x', 'D.y'] as const;

type Node = {
  id: string;
  type: 'atomic' | 'compound' | 'parallel' | 'final' | 'history';
  deep: boolean;
  states: Record<string, Node>;
};
type Context = { n: number; fuel: number; trail: string[] };
type Args = { context: Context; event: { type: string } };
type Config = Record<string, unknown>;

const kid = setup({ types: typed<{ context: { n: number }; events: { type: string } }>() }).createMachine({
  id: 'kid',
  context: { n: 0 },
  initial: 'on',
  entry: sendParent({ type: 'K' }),
  output: ({ context }) => context.n,
  states: {
    on: {
      on: {
        PING: { actions: [assign({ n: ({ context }) => context.n + 1 }), sendParent({ type: 'K' })] },
        END: 'end',
      },
      after: { 35: { actions: sendParent({ type: 'K' }) } },
    },
    end: { type: 'final' },
  },
});

const work = fromPromise(() => new Promise(() => {}));

class Tape {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  /** 0 … limit - 1. */
  next(limit: number): number {
    return (this.#numbers[this.#at++] ?? 0) % limit;
  }

  /** True once in `times`; never when the tape has ended. */
  rarely(times: number): boolean {
    return this.next(times) === times - 1;
  }

  pick<TItem>(items: readonly TItem[]): TItem {
    return items[this.next(items.length)] as TItem;
  }
}

/** `kind`: `knowable` charts have no history states, and the driver takes all of their steps itself; `plain` ones no parallel states either. */
export function randomMachine(numbers: readonly number[], kind: 'any' | 'knowable' | 'plain' = 'any'): AnyStateMachine {
  const tape = new Tape(numbers);
  let count = 0;
  const grow = (depth: number, inParallel: boolean): Node => {
    const id = `s${count++}`;
    const kinds: readonly Node['type'][] =
      depth >= 3
        ? ['atomic', 'final']
        : depth === 0
          ? ['compound', 'parallel']
          : ['atomic', 'compound', 'parallel', 'final'];
    let type = tape.pick(kind === 'plain' ? kinds.filter((one) => one !== 'parallel') : kinds);
    if (inParallel && type === 'final') type = 'atomic';
    const node: Node = { id, type, deep: false, states: {} };
    if (type !== 'compound' && type !== 'parallel') return node;
    const size = 1 + tape.next(3);
    for (let n = 0; n < size; n++) {
      // The first child of a compound is where it starts: no final there, or charts end at once.
      const child = grow(depth + 1, type === 'parallel' || n === 0);
      node.states[child.id] = child;
    }
    if (kind === 'any' && tape.rarely(3)) {
      const history: Node = { id: `s${count++}`, type: 'history', deep: tape.rarely(2), states: {} };
      node.states[history.id] = history;
    }
    return node;
  };
  const root = grow(0, false);
  const targets: string[] = [];
  const collect = (node: Node): void => {
    for (const child of Object.values(node.states)) {
      targets.push(child.id);
      collect(child);
    }
  };
  collect(root);

  const note = (word: string): unknown =>
    assign(({ context }: Args) => ({ trail: [...context.trail, word].slice(-12) }));
  const bump = assign({ n: ({ context }: Args) => context.n + 1 });
  const burn = assign({ fuel: ({ context }: Args) => context.fuel - 1 });

  const actions = (node: Node, children: readonly string[]): unknown[] => {
    const list: unknown[] = [];
    for (let left = tape.next(3); left > 0; left--) {
      switch (tape.next(children.length > 0 ? 9 : 7)) {
        case 0:
          list.push(note(`${node.id}!`));
          break;
        case 1:
          list.push(bump);
          break;
        case 2:
          list.push(emit(({ context }: Args) => ({ type: 'said', n: context.n })));
          break;
        case 3:
          list.push(raise({ type: tape.pick(EVENTS) }, { delay: 10 * (1 + tape.next(4)), id: `t${tape.next(2)}` }));
          break;
        case 4:
          list.push(cancel(`t${tape.next(2)}`));
          break;
        case 5:
          list.push(assign(({ context }: Args) => ({ n: context.n * 2 + 1 })));
          break;
        case 6:
          list.push(spawnChild('work', { id: `job${tape.next(2)}` }));
          break;
        case 7:
          list.push(sendTo(tape.pick(children), { type: 'PING' }));
          break;
        default:
          list.push(sendTo(tape.pick(children), { type: 'PING' }, { delay: 15, id: 't0' }));
      }
    }
    return list;
  };

  const guard = (): unknown => {
    switch (tape.next(4)) {
      case 0:
        return undefined;
      case 1:
        return ({ context }: Args) => context.n % 2 === 0;
      case 2:
        return ({ context }: Args) => context.n % 3 === 1;
      default:
        return stateIn(`#${tape.pick(targets)}`);
    }
  };

  const transition = (node: Node, children: readonly string[]): Config => ({
    ...(tape.rarely(4) ? {} : { target: `#${tape.pick(targets)}` }),
    ...(tape.rarely(4) ? { reenter: true } : {}),
    guard: guard(),
    actions: actions(node, children),
  });

  const fuelled = (given: Config): Config => {
    const other = given['guard'] as ((args: Args) => boolean) | undefined;
    return {
      ...given,
      actions: [burn, ...(given['actions'] as unknown[])],
      // A built-in guard is no function of the arguments alone.
      guard: ({ context, event }: Args) =>
        context.fuel > 0 && (other === undefined || 'check' in other || other({ context, event })),
    };
  };

  const configure = (node: Node): Config => {
    if (node.type === 'history') return { id: node.id, type: 'history', history: node.deep ? 'deep' : 'shallow' };
    const entry = [note(`+${node.id}`)];
    const exit = [note(`-${node.id}`)];
    if (node.type === 'final') return { id: node.id, type: 'final', entry, output: ({ context }: Args) => context.n };
    const states = Object.fromEntries(Object.entries(node.states).map(([key, child]) => [key, configure(child)]));
    const invoke: Config[] = [];
    const children: string[] = [];
    if (tape.rarely(5)) {
      invoke.push({
        src: 'work',
        onDone: transition(node, []),
        ...(tape.rarely(4) ? {} : { onError: transition(node, []) }),
      });
    }
    if (tape.rarely(6)) {
      children.push(`kid-${node.id}`);
      invoke.push({ id: `kid-${node.id}`, src: 'kid', onDone: transition(node, []) });
    }
    const on: Config = {};
    for (const event of EVENTS)
      if (tape.rarely(2))
        on[event] = [transition(node, children), ...(tape.rarely(3) ? [transition(node, children)] : [])];
    if (tape.rarely(6)) on['D.*'] = transition(node, children);
    if (tape.rarely(8)) on['*'] = fuelled(transition(node, children));
    // What a child sends must not make the child say more, or the two never rest.
    if (tape.rarely(3)) on['K'] = { actions: note('K') };
    const config: Config = { id: node.id, entry, exit, on, invoke };
    if (tape.rarely(4)) config['after'] = { [10 * (1 + tape.next(3))]: transition(node, children) };
    if (tape.rarely(5)) config['always'] = fuelled(transition(node, []));
    if (tape.rarely(4)) config['tags'] = [`tag-${node.id}`];
    if (node.type !== 'atomic') {
      config['states'] = states;
      if (node.type === 'parallel') config['type'] = 'parallel';
      else config['initial'] = Object.values(node.states)[0]?.id;
      if (tape.rarely(3) && node !== root) config['onDone'] = fuelled(transition(node, []));
    }
    return config;
  };

  const config = {
    ...configure(root),
    context: { n: 0, fuel: 10, trail: [] } satisfies Context,
    output: ({ context }: Args) => ({ n: context.n }),
  };
  return createMachine(config as never, { actors: { kid, work } } as never);
}
