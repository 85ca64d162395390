/**
 * A thread a host, and one for the journal.
 *
 * Owns: starting and ending them in order.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Clock } from '../kernel/clock.ts';
import { HOST_SLICE_MS } from '../kernel/limits.ts';
import type { JournalControl, OpenReport } from '../journal/journal-control.ts';
import { JournalThread } from '../journal/journal-thread.ts';
import { Fleet } from './fleet.ts';
import { FleetTopology } from './fleet-topology.ts';
import { HostThread } from './host-thread.ts';
import type { ResolvedOptions } from './options.ts';
import type { TopologyEvents } from './topology.ts';

export class ThreadTopology extends FleetTopology<MessagePort> {
  readonly hosts: number;
  readonly #options: ResolvedOptions;
  readonly #clock: Clock;
  readonly #journal: JournalThread;
  #events: TopologyEvents | undefined;

  constructor(options: ResolvedOptions, clock: Clock) {
    super();
    this.hosts = options.threads;
    this.#options = options;
    this.#clock = clock;
    this.#journal = new JournalThread({
      dataDir: options.dataDir,
      sync: options.sync,
      checkPages: options.checkPages,
      retention: options.retention,
      checkpointEveryTurns: options.checkpointEveryTurns,
      checkpointEveryBytes: options.checkpointEveryBytes,
      hosts: options.threads,
      clock,
      onFailure: (error) => this.#events?.failed(error),
    });
  }

  get journal(): JournalControl {
    return this.#journal;
  }

  async start(events: TopologyEvents, modules: readonly string[], opened: (run: number) => void): Promise<OpenReport> {
    this.#events = events;
    const report = await this.#journal.open();
    opened(report.run);
    const { residentCellsLimit, hangAfterMs, hostHeapMb } = this.#options;
    const fleet = new Fleet<MessagePort>({
      clock: this.#clock,
      hosts: this.hosts,
      journal: this.#journal,
      events,
      checkpointAtStop: this.#options.dataDir !== undefined,
      channel: () => {
        const { port1, port2 } = new MessageChannel();
        return [port1, port2];
      },
      start: async (slot, epoch) =>
        new HostThread({
          config: { slot, hosts: this.hosts, run: report.run, epoch, residentCellsLimit, sliceMs: HOST_SLICE_MS },
          clock: this.#clock,
          journal: await this.#journal.connect(slot),
          hangAfterMs,
          heapMb: hostHeapMb,
        }),
    });
    await this.startFleet(fleet, modules);
    return report;
  }

  async stop(drainTimeoutMs: number): Promise<void> {
    await this.stopFleet(drainTimeoutMs);
    await this.#journal.close();
  }
}
