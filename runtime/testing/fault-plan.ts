/**
 * Fault plans: which faults may strike a simulation, how often, and the dice that decide from a seed.
 *
 * Owns: the names of faults, their defaults, and counting them. Where a fault strikes is the matter of the wrapped port: store,
 * frame port, clock, host.
 *
 * Invariants:
 * FP1. The same seed and plan, asked in the same order, strike in the same places.
 * FP2. After `heal` nothing strikes any more. Deaths and crashes never exceed their limits.
 */
import type { Random } from '../kernel/random.ts';

/** A probability in [0, 1], of one opportunity. */
type Chance = number;

/** Chances per opportunity; everything is 0 when left out. */
export interface FaultPlan {
  /** The process dies as a commit begins: nothing of it is on the disk. */
  readonly crashBeforeCommit?: Chance | undefined;
  /** The process dies when a commit is done: on the disk, and nobody was told. */
  readonly crashAfterCommit?: Chance | undefined;
  /** The process dies between two frames that a host sends out. */
  readonly crashDuringRelease?: Chance | undefined;
  /** The process dies as actors' images or a checkpoint are written, before or after. */
  readonly crashDuringCheckpoint?: Chance | undefined;
  /** The process dies between two tasks. */
  readonly crashAnytime?: Chance | undefined;
  /** With `sync: 'relaxed'`, a crash is a power failure with this chance: the disk keeps a prefix of what was not flushed. */
  readonly powerFailure?: Chance | undefined;
  /** A host dies between two tasks. */
  readonly hostDeath?: Chance | undefined;
  /** A host dies as it takes up an actor's messages: with what it did in this slice, and blamed on that actor. */
  readonly hostDeathDuringStep?: Chance | undefined;
  /** A host dies between two frames that it sends out. */
  readonly hostDeathDuringRelease?: Chance | undefined;
  /** A frame is lost. The link must notice; one of its hosts dies of it. */
  readonly lostFrame?: Chance | undefined;
  /** A frame comes twice. As above. */
  readonly doubledFrame?: Chance | undefined;
  /** A frame overtakes another. As above. */
  readonly overtakenFrame?: Chance | undefined;
  /** A frame or a word to or from the journal takes up to `lateMs`. */
  readonly lateFrame?: Chance | undefined;
  /** Default 200. */
  readonly lateMs?: number | undefined;
  /** A commit takes up to `slowDiskMs`. */
  readonly slowDisk?: Chance | undefined;
  /** Default 300. */
  readonly slowDiskMs?: number | undefined;
  /** The disk is full for up to `fullDiskMs`, from a commit on. */
  readonly fullDisk?: Chance | undefined;
  /** Default 3,000. */
  readonly fullDiskMs?: number | undefined;
  /** The disk fails for good as a commit is made, which is there or not: the process ends, and the next one finds a disk that works. */
  readonly failedDisk?: Chance | undefined;
  /** The wall clock jumps by up to `clockJumpMs`, forward or back; asked with every commit. */
  readonly clockJump?: Chance | undefined;
  /** Default 5,000. */
  readonly clockJumpMs?: number | undefined;
  /** The wall clock is set by up to `wrongDateMs`: forward for good, or back until somebody notices, seconds later. */
  readonly wrongDate?: Chance | undefined;
  /** Default three days. */
  readonly wrongDateMs?: number | undefined;
  /** A thread stands still for up to `stallMs`; asked with every task. */
  readonly stall?: Chance | undefined;
  /** Default 50. */
  readonly stallMs?: number | undefined;
  /** A call to the simulated outside fails: half of the time without, half of the time after it has had its effect. */
  readonly effectFailure?: Chance | undefined;
  /** Crashes of the process in all. Default 5. */
  readonly crashLimit?: number | undefined;
  /** Deaths of hosts in all. Default 8, well below what ends a system. */
  readonly deathLimit?: number | undefined;
}

type FaultName = Exclude<keyof FaultPlan, `${string}Ms` | `${string}Limit`>;

const CRASHES: readonly FaultName[] = [
  'crashBeforeCommit',
  'crashAfterCommit',
  'crashDuringRelease',
  'crashDuringCheckpoint',
  'crashAnytime',
  'failedDisk',
];
const DEATHS: readonly FaultName[] = [
  'hostDeath',
  'hostDeathDuringStep',
  'hostDeathDuringRelease',
  'lostFrame',
  'doubledFrame',
  'overtakenFrame',
];
const CRASH_LIMIT = 5;
const DEATH_LIMIT = 8;
const SPAN_MS = {
  lateMs: 200,
  slowDiskMs: 300,
  fullDiskMs: 3_000,
  clockJumpMs: 5_000,
  wrongDateMs: 3 * 86_400_000,
  stallMs: 50,
} as const;

/** The dice of one simulation. */
export class FaultDice {
  readonly #plan: FaultPlan;
  readonly #random: Random;
  readonly #counts = new Map<FaultName, number>();
  #crashesLeft: number;
  #deathsLeft: number;
  #healed = false;

  constructor(plan: FaultPlan, random: Random) {
    this.#plan = plan;
    this.#random = random;
    this.#crashesLeft = plan.crashLimit ?? CRASH_LIMIT;
    this.#deathsLeft = plan.deathLimit ?? DEATH_LIMIT;
  }

  /** Whether this fault strikes now. */
  strikes(name: FaultName): boolean {
    const chance = this.#healed ? 0 : (this.#plan[name] ?? 0);
    if (chance === 0) return false;
    if (CRASHES.includes(name) && this.#crashesLeft === 0) return false;
    if (DEATHS.includes(name) && this.#deathsLeft === 0) return false;
    if (this.#random.next() >= chance) return false;
    if (CRASHES.includes(name)) this.#crashesLeft -= 1;
    if (DEATHS.includes(name)) this.#deathsLeft -= 1;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    return true;
  }

  /** A length of time for a fault that struck. */
  spanMs(name: keyof typeof SPAN_MS): number {
    return this.#random.next() * (this.#plan[name] ?? SPAN_MS[name]);
  }

  /** In [0, 1), for where exactly. */
  next(): number {
    return this.#random.next();
  }

  heal(): void {
    this.#healed = true;
  }

  /** How often each fault has struck. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
