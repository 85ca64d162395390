/**
 * The statistics: landings by origin, as their events tell.
 *
 * Owns: counting each event once. Its books are compared with the file in the end.
 */
import { defineActor } from '../../actors/index.ts';
import { addFingerprint } from './fingerprint.ts';
import type { Landing } from './systems.ts';

export interface OriginStatistics {
  readonly landed: number;
  /** Minutes. */
  readonly delay: number;
  readonly fingerprint: number;
}

export interface StatisticsState {
  readonly landed: number;
  readonly origins: Readonly<Record<string, OriginStatistics>>;
}

const NONE: OriginStatistics = { landed: 0, delay: 0, fingerprint: 0 };

export const statistics = defineActor(import.meta.url, 'statistics', {
  reducer: {
    init: (): StatisticsState => ({ landed: 0, origins: {} }),
    receive: ({ landed, origins }: StatisticsState, { number, origin, delay }: Landing): StatisticsState => {
      const row = origins[origin] ?? NONE;
      const counted: OriginStatistics = {
        landed: row.landed + 1,
        delay: row.delay + delay,
        fingerprint: addFingerprint(row.fingerprint, number),
      };
      return { landed: landed + 1, origins: { ...origins, [origin]: counted } };
    },
  },
});
