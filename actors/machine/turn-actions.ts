/**
 * Actions for machines on what XState has no word for: answering the request being handled, asking another actor, hearing of its end,
 * and keeping a message for later.
 *
 * Owns: action creators around the turn that is running. They are XState custom actions, so they stand wherever an action may,
 * also by name in `setup({ actions })` and in `enqueueActions`.
 *
 * Invariants:
 * TA1. Outside of a durable actor (XState's own `createActor`) they do nothing, so that a machine can be tried without a runtime.
 */
import type {
  ActionArgs,
  AnyActorRef,
  EventObject,
  MachineContext,
  NonReducibleUnknown,
  ParameterizedObject,
} from 'xstate';
import type { CellKey } from '../../runtime/kernel/address.ts';
import { currentTurn } from '../../runtime/kernel/ambient.ts';
import { UnsupportedLogicError } from '../../runtime/kernel/errors.ts';
import type { ExitReason } from '../../runtime/kernel/exit.ts';
import type { ReplyTo } from '../../runtime/kernel/message.ts';
import { Reference } from '../../runtime/kernel/reference.ts';

/** A value, or a function of context and event that gives it. */
export type Expression<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TEvent extends EventObject,
  TParams,
  TValue extends NonReducibleUnknown,
> = TValue | ((args: ActionArgs<TContext, TExpressionEvent, TEvent>, params: TParams) => TValue);

/** Anything. `unknown` would swallow the function beside it, and with it the types of context and event. */
type Anything = NonReducibleUnknown;
type Params = ParameterizedObject['params'] | undefined;

interface TurnAction<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TEvent extends EventObject,
  TParams extends Params,
> {
  (args: ActionArgs<TContext, TExpressionEvent, TEvent>, params: TParams): void;
}

type Evaluated<TArgs, TParams> = (args: TArgs, params: TParams) => Anything;

function evaluate<TArgs, TParams>(
  expression: Anything | Evaluated<TArgs, TParams>,
  args: TArgs,
  params: TParams,
): Anything {
  return typeof expression === 'function' ? (expression as Evaluated<TArgs, TParams>)(args, params) : expression;
}

/** Answers the `ask` being handled. Nothing happens when the message was told, not asked. */
export function reply<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TEvent extends EventObject,
  TParams extends Params,
>(
  value?: Expression<TContext, TExpressionEvent, TEvent, TParams, Anything>,
): TurnAction<TContext, TExpressionEvent, TEvent, TParams> {
  return function reply(args, params) {
    const turn = currentTurn();
    if (turn !== undefined) turn.reply(evaluate(value, args, params));
  };
}

/** Fails the `ask` being handled with an error. */
export function replyError<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TEvent extends EventObject,
  TParams extends Params,
>(
  error: Expression<TContext, TExpressionEvent, TEvent, TParams, Anything>,
): TurnAction<TContext, TExpressionEvent, TEvent, TParams> {
  return function replyError(args, params) {
    const turn = currentTurn();
    if (turn !== undefined) turn.fail(evaluate(error, args, params));
  };
}

/** Inside an `assign`: keeps the right to answer this `ask` in a later state. Undefined when nobody waits for an answer. */
export function takeReplyTo(): ReplyTo | undefined {
  return currentTurn()?.takeReplyTo();
}

/** Answers a request whose handle `takeReplyTo` gave. */
export function replyTo<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TEvent extends EventObject,
  TParams extends Params,
>(
  handle: Expression<TContext, TExpressionEvent, TEvent, TParams, ReplyTo | undefined>,
  value?: Expression<TContext, TExpressionEvent, TEvent, TParams, Anything>,
): TurnAction<TContext, TExpressionEvent, TEvent, TParams> {
  return function replyTo(args, params) {
    const turn = currentTurn();
    const to = turn === undefined ? undefined : (evaluate(handle, args, params) as ReplyTo | undefined);
    if (turn !== undefined && to !== undefined) turn.replyTo(to, evaluate(value, args, params));
  };
}

/** An actor as `ask`, `watch` and `unwatch` take it: what `refTo` gives, a reference from a message or the context, a spawned child. */
export type Addressee = AnyActorRef | Reference;

