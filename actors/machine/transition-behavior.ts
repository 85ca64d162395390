/**
 * Logic that only computes (`fromTransition`, or any XState logic without a `start`) as a behavior.
 *
 * Owns: the scope that such logic is called with: one object, which asks the running turn. The state is XState's own snapshot.
 *
 * Invariants:
 * TB1. A turn allocates nothing but what the logic makes.
 */
import type { AnyActorScope, Snapshot } from 'xstate';
import { currentTurn } from '../../runtime/kernel/ambient.ts';
import type { Behavior, Turn } from '../../runtime/kernel/behavior.ts';
import { encodeError, UnsupportedLogicError } from '../../runtime/kernel/errors.ts';
import { hostedSystem } from './hosted-system.ts';
import { SelfRef } from './machine-ref.ts';
import { type Event, type Logic, XSTATE_STOP } from './xstate-internals.ts';

type LogicState = Snapshot<unknown> & { readonly context?: unknown };

/** What an observer sees of logic that only computes. */
export interface TransitionView {
  readonly status: LogicState['status'];
  readonly context: unknown;
  readonly output: unknown;
  readonly error: unknown;
}

export function transitionBehavior(logic: Logic): Behavior<LogicState> {
  let running: Turn | undefined;
  const turnNow = (): Turn => {
    const turn = running ?? currentTurn();
    if (turn === undefined) throw new UnsupportedLogicError('the scope of a transition is only there while it runs');
    return turn;
  };
  const scope = {
    get self(): SelfRef {
      const turn = turnNow();
      return new SelfRef(turn.self, turn.parent);
    },
    get id(): string {
      return scope.self.id;
    },
    get sessionId(): string {
      return turnNow().self;
    },
    system: hostedSystem,
    logger: (...values: unknown[]): void => turnNow().log(...values),
    defer: (run: () => void): void => run(),
    emit: (event: unknown): void => turnNow().emit(event),
    stopChild: (): never => {
      throw new UnsupportedLogicError('fromTransition has no children to stop: use a machine');
    },
    actionExecutor: (): void => {},
  };
  const actorScope = scope as unknown as AnyActorScope;

  const settle = (state: LogicState, turn: Turn): LogicState => {
    if (state.status === 'done') turn.exit({ kind: 'normal', output: state.output });
    else if (state.status === 'error') turn.exit({ kind: 'error', error: encodeError(state.error) });
    return state;
  };

  return {
    init(input, turn) {
      running = turn;
      try {
        return settle(logic.getInitialSnapshot(actorScope, input) as LogicState, turn);
      } finally {
        running = undefined;
      }
    },
    receive(state, message, turn) {
      if (state.status !== 'active') return state;
      // A machine above has left the state that invoked this one.
      if (
        turn.from !== undefined &&
        turn.from === turn.parent &&
        (message as Partial<Event> | null)?.type === XSTATE_STOP
      ) {
        turn.exit({ kind: 'shutdown' });
        return state;
      }
      running = turn;
      try {
        const next = logic.transition(state, message, actorScope) as LogicState;
        return next.status === 'active' ? next : settle(next, turn);
      } finally {
        running = undefined;
      }
    },
    save: (state) => logic.getPersistedSnapshot(state),
    load: (saved) => (logic.restoreSnapshot?.(saved as Snapshot<unknown>, actorScope) ?? saved) as LogicState,
    view: (state): TransitionView => ({
      status: state.status,
      context: state.context,
      output: state.output,
      error: state.status === 'error' ? encodeError(state.error) : undefined,
    }),
  };
}
