/**
 * Numbers to places on an axis.
 *
 * Owns: linear and logarithmic scales, their ticks, and how a tick is written.
 */

export interface Scale {
  /** Ends of the axis, in values. */
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
  /** 0 at the low end, 1 at the high one. */
  place(value: number): number;
}

/** From 0 to a round number at or above `most`. */
export function linearScale(most: number): Scale {
  const step = roundUp(most / 5);
  const high = Math.max(step, Math.ceil(most / step) * step);
  const ticks = Array.from({ length: Math.round(high / step) + 1 }, (_, i) => i * step);
  return { low: 0, high, ticks, place: (value) => value / high };
}

/** Between 1, 2 or 5 times a power of ten at or below `least` and at or above `most`; with few decades, all of those are ticks. */
export function logScale(least: number, most: number): Scale {
  const low = roundDown(least);
  const high = Math.max(roundUp(most), low * 10);
  const decades = Math.log10(high / low);
  const steps = decades <= 2.5 ? [1, 2, 5] : [1];
  const first = Math.floor(Math.log10(low));
  const ticks = Array.from({ length: Math.ceil(decades) + 2 }, (_, i) =>
    steps.map((step) => Number(`${step}e${first + i}`)),
  ).flat();
  return {
    low,
    high,
    ticks: ticks.filter((tick) => tick >= low && tick <= high),
    place: (value) => Math.log10(Math.max(value, low) / low) / decades,
  };
}

/** Exactly the given values as ticks, in even proportion of their logarithms, with a little room at both ends. */
export function logScaleOf(values: readonly number[]): Scale {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const width = Math.log10(high) - Math.log10(low);
  return {
    low,
    high,
    ticks: [...new Set(values)].sort((a, b) => a - b),
    place: (value) => 0.03 + 0.94 * (width === 0 ? 0.5 : (Math.log10(value) - Math.log10(low)) / width),
  };
}

/** The same for a few whole numbers, evenly. */
export function evenScaleOf(values: readonly number[]): Scale {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return {
    low,
    high,
    ticks: [...new Set(values)].sort((a, b) => a - b),
    place: (value) => 0.03 + 0.94 * (high === low ? 0.5 : (value - low) / (high - low)),
  };
}

/** `0.5`, `200`, `1,024`, `20 k`, `5 M`. */
export function writeTick(value: number): string {
  if (Number.isInteger(value) && value < 1e5 && value % 100 !== 0) return value.toLocaleString('en-US');
  if (value >= 1e6) return `${trim(value / 1e6)} M`;
  if (value >= 1e3) return `${trim(value / 1e3)} k`;
  return trim(value);
}

const trim = (value: number): string => String(Number(value.toPrecision(3)));

/** 1, 2 or 5 times a power of ten, at or above `value`. */
function roundUp(value: number): number {
  const exponent = Math.floor(Math.log10(value));
  const factor = [1, 2, 5].find((one) => Number(`${one}e${exponent}`) >= value);
  return factor === undefined ? Number(`1e${exponent + 1}`) : Number(`${factor}e${exponent}`);
}

/** The same, at or below `value`. */
function roundDown(value: number): number {
  const exponent = Math.floor(Math.log10(value));
  const factor = [5, 2, 1].find((one) => Number(`${one}e${exponent}`) <= value) ?? 1;
  return Number(`${factor}e${exponent}`);
}
