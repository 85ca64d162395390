/**
 * `defineActor`: a name and a module around a machine, a reducer, transition logic or a behavior.
 *
 * Owns: the specification and its faults, and the types that let a ref know its messages, input and view. The value itself is the
 * kernel's `Definition`.
 *
 * Invariants:
 * DA1. A specification names exactly one way to behave. What cannot work is refused here, when the module loads, not in a host.
 */
import type { Behavior } from '../runtime/kernel/behavior.ts';
import { type Definition, type DefinitionOptions, defineBehavior } from '../runtime/kernel/definition.ts';
import { InvalidDefinitionError } from '../runtime/kernel/errors.ts';
import { machineBehavior } from './machine/machine-behavior.ts';
import type { StoredMachine } from './machine/machine-state.ts';
import { type TransitionView, transitionBehavior } from './machine/transition-behavior.ts';
import { kindOfLogic, type Logic, type LogicKind, type Machine } from './machine/xstate-internals.ts';
import type { LogicEvent, LogicInput, MachineEvent, MachineInput, MachineViewOf } from './machine/machine-inference.ts';
import { type Reducer, reducerBehavior } from './reducer.ts';

/** A definition that knows the types of its actors' messages, replies, views and input. They exist in the compiler only. */
export interface ActorDefinition<TMessage = unknown, TReply = unknown, TView = unknown, TInput = unknown>
  extends Definition {
  /** Never there: for the compiler alone. The system's `RefOf` reads it. */
  readonly types?: {
    readonly message: (message: TMessage) => void;
    readonly reply: TReply;
    readonly view: TView;
    readonly input: (input: TInput) => void;
  };
}

/** Any definition, whatever its messages. */
export type AnyActorDefinition = ActorDefinition<never, unknown, unknown, never>;

export type MessageOf<TDefinition> =
  TDefinition extends ActorDefinition<infer TMessage, infer _R, infer _V, infer _I> ? TMessage : never;
export type ReplyOf<TDefinition> =
  TDefinition extends ActorDefinition<infer _M, infer TReply, infer _V, infer _I> ? TReply : never;
export type ViewOf<TDefinition> =
  TDefinition extends ActorDefinition<infer _M, infer _R, infer TView, infer _I> ? TView : never;
export type InputOf<TDefinition> =
  TDefinition extends ActorDefinition<infer _M, infer _R, infer _V, infer TInput> ? TInput : never;

export interface MachineSpec<TMachine> extends Omit<DefinitionOptions, 'migrate'> {
  readonly machine: TMachine;
  /**
   * Turns a stored state of an older version into one of this version. Throwing blocks the actor.
   *
   * @example migrate: (stored) => ({ ...stored, context: { ...stored.context, tax: 0 } })
   */
  readonly migrate?: ((stored: StoredMachine, fromVersion: number) => unknown) | undefined;
}
export interface LogicSpec<TLogic> extends DefinitionOptions {
  /** `fromTransition(…)`. */
  readonly logic: TLogic;
}
export interface ReducerSpec<TState, TMessage, TInput, TView> extends DefinitionOptions {
  readonly reducer: Reducer<TState, TMessage, TInput, TView>;
}
export interface BehaviorSpec<TState> extends DefinitionOptions {
  readonly behavior: Behavior<TState>;
}

type Way = 'machine' | 'logic' | 'reducer' | 'behavior';
const WAYS: readonly Way[] = ['machine', 'logic', 'reducer', 'behavior'];
const OPTIONS: ReadonlySet<string> = new Set<Way | keyof DefinitionOptions>([
  ...WAYS,
  'version',
  'migrate',
  'previous',
  'durability',
  'virtual',
  'failure',
  'mailboxLimit',
  'passivateAfterMs',
  'snapshotEveryTurns',
  'idempotencyKeysLimit',
]);

/**
 * Defines an actor. Export the result from the module whose URL is given: every thread loads it from there.
 *
 * ```ts
 * export const order = defineActor(import.meta.url, 'order', { machine: orderMachine, version: 1 })
 * ```
 */
