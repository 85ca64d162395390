/**
 * Actors that wait, in this process, whose heap can be read.
 *
 * Owns: a system on the calling thread, spawning into it, and waiting until what spawning leaves behind (batches on their way, the tail of
 * the log, for passive ones the cells themselves) is gone.
 */
import { setTimeout } from 'node:timers/promises';
import type { ActorSystem } from '../runtime/index.ts';
import type { Definition } from '../runtime/kernel/definition.ts';
import { startSystem } from './own-system.ts';
import { inFlight } from './pace.ts';

/** Actors that stay when all that can are unloaded: those that all others share. */
const FEW = 32;
const SPAWNS_UNDER_WAY = 2_000;
const SETTLE_MS = 100;
const LOOK_EVERY_MS = 20;

export interface IdleOptions {
  readonly dir: string;
  readonly definition: Definition;
  /** Unloaded as soon as they are idle. */
  readonly passive: boolean;
  /** Modules of whatever else they need. */
  readonly modules?: readonly (string | URL)[];
  /** Makes what starts one by its id. Default: it is spawned. */
  readonly starter?: (system: ActorSystem) => (id: string) => Promise<unknown>;
}

export class IdleActors {
  readonly #system: ActorSystem;
  readonly #options: IdleOptions;
  readonly #start: (id: string) => Promise<unknown>;
  #spawned = 0;

  private constructor(system: ActorSystem, options: IdleOptions) {
    this.#system = system;
    this.#options = options;
    this.#start = options.starter?.(system) ?? ((id) => system.spawn(options.definition, { id }));
  }

  static async start(options: IdleOptions): Promise<IdleActors> {
    const system = await startSystem(
      {
        threads: 0,
        residentCellsLimit: options.passive ? FEW : 10_000_000,
        ...(options.definition.durability === 'none' ? {} : { dataDir: options.dir }),
      },
      options.modules,
    );
    const idle = new IdleActors(system, options);
    // The first ones pay for what is there once.
    await idle.add(5_000);
    return idle;
  }

  async add(count: number): Promise<void> {
    const { definition, passive } = this.#options;
    await inFlight(count, SPAWNS_UNDER_WAY, () => {
      this.#spawned += 1;
      return this.#start(String(this.#spawned));
    });
    if (definition.durability !== 'none') await this.#system.checkpoint();
    await setTimeout(SETTLE_MS);
    if (!passive) return;
    while ((await this.#cells()) > FEW) await setTimeout(LOOK_EVERY_MS);
    await this.#system.checkpoint();
  }

  stop(): Promise<void> {
    return this.#system.stop();
  }

  async #cells(): Promise<number> {
    const { hosts } = await this.#system.stats();
    return hosts.reduce((sum, { cells }) => sum + cells, 0);
  }
}
