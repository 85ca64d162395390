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
  const { init, receive, signal, view, save, load, effects, children } = reducer;
  for (const [name, given] of Object.entries({ init, receive })) {
    if (typeof given !== 'function') {
      throw new InvalidDefinitionError(
        `reducer: ${name} is ${given === null ? 'null' : typeof given}, expected a function`,
      );
    }
  }
  for (const [name, given] of Object.entries({ init, receive, signal })) {
    if (given?.constructor.name === 'AsyncFunction') {
      throw new InvalidDefinitionError(
        `reducer: ${name} is async, and a turn does not wait: start an effect, its result comes as a signal`,
      );
    }
  }
  if ((save === undefined) !== (load === undefined)) {
    throw new InvalidDefinitionError('reducer: save and load belong together; give both or neither');
  }
  return {
    init: (input, turn) => reducer.init(input as TInput, turn),
    receive: (state, message, turn) => reducer.receive(state, message as TMessage, turn),
    ...(signal === undefined
      ? {}
      : { signal: (state: TState, what: Signal, turn: Turn) => signal.call(reducer, state, what, turn) }),
    save: (state) => (save === undefined ? state : save.call(reducer, state)),
    load: (saved) => (load === undefined ? (saved as TState) : load.call(reducer, saved)),
    view: (state) => (view === undefined ? state : view.call(reducer, state)),
    effect: (source) => effects?.[source],
    child: (logic) => children?.[logic],
  };
}
