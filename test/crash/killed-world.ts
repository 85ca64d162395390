/**
 * A data folder that outlives one killed process after the other.
 *
 * Owns: which kill comes when, drawn from the seed; the chain of lives; and the end, in which everything begun is finished.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Random, seededRandom } from '../../runtime/kernel/random.ts';
import type { SystemOptions } from '../../runtime/system/options.ts';
import { type Life, type LifeOrder, live } from './killed-process.ts';
import { factsOf, type Point, POINT_NAMES } from './points.ts';
import type { ProcessOrder } from './process.ts';
import { type Census, History, type World } from './world.ts';

export const CENSUS: Census = { ledgers: 4, vaults: 2, journeys: 2, toilers: 2 };

/** Kills by nobody's choice, of all. */
const RANDOM_SHARE = 1 / 3;
/** Latest kill after the process has found its world. */
const LATEST_KILL_MS = 150;
/** Latest kill of one that is to die while it starts. */
const LATEST_EARLY_KILL_MS = 400;
/** A process that was given a point and has not come to it by then is killed all the same. */
const POINT_BY_MS = 250;

/** Tries to start a process that settles, on a machine that has no time for it. */
const STARTS = 5;

const pick = <const T>(random: Random, values: readonly [T, ...T[]]): T =>
  values[Math.floor(random.next() * values.length)] ?? values[0];

export class KilledWorld {
  readonly history = new History(CENSUS);
  readonly lives: Life[] = [];
  readonly #folder: string;
  readonly #random: Random;
  #points: Point[] = [];

  constructor(folder: string, seed: number, number: number) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.#random = seededRandom(seed, number);
  }

  get dataDir(): string {
    return join(this.#folder, 'data');
  }

  /** One life, as the seed has it. */
  async kill(): Promise<void> {
    await this.live(this.#drawn());
  }

  async live(order: LifeOrder): Promise<Life> {
    const life = await live(order, this.history);
    this.lives.push(life);
    return life;
  }

  /** The last life: nothing new, everything begun is finished, and all that was done outside is looked at. */
  async settle(more: Partial<LifeOrder> = {}): Promise<void> {
    const order = { process: this.order('settle', { threads: 2 }), ...more };
    let { death, final } = await this.live(order);
    for (let tries = 1; death === 'starved' && tries < STARTS; tries++) ({ death, final } = await this.live(order));
    if (final === undefined) this.history.faults.push('the last process did not come to its end');
    else this.check(final);
  }

  /** Of a process in which everything begun has come to its end. */
  check(final: World): void {
    this.history.final(final, existsSync(this.#sink) ? readFileSync(this.#sink, 'utf8') : '');
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  order(task: ProcessOrder['task'], options: SystemOptions): ProcessOrder {
    return {
      options: { dataDir: this.dataDir, ...options },
      sink: this.#sink,
      census: CENSUS,
      broken: this.history.breaks,
      task,
      copies: join(this.#folder, 'copies'),
    };
  }

  get #sink(): string {
    return join(this.#folder, 'sink');
  }

  #drawn(): LifeOrder {
    const random = this.#random;
    // Drawn one after the other, and always all: what one kill needs must not change those after it.
    const options = {
      threads: pick(random, [0, 0, 0, 1, 1, 2, 2, 3]),
      sync: pick(random, ['group', 'group', 'relaxed']),
      retention: pick(random, ['keep', 'trim']),
      checkpointEveryTurns: pick(random, [50, 500, 500_000]),
      residentCellsLimit: pick(random, [3, 100_000, 100_000]),
    } as const;
    const isRandom = random.next() < RANDOM_SHARE;
    const isEarly = random.next() < 0.25;
    const ms = random.next();
    const task = pick(random, ['work', 'work', 'stop', 'backup']);
    const place = random.next();
    if (isRandom) {
      const kill = isEarly
        ? ({ after: 'start', ms: ms * LATEST_EARLY_KILL_MS } as const)
        : ({ after: 'found', ms: ms * LATEST_KILL_MS } as const);
      return { process: this.order(task, options), kill };
    }
    const name = this.#nextPoint();
    const { most, needs } = factsOf(name);
    return {
      process: this.order(needs === 'stop' || needs === 'backup' ? needs : 'work', {
        ...options,
        ...(needs === 'trim' ? { retention: 'trim' } : {}),
        ...(needs === 'trim' || needs === 'checkpoints' ? { checkpointEveryTurns: 50 } : {}),
      }),
      // Early passings more often than late ones.
      point: { name, nth: Math.floor((most + 1) ** place) },
      ...(needs === 'stop' ? {} : { kill: { after: 'found', ms: POINT_BY_MS } }),
    };
  }

  /** Every point once, in an order of the seed's, then again. */
  #nextPoint(): Point {
    if (this.#points.length === 0) {
      const left = [...POINT_NAMES];
      while (left.length > 0) this.#points.push(...left.splice(Math.floor(this.#random.next() * left.length), 1));
    }
    return this.#points.pop() as Point;
  }
}
