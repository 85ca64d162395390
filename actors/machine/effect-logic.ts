/**
 * Effects of a machine: promise logic as calls, callback and observable logic as live sources.
 *
 * Owns: `effect()`, which says what a crash in the middle of a call means; and running XState's logic outside of a step.
 *
 * Invariants:
 * EL1. What runs here runs after the commit, outside of any step: it sees input, and speaks through its result or its events alone.
 * EL2. A rejection or a throw is the effect's failure, never an uncaughtException of the thread.
 */
import {
  type AnyActorRef,
  createActor,
  type EventObject,
  fromPromise,
  type NonReducibleUnknown,
  type PromiseActorLogic,
} from 'xstate';
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import type { Backoff } from '../../runtime/kernel/backoff.ts';
import type {
  CallEffect,
  EffectClass,
  EffectContext,
  EffectSpec,
  SourceContext,
  SourceEffect,
} from '../../runtime/kernel/behavior.ts';
import { InvalidDefinitionError, UnsupportedLogicError } from '../../runtime/kernel/errors.ts';
import type { Reference } from '../../runtime/kernel/reference.ts';
import { hostedSystem } from './hosted-system.ts';
import type { LogicSource } from './logic-sources.ts';
import { MachineRef } from './machine-ref.ts';
import type { SourceInput } from './machine-step.ts';
import { kindOfLogic, type Logic, promiseCreatorOf } from './xstate-internals.ts';

export interface EffectOptions {
  /** What an outage between start and result means. Default `idempotent`. */
  readonly class?: EffectClass;
  /** Tries in all, and the waits between them. Default: one try. */
  readonly retry?: Backoff & { readonly maxAttempts?: number };
  /** Per try. Default: none. */
  readonly timeoutMs?: number;
  /** Runs an export of a module on the pool for CPU-bound work, in place of the creator, with the same argument but `signal`. */
  readonly pool?: { readonly module: string; readonly name: string };
}

/** What the creator of an effect is given. */
export interface EffectArgument<TInput = unknown> {
  readonly input: TInput;
  /** Aborts on timeout, when the state that invoked it is left, and when the actor stops. */
  readonly signal: AbortSignal;
  /** The same for every try, also after a crash: hand it to the outside service. */
  readonly idempotencyKey: string;
  /** 1, 2, … within this process. */
  readonly attempt: number;
  /** The actor whose effect it is. */
  readonly self: Reference;
  /**
   * The way from here to other actors: at most once, not journaled, no receipts. What must not be lost, let the machine send when this is done.
   *
   * @example const breaker = await CircuitBreaker.of(actors, payments)
   */
  readonly actors: ActorHost;
}

const CLASSES: readonly EffectClass[] = ['idempotent', 'at_most_once', 'query'];
const KNOWN_OPTIONS = ['class', 'retry', 'timeoutMs', 'pool'];
const KNOWN_RETRY = ['maxAttempts', 'initialMs', 'maxMs', 'factor', 'jitter'];
/** Also read by another copy of this library. */
const OPTIONS = Symbol.for('collaborative-blocks.effect');

/** An input of which nothing is known, as XState writes it: beside `unknown` an `input: ({ context }) => …` would have no type. */
type KnownInput<TInput> = unknown extends TInput ? NonReducibleUnknown : TInput;

/** Promise logic for `setup({ actors })` that says how it survives crashes, is retried, and how long it may take. */
export function effect<TOutput, TInput = unknown>(
  creator: ((argument: EffectArgument<TInput>) => PromiseLike<TOutput> | TOutput) | PromiseActorLogic<TOutput, TInput>,
  options: EffectOptions = {},
): PromiseActorLogic<TOutput, KnownInput<TInput>> {
  assertKnown('options', options, KNOWN_OPTIONS);
  if (options.retry !== undefined) assertKnown('retry', options.retry, KNOWN_RETRY);
  const { class: effectClass, timeoutMs, retry } = options;
  if (effectClass !== undefined && !CLASSES.includes(effectClass)) {
    throw new InvalidDefinitionError(
      `effect: class is ${JSON.stringify(effectClass)}, expected one of ${CLASSES.join(', ')}`,
    );
  }
  if (timeoutMs !== undefined && !(timeoutMs > 0)) {
    throw new InvalidDefinitionError(`effect: timeoutMs is ${timeoutMs}, expected a number above 0`);
  }
  if (retry?.maxAttempts !== undefined && !(retry.maxAttempts >= 1)) {
    throw new InvalidDefinitionError(
      `effect: retry.maxAttempts is ${retry.maxAttempts}, expected a number of 1 or more`,
    );
  }
  const logic = typeof creator === 'function' ? fromCreator(creator) : { ...creator };
  if (kindOfLogic(logic) !== 'promise') {
    throw new InvalidDefinitionError(
      'effect: expected a function that returns a promise, or fromPromise(…): other logic is invoked as it is',
    );
  }
  Object.defineProperty(logic, OPTIONS, { value: Object.freeze({ ...options }) });
  return logic as unknown as PromiseActorLogic<TOutput, KnownInput<TInput>>;
}