/** What a machine hears of an `ask` with this id: the answer, or why there is none (refused, failed, or not in time). */
export type ReplyEvent<TId extends string = string, TValue = unknown> =
  | { readonly type: `reply.${TId}`; readonly value: TValue }
  | { readonly type: `ask.failed.${TId}`; readonly error: Error };

/** What a machine hears of an actor that it watches. `key` is `definition/id`. */
export interface TerminatedEvent {
  readonly type: 'terminated';
  readonly key: CellKey;
  readonly reason: ExitReason;
}

/**
 * Asks another actor, wherever it lives. The answer comes as an event, `reply.<id>` or `ask.failed.<id>` (`ReplyEvent`), after a crash
 * too: request, deadline and answer are in the journals of both. An `id` that is under way already is asked anew, and the answer
 * to the first is dropped. Default of `timeoutMs`: 5,000.
 *
 * @example entry: ask(({ context }) => context.gates, { type: 'RESERVE' }, { id: 'gate', timeoutMs: 2_000 }),
 *          on: { 'reply.gate': 'boarding', 'ask.failed.gate': 'waiting' }
 */
export function ask<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TEvent extends EventObject,
  TParams extends Params,
>(
  to: Expression<TContext, TExpressionEvent, TEvent, TParams, Addressee>,
  message: Expression<TContext, TExpressionEvent, TEvent, TParams, Anything>,
  options: { readonly id: string; readonly timeoutMs?: number | undefined },
): TurnAction<TContext, TExpressionEvent, TEvent, TParams> {
  return function ask(args, params) {
    const turn = currentTurn();
    if (turn === undefined) return;
    const { id, timeoutMs } = options;
    turn.ask(keyOfAddressee('ask', evaluate(to, args, params)), evaluate(message, args, params), {
      ask: id,
      timeoutMs,
    });
  };
}

/**
 * Asks to be told of the end of an actor: the event `terminated` (`TerminatedEvent`), once. One that does not exist is told of at
 * once, as with Erlang's monitors. A machine hears of its own children by `xstate.done.actor.*` and `xstate.error.actor.*` anyway.
 *
 * @example entry: watch(() => refTo('gate', 'A1')), on: { terminated: 'stranded' }
 */
export function watch<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TEvent extends EventObject,
  TParams extends Params,
>(
  whom: Expression<TContext, TExpressionEvent, TEvent, TParams, Addressee>,
): TurnAction<TContext, TExpressionEvent, TEvent, TParams> {
  return function watch(args, params) {
    const turn = currentTurn();
    if (turn !== undefined) turn.watch(keyOfAddressee('watch', evaluate(whom, args, params)));
  };
}

/** Takes a `watch` back. An end that was told before this turn is committed may still be heard of. */
export function unwatch<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TEvent extends EventObject,
  TParams extends Params,
>(
  whom: Expression<TContext, TExpressionEvent, TEvent, TParams, Addressee>,
): TurnAction<TContext, TExpressionEvent, TEvent, TParams> {
  return function unwatch(args, params) {
    const turn = currentTurn();
    if (turn !== undefined) turn.unwatch(keyOfAddressee('unwatch', evaluate(whom, args, params)));
  };
}

function keyOfAddressee(action: string, addressee: unknown): CellKey {
  if (addressee instanceof Reference) return addressee.key;
  throw new UnsupportedLogicError(
    `${action}() was given ${addressee === null ? 'null' : typeof addressee} instead of an actor: give it refTo(definition, id), ` +
      'a reference from a message or the context, or a child that this machine has spawned',
  );
}

/** Keeps the message being handled for later; `unstash` brings it back. */
export function stash<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TEvent extends EventObject,
  TParams extends Params,
>(): TurnAction<TContext, TExpressionEvent, TEvent, TParams> {
  return function stash() {
    currentTurn()?.stash();
  };
}

/** Puts everything stashed back in front of the mailbox, in its old order. */
export function unstash<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TEvent extends EventObject,
  TParams extends Params,
>(): TurnAction<TContext, TExpressionEvent, TEvent, TParams> {
  return function unstash() {
    currentTurn()?.unstashAll();
  };
}
