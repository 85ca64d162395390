/**
 * What topologies with a fleet have in common, wherever their hosts run.
 *
 * Owns: the fleet once it is started, and the questions that it answers alone.
 */
import type { HostStats } from '../host/host-ports.ts';
import type { HostLink } from '../host/items.ts';
import type { JournalControl, OpenReport } from '../journal/journal-control.ts';
import type { Fleet } from './fleet.ts';
import type { Topology, TopologyEvents } from './topology.ts';

export abstract class FleetTopology<TPort> implements Topology {
  #fleet: Fleet<TPort> | undefined;

  abstract readonly hosts: number;
  abstract readonly journal: JournalControl;
  abstract start(
    events: TopologyEvents,
    modules: readonly string[],
    opened: (run: number) => void,
  ): Promise<OpenReport>;
  abstract stop(drainTimeoutMs: number): Promise<void>;

  link(slot: number): HostLink | undefined {
    return this.#fleet?.link(slot);
  }

  async load(module: string): Promise<void> {
    await this.#fleet?.load(module);
  }

  async stats(): Promise<readonly HostStats[]> {
    return this.#fleet === undefined ? [] : this.#fleet.stats();
  }

  /** Starts the fleet; what is started already is ended again when it fails. */
  protected async startFleet(fleet: Fleet<TPort>, modules: readonly string[]): Promise<void> {
    this.#fleet = fleet;
    try {
      await fleet.start(modules);
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  protected async stopFleet(drainTimeoutMs: number): Promise<void> {
    await this.#fleet?.stop(drainTimeoutMs);
  }
}
