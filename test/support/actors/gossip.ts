/** Gossips: actors in memory, to which a message comes at most once. Whatever they hear is a line in a file outside. */
import { appendFileSync } from 'node:fs';
import { defineActor } from '../../../runtime/index.ts';

export interface Rumour {
  readonly sink: string;
  /** Different for every rumour there is. */
  readonly name: string;
}

export const gossip = defineActor(import.meta.url, 'gossip', {
  durability: 'none',
  virtual: true,
  reducer: {
    init: () => undefined,
    receive(_: undefined, { sink, name }: Rumour): undefined {
      // In memory only: nothing repeats this turn, so that it may do something outside.
      appendFileSync(sink, `rumour ${name} -\n`);
    },
  },
});
