/**
 * Actions for machines on what XState has no word for: answering the request being handled, and keeping a message for later.
 *
 * Owns: action creators around the turn that is running. They are XState custom actions, so they stand wherever an action may,
 * also by name in `setup({ actions })` and in `enqueueActions`.
 *
 * Invariants:
 * TA1. Outside of a durable actor (XState's own `createActor`) they do nothing, so that a machine can be tried without a runtime.
 */
import type { ActionArgs, EventObject, MachineContext, NonReducibleUnknown, ParameterizedObject } from 'xstate';
import { currentTurn } from '../../runtime/kernel/ambient.ts';
import type { ReplyTo } from '../../runtime/kernel/message.ts';

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
