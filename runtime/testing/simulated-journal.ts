/**
 * The journal on a simulated thread of its own: the real service, with pipes between it and whoever talks to it.
 *
 * Owns: the pipes, and what is left of them when one side dies.
 *
 * Invariants:
 * SJ1. A host's appends, loads and answers arrive in order; of a dead host's, a prefix does. The same for what the journal says.
 */
import type { HostJournal, HostJournalEvents } from '../journal/host-journal.ts';
import { HostJournalClient, type HostOrigin } from '../journal/host-journal-client.ts';
import type { JournalControl, JournalOptions } from '../journal/journal-control.ts';
import { JournalControlClient, type RawCall } from '../journal/journal-control-client.ts';
import { type HostLink, sayAccepted } from '../journal/host-sessions.ts';
import type { HostSession } from '../journal/journal-ports.ts';
import { JournalService } from '../journal/journal-service.ts';
import type { Store } from '../journal/store.ts';
import { Pipe } from './simulated-ports.ts';
import type { VirtualThread } from './virtual-clock.ts';

export interface SimulatedJournalPorts {
  /** Where the journal runs. */
  readonly thread: VirtualThread;
  /** Where the system runs, which makes the control calls. */
  readonly system: VirtualThread;
  readonly store: Store;
  readonly delayMs: () => number;
  /** How long a commit that others have been told of is under way. */
  readonly writeMs: () => number;
  failed(error: unknown): void;
}

/** A host's end of the journal, with the death of the host. */
export interface SimulatedConnection {
  readonly journal: HostJournal;
  die(keep: (length: number) => number): void;
}

export class SimulatedJournal {
  readonly control: JournalControl;
  readonly #ports: SimulatedJournalPorts;
  readonly #service: JournalService;
  readonly #pending = new Set<(error: unknown) => void>();
  #gone: Error | undefined;

  constructor(options: JournalOptions, ports: SimulatedJournalPorts) {
    this.#ports = ports;
    const { thread, system, store } = ports;
    this.#service = new JournalService(options, {
      clock: thread,
      store,
      schedule: () => thread.defer(() => this.#service.pump()),
      writeLater: (write) => thread.wait(ports.writeMs(), write),
      failed: (error) => there.send(() => ports.failed(error)),
    });
    const here = new Pipe(system, thread, ports.delayMs);
    const there = new Pipe(thread, system, ports.delayMs);
    const call: RawCall = (method, ...args) =>
      new Promise((resolve, reject) => {
        if (this.#gone !== undefined) {
          reject(this.#gone);
          return;
        }
        this.#pending.add(reject);
        here.send(() => {
          // A method of the table, with the arguments of its own signature: the compiler cannot follow the generic.
          const run = async (): Promise<never> => (this.#service[method] as (...args: unknown[]) => never)(...args);
          run().then(
            (value) => there.send(() => resolve(value)),
            (error: Error) => there.send(() => reject(error)),
          );
        });
      });
    this.control = new JournalControlClient(call);
  }

  /** The process is gone: so is whoever would have answered. */
  abandon(error: Error): void {
    this.#gone = error;
    for (const reject of this.#pending) reject(error);
    this.#pending.clear();
  }

  connect(host: VirtualThread, origin: HostOrigin, events: HostJournalEvents): SimulatedConnection {
    const here = new Pipe(host, this.#ports.thread, this.#ports.delayMs);
    const there = new Pipe(this.#ports.thread, host, this.#ports.delayMs);
    let session: HostSession | undefined;
    here.send(() => {
      const link: HostLink = {
        accepted: (pairs) => there.send(() => sayAccepted(pairs, events)),
        committed: (number, position) => there.send(() => events.committed(number, position)),
        loaded: (request, parcels) => there.send(() => client.loaded(request, parcels)),
        fenced: () => there.send(() => events.fenced()),
        wake: (keys) => there.send(() => events.wake(keys)),
        storage: (state) => there.send(() => events.storage(state)),
        checkpoint: (round, target) => there.send(() => events.checkpoint(round, target)),
      };
      try {
        session = this.#service.connect(origin.slot, origin.epoch, link);
      } catch {
        // As on the journal's thread: it has failed meanwhile, and this host will commit nothing.
        link.fenced();
      }
    });
    const client = new HostJournalClient(
      {
        append: (number, bytes, forwards) => here.send(() => session?.append(number, bytes, forwards)),
        load: (request, keys) => here.send(() => session?.load(request, keys)),
        clean: (round) => here.send(() => session?.clean(round)),
        close: () => here.send(() => session?.close()),
      },
      origin,
    );
    // When a thread dies its port closes, and the journal sees that: the session ends after what still arrived.
    return { journal: client, die: (keep) => here.cut(keep(here.length), () => session?.close()) };
  }
}
