/**
 * How much memory is in use once everything that can go is gone.
 *
 * Owns: the two collections in a row that a stable figure takes. Needs `--expose-gc`.
 */

/** Bytes of the heap and of buffers outside of it. */
export function heapBytes(): number {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('heap figures need node --expose-gc');
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
