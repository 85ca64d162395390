/**
 * What the demo and the process that runs the actors say to each other, over Node's own channel to a child process.
 */
import type { AirportBooks, CalledOff } from './check.ts';
import type { StatisticsState } from './statistics.ts';

/** What the process is started with, as JSON in its first argument. */
export interface RunOptions {
  readonly flights: number;
  readonly dataDir: string;
  readonly threads: 'auto' | number;
  /** Where the ground service is. */
  readonly groundUrl: string;
}

export interface Progress {
  readonly filed: number;
  /** For a gate or a crew. */
  readonly waiting: number;
  readonly atGate: number;
  readonly inTheAir: number;
  readonly landed: number;
  /** Will not fly, and have given back what they had. */
  readonly calledOff: number;
  /** The journal's last position: turns made durable so far. */
  readonly turns: number;
  readonly hosts: readonly { readonly slot: number; readonly actors: number; readonly turns: number }[];
}

export type RunMessage =
  /** The journal is read and the hosts are up. */
  | {
      readonly kind: 'started';
      readonly startMs: number;
      readonly hosts: number;
      readonly turns: number;
      readonly tailTurns: number;
    }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'host_lost'; readonly slot: number; readonly message: string }
  | { readonly kind: 'host_replaced'; readonly slot: number; readonly afterMs: number }
  /** The process cannot go on, and ends. */
  | { readonly kind: 'failed'; readonly message: string }
  /** Something that must not happen in this demo. */
  | { readonly kind: 'trouble'; readonly message: string }
  /** What the breaker of the ground service does, and what becomes of commands that it refused too often. */
  | { readonly kind: 'ground'; readonly what: 'open' | 'half_open' | 'closed' }
  | { readonly kind: 'ground'; readonly what: 'dead'; readonly messageId: string }
  | { readonly kind: 'ground'; readonly what: 'redriven'; readonly count: number }
  | {
      readonly kind: 'finished';
      readonly books: readonly AirportBooks[];
      readonly calledOff: readonly CalledOff[];
      readonly statistics: StatisticsState;
      readonly deadLetters: number;
    };

export interface RunOrder {
  readonly kind: 'crash_host';
}
