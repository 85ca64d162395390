/** How long a step sleeps, and until when. Owns: what may be said for it, in a definition and by an expression. */
import { ExpressionError } from '../../runtime/kernel/errors.ts';

const DURATION = /^(\d+(?:\.\d+)?)s$/;

/** Milliseconds, or what a CEL duration becomes. @throws ExpressionError */
export function sleepMs(value: unknown): number {
  const seconds = typeof value === 'string' ? DURATION.exec(value)?.[1] : undefined;
  const ms = seconds === undefined ? value : Number(seconds) * 1_000;
  if (typeof ms === 'number' && ms >= 0 && Number.isFinite(ms)) return ms;
  throw new ExpressionError(`${JSON.stringify(value)} is no time to sleep: milliseconds, or duration('90s')`);
}

/** A time, as ms since 1970. @throws ExpressionError */
export function wakeMs(value: unknown): number {
  const ms = value instanceof Date ? value.getTime() : typeof value === 'string' ? Date.parse(value) : value;
  if (typeof ms === 'number' && Number.isFinite(ms)) return ms;
  throw new ExpressionError(`${JSON.stringify(value)} is no time to sleep until: ISO 8601, or ms since 1970`);
}

/** What is wrong with the text of a definition; undefined: nothing, or an expression will say it. */
export function timeFault(kind: 'sleep' | 'until', text: string): string | undefined {
  if (text.includes('${')) return undefined;
  try {
    (kind === 'sleep' ? sleepMs : wakeMs)(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
