/**
 * The named points at which a process kills itself, and the passing of them.
 *
 * Owns: their names, how often each is passed in a short life, and counting. Where they lie in the runtime is `places.ts`, which only
 * a process that was given a point loads: the runtime itself has no hook for them.
 */
import { writeLine } from './write-line.ts';

interface PointFacts {
  /** The latest passing to die at: a point of the process' work is passed many times. */
  readonly most: number;
  /** What the process has to be doing for the point to be passed at all. */
  readonly needs?: 'trim' | 'checkpoints' | 'stop' | 'backup';
}

export const POINTS = {
  /** The lock and the format of the data folder are being written. */
  'open.folder': { most: 1 },
  'open.begin': { most: 1 },
  /** The new run is on disk, its tail not yet read. */
  'open.tail': { most: 1 },
  'recovery.slot': { most: 1 },
  'recovery.load': { most: 6 },
  'recovery.begin': { most: 1 },
  'turn.within': { most: 120 },
  'commit.before': { most: 120 },
  /** Rows are written, the transaction is not ended. */
  'commit.within': { most: 120 },
  'commit.after': { most: 120 },
  /** The file ahead of the database has been taken over, and not yet emptied. */
  'ahead.taken': { most: 2 },
  /** A turn's messages to journaled actors have left, and it may not be on the disk yet. */
  'forward.turn': { most: 120 },
  'release.turn': { most: 400 },
  'release.receipts': { most: 120 },
  'checkpoint.image': { most: 20, needs: 'checkpoints' },
  'checkpoint.first': { most: 3, needs: 'checkpoints' },
  'checkpoint.second': { most: 3, needs: 'checkpoints' },
  'checkpoint.moved': { most: 2, needs: 'checkpoints' },
  'trim.before': { most: 2, needs: 'trim' },
  'trim.after': { most: 2, needs: 'trim' },
  /** Before and after what it does outside. */
  'effect.before': { most: 30 },
  'effect.after': { most: 30 },
  'timer.fired': { most: 20 },
  'stop.drain': { most: 2, needs: 'stop' },
  'stop.host': { most: 1, needs: 'stop' },
  'stop.journal': { most: 1, needs: 'stop' },
  'stop.closed': { most: 1, needs: 'stop' },
  'backup.begin': { most: 2, needs: 'backup' },
  'backup.copying': { most: 2, needs: 'backup' },
  'backup.copied': { most: 2, needs: 'backup' },
} as const satisfies Record<string, PointFacts>;

export type Point = keyof typeof POINTS;

export const POINT_NAMES = Object.keys(POINTS) as Point[];

export function factsOf(point: Point): PointFacts {
  return POINTS[point];
}

/** Says in the environment, which threads inherit, where the process is to kill itself: at the `nth` passing on one thread. */
export const POINT_VARIABLE = 'CB_CRASH_POINT';

const [ordered, nth] = (process.env[POINT_VARIABLE] ?? '').split(':');
let passed = 0;

export const orderedPoint = ordered as Point | '';

let listener: ((point: Point) => void) | undefined;

/** For a thread that is to die alone. */
export function onPass(listen: (point: Point) => void): void {
  listener = listen;
}

/** Kills the process if this is the point, and often enough passed. */
export function pass(point: Point): void {
  listener?.(point);
  if (point !== ordered) return;
  passed += 1;
  if (passed !== Number(nth)) return;
  writeLine(`DIES "${point}"`);
  process.kill(process.pid, 'SIGKILL');
  // The signal ends every thread; this one may not do anything more until it does.
  for (;;);
}