function assertKnown(what: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null) {
    throw new InvalidDefinitionError(`effect: ${what} is ${typeof given}, expected an object`);
  }
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new InvalidDefinitionError(`effect: ${what} has no "${unknown}" (known: ${known.join(', ')})`);
}

const refuseActors = (): never => {
  throw new UnsupportedLogicError(
    "effect: there are no actors to talk to: the machine runs under XState's own createActor, not in an actor system",
  );
};
const noActors: ActorHost = { spawn: refuseActors, refOf: refuseActors };

function fromCreator<TOutput, TInput>(
  creator: (argument: EffectArgument<TInput>) => PromiseLike<TOutput> | TOutput,
): PromiseActorLogic<TOutput, TInput> {
  // XState's own createActor knows nothing of keys and tries.
  return fromPromise<TOutput, TInput>(async (argument) =>
    creator({ idempotencyKey: '', attempt: 1, actors: noActors, ...argument } as unknown as EffectArgument<TInput>),
  );
}

/** What the runtime is to run for a logic; undefined for what is a cell. */
export function effectOf({ logic, kind }: LogicSource): EffectSpec | undefined {
  if (kind === 'promise') return callOf(logic);
  return kind === 'source' ? sourceOf(logic) : undefined;
}

function callOf(logic: Logic): CallEffect {
  const options = (logic as { [OPTIONS]?: EffectOptions })[OPTIONS] ?? {};
  const creator = promiseCreatorOf(logic);
  return {
    kind: 'call',
    run: ({ input, signal, idempotencyKey, attempt, self, actors }: EffectContext) =>
      // As in XState, what a promise emits reaches only subscribers of its own ref, of which there are none.
      creator({
        input,
        signal,
        idempotencyKey,
        attempt,
        self: new MachineRef(self),
        actors,
        system: hostedSystem,
        emit: () => {},
      }),
    class: options.class ?? 'idempotent',
    retry: options.retry,
    timeoutMs: options.timeoutMs,
    pool: options.pool,
  };
}

/** What a live source tells its machine: an event for it, or a new snapshot for `onSnapshot`. */
export type SourceNews = { readonly event: EventObject } | { readonly snapshot: unknown };

/**
 * Runs the logic as a real XState actor below a stand-in for its parent, which passes on what it hears: callback, observable and any
 * other logic that starts something then behave as XState wrote them.
 */
function sourceOf(logic: Logic): SourceEffect {
  return {
    kind: 'source',
    start(context: SourceContext) {
      const { id, input, reportSnapshots } = context.input as SourceInput;
      // A child is stopped by its parent's scope in XState, hence not by `stop()`.
      const stop = (): void => void (actor as unknown as { _stop(): unknown })._stop();
      const parent = standIn((event) => {
        try {
          hear(event, id, logic, context);
        } catch (error) {
          // News that cannot be carried. Thrown on, XState would throw it at the thread.
          context.fail(error);
          stop();
        }
      });
      const options = { id, input, parent, syncSnapshot: reportSnapshots };
      const actor = createActor(logic, options as Parameters<typeof createActor>[1]);
      context.receive((message) => actor.send(message));
      actor.start();
      return stop;
    },
  };
}

function hear(event: EventObject, id: string, logic: Logic, context: SourceContext): void {
  const { output, error, snapshot } = event as { output?: unknown; error?: unknown; snapshot?: unknown };
  switch (event.type) {
    case `xstate.done.actor.${id}`:
      return context.done(output);
    case `xstate.error.actor.${id}`:
      return context.fail(error);
    case `xstate.snapshot.${id}`:
      return context.emit({ snapshot: logic.getPersistedSnapshot(snapshot) } satisfies SourceNews);
    default:
      return context.emit({ event } satisfies SourceNews);
  }
}

function standIn(hearEvent: (event: EventObject) => void): AnyActorRef {
  const snapshot = { status: 'active', output: undefined, error: undefined } as const;
  const parent = createActor({
    getInitialSnapshot: () => snapshot,
    getPersistedSnapshot: () => snapshot,
    transition: (_state: typeof snapshot, event: EventObject) => {
      hearEvent(event);
      return snapshot;
    },
  });
  return parent.start();
}
