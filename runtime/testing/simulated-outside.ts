/**
 * The simulated outside: a service that effects call, which takes its time, fails now and then, and writes down everything.
 *
 * Owns: the record of calls, which outlives crashes of the simulated process as a real service would.
 *
 * Invariants:
 * SO1. A call has had its effect when it was applied, whether or not its caller ever learns of it.
 */
import type { EffectContext } from '../kernel/behavior.ts';
import { InvalidOptionsError } from '../kernel/errors.ts';
import type { FaultDice } from './fault-plan.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** One call that reached the outside. */
export interface OutsideCall {
  readonly name: string;
  readonly input: unknown;
  readonly self: string;
  readonly idempotencyKey: string;
  readonly atMs: number;
  /** Whether it had its effect. */
  applied: boolean;
}

/** Longest time that the outside takes to answer. */
const ANSWER_MS = 20;

let present: SimulatedOutside | undefined;

export class SimulatedOutside {
  readonly #clock: VirtualClock;
  readonly #dice: FaultDice;
  readonly #note: (line: string) => void;
  readonly #calls: OutsideCall[] = [];

  constructor(clock: VirtualClock, dice: FaultDice, note: (line: string) => void) {
    this.#clock = clock;
    this.#dice = dice;
    this.#note = note;
  }

  /** Every call so far, in the order in which they came. */
  get calls(): readonly OutsideCall[] {
    return this.#calls;
  }

  /** What an effect does: `run: (context) => simulatedOutside().call('charge', context)`. Resolves with the input. */
  async call(name: string, context: Omit<EffectContext, 'actors'>): Promise<unknown> {
    const { input, self, idempotencyKey, signal } = context;
    await this.wait((this.#dice.next() * ANSWER_MS) / 2);
    signal.throwIfAborted();
    const failing = this.#dice.strikes('effectFailure');
    const applied = !failing || this.#dice.next() < 0.5;
    this.#calls.push({ name, input, self, idempotencyKey, atMs: this.#clock.elapsedMs, applied });
    this.#note(`outside ${name} ${idempotencyKey} ${applied ? 'applied' : 'failed'}`);
    await this.wait((this.#dice.next() * ANSWER_MS) / 2);
    if (failing) throw new Error(`${name} failed (a fault of the simulation)`);
    return input;
  }

  /** Virtual time passes on the thread that asks; when that thread dies meanwhile, this never resolves. */
  wait(ms: number): Promise<void> {
    const thread = this.#clock.current;
    return new Promise((resolve) => {
      if (thread === undefined) resolve();
      else thread.wait(ms, resolve);
    });
  }
}

/** The outside of the simulation that is running. */
export function simulatedOutside(): SimulatedOutside {
  if (present === undefined) throw new InvalidOptionsError('simulatedOutside() was called outside of simulate()');
  return present;
}

/** Makes `outside` the present one, or ends it. */
export function enterOutside(outside: SimulatedOutside | undefined): void {
  present = outside;
}
