/**
 * How figures are written: three significant digits, ratios two.
 *
 * Owns: the wording of numbers in tables and plots.
 */
import type { Metric } from './contract.ts';
import type { Summary } from './statistics.ts';

/** `1.23 M (1.10 – 1.31 M) msg/s` */
export function writeFigure({ median, min, max }: Summary, unit: Metric['unit']): string {
  if (unit === 'µs' && median >= 1_000) {
    return writeFigure({ median: median / 1_000, min: min / 1_000, max: max / 1_000 }, 'ms');
  }
  return `${writeNumber(median)} ${unit} (${writeNumber(min)} – ${writeNumber(max)})`;
}

/** Three significant digits, thousands as k, millions as M. */
export function writeNumber(value: number): string {
  if (value >= 999_500) return `${threeDigits(value / 1_000_000)} M`;
  if (value >= 9_995) return `${threeDigits(value / 1_000)} k`;
  if (value >= 999.5) return Math.round(value).toLocaleString('en-US');
  return threeDigits(value);
}

/** `×2.1`, `×0.053`: two significant digits. */
export function writeRatio(value: number): string {
  if (value >= 99.5) return `×${Math.round(value).toLocaleString('en-US')}`;
  return `×${Number(value.toPrecision(2))}`;
}

function threeDigits(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  if (value >= 9.995) return value.toFixed(1);
  if (value >= 0.9995 || value === 0) return value.toFixed(2);
  return String(Number(value.toPrecision(3)));
}
