/**
 * The cases of the proof: which door each one is for, and what is checked around every attack.
 *
 * Owns: the choice of doors, and the watch over prototypes and memory.
 *
 * Invariants:
 * HC1. A case follows from the seed and its number alone, so that one can be repeated without the others.
 */
import { Reference } from '../../runtime/kernel/reference.ts';
import { BlocksError } from '../../runtime/kernel/errors.ts';
import { ByteScan } from '../../runtime/wire/byte-scan.ts';
import { controlDoor } from './control-door.ts';
import { Dice } from './dice.ts';
import { type Door, fault, type Verdict } from './door.ts';
import { aheadDoor, answerDoor, appendDoor } from './journal-doors.ts';
import { linkDoor } from './link-door.ts';
import { batchDoor, imageDoor, letterDoor, parcelDoor, turnDoor } from './row-doors.ts';
import { frameDoor, valueDoor } from './value-doors.ts';

/** What a control breaks. */
export type Planted = 'none' | 'scan off' | 'numbers not checked' | 'sums not checked' | 'a merge that trusts keys';

export interface CasesOrder {
  readonly seed: number;
  readonly scratch: string;
  readonly planted: Planted;
  /** Cases from `first`, every `step`th, below `end`. */
  readonly first: number;
  readonly step: number;
  readonly end: number;
}

export interface CasesReport {
  readonly cases: number;
  readonly faults: readonly string[];
  readonly seen: ReadonlyMap<string, { readonly refused: number; readonly passed: number }>;
  readonly slowestMs: number;
}

/** Beyond it nobody reads them, and the cause is one. */
const FAULTS_MAX = 20;

const WATCHED: readonly object[] = [
  Object.prototype,
  Array.prototype,
  Function.prototype,
  String.prototype,
  Number.prototype,
  Map.prototype,
  Set.prototype,
  Date.prototype,
  Error.prototype,
  Promise.prototype,
  Uint8Array.prototype,
  Reference.prototype,
  BlocksError.prototype,
];

export async function runCases(order: CasesOrder, begins: (number: number) => void): Promise<CasesReport> {
  const cases = new HostileCases(order);
  const faults: string[] = [];
  let count = 0;
  let slowestMs = 0;
  for (let number = order.first; number < order.end && faults.length < FAULTS_MAX; number += order.step) {
    begins(number);
    const startMs = performance.now();
    const wrong = await cases.run(number);
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
    if (wrong !== undefined) faults.push(wrong);
    count++;
  }
  return { cases: count, faults, seen: cases.seen, slowestMs };
}

/** Own keys by name; enumerable ones alone are quicker, and what assignment adds is enumerable. */
const printOf = (object: object): string => Reflect.ownKeys(object).map(String).join();
/** Cases between two looks at everything. */
const LOOK_EVERY = 256;

class HostileCases {
  readonly #seed: number;
  readonly #doors: readonly Door[];
  readonly #shares: number;
  readonly #prints = WATCHED.map(printOf);
  #count = 0;
  readonly seen = new Map<string, { refused: number; passed: number }>();

  constructor({ seed, scratch, planted }: CasesOrder) {
    this.#seed = seed;
    this.#doors = doorsOf(seed, scratch, planted);
    this.#shares = this.#doors.reduce((sum, door) => sum + door.share, 0);
    for (const { name } of this.#doors) this.seen.set(name, { refused: 0, passed: 0 });
  }

  /** What is wrong, in words; undefined when nothing is. */
  async run(number: number): Promise<string | undefined> {
    const dice = new Dice(this.#seed, number);
    const door = this.#doorFor(dice);
    let verdict: Verdict;
    try {
      const attack = door.attack(dice);
      verdict = attack instanceof Promise ? await attack : attack;
    } catch (error) {
      verdict = fault(`the attack itself threw ${error instanceof Error ? error.stack : String(error)}`);
    }
    const polluted = this.#polluted(this.#count++ % LOOK_EVERY === 0);
    if (polluted !== undefined) {
      verdict = fault(`a prototype was changed: ${printOf(polluted)}`);
      for (const name of Object.keys(polluted)) Reflect.deleteProperty(polluted, name);
    }
    if (verdict.kind === 'fault') {
      const bytes = verdict.bytes === undefined ? '' : ` (${hexOf(verdict.bytes)})`;
      return `case ${number}, ${door.name}: ${verdict.what}${bytes}`;
    }
    const seen = this.seen.get(door.name) as { refused: number; passed: number };
    seen[verdict.kind]++;
    return undefined;
  }

  #polluted(everything: boolean): object | undefined {
    if (!everything) return WATCHED.find(hasEnumerable);
    return WATCHED.find((object, i) => printOf(object) !== this.#prints[i]);
  }

  #doorFor(dice: Dice): Door {
    let at = dice.below(this.#shares * 1_000) / 1_000;
    for (const door of this.#doors) {
      if (at < door.share) return door;
      at -= door.share;
    }
    return this.#doors[0] as Door;
  }
}

function hasEnumerable(object: object): boolean {
  for (const _ in object) return true;
  return false;
}

function hexOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.subarray(0, 120)).toString('hex');
  return bytes.length > 120 ? `${hex}… ${bytes.length} bytes` : hex;
}

function doorsOf(seed: number, scratch: string, planted: Planted): Door[] {
  switch (planted) {
    case 'none':
      return [
        valueDoor(seed),
        frameDoor(seed),
        linkDoor(seed),
        turnDoor(seed),
        batchDoor(seed),
        imageDoor(seed),
        letterDoor(seed),
        parcelDoor(seed),
        appendDoor(seed),
        answerDoor(seed),
        aheadDoor(seed, scratch),
        controlDoor(),
      ];
    case 'scan off':
      return [withoutScan(valueDoor(seed)), withoutScan(frameDoor(seed))];
    case 'numbers not checked':
      return [frameDoor(seed, { renumber: true })];
    case 'sums not checked':
      return [batchDoor(seed, { resealed: true })];
    case 'a merge that trusts keys':
      return [mergingDoor()];
  }
}

/** The attack alone is without it: what is made beforehand must be sound. */
function withoutScan(door: Door): Door {
  const { scan } = ByteScan.prototype;
  return {
    ...door,
    attack(dice) {
      ByteScan.prototype.scan = () => {};
      try {
        return door.attack(dice);
      } finally {
        ByteScan.prototype.scan = scan;
      }
    },
  };
}

/** A decoder as they are found elsewhere: it shows that the watch over prototypes sees. */
function mergingDoor(): Door {
  const merge = (into: Record<string, unknown>, from: Record<string, unknown>): void => {
    for (const [key, value] of Object.entries(from)) {
      if (typeof value === 'object' && value !== null)
        merge((into[key] ??= {}) as Record<string, unknown>, value as Record<string, unknown>);
      else into[key] = value;
    }
  };
  return {
    name: 'merge',
    share: 1,
    attack(dice) {
      const key = dice.pick(['a', 'b', '__proto__']);
      merge({}, JSON.parse(`{"${key}":{"polluted":1}}`) as Record<string, unknown>);
      return { kind: 'passed' };
    },
  };
}
