/**
 * The journal on the calling thread: for `threads: 0` and for simulation.
 *
 * Owns: the driving of the core by the clock. A commit happens in a later turn of the loop than the append, as with a thread, so
 * that everything appended in one turn is one commit, and no host is called back from within its own call.
 */
import type { Clock } from '../kernel/clock.ts';
import { type DataFolder, openDataFolder } from './data-folder.ts';
import type { HostJournal, HostJournalEvents } from './host-journal.ts';
import { HostJournalClient, type HostOrigin } from './host-journal-client.ts';
import type { JournalControl, JournalOptions } from './journal-control.ts';
import { JournalControlClient, type RawCall } from './journal-control-client.ts';
import { JournalService } from './journal-service.ts';
import type { Store } from './store.ts';

export interface InlineJournalPorts {
  readonly clock: Clock;
  /** The store failed: nothing more is written. */
  readonly failed: (error: unknown) => void;
  /** In place of what the options name: for the testkit. */
  readonly store?: Store | undefined;
}

export interface InlineJournal {
  readonly control: JournalControl;
  /** After `control.open`. */
  connect(origin: Omit<HostOrigin, 'run'>, events: HostJournalEvents): HostJournal;
}

export function createInlineJournal(options: JournalOptions, ports: InlineJournalPorts): InlineJournal {
  let folder: DataFolder | undefined;
  const service = new JournalService(options, {
    ...ports,
    schedule: () => ports.clock.defer(() => service.pump()),
  });

  const call: RawCall = async (method, ...args) => {
    if (method === 'open' && ports.store === undefined && options.dataDir !== undefined) {
      folder = openDataFolder(options.dataDir, ports.clock);
    }
    try {
      // A method of the table, with the arguments of its own signature: the compiler cannot follow the generic.
      return (await (service[method] as (...args: unknown[]) => unknown)(...args)) as never;
    } catch (error) {
      if (method === 'open') folder?.release();
      throw error;
    } finally {
      if (method === 'close') folder?.release();
    }
  };

  return {
    control: new JournalControlClient(call),
    connect(origin, events) {
      const link = {
        committed: (number: number, position: number) => events.committed(number, position),
        loaded: (request: number, parcels: Uint8Array) => client.loaded(request, parcels),
        fenced: () => events.fenced(),
        wake: (keys: readonly string[]) => events.wake(keys),
        storage: (state: 'full' | 'ok') => events.storage(state),
        checkpoint: (round: number, target: number) => events.checkpoint(round, target),
      };
      const session = service.connect(origin.slot, origin.epoch, link);
      const client = new HostJournalClient(session, { ...origin, run: service.run });
      return client;
    },
  };
}
