/**
 * nact, where it is installed: actors in memory in one Node thread.
 *
 * Owns: `dispatch` to reducer actors. nact is no dependency of this repository: `npm install --no-save nact` adds the row.
 */
import { createRequire } from 'node:module';
import { add } from '../actors/messages.ts';
import { NOTHING, type Tally, tally } from '../actors/tally.ts';
import type { Contender } from '../contract.ts';
import { Pace } from '../pace.ts';

interface Nact {
  start(): unknown;
  spawn(parent: unknown, receive: (state: Tally | undefined, message: Message) => Tally, name: string): unknown;
  dispatch(actor: unknown, message: Message): void;
  stop(actor: unknown): void;
}

type Message = { readonly by: number } | { readonly report: () => void };

const require = createRequire(import.meta.url);
/** Not a literal at the call: it is no dependency. */
const PACKAGE = 'nact';

/** `width` receivers; each batch ends when all have reported. */
export function nact(width: number): Contender {
  return {
    name: 'nact',
    kind: 'baseline',
    label: 'nact dispatch',
    missing: () => {
      try {
        require.resolve(PACKAGE);
        return undefined;
      } catch {
        return 'nact is not installed';
      }
    },
    async open({ sampleMs }) {
      const { dispatch, spawn, start, stop } = require(PACKAGE) as Nact;
      const system = start();
      const receive = (state: Tally | undefined, message: Message): Tally => {
        if (!('report' in message)) return tally(state ?? NOTHING, message);
        message.report();
        return state ?? NOTHING;
      };
      const actors = Array.from({ length: width }, (_, i) => spawn(system, receive, `counter-${i}`));
      const pace = new Pace(
        sampleMs,
        async (size) => {
          for (let i = 0; i < size; i++) dispatch(actors[i % width], add());
          let silent = width;
          await new Promise<void>((resolve) => {
            const report = (): void => {
              silent -= 1;
              if (silent === 0) resolve();
            };
            for (const actor of actors) dispatch(actor, { report });
          });
          return size;
        },
        { most: 50_000 },
      );
      await pace.warmUp();
      return { sample: async () => ({ rate: await pace.rate() }), close: async () => stop(system) };
    },
  };
}
