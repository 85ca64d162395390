/**
 * A system for tests of actors: everything on the calling thread, in memory or in a folder, on a clock that the test moves.
 */
import { ActorSystem } from '../system/actor-system.ts';
import type { SystemOptions } from '../system/options.ts';
import { ManualClock } from './manual-clock.ts';

export interface TestSystem extends AsyncDisposable {
  readonly system: ActorSystem;
  readonly clock: ManualClock;
  /** Moves time by `ms`: timers, deadlines and waits between tries come due on the way. */
  advance(ms: number): Promise<void>;
  /** Runs everything that is to be run without time passing. */
  settle(): Promise<void>;
}

/**
 * Starts one. `options` are those of `ActorSystem.start`, but for `threads`. End it by disposing of it: `system.stop()` of its own waits for
 * work to finish, for which time must pass, and only `advance` makes it.
 *
 * @example
 * await using test = await createTestSystem({ actors: [import.meta.resolve('./order.ts')] })
 * const ref = await test.system.spawn(order, { id: 'o-1' })
 * await test.advance(30 * 86_400_000) // the order expires after 30 days
 */
export async function createTestSystem(options: Omit<SystemOptions, 'threads'>): Promise<TestSystem> {
  const clock = new ManualClock();
  const system = await ActorSystem.startWith({ ...options, threads: 0 }, { clock });
  return {
    system,
    clock,
    advance: (ms) => clock.advance(ms),
    settle: () => clock.settle(),
    [Symbol.asyncDispose]: () => system.stop({ drainTimeoutMs: 0 }),
  };
}
