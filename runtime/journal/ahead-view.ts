/**
 * What a store holds together with commits that are ahead of it, for reading while the disk has no room to give it those.
 *
 * Owns: the merging, read by read. Writes nothing, and costs as much as there is ahead: with room, what is ahead is given to the store instead.
 *
 * Invariants:
 * AV1. Reads are those of a store that has had every commit of the lists: S4 and S5 of `store.ts`.
 */
import type { CellKey } from '../kernel/address.ts';
import { MemoryStore } from './memory-store.ts';
import { compareKeys } from './sorted-keys.ts';
import type { KeyRange, LogRow, Store, WakeRow } from './store.ts';
import type { WriteList } from './write-list.ts';

/** What is read by table; single images and numbers are kept at hand by whoever has the lists. */
export type TableReads = Pick<
  Store,
  'logFrom' | 'logPositions' | 'logAt' | 'imageKeys' | 'wakes' | 'letter' | 'letterIds' | 'damages'
>;

export class AheadView implements TableReads {
  readonly #store: Store;
  readonly #ahead = new MemoryStore();
  readonly #removed = { log: new Set<number>(), letter: new Set<string>(), damage: new Set<CellKey>() };

  constructor(store: Store, lists: readonly WriteList[]) {
    this.#store = store;
    for (const list of lists) {
      this.#ahead.commit((writes) => list.writeTo(writes));
      for (const write of list.writes) {
        if (write.kind === 'removeLog') this.#removed.log.add(write.position);
        else if (write.kind === 'removeLetter') this.#removed.letter.add(write.key);
        else if (write.kind === 'removeDamage') this.#removed.damage.add(write.key);
      }
    }
  }

  *logFrom(from: number): Iterable<LogRow> {
    for (const row of this.#store.logFrom(from)) if (!this.#removed.log.has(row.position)) yield row;
    // What is ahead goes on above all that is there.
    yield* this.#ahead.logFrom(from);
  }

  logPositions(from: number, limit: number): readonly number[] {
    const positions: number[] = [];
    if (limit <= 0) return positions;
    for (const { position } of this.logFrom(from)) {
      positions.push(position);
      if (positions.length === limit) break;
    }
    return positions;
  }

  logAt(position: number): LogRow | undefined {
    const ahead = this.#ahead.logAt(position);
    if (ahead !== undefined) return ahead;
    let row = this.#store.logAt(position);
    while (row !== undefined && this.#removed.log.has(row.position)) row = this.#store.logAt(row.position - 1);
    return row;
  }

  imageKeys(range: KeyRange): readonly CellKey[] {
    return firstOf([...this.#store.imageKeys(range), ...this.#ahead.imageKeys(range)], range.limit);
  }

  wakes(afterMs: number, upToMs: number, limit: number): readonly WakeRow[] {
    const all = Number.MAX_SAFE_INTEGER;
    // A row that is ahead says when its cell is to be woken now, or that it is not.
    const rows = this.#store.wakes(afterMs, upToMs, all).filter(({ key }) => this.#ahead.image(key) === undefined);
    return [...rows, ...this.#ahead.wakes(afterMs, upToMs, all)]
      .sort((a, b) => a.atMs - b.atMs || compareKeys(a.key, b.key))
      .slice(0, limit);
  }

  letter(id: string): Uint8Array | undefined {
    return this.#ahead.letter(id) ?? (this.#removed.letter.has(id) ? undefined : this.#store.letter(id));
  }

  letterIds(range: KeyRange): readonly string[] {
    const more = { ...range, limit: range.limit + this.#removed.letter.size };
    const kept = this.#store.letterIds(more).filter((id) => !this.#removed.letter.has(id));
    return firstOf([...kept, ...this.#ahead.letterIds(range)], range.limit);
  }

  damages(): readonly { readonly key: CellKey; readonly bytes: Uint8Array }[] {
    const ahead = this.#ahead.damages();
    const hidden = new Set([...this.#removed.damage, ...ahead.map(({ key }) => key)]);
    return [...this.#store.damages().filter(({ key }) => !hidden.has(key)), ...ahead].sort((a, b) =>
      compareKeys(a.key, b.key),
    );
  }
}

function firstOf(keys: readonly string[], limit: number): string[] {
  return [...new Set(keys)].sort(compareKeys).slice(0, limit);
}
