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
import { type HostLink, sayAccepted } from './host-sessions.ts';
import type { JournalControl, JournalOptions } from './journal-control.ts';
import { JournalControlClient, type RawCall } from './journal-control-client.ts';
import type { JournalSettings } from './journal-ports.ts';
import { JournalService } from './journal-service.ts';
import type { Store } from './store.ts';

export interface InlineJournalPorts {
  readonly clock: Clock;
  /** The store failed: nothing more is written. */
  readonly failed: (error: unknown) => void;
  /** In place of what the options name: for the testkit. */
  readonly store?: Store | undefined;
  /** Time between acceptance and write. Without it, nobody could do anything in between, and hosts are not told of acceptances. */
  readonly writeLater?: JournalSettings['writeLater'];
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
      const link: HostLink = {
        ...(ports.writeLater === undefined ? {} : { accepted: (pairs) => sayAccepted(pairs, events) }),
        committed: (number, position) => events.committed(number, position),
        loaded: (request, parcels) => client.loaded(request, parcels),
        fenced: () => events.fenced(),
        wake: (keys) => events.wake(keys),
        storage: (state) => events.storage(state),
        checkpoint: (round, target) => events.checkpoint(round, target),
      };
      const session = service.connect(origin.slot, origin.epoch, link);
      const client = new HostJournalClient(session, { ...origin, run: service.run });
      return client;
    },
  };
}
