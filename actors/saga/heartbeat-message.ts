/**
 * Heartbeats of systems behind a broker, as they travel: an event that the engine of the workflow hears.
 *
 * Owns: its subject and shape, and what of them is in a command.
 */
import type { Message, MessageDraft } from '../../runtime/broker/contract/message.ts';

export const HEARTBEAT_SUBJECT = '$workflow.heartbeat';

export interface HeartbeatPayload {
  readonly run: string;
  readonly step: string;
  readonly attempt: number;
  readonly details: unknown;
}

/** The event that says `details` of a command; undefined: it is no command of a workflow. */
export function heartbeatDraft(
  { extensions = {} }: Message,
  details: unknown,
): MessageDraft<HeartbeatPayload> | undefined {
  const { workflowrun: run, workflowstep: step, workflowattempt: attempt } = extensions;
  if (typeof run !== 'string' || typeof step !== 'string' || typeof attempt !== 'number') return undefined;
  const payload = { run, step, attempt, details };
  return { type: 'heartbeat', kind: 'EVENT', subject: HEARTBEAT_SUBJECT, delivery: 'AT_MOST_ONCE', payload };
}

/** What of an earlier try's last heartbeat goes with a command: text of JSON. */
export function heartbeatExtension(details: unknown): { readonly workflowheartbeat?: string } {
  return details === undefined ? {} : { workflowheartbeat: JSON.stringify(details) };
}

/** What the handler of an earlier try has said last; undefined: nothing. */
export function lastHeartbeat({ extensions = {} }: Message): unknown {
  const { workflowheartbeat: text } = extensions;
  if (typeof text !== 'string') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
