/**
 * Dead letters: messages that could not be handled, set aside with their reason.
 *
 * Owns: listing, sending again, and removing them. They are written by hosts, in the same commit as the turn that gave them up.
 *
 * Invariants:
 * DL1. A letter leaves the store only after its message has a receipt from its actor, or on `purge`.
 */
import { type BlocksError, decodeError } from '../kernel/errors.ts';
import type { Envelope } from '../kernel/message.ts';
import type { JournalControl } from '../journal/journal-control.ts';
import type { DeadLetter as StoredLetter } from '../journal/turn-record.ts';

/** A message that was set aside. */
export interface DeadLetter {
  readonly id: string;
  readonly to: string;
  readonly from: string | undefined;
  readonly message: unknown;
  readonly reason: StoredLetter['reason'];
  readonly error: BlocksError;
  readonly attempts: number;
  readonly timeMs: number;
}

/** Letters in one page of `list`. */
const PAGE = 100;

export class DeadLetters {
  readonly #journal: JournalControl;
  readonly #deliver: (envelope: Envelope, timeoutMs: number) => Promise<void>;

  constructor(journal: JournalControl, deliver: (envelope: Envelope, timeoutMs: number) => Promise<void>) {
    this.#journal = journal;
    this.#deliver = deliver;
  }

  /** A page of letters in the order of their ids; `after` is the last id of the page before. */
  async list(options: { readonly after?: string; readonly limit?: number } = {}): Promise<readonly DeadLetter[]> {
    const letters = await this.#journal.deadLetters({
      limit: options.limit ?? PAGE,
      ...(options.after === undefined ? {} : { after: options.after }),
    });
    return letters.map(shown);
  }

  /** Sends up to `limit` messages again, each to its actor, and removes those that got a receipt. Resolves with how many did. */
  async redrive(options: { readonly limit?: number; readonly timeoutMs?: number } = {}): Promise<number> {
    const letters = await this.#journal.deadLetters({ limit: options.limit ?? PAGE });
    let redriven = 0;
    for (const letter of letters) {
      if (letter.envelope.control !== undefined) continue;
      await this.#deliver(letter.envelope, options.timeoutMs ?? 30_000);
      redriven += await this.#journal.removeDeadLetters([letter.id]);
    }
    return redriven;
  }

  /** Removes letters for good; resolves with how many there were. */
  purge(ids: readonly string[]): Promise<number> {
    return this.#journal.removeDeadLetters(ids);
  }
}

function shown(letter: StoredLetter): DeadLetter {
  const { id, reason, attempts, timeMs, envelope } = letter;
  return {
    id,
    to: envelope.to,
    from: envelope.from,
    message: envelope.control === undefined ? envelope.message : { control: envelope.control },
    reason,
    error: decodeError(letter.error),
    attempts,
    timeMs,
  };
}
