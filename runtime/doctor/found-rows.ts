/**
 * Every row that can be found in a database's file, by whatever way, without LMDB.
 *
 * Owns: the walk that goes round damage instead of stopping at it, and the search through the pages that no way leads to any more.
 * Values stay in the file until they are asked for.
 *
 * Invariants:
 * FR1. Of a file without damage: exactly the rows that LMDB would give.
 * FR2. A page that cannot be read costs what is on it, and is named; it never costs its neighbours.
 * FR3. From pages that no way leads to, only what cannot be out of date is taken, and is marked.
 */
import { BatchReader } from '../journal/batch-reader.ts';
import { PRELUDE_BYTES } from '../journal/batch-layout.ts';
import { BlocksError } from '../kernel/errors.ts';
import type { LmdbFault } from '../journal/lmdb-check.ts';
import {
  DEPTH_MAX,
  type LmdbPages,
  NODE_IS_TREE,
  NODE_OVERFLOWS,
  PageFault,
  TREE_BYTES,
  type Tree,
  type TreePage,
} from '../journal/lmdb-pages.ts';
import { numberOf, TABLES, type TableName } from '../journal/lmdb-rows.ts';

/** Where a row is. */
export interface FoundRow {
  readonly key: Buffer;
  /** Which transaction wrote the page: of two rows with one key, the later one counts. */
  readonly transaction: number;
  /** Found on a page that no way leads to. */
  readonly stray: boolean;
  /** Throws `PageFault` when its pages cannot be read. */
  readonly value: () => Buffer;
}

export interface FoundRows {
  readonly tables: Readonly<Record<TableName, ReadonlyMap<string, FoundRow>>>;
  /** How many rows each table should have, as far as the file still says. */
  readonly expected: Partial<Record<TableName, number>>;
  readonly faults: readonly LmdbFault[];
  /** Rows that should be there and are not, by table; and what cannot be counted any more. */
  readonly unaccounted: ReadonlyMap<TableName | 'commit', string>;
}

/** A row's name in a map: its key, byte by byte. */
export function nameOf(key: Buffer): string {
  return key.toString('latin1');
}

export function findRows(pages: LmdbPages): FoundRows {
  return new Finder(pages).run();
}

