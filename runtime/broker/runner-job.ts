/**
 * A handler at work, and the messages that wait behind it.
 *
 * Owns: the shapes, and the signal that a handler is given when it asks for one. Used by `subscription-runner.ts` alone.
 */
import type { HandOut } from './broker-adapter.ts';
import type { Attempt } from './runner-ports.ts';

/** The messages of one key. */
export interface Lane {
  readonly key: string;
  busy: boolean;
  /**
   * Id of the message that is to be tried again, until that is settled: what comes meanwhile was on its way before, and is given back.
   * When the message itself comes, all of that has come.
   */
  failing: string | undefined;
  waiting: HandOut[];
}

/** A handler at work. */
export class Job implements Attempt {
  readonly lane: Lane;
  readonly handOut: HandOut;
  readonly beganMs: number;
  controller: AbortController | undefined;
  isOver = false;

  constructor(lane: Lane, handOut: HandOut, beganMs: number) {
    this.lane = lane;
    this.handOut = handOut;
    this.beganMs = beganMs;
  }

  get number(): number {
    return this.handOut.attempt;
  }

  get redrives(): number {
    return this.handOut.redrives ?? 0;
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    return this.controller.signal;
  }
}
