/**
 * What a connector tells those who watch it.
 *
 * Owns: the events, and handing them to any number of readers.
 *
 * Invariants:
 * CF1. A reader gets what happened since it began to read, in order; one that is too far behind loses the oldest, never the newest.
 */
import type { ConnectorState } from './connector-machine.ts';

export type ConnectorEvent =
  | {
      readonly kind: 'state';
      readonly from: ConnectorState;
      readonly to: ConnectorState;
      readonly reason: string;
      readonly atMs: number;
    }
  | { readonly kind: 'check_failed'; readonly error: Error; readonly atMs: number }
  /** A handler or the other side did not take a message. It is tried again, or dead, by the message's policy. */
  | {
      readonly kind: 'delivery_failed';
      readonly messageId: string;
      readonly type: string;
      readonly attempt: number;
      readonly error: Error;
      readonly atMs: number;
    }
  /** Something failed that nobody waits for. */
  | { readonly kind: 'trouble'; readonly error: Error; readonly atMs: number };

/** Events that one reader may be behind. */
const BEHIND_LIMIT = 1_000;

interface Reader {
  readonly events: ConnectorEvent[];
  wake: (() => void) | undefined;
}

export class ConnectorFeed {
  readonly #readers = new Set<Reader>();
  #closed = false;

  publish(event: ConnectorEvent): void {
    for (const reader of this.#readers) {
      if (reader.events.length >= BEHIND_LIMIT) reader.events.shift();
      reader.events.push(event);
      reader.wake?.();
    }
  }

  /** Ends every reader once it has read what is there. */
  close(): void {
    this.#closed = true;
    for (const reader of this.#readers) reader.wake?.();
  }

  /** From this call on, until the loop is left, `signal` aborts, or the connector is disposed. */
  read(signal?: AbortSignal): AsyncIterableIterator<ConnectorEvent> {
    const reader: Reader = { events: [], wake: undefined };
    this.#readers.add(reader);
    return this.#drain(reader, signal);
  }

  async *#drain(reader: Reader, signal: AbortSignal | undefined): AsyncIterableIterator<ConnectorEvent> {
    const abort = (): void => reader.wake?.();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      for (;;) {
        for (let next = reader.events.shift(); next !== undefined; next = reader.events.shift()) {
          if (signal?.aborted === true) return;
          yield next;
        }
        if (this.#closed || signal?.aborted === true) return;
        await new Promise<void>((resolve) => {
          reader.wake = resolve;
        });
        reader.wake = undefined;
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#readers.delete(reader);
    }
  }
}
