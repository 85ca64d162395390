/**
 * Messages for a subscription without a name: they come as they are heard, and live in this process.
 *
 * Owns: hand-outs of what was heard, and trying again in memory. With the process they are gone: that is what such a subscription is.
 *
 * Invariants:
 * LS1. No more than `limit` wait: the next ones are dropped, and counted.
 */
import type { Clock, Wait } from '../kernel/clock.ts';
import type { CarriedMessage, HandOut, Outcome } from './broker-adapter.ts';
import type { MessageSource } from './runner-ports.ts';

export interface LocalSourcePorts {
  readonly clock: Clock;
  readonly limit: number;
  readonly order: 'hold' | 'pass';
  readonly deliver: (handOuts: readonly HandOut[]) => void;
  readonly dropped: (message: CarriedMessage) => void;
  readonly unlisten: () => Promise<void>;
}

export class LocalSource implements MessageSource {
  readonly #ports: LocalSourcePorts;
  #waiting: HandOut[] = [];
  #wanted = 0;
  #isScheduled = false;
  /** Keys that are held, with what came behind the message that is tried again. */
  readonly #held = new Map<string, HandOut[]>();
  readonly #waits = new Set<Wait>();
  #closed = false;

  constructor(ports: LocalSourcePorts) {
    this.#ports = ports;
  }

  readonly hear = (message: CarriedMessage): void => {
    if (this.#closed) return;
    if (this.#waiting.length >= this.#ports.limit) {
      this.#ports.dropped(message);
      return;
    }
    const handOut: HandOut = {
      message,
      attempt: 1,
      lost: 0,
      firstDeliveredMs: this.#ports.clock.now(),
      token: undefined,
    };
    this.#enqueue(handOut);
  };

  request(count: number): void {
    this.#wanted += count;
    this.#schedule();
  }

  settle(handOut: HandOut, outcome: Outcome): Promise<void> {
    const key = keyOf(handOut);
    if (outcome.kind === 'released') {
      const held = this.#held.get(key);
      if (held !== undefined) held.push(handOut);
      else this.#waiting.unshift(handOut);
      this.#schedule();
    } else if (outcome.kind === 'retry') {
      if (this.#ports.order === 'hold' && !this.#held.has(key)) this.#held.set(key, []);
      const wait = this.#ports.clock.wait(outcome.delayMs, () => {
        this.#waits.delete(wait);
        const behind = this.#held.get(key) ?? [];
        this.#held.delete(key);
        this.#waiting.unshift({ ...handOut, attempt: handOut.attempt + 1 }, ...behind);
        this.#schedule();
      });
      this.#waits.add(wait);
    }
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const wait of this.#waits) wait.cancel();
    this.#waiting = [];
    await this.#ports.unlisten();
  }

  #enqueue(handOut: HandOut): void {
    if (this.#held.size > 0) {
      const held = this.#held.get(keyOf(handOut));
      if (held !== undefined) {
        held.push(handOut);
        return;
      }
    }
    this.#waiting.push(handOut);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#wanted === 0 || this.#waiting.length === 0) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#closed) return;
      const found = this.#waiting.splice(0, this.#wanted);
      this.#wanted -= found.length;
      if (found.length > 0) this.#ports.deliver(found);
    });
  }
}

function keyOf({ message }: HandOut): string {
  return message.header.key ?? message.header.source;
}
