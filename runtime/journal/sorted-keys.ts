/**
 * Keys in the order of their UTF-8 bytes, as LMDB has them: for listing them from memory.
 *
 * Owns: the order. It is made when it is asked for, and kept until a key is added: adding must stay cheap.
 */
import type { KeyRange } from './store.ts';

/** The order of LMDB: by UTF-8 bytes, which is not the order of JavaScript's strings. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export class SortedKeys {
  readonly #keys = new Set<string>();
  #sorted: readonly string[] | undefined;

  add(key: string): void {
    this.#keys.add(key);
    this.#sorted = undefined;
  }

  remove(key: string): void {
    this.#keys.delete(key);
    this.#sorted = undefined;
  }

  range({ prefix = '', after, limit }: KeyRange): readonly string[] {
    this.#sorted ??= [...this.#keys].sort(compareKeys);
    const found: string[] = [];
    for (const key of this.#sorted) {
      if (found.length >= limit) break;
      if (key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0)) found.push(key);
    }
    return found;
  }
}
