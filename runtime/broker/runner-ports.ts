/**
 * What a subscription's runner needs of others.
 *
 * Owns: the shapes: where messages come from, what calls a handler, who is told what came of it. What is done is `subscription-runner.ts`.
 */
import type { Clock } from '../kernel/clock.ts';
import type { Random } from '../kernel/random.ts';
import type { HandOut, Outcome } from './broker-adapter.ts';
import type { Message, RetryPolicy } from './contract/message.ts';
import type { Header } from './message-maker.ts';

/** Where messages come from, and where it is said what came of them. */
export interface MessageSource {
  request(count: number): void;
  settle(handOut: HandOut, outcome: Outcome): Promise<void>;
  /** Gives back what is not settled. */
  close(): Promise<void>;
}

/** What came of a message, for whoever tells of it. */
export interface Ending {
  readonly header: Header;
  readonly attempt: number;
  readonly outcome: Outcome;
  /** What the handler gave or threw. */
  readonly value?: unknown;
  readonly error?: Error;
}

/** One try to handle a message. */
export interface Attempt {
  /** 1 for the first. */
  readonly number: number;
  /** How often the message was sent again from the dead letters. */
  readonly redrives: number;
  /** Made when it is asked for: most handlers do not. */
  readonly signal: AbortSignal;
}

export interface RunnerPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly concurrency: number;
  readonly order: 'hold' | 'pass';
  readonly ackTimeoutMs: number;
  readonly retry: RetryPolicy & { readonly maxAttempts: number };
  /** Calls the handler. */
  readonly invoke: (message: Message, attempt: Attempt) => unknown;
  /** The message as handlers get it; throws for a payload that its contract does not allow. */
  readonly check: (message: Message) => Message | Promise<Message>;
  /** What came of a message is durable. */
  readonly ended: (ending: Ending) => void;
  readonly failed: (error: unknown) => void;
}
