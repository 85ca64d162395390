/**
 * Everything on the calling thread: for scripts, for tests, and below simulation.
 *
 * Owns: starting and ending journal and host in order. Commits block the loop for as long as the disk takes.
 */
import { type Clock, holdProcess } from '../kernel/clock.ts';
import { HOST_SLICE_MS } from '../kernel/limits.ts';
import { systemRandom } from '../kernel/random.ts';
import { installTurnGlobals } from '../host/turn-globals.ts';
import { createInlineJournal, type InlineJournal } from '../journal/inline-journal.ts';
import type { JournalControl, OpenReport } from '../journal/journal-control.ts';
import type { FramePort } from '../transport/frame-port.ts';
import { createLocalFramePorts } from '../transport/local-frame-port.ts';
import { Fleet } from './fleet.ts';
import { FleetTopology } from './fleet-topology.ts';
import { InlineHost } from './inline-host.ts';
import type { ResolvedOptions } from './options.ts';
import type { TopologyEvents } from './topology.ts';

export class InlineTopology extends FleetTopology<FramePort> {
  readonly hosts = 1;
  readonly #options: ResolvedOptions;
  readonly #clock: Clock;
  readonly #journal: InlineJournal;
  #events: TopologyEvents | undefined;
  #uninstall: (() => void) | undefined;
  #release: (() => void) | undefined;

  constructor(options: ResolvedOptions, clock: Clock) {
    super();
    this.#options = options;
    this.#clock = clock;
    this.#journal = createInlineJournal(
      { ...options, hosts: this.hosts },
      { clock, failed: (error) => this.#events?.failed(error instanceof Error ? error : new Error(String(error))) },
    );
  }

  get journal(): JournalControl {
    return this.#journal.control;
  }

  async start(events: TopologyEvents, modules: readonly string[], opened: (run: number) => void): Promise<OpenReport> {
    this.#events = events;
    const report = await this.#journal.control.open();
    opened(report.run);
    this.#uninstall = installTurnGlobals();
    // A host thread would keep the process alive; so does the host on this one.
    this.#release = holdProcess();
    const clock = this.#clock;
    const fleet = new Fleet<FramePort>({
      clock,
      hosts: this.hosts,
      journal: this.#journal.control,
      events,
      checkpointAtStop: this.#options.dataDir !== undefined,
      channel: () => createLocalFramePorts(clock),
      start: async (slot, epoch) =>
        new InlineHost({
          config: {
            slot,
            hosts: this.hosts,
            run: report.run,
            epoch,
            residentCellsLimit: this.#options.residentCellsLimit,
            sliceMs: HOST_SLICE_MS,
          },
          clock,
          random: systemRandom,
          outside: createLocalFramePorts(clock),
          connectJournal: (journalEvents) => this.#journal.connect({ slot, epoch }, journalEvents),
        }),
    });
    await this.startFleet(fleet, modules);
    return report;
  }

  async stop(drainTimeoutMs: number): Promise<void> {
    await this.stopFleet(drainTimeoutMs);
    this.#uninstall?.();
    this.#release?.();
    this.#uninstall = undefined;
    await this.#journal.control.close();
  }
}
