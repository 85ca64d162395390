/**
 * The dead letters of one queue: an index in one actor, each letter in a slot of its own, which sleeps on disk.
 *
 * Owns: which letter is in which slot, their order, and how many there may be.
 *
 * Invariants:
 * EL1. There are at most `limit` letters: the oldest makes room for a new one, and is counted.
 * EL2. A letter is redriven once, whatever dies meanwhile: it leaves the index in the turn that sends it on its way.
 */
import type { CellKey } from '../../kernel/address.ts';
import type { Behavior, Turn } from '../../kernel/behavior.ts';
import {
  type LetterMessage,
  letterKey,
  LETTERS,
  type LettersMessage,
  type LettersPage,
  QUEUE,
  type QueueMessage,
  type WireLetter,
} from './embedded-protocol.ts';

/** What is told of a letter that no consumer has brought about. */
export type LetterEvent = Pick<WireLetter, 'id' | 'messageId' | 'reason' | 'error' | 'attempts' | 'deadMs'>;

interface Row {
  readonly slot: number;
  readonly redrives: number;
}

interface LettersState {
  /** By id, oldest first. */
  readonly rows: Map<string, Row>;
  readonly free: number[];
  nextSlot: number;
  dropped: number;
}

interface SavedLetters {
  readonly rows: readonly (readonly [string, Row])[];
  readonly free: readonly number[];
  readonly nextSlot: number;
  readonly dropped: number;
}

const toLetter = (turn: Turn, slot: number, message: LetterMessage): void =>
  turn.send(letterKey(turn.self, slot), message);

function add(state: LettersState, letter: WireLetter, limit: number, turn: Turn): void {
  for (const [id, row] of state.rows) {
    if (state.rows.size < limit) break;
    remove(state, id, row);
    state.dropped += 1;
  }
  const slot = state.free.pop() ?? state.nextSlot++;
  state.rows.set(letter.id, { slot, redrives: letter.redrives });
  toLetter(turn, slot, { type: 'PUT', letter });
  if (!letter.unasked) return;
  const { id, messageId, reason, error, attempts, deadMs } = letter;
  turn.emit({ id, messageId, reason, error, attempts, deadMs } satisfies LetterEvent);
}

function remove(state: LettersState, id: string, row: Row): void {
  state.rows.delete(id);
  state.free.push(row.slot);
}

function page(state: LettersState, after: string | null, count: number): LettersPage {
  const slots: number[] = [];
  let behind = after === null || !state.rows.has(after);
  for (const [id, { slot }] of state.rows) {
    if (behind) {
      if (slots.length === count) return { slots, more: true };
      slots.push(slot);
    } else if (id === after) behind = true;
  }
  return { slots, more: false };
}

const queueOf = (letters: CellKey): CellKey => `${QUEUE}${letters.slice(LETTERS.length)}`;

export const lettersBehavior: Behavior<LettersState> = {
  init: () => ({ rows: new Map(), free: [], nextSlot: 0, dropped: 0 }),
  receive(state, message, turn) {
    const told = message as LettersMessage;
    switch (told.type) {
      case 'ADD':
        for (const letter of told.letters) add(state, letter, told.limit, turn);
        return state;
      case 'LIST':
        turn.reply(page(state, told.after, told.count));
        return state;
      case 'REDRIVE': {
        let redriven = 0;
        for (const id of told.ids) {
          const row = state.rows.get(id);
          if (row === undefined || row.redrives >= told.redrivesLimit) continue;
          toLetter(turn, row.slot, { type: 'REDRIVE', queue: queueOf(turn.self) });
          remove(state, id, row);
          redriven += 1;
        }
        turn.reply(redriven);
        return state;
      }
      case 'PURGE': {
        let purged = 0;
        for (const id of told.ids) {
          const row = state.rows.get(id);
          if (row === undefined) continue;
          toLetter(turn, row.slot, { type: 'CLEAR' });
          remove(state, id, row);
          purged += 1;
        }
        turn.reply(purged);
        return state;
      }
      case 'CLEAR':
        for (const [id, row] of [...state.rows]) {
          toLetter(turn, row.slot, { type: 'CLEAR' });
          remove(state, id, row);
        }
        return state;
    }
  },
  save: ({ rows, free, nextSlot, dropped }) => ({ rows: [...rows], free: [...free], nextSlot, dropped }),
  load(saved) {
    const { rows, free, nextSlot, dropped } = saved as SavedLetters;
    return { rows: new Map(rows), free: [...free], nextSlot, dropped };
  },
  view: ({ rows, dropped }) => ({ letters: rows.size, dropped }),
};

/** One letter. */
export const letterBehavior: Behavior<WireLetter | null> = {
  init: () => null,
  receive(letter, message, turn) {
    const told = message as LetterMessage;
    switch (told.type) {
      case 'PUT':
        return told.letter;
      case 'GET':
        turn.reply(letter);
        return letter;
      case 'REDRIVE':
        if (letter !== null) {
          const again: WireLetter = { ...letter, redrives: letter.redrives + 1 };
          turn.send(told.queue, { type: 'REQUEUE', letter: again } satisfies QueueMessage);
        }
        return null;
      case 'CLEAR':
        return null;
    }
  },
  save: (letter) => letter,
  load: (saved) => saved as WireLetter | null,
  view: (letter) => letter,
};
