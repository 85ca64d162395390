/** A crowd: many small actors that pass a rumour on, fail now and then, and forget nothing. */
import { defineActor } from '../../../actors/index.ts';

/** How many there are; many more than a host keeps in memory. */
export const PEOPLE = 40;

export interface PersonState {
  /** Rumours heard: name and how many steps were left. */
  readonly heard: readonly string[];
}

export interface PersonMessage {
  readonly type: 'RUMOUR' | 'POISON';
  readonly name: string;
  readonly left: number;
}

/** Rumours that have failed once already: they fail the first time they come to somebody in this process. */
const stumbled = new Set<string>();

export function forgetStumbles(): void {
  stumbled.clear();
}

export const person = defineActor(import.meta.url, 'person', {
  reducer: {
    init: (): PersonState => ({ heard: [] }),
    receive(state: PersonState, message: PersonMessage, turn): PersonState {
      const { type, name, left } = message;
      if (type === 'POISON') throw new Error(`${name} is poison`);
      const mark = `${turn.self} ${name} ${left}`;
      if (!turn.replaying && left % 5 === 3 && !stumbled.has(mark)) {
        stumbled.add(mark);
        throw new Error(`${name} stumbles`);
      }
      turn.emit({ name, left });
      turn.reply(left);
      if (left > 0) turn.send(`person/${Math.floor(turn.random() * PEOPLE)}`, { type, name, left: left - 1 });
      return { heard: [...state.heard, `${name}:${left}`] };
    },
  },
  virtual: true,
  failure: { maxAttempts: 3, backoff: { initialMs: 5, maxMs: 50 } },
  snapshotEveryTurns: 4,
  passivateAfterMs: 50,
});
