/**
 * The look through LMDB's file before LMDB is let near it: whether everything that it will trust is so.
 *
 * Owns: the walk over both trees and every table, and the accounts: what is counted, what is reachable, what is free. Contents of
 * rows are not its matter, but for the sums that bind them to their keys.
 *
 * Cost: every branch and leaf page is read, and the first bytes of each row that has pages of its own. Figures are in
 * `runtime/docs/decisions/0007-damage.md`.
 *
 * Invariants:
 * LC1. A file without a fault can be walked by LMDB from any root to any key without leaving the file, without a loop, and every
 *      row that was stored is found.
 * LC2. No page that is in use is free, and none is in use twice: the next commits write over nothing.
 * LC3. Memory is one bit a page and one page a level.
 */
import {
  DEPTH_MAX,
  type LmdbPages,
  META_PAGES,
  type Meta,
  NODE_HEADER_BYTES,
  NODE_IS_TREE,
  NODE_OVERFLOWS,
  PageFault,
  TREE_BYTES,
  type Tree,
  type TreePage,
} from './lmdb-pages.ts';
import { ROW_FAULT_BYTES, rowFault, TABLES, type TableName } from './lmdb-rows.ts';
import { viewOf } from './crc32.ts';

/** Faults listed: what follows says nothing new. */
const FAULTS_MAX = 20;
/** Of the tree of free pages: its keys are numbers. */
const INTEGER_KEYS = 0x08;
/** Longer than any key that LMDB takes. */
const KEY_BYTES_MAX = 4_096;

export interface LmdbFault {
  readonly table: string;
  readonly page: number | undefined;
  readonly reason: string;
}

/** What a look through a whole file has seen. */
export interface LmdbFigures {
  readonly pages: number;
  readonly free: number;
  readonly tables: ReadonlyMap<string, Tree>;
}

/** Faults of a file; empty: LMDB may have it. */
export function checkLmdbPages(pages: LmdbPages): {
  readonly faults: readonly LmdbFault[];
  readonly figures: LmdbFigures;
} {
  return new FileCheck(pages).run();
}

type Walked = 'free' | 'main' | TableName;

class FileCheck {
  readonly #pages: LmdbPages;
  readonly #meta: Meta;
  readonly #faults: LmdbFault[] = [];
  /** Pages seen in use, and pages seen in the list of free ones: a bit each. */
  readonly #used: Uint8Array;
  readonly #free: Uint8Array;
  #usedCount = 0;
  #freeCount = 0;
  readonly #tables = new Map<string, Tree>();
  /** A page a level; the leaves of all levels share none, since a child is read while its parent is being walked. */
  readonly #buffers: Buffer[] = [];
  /** The greatest key so far, and the least that may come. */
  readonly #last = Buffer.alloc(KEY_BYTES_MAX);
  #lastBytes = -1;
  readonly #bound = Buffer.alloc(KEY_BYTES_MAX);
  #boundBytes = -1;
  #counts = { branch: 0, leaf: 0, overflow: 0, entries: 0 };

