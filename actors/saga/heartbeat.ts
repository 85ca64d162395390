/**
 * Heartbeats, sent: how whoever handles a call of a workflow says that it is alive, and how far it is.
 *
 * Owns: the way from a handler to the run. What a heartbeat means there is `run-heartbeats.ts`.
 */
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import { keyOf } from '../../runtime/kernel/address.ts';
import type { Turn } from '../../runtime/kernel/behavior.ts';
import type { RunMessage } from './run-behavior.ts';
import { RUN_DEFINITION } from './run-commands.ts';
import type { HeartbeatReply } from './run-heartbeats.ts';
import { assertFits } from './value-size.ts';

/** A try of a workflow's call, as its handler is told of it: `message.workflow` of an actor. */
export interface WorkflowTry {
  readonly run: string;
  /** The unit: `charge`, `charge#3`, `charge/undo`. */
  readonly step: string;
  readonly attempt: number;
  /** The same however often the call comes. */
  readonly idempotencyKey: string;
  /** What the handler of an earlier try has said last. */
  readonly heartbeat?: unknown;
}

/**
 * From a behavior: the run hears of it when the turn is committed. An answer does not come: what is not needed any more is asked for no
 * more, or cancelled.
 *
 * @example receive(state, message, turn) { sendHeartbeat(turn, message.workflow, { rows: state.rows }); … }
 */
export function sendHeartbeat(turn: Pick<Turn, 'send'>, at: WorkflowTry, details: unknown = null): void {
  assertFits(details, 'what a heartbeat says');
  turn.send(keyOf(RUN_DEFINITION, at.run), messageOf(at, details));
}

/**
 * From an effect, with its `context.actors`, or from anywhere with the system. Each is a turn of the run: seconds apart, not milliseconds.
 *
 * @throws RunRefusedError (`TRY_OVER`: it is not the try under way any more; the run is over), UnknownRunError, MessageTooLargeError
 */
export async function heartbeat(host: ActorHost, at: WorkflowTry, details: unknown = null): Promise<HeartbeatReply> {
  assertFits(details, 'what a heartbeat says');
  return host.refOf(keyOf(RUN_DEFINITION, at.run)).ask<HeartbeatReply>(messageOf(at, details));
}

function messageOf({ step, attempt }: WorkflowTry, details: unknown): RunMessage {
  return { type: 'heartbeat', id: `${step}/${attempt}`, details };
}
