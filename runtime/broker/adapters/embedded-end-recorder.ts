/**
 * Telling a queue how messages ended that an actor took directly.
 *
 * Owns: collecting what ends at the same time into one turn of the queue. What the queue makes of it is `embedded-record.ts`.
 */
import { MESSAGE_BYTES_LIMIT } from '../../kernel/limits.ts';
import { BATCH_BYTES, BATCH_MESSAGES, ERROR_BYTES, type QueueMessage, type Verdict } from './embedded-protocol.ts';
import type { WireEnd } from './embedded-record.ts';

/** A reply that fills a message has no room beside what is said of it: it is given, and not remembered. */
export const REPLY_BYTES_LIMIT = MESSAGE_BYTES_LIMIT - (32 << 10);
/** Turns of the queue under way, before ends collect. */
const UNDER_WAY = 4;

interface Recording {
  readonly end: WireEnd;
  readonly bytes: number;
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: unknown) => void;
}

export class EndRecorder {
  readonly #say: (message: QueueMessage) => Promise<readonly Verdict[]>;
  #waiting: Recording[] = [];
  #underWay = 0;
  #isScheduled = false;

  constructor(say: (message: QueueMessage) => Promise<readonly Verdict[]>) {
    this.#say = say;
  }

  /** Resolves when it is on disk, with what the queue says of the message. */
  record(end: WireEnd): Promise<Verdict> {
    const [message, how] = end;
    const bytes = message[5].length + (how.status === 'dead' ? ERROR_BYTES : (how.reply?.length ?? 0));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ end, bytes, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled || this.#underWay >= UNDER_WAY) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      while (this.#waiting.length > 0 && this.#underWay < UNDER_WAY) this.#send();
    });
  }

  #send(): void {
    const batch = this.#waiting.splice(0, this.#batch());
    this.#underWay += 1;
    this.#say({ type: 'RECORD', ends: batch.map(({ end }) => end) }).then(
      (verdicts) => {
        this.#answered();
        for (const [at, { resolve }] of batch.entries()) resolve(verdicts[at] as Verdict);
      },
      (error: unknown) => {
        this.#answered();
        for (const { reject } of batch) reject(error);
      },
    );
  }

  #batch(): number {
    let size = 0;
    let count = 0;
    for (const { bytes } of this.#waiting) {
      size += bytes;
      if (count > 0 && (count >= BATCH_MESSAGES || size > BATCH_BYTES)) break;
      count += 1;
    }
    return count;
  }

  #answered(): void {
    this.#underWay -= 1;
    if (this.#waiting.length > 0) this.#schedule();
  }
}
