/**
 * An XState machine as a behavior.
 *
 * Owns: which event of XState's each message and signal is, and the behaviors of child machines. The step does the work.
 *
 * | what happened                    | event for the machine                                    |
 * |----------------------------------|----------------------------------------------------------|
 * | a message                        | the message itself; `xstate.stop` from the parent ends   |
 * | a timer (after, a delayed raise) | the delayed event; a delayed sendTo is sent now          |
 * | an effect or child is done       | `xstate.done.actor.<id>`                                 |
 * | an effect or child has failed    | `xstate.error.actor.<id>`; unhandled, it ends the actor  |
 * | a source or child has a new state| `xstate.snapshot.<id>`, where the machine has onSnapshot |
 * | an answer to an ask              | `reply.<ask>`, or `ask.failed.<ask>`                     |
 * | the cell is being stopped        | `xstate.stop`: children and effects are stopped          |
 *
 * Invariants:
 * MB1. A throwing guard or action fails the turn with the error as thrown: the runtime's failure policy decides, the state stays.
 * MB2. Nobody outside can forge XState's own events: those are refused from callers that are no actors.
 * MB3. News of a child that is no longer one changes nothing. (XState would still take what a callback says while it is being stopped.)
 */
import { childKeyOf, type CellKey } from '../../runtime/kernel/address.ts';
import type { Behavior, EffectSpec, LoadContext, Signal, Turn } from '../../runtime/kernel/behavior.ts';
import { ActorStoppedError, decodeError } from '../../runtime/kernel/errors.ts';
import type { ExitReason } from '../../runtime/kernel/exit.ts';
import { assertDurable } from './durability-check.ts';
import { effectOf, type SourceNews } from './effect-logic.ts';
import { DeclaredIds, type LogicSource, LogicSources } from './logic-sources.ts';
import { SelfRef } from './machine-ref.ts';
import {
  type Child,
  loadMachine,
  type MachineState,
  type MachineView,
  type PresentedMachine,
  presentMachine,
  NO_KEYS,
  saveMachine,
  viewMachine,
} from './machine-state.ts';
import { MachineStep, type TimerPayload } from './machine-step.ts';
import { fired } from './pending-timers.ts';
import { transitionBehavior } from './transition-behavior.ts';
import { type Chart, chartOf, type Event, type Machine, XSTATE_STOP } from './xstate-internals.ts';

/** Drives `machine` as a durable actor. Throws `UnsupportedLogicError`, with name and remedy, for what cannot be durable. */
export function machineBehavior(machine: Machine): Behavior<MachineState> {
  assertDurable(machine);
  return new MachineBehavior(machine, new DeclaredIds(machine));
}

class MachineBehavior implements Behavior<MachineState> {
  readonly #chart: Chart;
  readonly #sources: LogicSources;
  readonly #declared: DeclaredIds;
  readonly #step: MachineStep;
  readonly #effects = new Map<string, EffectSpec | undefined>();
  readonly #children = new Map<string, Behavior | undefined>();

  constructor(machine: Machine, declared: DeclaredIds) {
    this.#chart = chartOf(machine);
    this.#declared = declared;
    this.#sources = new LogicSources(machine);
    this.#step = new MachineStep(machine, this.#sources, declared);
  }

  init(input: unknown, turn: Turn): MachineState {
    return this.#step.start(new SelfRef(turn.self, turn.parent), input, turn);
  }

  receive(state: MachineState, message: unknown, turn: Turn): MachineState {
    if (state.snapshot.status !== 'active') return state;
    const type: unknown = (message as { type?: unknown } | null | undefined)?.type;
    if (typeof type !== 'string') {
      throw new TypeError(
        `a machine handles events, objects with a string "type"; ${turn.self} was sent ${describe(message)}`,
      );
    }
    if (type === XSTATE_STOP && turn.from !== undefined && turn.from === turn.parent) {
      const stopped = this.#step.take(state, { type }, turn);
      turn.exit({ kind: 'shutdown' });
      return stopped;
    }
    if (type.startsWith('xstate.') && (turn.from === undefined || type === XSTATE_STOP) && type !== 'xstate.route') {
      throw new TypeError(`"${type}" is an event of XState's own, which only actors may send to ${turn.self}`);
    }
    return this.#step.take(state, message as Event, turn);
  }

