/**
 * Randomness with a seed: what a turn's `Math.random` answers, so that a replay draws the same numbers.
 *
 * Owns: the hash of a key and the generator. sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, three additions a draw.
 */

export interface Random {
  /** In [0, 1). */
  next(): number;
}

/** FNV-1a of a string, 32 bits. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** A generator that always gives the same numbers for the same two seeds. */
export function seededRandom(seedA: number, seedB: number): Random {
  let a = seedA | 0;
  let b = seedB | 0;
  let c = 0x9e3779b9;
  let counter = 1;
  const next = (): number => {
    const t = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    return (t >>> 0) / 4294967296;
  };
  // The first draws still show the seed.
  for (let i = 0; i < 12; i++) next();
  return { next };
}

/** The machine's randomness: for jitter and the like, never inside a turn. */
export const systemRandom: Random = { next: () => Math.random() };