  constructor(pages: LmdbPages) {
    this.#pages = pages;
    this.#meta = pages.meta;
    const bytes = (Math.min(this.#meta.lastPage, this.#pagesMax) >>> 3) + 1;
    this.#used = new Uint8Array(bytes);
    this.#free = new Uint8Array(bytes);
  }

  run(): { faults: readonly LmdbFault[]; figures: LmdbFigures } {
    this.#checkMetas();
    if (this.#faults.length === 0) {
      this.#walkTree('free', this.#meta.free);
      this.#walkTree('main', this.#meta.main);
      for (const [name, tree] of this.#tables) this.#walkTree(name as TableName, tree);
      this.#checkRoom();
    }
    const figures = { pages: this.#usedCount + META_PAGES, free: this.#freeCount, tables: this.#tables };
    return { faults: this.#faults, figures };
  }

  /** The last pages may be free, and never have been written; but not this many. */
  get #pagesMax(): number {
    return Math.ceil(this.#pages.fileBytes / this.#pages.pageBytes) * 2 + 65_536;
  }

  #fault(table: string, error: unknown): void {
    if (!(error instanceof PageFault)) throw error;
    if (this.#faults.length < FAULTS_MAX) this.#faults.push({ table, page: error.page, reason: error.message });
  }

  /** Commits go to the two pages in turn, so that each must be the other's neighbour. */
  #checkMetas(): void {
    const { metas, metaFaults } = this.#pages;
    for (const fault of metaFaults) this.#fault('first pages', fault);
    const [newer, older] = metas;
    if (newer === undefined || older === undefined) return;
    const isNew = newer.transaction === 0 && older.transaction === 0;
    const follows = newer.transaction === older.transaction + 1 && newer.transaction % 2 === newer.page;
    if (!isNew && !follows) {
      this.#fault(
        'first pages',
        new PageFault(
          undefined,
          `its first pages are of transactions ${newer.transaction} and ${older.transaction}, which do not follow each other`,
        ),
      );
    }
    this.#checkRoots(newer, older);
    if (newer.free.flags !== older.free.flags || (newer.free.flags & INTEGER_KEYS) === 0)
      this.#fault('first pages', new PageFault(newer.page, 'has flags that its neighbour has not'));
    if (newer.main.flags !== 0 || newer.main.pad !== 0)
      this.#fault('first pages', new PageFault(newer.page, 'has flags for its main tree'));
    if (newer.lastPage < META_PAGES - 1)
      this.#fault('first pages', new PageFault(newer.page, 'has no room for itself'));
    if (newer.lastPage > this.#pagesMax)
      this.#fault('first pages', new PageFault(newer.page, `counts ${newer.lastPage} pages, far more than there are`));
  }

  /**
   * A flipped bit in one of the two transactions' numbers may make the older state look like the newer one. But every commit writes
   * its main root anew, and the one before is not written over until the next.
   */
  #checkRoots(newer: Meta, older: Meta): void {
    for (const { main, transaction, page } of [newer, older]) {
      if (main.root === undefined) continue;
      try {
        const root = this.#pages.transactionOf(main.root);
        if (root !== transaction)
          throw new PageFault(page, `is of transaction ${transaction}, and its tree of ${root}`);
      } catch (error) {
        this.#fault('first pages', error);
      }
    }
  }

  #walkTree(table: Walked, tree: Tree): void {
    this.#counts = { branch: 0, leaf: 0, overflow: 0, entries: 0 };
    this.#lastBytes = -1;
    this.#boundBytes = -1;
    const before = this.#faults.length;
    if (tree.root !== undefined) this.#walkPage(table, tree.root, 1, tree.depth);
    // With a fault above, the counts only say it again.
    if (this.#faults.length > before) return;
    const { branch, leaf, overflow, entries } = this.#counts;
    const same =
      branch === tree.branchPages &&
      leaf === tree.leafPages &&
      overflow === tree.overflowPages &&
      entries === tree.entries;
    if (!same || (tree.root === undefined && tree.depth !== 0)) {
      this.#fault(
        table,
        new PageFault(
          undefined,
          `${entries} rows on ${branch} + ${leaf} + ${overflow} pages are there, ${tree.entries} on ${tree.branchPages} + ${tree.leafPages} + ${tree.overflowPages} should be`,
        ),
      );
    }
  }

  #walkPage(table: Walked, number: number, depth: number, leafDepth: number): void {
    if (this.#faults.length >= FAULTS_MAX) return;
    try {
      this.#use(number, 1);
      if (depth > leafDepth || depth > DEPTH_MAX) throw new PageFault(number, 'lies deeper than its tree');
      const page = this.#pages.treePage(number, this.#buffer(depth));
      if (page.nodes === 0) throw new PageFault(number, 'is empty');
      if ((page.kind === 'leaf') !== (depth === leafDepth))
        throw new PageFault(number, `is a ${page.kind} at depth ${depth} of ${leafDepth}`);
      if (page.kind === 'leaf') this.#leaf(table, page);
      else this.#branch(table, page, depth, leafDepth);
    } catch (error) {
      this.#fault(table, error);
    }
  }

  #branch(table: Walked, page: TreePage, depth: number, leafDepth: number): void {
    this.#counts.branch++;
    let held = 0;
    for (let i = 0; i < page.nodes; i++) {
      const { child, keyAt, keyBytes } = this.#pages.branchNode(page, i);
      held += even(NODE_HEADER_BYTES + keyBytes);
      // The first key of a branch stands for everything below the second.
      if (i > 0) {
        if (
          this.#lastBytes >= 0 &&
          this.#order(table, this.#last, 0, this.#lastBytes, page.bytes, keyAt, keyBytes) >= 0
        )
          throw new PageFault(page.number, `parts its children at a key that lies below one on its left`);
        page.bytes.copy(this.#bound, 0, keyAt, keyAt + keyBytes);
        this.#boundBytes = keyBytes;
      }
      this.#walkPage(table, child, depth + 1, leafDepth);
    }
    this.#checkHeld(page, held);
  }

  #leaf(table: Walked, page: TreePage): void {
    const { bytes, view, number } = page;
    this.#counts.leaf++;
    this.#counts.entries += page.nodes;
    let held = 0;
    let beforeAt = 0;
    let beforeBytes = this.#lastBytes;
    let before: Buffer = this.#last;
    for (let i = 0; i < page.nodes; i++) {
      const node = this.#pages.leafNode(page, i);
      const { flags, keyAt, keyBytes, dataAt, dataBytes } = node;
      const overflows = flags === NODE_OVERFLOWS;
      held += even(dataAt - keyAt + NODE_HEADER_BYTES + (overflows ? 24 : dataBytes));
      if (keyBytes === 0) throw new PageFault(number, `has a row ${i} without a key`);
      if (table === 'free') this.#freeKey(page, keyAt, keyBytes);
      if (!overflows && flags !== (table === 'main' ? NODE_IS_TREE : 0))
        throw new PageFault(number, `has a row ${i} with flags ${flags}`);
      if (beforeBytes >= 0 && this.#order(table, before, beforeAt, beforeBytes, bytes, keyAt, keyBytes) >= 0)
        throw new PageFault(number, `has a row ${i} whose key does not follow the one before it`);
      if (this.#boundBytes >= 0) {
        if (this.#order(table, this.#bound, 0, this.#boundBytes, bytes, keyAt, keyBytes) > 0)
          throw new PageFault(number, 'has a first row below the key that leads to it');
        this.#boundBytes = -1;
      }
      before = bytes;
      beforeAt = keyAt;
      beforeBytes = keyBytes;
      if (overflows) this.#overflow(table, page, i);
      else this.#row(table, page, i, bytes, view, dataAt, dataBytes);
    }
    this.#checkHeld(page, held);
    bytes.copy(this.#last, 0, beforeAt, beforeAt + beforeBytes);
    this.#lastBytes = beforeBytes;
  }

  #overflow(table: Walked, page: TreePage, i: number): void {
    const node = this.#pages.leafNode(page, i);
    const overflow = this.#pages.overflowOf(page, node);
    this.#use(overflow.first, overflow.pages);
    this.#counts.overflow += overflow.pages;
    if ((overflow.first + overflow.pages) * this.#pages.pageBytes > this.#pages.fileBytes)
      throw new PageFault(overflow.first, 'lies behind the end of the file');
    const head = this.#pages.overflow(overflow, table === 'free' ? node.dataBytes : ROW_FAULT_BYTES);
    this.#row(table, page, i, head, viewOf(head), 0, node.dataBytes);
  }

  #row(
    table: Walked,
    page: TreePage,
    i: number,
    bytes: Buffer,
    view: DataView,
    dataAt: number,
    dataBytes: number,
  ): void {
    const { keyAt, keyBytes } = this.#pages.leafNode(page, i);
    if (table === 'free') {
      this.#freePages(page, view, dataAt, dataBytes);
    } else if (table === 'main') {
      // lmdb-js ends the names of tables with a zero.
      const name = page.bytes.toString('latin1', keyAt, keyAt + keyBytes - 1);
      const isOurs = (TABLES as readonly string[]).includes(name) && page.bytes[keyAt + keyBytes - 1] === 0;
      if (!isOurs || dataBytes !== TREE_BYTES)
        throw new PageFault(page.number, `names a table that is not ours: ${JSON.stringify(name)}`);
      const tree = this.#pages.tree(view, dataAt, page.number);
      if (tree.flags !== 0 || tree.pad !== 0) throw new PageFault(page.number, `has flags for the table ${name}`);
      this.#tables.set(name, tree);
    } else {
      const key = { bytes: page.bytes, view: page.view, start: keyAt, end: keyAt + keyBytes };
      const fault = rowFault(table, key, { bytes, view, start: dataAt, length: dataBytes });
      if (fault !== undefined) throw new PageFault(page.number, `has a row ${i} that is not whole: ${fault}`);
    }
  }

  /** The commit that has freed a list of pages. LMDB, meeting a zero there, can commit nothing more. */
  #freeKey(page: TreePage, keyAt: number, keyBytes: number): void {
    if (keyBytes !== 8) throw new PageFault(page.number, `has a key of ${keyBytes} bytes`);
    const transaction = page.view.getBigUint64(keyAt, true);
    if (transaction === 0n) throw new PageFault(page.number, 'lists pages that no commit has freed');
    if (transaction > BigInt(this.#meta.transaction))
      throw new PageFault(page.number, 'lists pages that a commit to come has freed');
  }

  /** A list of free pages: its length, then page numbers; a number below zero is the length of a run that begins at the next one. */
  #freePages(page: TreePage, view: DataView, at: number, bytes: number): void {
    const count = bytes >= 8 ? Number(view.getBigInt64(at, true)) : -1;
    if (count < 0 || (count + 1) * 8 > bytes)
      throw new PageFault(page.number, `lists ${count} free pages in ${bytes} bytes`);
    for (let i = 1; i <= count; i++) {
      let entry = Number(view.getBigInt64(at + i * 8, true));
      if (entry === 0) continue;
      let length = 1;
      if (entry < 0) {
        length = -entry;
        i++;
        if (i > count) throw new PageFault(page.number, 'lists a run of free pages without a beginning');
        entry = Number(view.getBigInt64(at + i * 8, true));
      }
      if (entry < META_PAGES || entry + length - 1 > this.#meta.lastPage)
        throw new PageFault(
          page.number,
          `lists the pages ${entry} to ${entry + length - 1} as free, which are not there`,
        );
      for (let free = entry; free < entry + length; free++) {
        if (!mark(this.#free, free)) throw new PageFault(page.number, `lists page ${free} as free twice`);
      }
      this.#freeCount += length;
    }
  }

  /** What is in use must not be free, must be in the file, and nothing may be missing between them at the file's end. */
  #checkRoom(): void {
    const end = this.#meta.lastPage;
    for (let byte = 0; byte < this.#used.length; byte++) {
      const both = (this.#used[byte] as number) & (this.#free[byte] as number);
      if (both !== 0) {
        const page = byte * 8 + 31 - Math.clz32(both);
        this.#fault('free pages', new PageFault(page, 'is in use and listed as free'));
        return;
      }
    }
    // Free pages at the end may never have been written; anything else there was lost.
    for (let page = Math.floor(this.#pages.fileBytes / this.#pages.pageBytes); page <= end; page++) {
      if (!isMarked(this.#free, page)) {
        this.#fault('first pages', new PageFault(page, 'is counted, and lies behind the end of the file'));
        return;
      }
    }
  }

  #use(first: number, pages: number): void {
    if (first < META_PAGES || first + pages - 1 > this.#meta.lastPage)
      throw new PageFault(first, 'is not one of the pages that there are');
    if (first * this.#pages.pageBytes >= this.#pages.fileBytes)
      throw new PageFault(first, 'lies behind the end of the file');
    for (let page = first; page < first + pages; page++) {
      if (!mark(this.#used, page)) throw new PageFault(page, 'is in use twice');
    }
    this.#usedCount += pages;
  }

  #checkHeld(page: TreePage, held: number): void {
    if (held !== this.#pages.pageBytes - this.#pages.upperOf(page))
      throw new PageFault(
        page.number,
        `has nodes of ${held} bytes where ${this.#pages.pageBytes - this.#pages.upperOf(page)} are taken`,
      );
  }

  #order(table: Walked, a: Buffer, aStart: number, aBytes: number, b: Buffer, bStart: number, bBytes: number): number {
    if (table === 'free') {
      const left = a.readBigUInt64LE(aStart);
      const right = b.readBigUInt64LE(bStart);
      return left < right ? -1 : left > right ? 1 : 0;
    }
    const least = Math.min(aBytes, bBytes);
    for (let i = 0; i < least; i++) {
      const difference = (a[aStart + i] as number) - (b[bStart + i] as number);
      if (difference !== 0) return difference;
    }
    return aBytes - bBytes;
  }

  #buffer(depth: number): Buffer {
    return (this.#buffers[depth] ??= Buffer.allocUnsafeSlow(this.#pages.pageBytes));
  }
}

function even(bytes: number): number {
  return (bytes + 1) & ~1;
}

/** False when it was marked already, or is out of range. */
function mark(bits: Uint8Array, page: number): boolean {
  const byte = page >>> 3;
  const bit = 1 << (page & 7);
  const before = bits[byte];
  if (before === undefined || (before & bit) !== 0) return false;
  bits[byte] = before | bit;
  return true;
}

function isMarked(bits: Uint8Array, page: number): boolean {
  return ((bits[page >>> 3] ?? 0) & (1 << (page & 7))) !== 0;
}
