/**
 * The least that a replay can be: unpack each message, fold it into the state.
 *
 * Owns: the ceiling for recoveries. No store, no order, no checks.
 */
import { pack, unpack } from 'msgpackr';
import { order } from '../actors/messages.ts';
import { NOTHING, type Tally, tally } from '../actors/tally.ts';
import type { Contender } from '../contract.ts';
import { Pace } from '../pace.ts';

export const packedFold: Contender = {
  name: 'packed-fold',
  kind: 'baseline',
  label: 'bare msgpackr unpack and reducer',
  note: 'no store, a warm process',
  async open({ sampleMs }) {
    const packed = Array.from({ length: 10_000 }, (_, i) => pack(order(i)));
    const pace = new Pace(sampleMs, (size) => {
      let state: Tally = NOTHING;
      for (let i = 0; i < size; i++)
        state = tally(state, unpack(packed[i % packed.length] as Buffer) as { by: number });
      return state.handled;
    });
    await pace.warmUp();
    return { sample: async () => ({ rate: await pace.rate() }), close: async () => {} };
  },
};
