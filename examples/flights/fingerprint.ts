/**
 * Fingerprint of a set of flights: a number that is added to, whatever the order.
 *
 * Owns: telling "each once" from "as many". Counts alone would not notice that one flight was lost and another one came twice.
 */

/** `sum` with the flight `number` added. Starts from 0. */
export function addFingerprint(sum: number, number: number): number {
  let hash = (number + 1) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (sum + (hash ^ (hash >>> 16))) >>> 0;
}
