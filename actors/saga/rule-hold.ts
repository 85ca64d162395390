/**
 * Whether a rule is engaged: its condition, held for long enough, and let go as slowly as it says. Pure.
 *
 * Owns: the states between "it holds" and "it acts", so that a figure that wavers does not make runs waver.
 *
 * Invariants:
 * RH1. A rule engages only when its condition has held for `forMs`, and not before `cooldownMs` after it was let go.
 * RH2. An engaged rule is let go only when its release has held for `releaseForMs`.
 */
export type RuleHold =
  | { readonly kind: 'idle' }
  /** The condition holds, not for long enough. */
  | { readonly kind: 'rising'; readonly sinceMs: number }
  | { readonly kind: 'engaged'; readonly sinceMs: number }
  /** Engaged still; what lets it go holds, not for long enough. */
  | { readonly kind: 'falling'; readonly sinceMs: number; readonly fallingMs: number }
  | { readonly kind: 'cooling'; readonly untilMs: number };

export interface HoldTimes {
  readonly forMs: number;
  readonly releaseForMs: number;
  readonly cooldownMs: number;
}

export const IDLE: RuleHold = { kind: 'idle' };

/** `rises`: the condition holds. `falls`: what lets it go holds. */
export function nextHold(
  hold: RuleHold,
  { rises, falls }: { readonly rises: boolean; readonly falls: boolean },
  nowMs: number,
  { forMs, releaseForMs, cooldownMs }: HoldTimes,
): RuleHold {
  switch (hold.kind) {
    case 'idle':
    case 'rising': {
      if (!rises) return IDLE;
      const sinceMs = hold.kind === 'rising' ? hold.sinceMs : nowMs;
      return nowMs - sinceMs >= forMs ? { kind: 'engaged', sinceMs: nowMs } : { kind: 'rising', sinceMs };
    }
    case 'engaged':
    case 'falling': {
      const { sinceMs } = hold;
      if (!falls) return { kind: 'engaged', sinceMs };
      const fallingMs = hold.kind === 'falling' ? hold.fallingMs : nowMs;
      if (nowMs - fallingMs < releaseForMs) return { kind: 'falling', sinceMs, fallingMs };
      return cooldownMs > 0 ? { kind: 'cooling', untilMs: nowMs + cooldownMs } : IDLE;
    }
    case 'cooling':
      return nowMs < hold.untilMs ? hold : nextHold(IDLE, { rises, falls }, nowMs, { forMs, releaseForMs, cooldownMs });
  }
}

/** Since when it acts; undefined: it does not. */
export function engagedSinceMs(hold: RuleHold): number | undefined {
  return hold.kind === 'engaged' || hold.kind === 'falling' ? hold.sinceMs : undefined;
}
