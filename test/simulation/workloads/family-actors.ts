/** Families: supervisors on every strategy, children that fail, are stopped and spawned again, and watchers of their ends. */
import { defineActor } from '../../../actors/index.ts';
import { defineSupervisor } from '../../../supervisors/index.ts';

export interface ChildState {
  readonly count: number;
}

export type ChildMessage = { readonly type: 'WORK' } | { readonly type: 'FAIL' } | { readonly type: 'FINISH' };

export const child = defineActor(import.meta.url, 'child', {
  reducer: {
    init: (): ChildState => ({ count: 0 }),
    receive(state: ChildState, message: ChildMessage, turn): ChildState {
      if (message.type === 'FAIL') throw new Error('a child fails on purpose');
      if (message.type === 'FINISH') turn.exit({ kind: 'normal' });
      return { count: state.count + 1 };
    },
  },
  failure: { maxAttempts: 2, backoff: { initialMs: 10 } },
});

/** The same in memory only: lost with its host. */
export const brief = defineActor(import.meta.url, 'brief', {
  reducer: {
    init: (): ChildState => ({ count: 0 }),
    receive: (state: ChildState): ChildState => ({ count: state.count + 1 }),
  },
  durability: 'none',
});

export const oneForOne = defineSupervisor(import.meta.url, 'one-for-one', {
  strategy: 'one_for_one',
  intensity: 1_000,
  periodMs: 1_000,
  children: [
    { id: 'a', actor: { definition: child, id: 'o1' }, backoff: 'none' },
    { id: 'b', actor: { definition: child, id: 'o2' }, restart: 'transient' },
  ],
});

export const allForOne = defineSupervisor(import.meta.url, 'all-for-one', {
  strategy: 'one_for_all',
  intensity: 1_000,
  periodMs: 1_000,
  children: [
    { id: 'a', actor: { definition: child, id: 'a1' } },
    { id: 'b', actor: { definition: child, id: 'a2' } },
    { id: 'c', actor: { definition: child, id: 'a3' } },
  ],
});

export interface ParentState {
  readonly spawned: number;
  readonly ended: readonly string[];
  readonly watched: readonly string[];
}

export type ParentMessage =
  | { readonly type: 'SPAWN'; readonly kind: 'child' | 'brief' }
  | { readonly type: 'STOP'; readonly number: number }
  | { readonly type: 'POKE'; readonly number: number; readonly what: ChildMessage['type'] }
  | { readonly type: 'WATCH'; readonly key: string };

/** Spawns children with an address of their own, pokes and stops them, and hears of every end. */
export const parent = defineActor(import.meta.url, 'parent', {
  reducer: {
    init: (): ParentState => ({ spawned: 0, ended: [], watched: [] }),
    receive(state: ParentState, message: ParentMessage, turn): ParentState {
      const nameOf = (number: number): string => `${turn.self.slice(turn.self.indexOf('/') + 1)}.${number}`;
      switch (message.type) {
        case 'SPAWN': {
          const id = nameOf(state.spawned);
          turn.spawn({ childId: `n${state.spawned}`, actor: { definition: message.kind, id }, ifExists: 'attach' });
          return { ...state, spawned: state.spawned + 1 };
        }
        case 'STOP':
          if (message.number < state.spawned) turn.stop(`child/${nameOf(message.number)}`);
          return state;
        case 'POKE':
          if (message.number < state.spawned) turn.send(`child/${nameOf(message.number)}`, { type: message.what });
          return state;
        case 'WATCH':
          turn.watch(message.key);
          return state;
      }
    },
    signal(state, signal) {
      if (signal.kind !== 'terminated') return state;
      if (signal.childId === undefined) return { ...state, watched: [...state.watched, signal.key] };
      return { ...state, ended: [...state.ended, signal.childId] };
    },
  },
  snapshotEveryTurns: 10,
});
