/**
 * Actions for machines on what XState has no word for: answering the request being handled, and keeping a message for later.
 *
 * Owns: action creators around the turn that is running. They are XState custom actions, so they stand wherever an action may,
 * also by name in `setup({ actions })` and in `enqueueActions`.
 *
 * Invariants:
 * TA1. Outside of a durable actor (XState's own `createActor`) they do nothing, so that a machine can be tried without a runtime.
 */
import type { ActionArgs, EventObject, MachineContext } from 'xstate';
import { currentTurn } from '../../runtime/kernel/ambient.ts';
import type { ReplyTo } from '../../runtime/kernel/message.ts';

/** A value, or a function of context and event that gives it. */
export type Expression<TContext extends MachineContext, TEvent extends EventObject, TValue> =
  | TValue
  | ((args: ActionArgs<TContext, TEvent, TEvent>) => TValue);

type Action<TContext extends MachineContext, TEvent extends EventObject> = (
  args: ActionArgs<TContext, TEvent, TEvent>,
  params?: unknown,
) => void;

function evaluate<TContext extends MachineContext, TEvent extends EventObject, TValue>(
  expression: Expression<TContext, TEvent, TValue>,
  args: ActionArgs<TContext, TEvent, TEvent>,
): TValue {
  return typeof expression === 'function'
    ? (expression as (args: ActionArgs<TContext, TEvent, TEvent>) => TValue)(args)
    : expression;
}

/** Answers the `ask` being handled. Nothing happens when the message was told, not asked. */
export function reply<TContext extends MachineContext, TEvent extends EventObject>(
  value?: Expression<TContext, TEvent, unknown>,
): Action<TContext, TEvent> {
  return function reply(args) {
    const turn = currentTurn();
    if (turn !== undefined) turn.reply(evaluate(value, args));
  };
}

/** Fails the `ask` being handled with an error. */
export function replyError<TContext extends MachineContext, TEvent extends EventObject>(
  error: Expression<TContext, TEvent, unknown>,
): Action<TContext, TEvent> {
  return function replyError(args) {
    const turn = currentTurn();
    if (turn !== undefined) turn.fail(evaluate(error, args));
  };
}

/** Inside an `assign`: keeps the right to answer this `ask` in a later state. Undefined when nobody waits for an answer. */
export function takeReplyTo(): ReplyTo | undefined {
  return currentTurn()?.takeReplyTo();
}

/** Answers a request whose handle `takeReplyTo` gave. */
export function replyTo<TContext extends MachineContext, TEvent extends EventObject>(
  handle: Expression<TContext, TEvent, ReplyTo | undefined>,
  value?: Expression<TContext, TEvent, unknown>,
): Action<TContext, TEvent> {
  return function replyTo(args) {
    const turn = currentTurn();
    const to = turn === undefined ? undefined : evaluate(handle, args);
    if (turn !== undefined && to !== undefined) turn.replyTo(to, evaluate(value, args));
  };
}

/** Keeps the message being handled for later; `unstash` brings it back. */
export function stash<TContext extends MachineContext, TEvent extends EventObject>(): Action<TContext, TEvent> {
  return function stash() {
    currentTurn()?.stash();
  };
}

/** Puts everything stashed back in front of the mailbox, in its old order. */
export function unstash<TContext extends MachineContext, TEvent extends EventObject>(): Action<TContext, TEvent> {
  return function unstash() {
    currentTurn()?.unstashAll();
  };
}
