/**
 * The deadline of a question as a timer: what turns and images call it.
 *
 * Owns: its id and its payload. In the books a question has its own entry (`book.ts`), so that it is one and not two.
 */
import type { CellKey } from '../kernel/address.ts';

/** Begins the timer id of an ask's deadline, in turns and images. Behaviors' own ids never start with NUL. */
const ASK_TIMER_PREFIX = '\0ask:';

/** What the timer of an ask's deadline has for a payload. */
export interface AskTimerPayload {
  readonly to: CellKey;
}

/** The timer id of an ask's deadline. */
export function askTimerOf(ask: string): string {
  return ASK_TIMER_PREFIX + ask;
}

/** The ask whose deadline has this timer id; undefined for a behavior's own timer. */
export function askOfTimer(id: string): string | undefined {
  return id.charCodeAt(0) === 0 && id.startsWith(ASK_TIMER_PREFIX) ? id.slice(ASK_TIMER_PREFIX.length) : undefined;
}
