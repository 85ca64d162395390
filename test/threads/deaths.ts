/**
 * The ways in which a thread can end, the moments at which it can, and the row in shared memory by which one is told to.
 *
 * Owns: the names, taking a death (once, by the thread it is for), and dying. Where the moments lie is `death-places.ts`.
 */
import { isMainThread, MessagePort, workerData } from 'node:worker_threads';

export const WAYS = ['terminate', 'exit', 'throw', 'rejection', 'arrays', 'maps', 'loop', 'pause', 'garble'] as const;
/**
 * `pause`: it stands still until it has a successor, and then goes on beside it. `garble`: it lives, and a frame
 * that it sends is not what it should be: whoever gets it has no link to it any more.
 */
export type Way = (typeof WAYS)[number];

export const MOMENTS = [
  'starting',
  'idle',
  'turn',
  'before commit',
  'forwarded',
  'after commit',
  'release',
  'effect',
] as const;
export type Moment = (typeof MOMENTS)[number];

/** Who dies: the host of a busy actor, all hosts at once, or the journal's thread. */
export type Victim = 'host' | 'hosts' | 'journal';

export interface Death {
  readonly victim: Victim;
  readonly way: Way;
  readonly moment: Moment;
}

export interface DeathOrder {
  readonly deaths: readonly Death[];
  /** How long a host may take to be replaced, and calls to settle. */
  readonly patienceMs: number;
}

/** Bits of threads that are to die, the moment, the way, bits of threads that wait to be ended from outside, how many have died. */
const THREADS = 0;
const MOMENT = 1;
const WAY = 2;
const WAITING = 3;
const DIED = 4;
/** Not 0: those that pause go on. */
const GO_ON = 5;
const FIELDS = 6;

const JOURNAL_BIT = 1 << 30;
export const newDeathMemory = (): SharedArrayBuffer => new SharedArrayBuffer(4 * FIELDS);

/** This thread among those that may die; undefined for the main one. */
const own = ((): number | undefined => {
  if (isMainThread) return undefined;
  const { config, options } = workerData as { config?: { slot: number }; options?: unknown };
  if (config !== undefined) return 1 << config.slot;
  return options === undefined ? undefined : JOURNAL_BIT;
})();

export class DeathRow {
  readonly #fields: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#fields = new Int32Array(memory);
  }

  /** From now on the first threads of these slots to come to the moment die, each once. */
  arm({ victim, way, moment }: Death, slots: readonly number[]): void {
    Atomics.store(this.#fields, MOMENT, MOMENTS.indexOf(moment));
    Atomics.store(this.#fields, WAY, WAYS.indexOf(way));
    Atomics.store(this.#fields, WAITING, 0);
    Atomics.store(this.#fields, DIED, 0);
    Atomics.store(this.#fields, GO_ON, 0);
    const bits = victim === 'journal' ? JOURNAL_BIT : slots.reduce((sum, slot) => sum | (1 << slot), 0);
    Atomics.store(this.#fields, THREADS, bits);
  }

  /** How many have begun to die since `arm`. */
  get died(): number {
    return Atomics.load(this.#fields, DIED);
  }

  /** Whether the thread of `slot` stands still to be ended from outside; told once. */
  waits(slot: number): boolean {
    return (Atomics.and(this.#fields, WAITING, ~(1 << slot)) & (1 << slot)) !== 0;
  }

  /** Lets those go on that pause. */
  goOn(): void {
    Atomics.store(this.#fields, GO_ON, 1);
  }

  get goesOn(): boolean {
    return Atomics.load(this.#fields, GO_ON) !== 0;
  }

  /** Dies, if this thread is to die at this moment. `inActor`: what is thrown here would be the actor's failure. */
  pass(moment: Moment, inActor: boolean): void {
    if (own === undefined || Atomics.load(this.#fields, THREADS) === 0) return;
    if (Atomics.load(this.#fields, MOMENT) !== MOMENTS.indexOf(moment)) return;
    if ((Atomics.and(this.#fields, THREADS, ~own) & own) === 0) return;
    const way = WAYS[Atomics.load(this.#fields, WAY)] as Way;
    if (way === 'terminate') Atomics.or(this.#fields, WAITING, own);
    Atomics.add(this.#fields, DIED, 1);
    die(way, inActor, this);
  }
}

function die(way: Way, inActor: boolean, row: DeathRow): void {
  switch (way) {
    case 'exit':
      return process.exit(3);
    case 'throw': {
      const error = new Error('uncaught, on purpose');
      if (!inActor) throw error;
      queueMicrotask(() => {
        throw error;
      });
      return;
    }
    case 'rejection':
      void Promise.reject(new Error('unhandled, on purpose'));
      return;
    case 'arrays':
      for (const hoard: unknown[] = []; ; ) hoard.push(Array.from({ length: 100 }, (_, i) => ({ i })));
    case 'maps':
      for (const hoard = new Map<number, unknown>(); ; ) hoard.set(hoard.size, { size: hoard.size });
    case 'terminate':
    case 'loop':
      for (;;);
    case 'garble':
      garbleNextFrame();
      return;
    case 'pause':
      while (!row.goesOn);
  }
}

/** Frames are the only plain bytes that a host posts. */
function garbleNextFrame(): void {
  const { postMessage } = MessagePort.prototype;
  MessagePort.prototype.postMessage = function (this: MessagePort, value: unknown, ...more: never[]): void {
    if (value instanceof Uint8Array) {
      MessagePort.prototype.postMessage = postMessage;
      value.fill(0xff);
    }
    postMessage.call(this, value, ...more);
  };
}
