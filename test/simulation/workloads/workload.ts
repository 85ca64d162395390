/** What a workload of the simulation is: actors, a script that works them, and what must be true in the end beside the general rules. */
import type { ActorSystem } from '../../../runtime/system/actor-system.ts';
import type { SystemOptions } from '../../../runtime/system/options.ts';
import type { History } from '../../../runtime/testing/history.ts';
import type { Violation } from '../../../runtime/testing/invariants.ts';
import type { Simulation } from '../../../runtime/testing/simulation.ts';

export interface Workload {
  readonly name: string;
  readonly actors: readonly string[];
  /** Modules that the script moves to with `sim.restart`. */
  readonly upgrades?: readonly (readonly string[])[];
  /** Default: drawn from the seed. */
  readonly hosts?: number;
  /** What must be as it says; everything else is drawn from the seed. */
  readonly system?: Omit<SystemOptions, 'dataDir' | 'threads' | 'actors'>;
  run(sim: Simulation): Promise<void>;
  /** What it finds wrong in what happened, beside the general rules. */
  judge?(history: History): readonly Violation[];
}

/** A whole number from 0 up to, not including, `below`. */
export function pick(sim: Simulation, below: number): number {
  return Math.floor(sim.random.next() * below);
}

/**
 * Reports what a workload found wrong. Not after a power failure took commits that were acknowledged: then only the general rules
 * hold.
 */
export function fault(sim: Simulation, rule: string, what: string): void {
  if (sim.lostCommits === 0) sim.violated(rule, what);
}

/** Timers of an actor that the plan's faults struck every time they were handled: what kills its host so often is a dead letter. */
export async function parkedTimers(system: ActorSystem, key: string): Promise<number> {
  const letters = await system.deadLetters.list({ limit: 1_000 });
  return letters.filter(({ to, message, error }) => {
    const { control } = message as { readonly control?: { readonly kind: string } };
    return to === key && control?.kind === 'timer' && (error.cause as { code?: unknown })?.code === 'HOST_LOST';
  }).length;
}

/** Outcome of a call that a crash may have cut off. */
export type Attempt<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly code: string };

/** Awaits a call; a rejection is an outcome. */
export async function attempt<T>(call: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { kind: 'done', value: await call() };
  } catch (error) {
    const code: unknown = (error as { code?: unknown }).code;
    if (typeof code !== 'string') throw error;
    return { kind: 'failed', code };
  }
}

/** A call that has been repeated for so long, whatever the faults, will never be answered. */
const LONGEST_MS = 180_000;

/** Repeats a call that may be repeated, on every new system, until it succeeds or fails for good. */
export async function insist<T>(
  sim: Simulation,
  call: (system: Awaited<ReturnType<Simulation['up']>>) => Promise<T>,
  alsoRepeatable: readonly string[] = [],
): Promise<Attempt<T>> {
  const sinceMs = sim.elapsedMs;
  for (;;) {
    const system = await sim.up();
    const outcome = await attempt(() => call(system));
    if (outcome.kind === 'done') return outcome;
    if (!REPEATABLE.has(outcome.code) && !alsoRepeatable.includes(outcome.code)) return outcome;
    if (sim.elapsedMs - sinceMs > LONGEST_MS) {
      sim.violated(
        'stranded',
        `a call was repeated for ${LONGEST_MS} ms; the last time it failed with ${outcome.code}`,
      );
      return outcome;
    }
    await sim.advance(20);
  }
}

const REPEATABLE = new Set([
  'SYSTEM_STOPPED',
  'TELL_TIMEOUT',
  'ASK_TIMEOUT',
  'STORAGE_FULL',
  'MAILBOX_FULL',
  'HOST_LOST',
]);
