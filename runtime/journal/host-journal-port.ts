/**
 * A host's end of the port to the journal thread.
 *
 * Owns: the translation between `HostJournal` and messages. Knows nothing of threads: any port will do.
 */
import type { CellKey } from '../kernel/address.ts';
import type { HostJournal, HostJournalEvents } from './host-journal.ts';
import { sayAccepted } from './host-sessions.ts';
import { HostJournalClient, type HostOrigin } from './host-journal-client.ts';
import {
  ACCEPTED,
  APPEND,
  CHECKPOINT,
  CLEAN,
  CLOSE,
  COMMITTED,
  FENCED,
  HELLO,
  type HostMessage,
  type JournalMessage,
  LOAD,
  LOADED,
  STORAGE,
  WAKE,
} from './journal-messages.ts';

/** What is used of a `MessagePort`. */
export interface JournalPort {
  postMessage(value: unknown, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (message: never) => void): unknown;
  close(): void;
}

/** Takes up the journal for the host of `origin`. Events come in later turns of the loop. */
export function connectHostJournal(port: JournalPort, origin: HostOrigin, events: HostJournalEvents): HostJournal {
  const post = (message: HostMessage, transfer?: readonly ArrayBuffer[]): void => port.postMessage(message, transfer);
  const client = new HostJournalClient(
    {
      // The batch's memory is its own (B3): it changes hands without a copy.
      append: (number, bytes, forwards) =>
        post([APPEND, number, bytes, forwards === true], [bytes.buffer as ArrayBuffer]),
      load: (request: number, keys: readonly CellKey[]) => post([LOAD, request, keys]),
      clean: (round) => post([CLEAN, round]),
      close: () => {
        post([CLOSE]);
        port.close();
      },
    },
    origin,
  );
  port.on('message', (message: JournalMessage) => {
    switch (message[0]) {
      case ACCEPTED:
        sayAccepted(message[1], events);
        break;
      case COMMITTED:
        for (let i = 1; i + 1 < message.length; i += 2) {
          events.committed(message[i] as number, message[i + 1] as number);
        }
        break;
      case LOADED:
        client.loaded(message[1], message[2]);
        break;
      case FENCED:
        events.fenced();
        break;
      case WAKE:
        events.wake(message[1]);
        break;
      case STORAGE:
        events.storage(message[1]);
        break;
      case CHECKPOINT:
        events.checkpoint(message[1], message[2]);
        break;
    }
  });
  post([HELLO, origin.epoch]);
  return client;
}