export function defineActor<TMachine extends Machine>(
  module: string,
  name: string,
  spec: MachineSpec<TMachine>,
): ActorDefinition<MachineEvent<TMachine>, unknown, MachineViewOf<TMachine>, MachineInput<TMachine>>;
export function defineActor<TLogic extends Logic>(
  module: string,
  name: string,
  spec: LogicSpec<TLogic>,
): ActorDefinition<LogicEvent<TLogic>, unknown, TransitionView, LogicInput<TLogic>>;
export function defineActor<TState, TMessage, TInput, TView = TState>(
  module: string,
  name: string,
  spec: ReducerSpec<TState, TMessage, TInput, TView>,
): ActorDefinition<TMessage, unknown, TView, TInput>;
export function defineActor<TState>(module: string, name: string, spec: BehaviorSpec<TState>): ActorDefinition;
export function defineActor(module: string, name: string, spec: Omit<DefinitionOptions, 'migrate'>): Definition {
  if (typeof spec !== 'object' || spec === null) {
    throw fault(
      name,
      `got ${kindOf(spec)}, which cannot cross threads; give { machine }, { logic }, { reducer } or { behavior }`,
    );
  }
  const given = spec as Readonly<Record<string, unknown>>;
  const ways = WAYS.filter((way) => given[way] !== undefined);
  const [way, second] = ways;
  if (way === undefined) {
    const hint =
      kindOfLogic(spec) === undefined ? '' : `; the ${kindOfLogic(spec)} itself goes inside: { machine } or { logic }`;
    throw fault(name, `has none of machine, logic, reducer and behavior${hint}`);
  }
  if (second !== undefined)
    throw fault(name, `has ${ways.join(' and ')}; an actor behaves in one way, give one of them`);
  const unknown = Object.keys(spec).find((option) => !OPTIONS.has(option));
  if (unknown !== undefined) throw fault(name, `has no option "${unknown}" (known: ${[...OPTIONS].join(', ')})`);
  return defineBehavior(module, name, behaviorOf(name, way, given[way]), spec);
}

function behaviorOf(name: string, way: Way, given: unknown): Behavior<never> {
  if (typeof given !== 'object' || given === null) {
    throw fault(name, `${way} is ${kindOf(given)}; give ${EXPECTED[way]}, at the top level of the module`);
  }
  switch (way) {
    case 'machine':
    case 'logic':
      return logicBehavior(name, way, given);
    case 'reducer':
      try {
        return reducerBehavior(given as Reducer<never>);
      } catch (error) {
        throw error instanceof InvalidDefinitionError ? fault(name, error.message) : error;
      }
    case 'behavior': {
      const missing = ['init', 'receive', 'save', 'load', 'view'].filter(
        (method) => typeof (given as Record<string, unknown>)[method] !== 'function',
      );
      if (missing.length > 0) throw fault(name, `behavior has no ${missing.join(', no ')}`);
      return given as Behavior<never>;
    }
  }
}

function logicBehavior(name: string, way: 'machine' | 'logic', given: object): Behavior<never> {
  const kind: LogicKind | undefined = kindOfLogic(given);
  switch (kind) {
    case 'machine':
      return machineBehavior(given as Machine) as Behavior as Behavior<never>;
    case 'transition':
      if (way === 'machine') throw fault(name, 'machine is transition logic; give it as { logic }');
      return transitionBehavior(given as Logic) as Behavior as Behavior<never>;
    case 'promise':
    case 'source':
      throw fault(
        name,
        `${way} is ${kind === 'promise' ? 'promise' : 'callback or observable'} logic, which has no state that could be kept: ` +
          "put it into a machine's invoke, { invoke: { src } }, and define the machine",
      );
    case undefined:
      throw fault(name, `${way} is an object that is no actor logic; give ${EXPECTED[way]}`);
  }
}

const EXPECTED: Readonly<Record<Way, string>> = {
  machine: 'what createMachine or setup().createMachine returns',
  logic: 'what fromTransition returns',
  reducer: 'an object { init, receive }',
  behavior: 'an object that implements Behavior',
};

function kindOf(given: unknown): string {
  if (typeof given === 'function') return given.name === '' ? 'a function' : `a function (${given.name})`;
  return given === null ? 'null' : given === undefined ? 'undefined' : `a ${typeof given}`;
}

function fault(name: string, what: string): InvalidDefinitionError {
  return new InvalidDefinitionError(`definition ${JSON.stringify(name)}: ${what}`);
}
