/**
 * Everything on the calling thread: for scripts, for tests, and below simulation.
 *
 * Owns: starting and ending journal and host in order. Commits block the loop for as long as the disk takes.
 */
import { type Clock, holdProcess } from '../kernel/clock.ts';
import { HOST_SLICE_MS } from '../kernel/limits.ts';
import { systemRandom } from '../kernel/random.ts';
import type { HostStats } from '../host/host-ports.ts';
import type { HostLink } from '../host/items.ts';
import { installTurnGlobals } from '../host/turn-globals.ts';
import { createInlineJournal, type InlineJournal } from '../journal/inline-journal.ts';
import type { JournalControl, OpenReport } from '../journal/journal-control.ts';
import type { FramePort } from '../transport/frame-port.ts';
import { createLocalFramePorts } from '../transport/local-frame-port.ts';
import { Fleet } from './fleet.ts';
import { InlineHost } from './inline-host.ts';
import type { ResolvedOptions } from './options.ts';
import type { Topology, TopologyEvents } from './topology.ts';

export class InlineTopology implements Topology {
  readonly hosts = 1;
  readonly #options: ResolvedOptions;
  readonly #clock: Clock;
  readonly #journal: InlineJournal;
  #fleet: Fleet<FramePort> | undefined;
  #events: TopologyEvents | undefined;
  #uninstall: (() => void) | undefined;
  #release: (() => void) | undefined;

  constructor(options: ResolvedOptions, clock: Clock) {
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
    this.#fleet = new Fleet<FramePort>({
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
    try {
      await this.#fleet.start(modules);
    } catch (error) {
      await this.stop(0);
      throw error;
    }
    return report;
  }

  link(slot: number): HostLink | undefined {
    return this.#fleet?.link(slot);
  }

  async load(module: string): Promise<void> {
    await this.#fleet?.load(module);
  }

  async stats(): Promise<readonly HostStats[]> {
    return this.#fleet === undefined ? [] : this.#fleet.stats();
  }

  async stop(drainTimeoutMs: number): Promise<void> {
    await this.#fleet?.stop(drainTimeoutMs);
    this.#uninstall?.();
    this.#release?.();
    this.#uninstall = undefined;
    await this.#journal.control.close();
  }
}
