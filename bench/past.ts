/**
 * A journal to come back from: how much of what is in it.
 *
 * Owns: the words between the process that writes a past and the one that reads it.
 */

/** The actors' ids start with it. */
export const WRITER_ID = 'a';

export interface Past {
  readonly turns: number;
  readonly actors: number;
  readonly threads: number;
  /** Whether the actors store their state now and then, as by default, or never. */
  readonly stored: boolean;
  readonly checkpointEveryTurns?: number;
}

/** Definition of the actors of a past. */
export const definitionNameOf = ({ stored }: Past): string => (stored ? 'journaled-counter' : 'replayed-counter');
