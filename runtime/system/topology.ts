/**
 * Where the hosts and the journal run: the contract between the system and the threads below it.
 *
 * Owns: the shapes. `inline-topology.ts` has everything on the calling thread, `thread-topology.ts` a thread each; simulation has
 * one of its own.
 */
import type { Recovery, JournalControl, OpenReport } from '../journal/journal-control.ts';
import type { EffectsAtDeath } from '../host/effect-trials.ts';
import type { HostStats } from '../host/host-ports.ts';
import type { HostLink } from '../host/items.ts';

export interface TopologyEvents {
  /** Items of one frame from a host. */
  items(slot: number, items: readonly unknown[]): void;
  /** A link could not carry an item. */
  refused(slot: number, item: unknown, error: Error): void;
  /** A host died and its successor is ready: calls under way must be sent again. */
  replaced(slot: number, recovery: Recovery): void;
  /** For operators. */
  lost(slot: number, reason: HostLoss): void;
  /** The system cannot go on. */
  failed(error: Error): void;
}

/** Why a host was replaced. */
export interface HostLoss {
  readonly kind: 'exit' | 'error' | 'out_of_memory' | 'hung';
  readonly message: string;
  /** The actor that was running, if one was. */
  readonly running?: string | undefined;
  /** Its last turn, modulo 2^32, before the one that it was in. */
  readonly sequence?: number | undefined;
  /** Which effects were under way: for the fleet alone. */
  readonly effects?: EffectsAtDeath | undefined;
}

export interface Topology {
  /** How many hosts there are. */
  readonly hosts: number;
  readonly journal: JournalControl;
  /** `opened` is called with the run's number before any host can say anything. */
  start(events: TopologyEvents, modules: readonly string[], opened: (run: number) => void): Promise<OpenReport>;
  link(slot: number): HostLink | undefined;
  /** Loads a module of definitions on every host, now and after a replacement. */
  load(module: string): Promise<void>;
  stats(): Promise<readonly HostStats[]>;
  /** Lets the hosts finish, within `drainTimeoutMs`, and closes everything. */
  stop(drainTimeoutMs: number): Promise<void>;
}
