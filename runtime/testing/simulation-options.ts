/**
 * What a simulation is given, and what it reports.
 *
 * Owns: the shapes and their defaults.
 */
import type { SystemOptions } from '../system/options.ts';
import type { FaultPlan } from './fault-plan.ts';
import type { History } from './history.ts';
import type { Violation } from './invariants.ts';
import type { Simulation } from './simulation.ts';
import type { SimulationSeams } from './simulation-topology.ts';

export interface SimulateOptions {
  /** A whole number: everything follows from it. */
  readonly seed: number;
  /** Simulated host threads. Default 2. */
  readonly hosts?: number | undefined;
  /** URLs of the modules that export the definitions. */
  readonly actors: readonly (string | URL)[];
  /** Lists of modules that the script will give to `sim.restart`: loading is real work, and must come before. */
  readonly upgrades?: readonly (readonly (string | URL)[])[] | undefined;
  /** Default: none. */
  readonly faults?: FaultPlan | undefined;
  /** Options of the system that is simulated. */
  readonly system?: Omit<SystemOptions, 'dataDir' | 'threads' | 'actors'> | undefined;
  /**
   * Where the file of `sync: 'relaxed'` lies: a folder on a real disk, empty at the start. Without one there is no file, and a power
   * failure takes commits as a whole.
   */
  readonly folder?: string | undefined;
  /** Bytes in flight on a link before its senders wait. Default: the runtime's own. */
  readonly linkCreditBytes?: number | undefined;
  /** Virtual time after the script, without faults, in which everything must come to rest. Default 120,000. */
  readonly settleMs?: number | undefined;
  /** Tasks after which the simulation is given up. Default 2,000,000. */
  readonly stepsLimit?: number | undefined;
  /** Virtual time after which it is given up. Default 90 days. */
  readonly virtualMsLimit?: number | undefined;
  /**
   * Keeps the stacks of errors. They are part of what actors are told of failures, so a trace with them is another one. Default
   * false.
   */
  readonly stacks?: boolean | undefined;
  /** Takes every line of the trace. */
  readonly onTrace?: ((line: string) => void) | undefined;
  /** Where tests plant bugs. @internal */
  readonly seams?: SimulationSeams | undefined;
  /** What happens: calls from outside, crashes and kills of its own. */
  run(sim: Simulation): Promise<void>;
}

export interface SimulationReport {
  readonly seed: number;
  /** SHA-256 of the trace. */
  readonly digest: string;
  /** Virtual tasks that were run. */
  readonly steps: number;
  readonly virtualMs: number;
  /** Turns in the journal. */
  readonly turns: number;
  readonly faults: Readonly<Record<string, number>>;
  /** What was broken; empty when all is well. */
  readonly violations: readonly Violation[];
  readonly history: History;
  /** The last lines of the trace. */
  readonly tail: readonly string[];
}

export const SETTLE_MS = 120_000;
export const STEPS_LIMIT = 2_000_000;
export const VIRTUAL_MS_LIMIT = 90 * 86_400_000;