class Finder {
  readonly #pages: LmdbPages;
  readonly #seen = new Set<number>();
  readonly #faults: LmdbFault[] = [];
  readonly #expected: Partial<Record<TableName, number>> = {};
  readonly #tables: Record<TableName, Map<string, FoundRow>> = {
    log: new Map(),
    image: new Map(),
    wake: new Map(),
    letter: new Map(),
    meta: new Map(),
    damage: new Map(),
  };

  constructor(pages: LmdbPages) {
    this.#pages = pages;
  }

  run(): FoundRows {
    for (const fault of this.#pages.metaFaults) this.#fault('first pages', fault);
    this.#walkMain(this.#pages.meta.main);
    // Something was lost on the way: it may stand on a page that is still there.
    if (this.#faults.length > 0) this.#searchStray();
    return { unaccounted: this.#unaccounted(), tables: this.#tables, expected: this.#expected, faults: this.#faults };
  }

  #fault(table: string, error: unknown): void {
    if (!(error instanceof PageFault)) throw error;
    this.#faults.push({ table, page: error.page, reason: error.message });
  }

  #walkMain(main: Tree): void {
    const trees: [TableName, Tree][] = [];
    this.#walk('main', main.root, 1, (page, i) => {
      const node = this.#pages.leafNode(page, i);
      const name = page.bytes.toString('latin1', node.keyAt, node.keyAt + node.keyBytes).replace(/\0$/, '');
      const isTree = node.flags === NODE_IS_TREE && node.dataBytes === TREE_BYTES;
      if (!(TABLES as readonly string[]).includes(name) || !isTree)
        throw new PageFault(page.number, `names a table that is not ours: ${JSON.stringify(name)}`);
      trees.push([name as TableName, this.#pages.tree(page.view, node.dataAt, page.number)]);
    });
    for (const [name, tree] of trees) {
      this.#expected[name] = tree.entries;
      this.#walk(name, tree.root, 1, (page, i) => this.#keep(name, page, i, false));
    }
  }

  #unaccounted(): Map<TableName | 'commit', string> {
    const lines = new Map<TableName | 'commit', string>();
    if (this.#pages.metaFaults.length > 0) lines.set('commit', 'the last commit may be missing');
    for (const table of TABLES) {
      const expected = this.#expected[table];
      // A stray row is one of those that are missing, or one that was trimmed long ago.
      const found = [...this.#tables[table].values()].filter(({ stray }) => !stray).length;
      if (expected === undefined && this.#pages.meta.main.entries > 0)
        lines.set(table, `how many rows the table ${table} had cannot be said`);
      else if (expected !== undefined && found < expected)
        lines.set(table, `${expected - found} of ${expected} rows of the table ${table} are missing`);
    }
    return lines;
  }

  #walk(table: string, root: number | undefined, depth: number, leaf: (page: TreePage, i: number) => void): void {
    if (root === undefined) return;
    try {
      if (this.#seen.has(root)) throw new PageFault(root, 'is in use twice');
      if (depth > DEPTH_MAX) throw new PageFault(root, 'lies too deep');
      const page = this.#pages.treePage(root);
      this.#seen.add(root);
      for (let i = 0; i < page.nodes; i++) {
        try {
          if (page.kind === 'leaf') leaf(page, i);
          else this.#walk(table, this.#pages.branchNode(page, i).child, depth + 1, leaf);
        } catch (error) {
          this.#fault(table, error);
        }
      }
    } catch (error) {
      this.#fault(table, error);
    }
  }

  /** Leaves that were not reached: lost with a branch, or free since long. */
  #searchStray(): void {
    const { pageBytes, fileBytes } = this.#pages;
    for (let number = 2; (number + 1) * pageBytes <= fileBytes; number++) {
      if (this.#seen.has(number)) continue;
      try {
        const page = this.#pages.treePage(number);
        if (page.kind !== 'leaf') continue;
        for (let i = 0; i < page.nodes; i++) this.#keepStray(page, i);
      } catch (error) {
        if (!(error instanceof PageFault)) throw error;
      }
    }
  }

  /** Only rows of the log: they never change. An image or a letter that no way leads to may be one that was replaced. */
  #keepStray(page: TreePage, i: number): void {
    try {
      const { key, value } = this.#row(page, i);
      if (key.length !== 8) return;
      const bytes = value();
      const isHere = bytes.length >= PRELUDE_BYTES && new BatchReader(bytes).isSeatedAt(numberOf(key));
      if (isHere) this.#keep('log', page, i, true);
    } catch (error) {
      if (!(error instanceof PageFault) && !(error instanceof BlocksError)) throw error;
    }
  }

  #keep(table: TableName, page: TreePage, i: number, stray: boolean): void {
    const { key, value } = this.#row(page, i);
    const name = nameOf(key);
    const row: FoundRow = { key, value, stray, transaction: this.#pages.transactionOf(page.number) };
    const known = this.#tables[table].get(name);
    if (known === undefined || (known.stray && known.transaction < row.transaction)) this.#tables[table].set(name, row);
  }

  #row(page: TreePage, i: number): { key: Buffer; value: () => Buffer } {
    const pages = this.#pages;
    const node = pages.leafNode(page, i);
    const key = Buffer.from(page.bytes.subarray(node.keyAt, node.keyAt + node.keyBytes));
    if (node.flags === NODE_OVERFLOWS) {
      const overflow = pages.overflowOf(page, node);
      return { key, value: () => pages.overflow(overflow, node.dataBytes) };
    }
    const { number } = page;
    const { dataAt, dataBytes } = node;
    // Read again when it is wanted: a large file's leaves would not fit into memory.
    return { key, value: () => pages.read(number * pages.pageBytes + dataAt, dataBytes) };
  }
}
