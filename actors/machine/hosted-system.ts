/**
 * The actor system that XState sees: one a thread, with nothing behind it but the step that is running.
 *
 * Owns: the slot of the running step, and the shape that XState asks of `scope.system` and of a parent's `system`. Decides nothing.
 *
 * XState makes a real `Actor` for every child (invoke, spawnChild, spawn) while it computes a transition. It announces it to
 * the parent's system before it is given a state: that is where the step takes it over (`actorMade`).
 *
 * Invariants:
 * HS1. The slot is set exactly while a step of a machine runs; steps are synchronous, so one slot a thread is enough.
 * HS2. Outside of a step the system knows nobody and starts nothing.
 */
import type { AnyActorLogic } from 'xstate';
import { UnsupportedLogicError } from '../../runtime/kernel/errors.ts';
import type { Reference } from '../../runtime/kernel/reference.ts';

/** An XState `Actor` in the middle of its constructor. */
export interface MadeActor {
  readonly id: string;
  readonly src: string | AnyActorLogic;
  readonly options: { readonly input?: unknown; readonly systemId?: string; readonly syncSnapshot?: boolean };
}

/** What the system asks of the step that is running. */
export interface RunningStep {
  /** A name for an actor without an id. The same at every replay. */
  bookId(): string;
  actorMade(actor: MadeActor): void;
  microstepTaken(): void;
  find(systemId: string): Reference | undefined;
  named(): Record<string, Reference>;
}

let running: RunningStep | undefined;

/** Makes `step` the running one and returns the one before it; callers restore it in a `finally`. */
export function enterStep(step: RunningStep | undefined): RunningStep | undefined {
  const previous = running;
  running = step;
  return previous;
}

function stepNow(): RunningStep {
  if (running === undefined) {
    throw new UnsupportedLogicError(
      'an actor can only be made while a machine handles an event: invoke or spawn it there',
    );
  }
  return running;
}

function refuseScheduling(): never {
  throw new UnsupportedLogicError('system.scheduler is not available: use after, or raise and sendTo with a delay');
}

/** What XState calls on a system, 5.33. A test fails when it asks for more. */
export const hostedSystem = {
  _bookId: (): string => stepNow().bookId(),
  _register: (sessionId: string): string => sessionId,
  _unregister: (): void => {},
  // The step has booked the system id when it took the actor over.
  _set: (): void => {},
  _relay: (): never => {
    throw new UnsupportedLogicError(
      'an event can only be sent by a machine while it handles one: use sendTo, raise or emit',
    );
  },
  _sendInspectionEvent: (event: { readonly type: string; readonly actorRef?: unknown }): void => {
    if (event.type === '@xstate.microstep') running?.microstepTaken();
    else if (event.type === '@xstate.actor') stepNow().actorMade(event.actorRef as MadeActor);
  },
  scheduler: { schedule: refuseScheduling, cancel: refuseScheduling, cancelAll: (): void => {} },
  get: (systemId: string): Reference | undefined => running?.find(systemId),
  getAll: (): Record<string, Reference> => running?.named() ?? {},
  inspect: (): { unsubscribe(): void } => ({ unsubscribe: () => {} }),
  getSnapshot: (): { readonly _scheduledEvents: Record<string, never> } => ({ _scheduledEvents: {} }),
  start: (): void => {},
  _snapshot: { _scheduledEvents: {} },
  _clock: { setTimeout: refuseScheduling, clearTimeout: (): void => {} },
  _logger: (): void => {},
};

export type HostedSystem = typeof hostedSystem;
