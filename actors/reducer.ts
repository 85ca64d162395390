/**
 * Plain reducers as behaviors: the shortest way from a message to a state.
 *
 * Owns: the contract of a reducer and its defaults. Adds nothing to the cost of the functions themselves.
 *
 * Invariants:
 * RD1. States are values: `receive` returns a new one, or the one that it was given when nothing changed. A state that is changed in
 *      place could not be taken back when a turn fails.
 */
import type { Behavior, EffectSpec, Signal, Turn } from '../runtime/kernel/behavior.ts';
import { InvalidDefinitionError } from '../runtime/kernel/errors.ts';

export interface Reducer<TState, TMessage = unknown, TInput = unknown, TView = TState> {
  /** The first state. */
  init(input: TInput, turn: Turn): TState;
  receive(state: TState, message: TMessage, turn: Turn): TState;
  /** Timers, effects, ends of children, answers, stop. Without it, what a timer carries is received as a message. */
  signal?(state: TState, signal: Signal, turn: Turn): TState;
  /** What observers see, plain data. Default: the state. */
  view?(state: TState): TView;
  /** State as plain data, where it is something else (a class, functions). Default: the state itself. */
  save?(state: TState): unknown;
  load?(saved: unknown): TState;
  /** By the `source` of `turn.startEffect`. */
  readonly effects?: Readonly<Record<string, EffectSpec>>;
  /** By the `logic` of `turn.spawn`. */
  readonly children?: Readonly<Record<string, Behavior>>;
}

export function reducerBehavior<TState, TMessage, TInput, TView>(
  reducer: Reducer<TState, TMessage, TInput, TView>,
): Behavior<TState> {
  const { effects, children } = reducer;
  const has = (name: keyof typeof reducer): boolean => typeof reducer[name] === 'function';
  for (const name of ['init', 'receive'] as const) {
    if (has(name)) continue;
    throw new InvalidDefinitionError(`reducer: ${name} is ${String(reducer[name])}, expected a function`);
  }
  for (const name of ['init', 'receive', 'signal'] as const) {
    if (!has(name) || (reducer[name] as object).constructor.name !== 'AsyncFunction') continue;
    throw new InvalidDefinitionError(
      `reducer: ${name} is async, and a turn does not wait: start an effect, its result comes as a signal`,
    );
  }
  if (has('save') !== has('load')) {
    throw new InvalidDefinitionError('reducer: save and load belong together; give both or neither');
  }
  return {
    init: (input, turn) => reducer.init(input as TInput, turn),
    receive: (state, message, turn) => reducer.receive(state, message as TMessage, turn),
    ...(has('signal')
      ? { signal: (state: TState, what: Signal, turn: Turn) => reducer.signal?.(state, what, turn) as TState }
      : {}),
    save: has('save') ? (state) => reducer.save?.(state) : (state) => state,
    load: has('load') ? (saved) => reducer.load?.(saved) as TState : (saved) => saved as TState,
    view: has('view') ? (state) => reducer.view?.(state) : (state) => state,
    effect: (source) => effects?.[source],
    child: (logic) => children?.[logic],
  };
}
