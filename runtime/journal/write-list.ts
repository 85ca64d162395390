/**
 * The writes of one commit as a list, before any of them is done.
 *
 * Owns: the list. A store needs to know how much there is before it begins, a write that throws must leave nothing behind, and
 * the store with a file ahead keeps the list as bytes.
 */
import type { CellKey } from '../kernel/address.ts';
import { StorageError } from '../kernel/errors.ts';
import type { MetaName, StoreWrites } from './store.ts';

export type StoreWrite =
  | { readonly kind: 'log'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'removeLog'; readonly position: number }
  | { readonly kind: 'image'; readonly key: CellKey; readonly bytes: Uint8Array; readonly wakeAtMs: number | undefined }
  | { readonly kind: 'letter'; readonly key: string; readonly bytes: Uint8Array }
  | { readonly kind: 'removeLetter'; readonly key: string }
  | { readonly kind: 'meta'; readonly name: MetaName; readonly value: number }
  | { readonly kind: 'damage'; readonly key: CellKey; readonly bytes: Uint8Array }
  | { readonly kind: 'removeDamage'; readonly key: CellKey };

export class WriteList implements StoreWrites {
  readonly writes: StoreWrite[] = [];
  /** Bytes of all rows. */
  bytes = 0;

  log(position: number, bytes: Uint8Array): void {
    this.#add({ kind: 'log', position, bytes });
  }

  removeLog(position: number): void {
    this.#add({ kind: 'removeLog', position });
  }

  image(key: CellKey, bytes: Uint8Array, wakeAtMs: number | undefined): void {
    this.#add({ kind: 'image', key, bytes, wakeAtMs });
  }

  letter(key: string, bytes: Uint8Array): void {
    this.#add({ kind: 'letter', key, bytes });
  }

  removeLetter(key: string): void {
    this.#add({ kind: 'removeLetter', key });
  }

  meta(name: MetaName, value: number): void {
    this.#add({ kind: 'meta', name, value });
  }

  damage(key: CellKey, bytes: Uint8Array): void {
    this.#add({ kind: 'damage', key, bytes });
  }

  removeDamage(key: CellKey): void {
    this.#add({ kind: 'removeDamage', key });
  }

  /** Throws unless positions grow from `last` on; the last one is the answer. */
  checkPositions(last: number): number {
    for (const write of this.writes) {
      if (write.kind !== 'log') continue;
      if (!(write.position > last)) {
        throw new StorageError(`position ${write.position} is not above the end of the log (${last})`);
      }
      last = write.position;
    }
    return last;
  }

  /** Does the same writes again, elsewhere. */
  writeTo(writes: StoreWrites): void {
    for (const write of this.writes) {
      switch (write.kind) {
        case 'log':
          writes.log(write.position, write.bytes);
          break;
        case 'removeLog':
          writes.removeLog(write.position);
          break;
        case 'image':
          writes.image(write.key, write.bytes, write.wakeAtMs);
          break;
        case 'letter':
          writes.letter(write.key, write.bytes);
          break;
        case 'removeLetter':
          writes.removeLetter(write.key);
          break;
        case 'meta':
          writes.meta(write.name, write.value);
          break;
        case 'damage':
          writes.damage(write.key, write.bytes);
          break;
        case 'removeDamage':
          writes.removeDamage(write.key);
          break;
      }
    }
  }

  #add(write: StoreWrite): void {
    this.writes.push(write);
    if ('bytes' in write) this.bytes += write.bytes.length;
  }
}
