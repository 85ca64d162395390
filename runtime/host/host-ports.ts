/**
 * What a host is given, and what it says of itself.
 *
 * Owns: the shapes. Everything that is not deterministic, and everything that is a thread's, comes in through here.
 */
import type { Clock } from '../kernel/clock.ts';
import type { Random } from '../kernel/random.ts';
import type { ActorPort } from './actor-port.ts';
import type { DefinitionTable } from './definition-table.ts';
import type { PoolRun } from './effect-runner.ts';
import type { HostLink, HostPeerLink } from './items.ts';
import type { Watch } from './watch.ts';

export interface HostPorts {
  readonly slot: number;
  readonly hosts: number;
  readonly run: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly definitions: DefinitionTable;
  readonly pool: PoolRun;
  /** The way from effects to actors; what comes for its address is handed to it. */
  readonly actors: ActorPort;
  readonly residentCellsLimit: number;
  readonly sliceMs: number;
  /** Told what the loop is doing, for a watchdog on another thread. */
  readonly watch: Watch;
  /** The link to another host. */
  link(slot: number): HostPeerLink;
  outside(): HostLink;
  links(): Iterable<HostLink>;
}

export interface HostStats {
  readonly slot: number;
  readonly cells: number;
  readonly ready: number;
  readonly effects: number;
  readonly timers: number;
  readonly turns: number;
  readonly blocked: number;
}
