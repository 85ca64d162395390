/**
 * Effects that were under way at one death of their host after the other: which of them does it?
 *
 * Owns: the counts, as the fleet keeps them from host to host. The first deaths count for every effect that was under way. From then on
 * its successors begin such effects one at a time, and a death counts for the one that is being tried: an innocent one that runs for
 * long, a live source say, is not convicted for its neighbour.
 *
 * Invariants:
 * ET1. Deaths further apart than `FORGOTTEN_AFTER_MS` are not counted together: a host may die now and then of anything.
 */
import type { EffectMark } from './watch.ts';

/** Deaths after which an effect is begun alone. */
export const TRIED_AFTER_DEATHS = 2;
/** A slower killer than this leaves the system alive. */
const FORGOTTEN_AFTER_MS = 60_000;

/** An effect's mark, and the deaths that count for it. */
export type EffectSuspect = readonly [mark: EffectMark, deaths: number];

/** What was under way in a host that died. */
export interface EffectsAtDeath {
  readonly running: readonly EffectMark[];
  readonly tried: EffectMark | undefined;
}

export class EffectTrials {
  readonly #counts = new Map<EffectMark, { readonly deaths: number; readonly atMs: number }>();

  died({ running, tried }: EffectsAtDeath, nowMs: number): void {
    for (const mark of running) {
      const deaths = this.#deathsOf(mark, nowMs);
      if (deaths >= TRIED_AFTER_DEATHS && mark !== tried) continue;
      this.#counts.set(mark, { deaths: deaths + 1, atMs: nowMs });
    }
  }

  suspects(nowMs: number): EffectSuspect[] {
    const suspects: EffectSuspect[] = [];
    for (const mark of this.#counts.keys()) {
      const deaths = this.#deathsOf(mark, nowMs);
      if (deaths > 0) suspects.push([mark, deaths]);
      else this.#counts.delete(mark);
    }
    return suspects;
  }

  #deathsOf(mark: EffectMark, nowMs: number): number {
    const count = this.#counts.get(mark);
    return count === undefined || nowMs - count.atMs > FORGOTTEN_AFTER_MS ? 0 : count.deaths;
  }
}
