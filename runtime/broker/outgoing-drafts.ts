/**
 * Publishing what actors have sent to the exchange.
 *
 * Owns: taking drafts from the adapter that has them, and publishing each. Its id makes a draft the same message, however often it is
 * handed out; one that cannot be published is a dead letter of `$exchange`.
 */
import type { Clock } from '../kernel/clock.ts';
import type { Random } from '../kernel/random.ts';
import type { BrokerAdapter } from './broker-adapter.ts';
import type { MessageDraft, RetryPolicy } from './contract/message.ts';
import type { Ending } from './runner-ports.ts';
import { SubscriptionRunner } from './subscription-runner.ts';

/** Drafts that are published beside each other; those of one actor are not. */
const AT_A_TIME = 64;

export interface OutgoingPorts {
  readonly adapter: BrokerAdapter;
  readonly clock: Clock;
  readonly random: Random;
  readonly retry: RetryPolicy & { readonly maxAttempts: number };
  readonly publish: (draft: MessageDraft) => Promise<unknown>;
  readonly ended: (ending: Ending) => void;
  readonly failed: (error: unknown) => void;
}

/** Undefined where the adapter has no exchange. */
export function publishOutgoing(ports: OutgoingPorts): SubscriptionRunner | undefined {
  const { adapter, publish, ...own } = ports;
  if (adapter.outgoing === undefined) return undefined;
  const runner = new SubscriptionRunner({
    ...own,
    concurrency: AT_A_TIME,
    order: 'hold',
    ackTimeoutMs: Number.POSITIVE_INFINITY,
    invoke: async ({ id, source, payload }) => {
      // A step of a workflow says beside the draft whose it is, as to every actor.
      const { workflow: _step, ...draft } = payload as MessageDraft & { readonly workflow?: unknown };
      await publish({ id, source, ...draft });
    },
    check: (message) => message,
  });
  runner.begin(adapter.outgoing(runner.deliver));
  return runner;
}
