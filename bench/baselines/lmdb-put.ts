/**
 * LMDB alone: what it costs to have the events on disk, without anybody handling them.
 *
 * Owns: one put an event with many under way, 256 events a put, one put at a time, and a scan. `overlappingSync: false`: a put that
 * has resolved is synced, which is what we promise too.
 */
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { order } from '../actors/messages.ts';
import { NOTHING, tally } from '../actors/tally.ts';
import type { Contender, Contestant, Setting } from '../contract.ts';
import { inFlight, Pace, roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';

/** Puts under way. */
const WIDTH = 5_000;

/** One row an event. */
export const lmdbPutsWith = (width: number): Contender =>
  puts('lmdb-puts', 'bare LMDB, one put an event', `${width.toLocaleString('en-US')} under way`, 1, width);
export const lmdbPuts: Contender = lmdbPutsWith(WIDTH);
/** What a journal that writes batches can get near to. */
export const lmdbBatches: Contender = puts('lmdb-batches', 'bare LMDB, 256 events a put', '64 puts under way', 256, 64);

function puts(name: string, label: string, note: string, events: number, width: number): Contender {
  return {
    name,
    kind: 'baseline',
    label,
    note,
    async open({ dir, sampleMs }) {
      const db = openIn(dir);
      let key = 0;
      const pace = new Pace(
        sampleMs,
        async (size) => {
          const rows = Math.ceil(size / events);
          await inFlight(rows, width, () => {
            key += 1;
            return db.put(key, events === 1 ? order(key) : Array.from({ length: events }, (_, i) => order(key + i)));
          });
          return rows * events;
        },
        { most: 400_000 },
      );
      await pace.warmUp();
      return { sample: async () => ({ rate: await pace.rate() }), close: () => db.close() };
    },
  };
}

/** One put, synced, then the next. */
export const lmdbOnePut: Contender = {
  name: 'lmdb-put',
  kind: 'baseline',
  label: 'one synced LMDB put, bare thread',
  async open({ dir, sampleMs }) {
    const db = openIn(dir);
    let key = 0;
    const put = (): Promise<unknown> => {
      key += 1;
      return db.put(key, order(key));
    };
    await roundTrips(sampleMs / 2, 20, put);
    return { sample: async () => latencies(await roundTrips(sampleMs, 100, put)), close: () => db.close() };
  },
};

/** Opens a database with `rows(setting)` rows of one event each, reads all of them, folds them. */
export function lmdbScan(rows: (setting: Setting) => number): Contender {
  return {
    name: 'lmdb-scan',
    kind: 'baseline',
    label: 'bare LMDB: open, scan, fold',
    note: 'one row an event, a warm process',
    async open(setting): Promise<Contestant> {
      const count = rows(setting);
      const written = openIn(setting.dir);
      await inFlight(count, WIDTH, (i) => written.put(i, order(i)));
      await written.close();
      return {
        async sample() {
          const startMs = performance.now();
          const db = openIn(setting.dir);
          let state = NOTHING;
          for (const { value } of db.getRange({})) state = tally(state, value as { by: number });
          const ms = performance.now() - startMs;
          await db.close();
          if (state.handled !== count) throw new Error(`${state.handled} of ${count} rows`);
          return { first: ms };
        },
        close: async () => {},
      };
    },
  };
}

function openIn(dir: string): RootDatabase<unknown, number> {
  return open<unknown, number>({ path: join(dir, 'lmdb'), overlappingSync: false });
}