  signal(state: MachineState, signal: Signal, turn: Turn): MachineState {
    if (state.snapshot.status !== 'active') return state;
    switch (signal.kind) {
      case 'timer':
        return this.#timer(state, signal.id, signal.payload as TimerPayload, turn);
      case 'effect.done':
        return this.#ended(state, childKeyOf(turn.self, signal.id), { output: signal.output }, turn);
      case 'effect.failed':
        return this.#ended(state, childKeyOf(turn.self, signal.id), { error: signal.error }, turn);
      case 'effect.event':
        return this.#heard(state, childKeyOf(turn.self, signal.id), signal.event as SourceNews, turn);
      case 'terminated':
        return signal.childId === undefined && !state.children.has(signal.key)
          ? this.#step.take(state, { type: 'terminated', key: signal.key, reason: signal.reason } as Event, turn)
          : this.#terminated(state, signal.key, signal.reason, turn);
      case 'child.snapshot':
        return this.#reported(state, childKeyOf(turn.self, signal.childId), signal.snapshot, turn);
      case 'child.event':
        return this.#step.take(state, signal.event as Event, turn);
      case 'reply':
        return this.#step.take(state, { type: `reply.${signal.ask}`, value: signal.value } as Event, turn);
      case 'ask.failed':
        return this.#step.take(state, { type: `ask.failed.${signal.ask}`, error: signal.error } as Event, turn);
      case 'resumed':
        return state;
      case 'stop':
        return this.#step.take(state, { type: XSTATE_STOP }, turn);
    }
  }

  save(state: MachineState): unknown {
    return saveMachine(this.#chart, state);
  }

  load(saved: unknown, { self, parent }: LoadContext): MachineState {
    return loadMachine(this.#chart, saved, self, parent, this.#step.scope);
  }

  view(state: MachineState): MachineView {
    return viewMachine(state);
  }

  present(view: unknown): PresentedMachine {
    return presentMachine(view as MachineView);
  }

  effect(source: string): EffectSpec | undefined {
    return memoized(this.#effects, source, () => {
      const found = this.#sources.get(source);
      return found === undefined ? undefined : effectOf(found);
    });
  }

  child(logic: string): Behavior | undefined {
    return memoized(this.#children, logic, () => this.#childBehavior(this.#sources.get(logic)));
  }

  #childBehavior(source: LogicSource | undefined): Behavior | undefined {
    if (source?.kind === 'machine') {
      return new MachineBehavior(source.logic as Machine, this.#declared);
    }
    return source?.kind === 'transition' ? transitionBehavior(source.logic) : undefined;
  }

  #timer(state: MachineState, timerId: string, { id, event, to }: TimerPayload, turn: Turn): MachineState {
    const due = { ...state, timers: fired(state.timers, timerId, id) };
    if (to === undefined) return this.#step.take(due, event, turn);
    this.#step.deliver(due, to, event, turn);
    return due;
  }

  #ended(
    state: MachineState,
    key: CellKey,
    outcome: { readonly output: unknown } | { readonly error: unknown },
    turn: Turn,
  ): MachineState {
    const child = livingChild(state, key);
    if (child === undefined) return state;
    const children = new Map(state.children).set(key, { ...child, ended: true });
    const type = 'error' in outcome ? `xstate.error.actor.${child.id}` : `xstate.done.actor.${child.id}`;
    const event: Event & { readonly actorId: string } = { type, ...outcome, actorId: child.id };
    return this.#step.take({ ...state, children }, event, turn);
  }

  #heard(state: MachineState, key: CellKey, news: SourceNews, turn: Turn): MachineState {
    if ('snapshot' in news) return this.#reported(state, key, news.snapshot, turn);
    return livingChild(state, key) === undefined ? state : this.#step.take(state, news.event, turn);
  }

  #reported(state: MachineState, key: CellKey, snapshot: unknown, turn: Turn): MachineState {
    const child = livingChild(state, key);
    // As in XState: the last snapshot of a child that has ended is told by its done event.
    const isActive = (snapshot as { status?: unknown } | undefined)?.status === 'active';
    if (child === undefined || !isActive) return state;
    return this.#step.take(state, { type: `xstate.snapshot.${child.id}`, snapshot } as Event, turn);
  }

  #terminated(state: MachineState, key: CellKey, reason: ExitReason, turn: Turn): MachineState {
    if (state.stopping.has(key)) {
      const stopping = new Set(state.stopping);
      stopping.delete(key);
      return { ...state, stopping: stopping.size === 0 ? NO_KEYS : stopping };
    }
    switch (reason.kind) {
      case 'normal':
        return this.#ended(state, key, { output: reason.output }, turn);
      case 'error':
        return this.#ended(state, key, { error: decodeError(reason.error) }, turn);
      default:
        // Ended from outside: the machine that waits for it must hear of it.
        return this.#ended(
          state,
          key,
          { error: new ActorStoppedError(`child ${key} was ended from outside: ${reason.kind}`) },
          turn,
        );
    }
  }
}

function livingChild(state: MachineState, key: CellKey): Child | undefined {
  const child = state.children.get(key);
  return child?.ended === true ? undefined : child;
}

function memoized<TValue>(known: Map<string, TValue>, name: string, make: () => TValue): TValue {
  if (known.has(name)) return known.get(name) as TValue;
  const made = make();
  known.set(name, made);
  return made;
}

function describe(message: unknown): string {
  return typeof message === 'object' && message !== null
    ? 'an object without one'
    : `${typeof message} ${String(message)}`;
}
