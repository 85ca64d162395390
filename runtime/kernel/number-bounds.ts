/** What a number may be, as options and the environment's variables have it. Owns: the check, and the words for it. */

export interface NumberBounds {
  readonly least?: number;
  readonly above?: number;
  readonly most?: number | undefined;
  readonly whole?: boolean;
  /** Whether it may be `Infinity`. */
  readonly endless?: boolean;
}

export function isWithin(value: unknown, { least, above, most, whole, endless }: NumberBounds): value is number {
  if (typeof value !== 'number' || Number.isNaN(value)) return false;
  if (least !== undefined && value < least) return false;
  if (above !== undefined && value <= above) return false;
  if (most !== undefined && value > most) return false;
  if (value === Number.POSITIVE_INFINITY) return endless === true;
  return Number.isFinite(value) && (whole !== true || Number.isSafeInteger(value));
}

/** As in "5 is not …". */
export function wordsOf({ least, above, most, whole }: NumberBounds): string {
  const limits = [
    ...(least === undefined ? [] : [`of ${least} or more`]),
    ...(above === undefined ? [] : [`above ${above}`]),
    ...(most === undefined ? [] : [`up to ${most}`]),
  ];
  return [`a ${whole === true ? 'whole ' : ''}number`, limits.join(', ')].join(' ').trimEnd();
}
