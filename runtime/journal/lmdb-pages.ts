/**
 * LMDB's file as bytes: its first pages, its trees and nodes, read without LMDB.
 *
 * Owns: where things are in a file of LMDB's data format 2 as lmdb 3.5 writes it (64 bits, little-endian). LMDB keeps no sums and
 * trusts what it reads: a flipped bit in a page can end the process or make it loop. So whoever must not be surprised looks first.
 *
 *   page    number 8 | transaction 8 | pad 2 | flags 2 | lower 2, upper 2 (overflow: pages 4) | offsets of nodes 2 each … nodes;
 *           these three count from the end of this header
 *   node    size or child 4 | flags (child's upper bits) 2 | key's length 2 | key | data, or where it overflows to: page 8,
 *           transaction 8, pages 8
 *   meta    magic 4 | version 4 | address 8 | map's bytes 8 | tree of free pages 48 | main tree 48 | last page 8 | transaction 8 | boot 8
 *   tree    pad 4 | flags 2 | depth 2 | branch pages 8 | leaf pages 8 | overflow pages 8 | entries 8 | root 8
 *
 * Invariants:
 * LP1. Nothing read here is trusted: a number that leads outside of the page or the file is `PageFault`.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { viewOf } from './crc32.ts';

const META_BYTES = 168;
const MIN_PAGE_BYTES = 512;
const MAX_PAGE_BYTES = 65_536;

// Offsets in a meta page.
const M_FLAGS = 18;
const M_MAGIC = 24;
const M_VERSION = 28;
const M_FREE = 48;
const M_MAIN = 96;
const M_LAST_PAGE = 144;
const M_TRANSACTION = 152;

const LMDB_MAGIC = 0xbeefc0de;
const LMDB_VERSION = 2;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

export const PAGE_HEADER_BYTES = 24;
const H_PAGE = 0;
const H_TRANSACTION = 8;
const H_FLAGS = 18;
const H_LOWER = 20;
const H_UPPER = 22;
const H_PAGES = 20;

const IS_BRANCH = 0x01;
const IS_LEAF = 0x02;
const IS_OVERFLOW = 0x04;
const IS_META = 0x08;

export const NODE_HEADER_BYTES = 8;
const N_FLAGS = 4;
const N_KEY_BYTES = 6;
export const NODE_OVERFLOWS = 0x01;
export const NODE_IS_TREE = 0x02;
const OVERFLOW_BYTES = 24;
export const TREE_BYTES = 48;

/** The first two pages of the file. */
export const META_PAGES = 2;
/** Deeper than any tree of this key size can be: LMDB's own bound. */
export const DEPTH_MAX = 32;

/** What is wrong with one page, in words that begin with the page. */
export class PageFault extends Error {
  /** Undefined: the file as a whole. */
  readonly page: number | undefined;

  constructor(page: number | undefined, reason: string) {
    super(page === undefined ? reason : `page ${page} ${reason}`);
    this.page = page;
  }
}

/** A tree: the main one, that of the free pages, or a table. `root` undefined: empty. */
export interface Tree {
  readonly pad: number;
  readonly flags: number;
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
  readonly root: number | undefined;
}

/** One of the first two pages: a committed state of the whole file. */
export interface Meta {
  readonly page: 0 | 1;
  readonly transaction: number;
  readonly lastPage: number;
  readonly free: Tree;
  readonly main: Tree;
}

/** One node of a leaf page. Offsets count from the page's first byte. */
export interface LeafNode {
  readonly flags: number;
  readonly keyAt: number;
  readonly keyBytes: number;
  readonly dataBytes: number;
  /** Where the data begin in the page, or where the reference to overflow pages is. */
  readonly dataAt: number;
}

/** A branch or leaf page whose header fits. */
export interface TreePage {
  readonly number: number;
  readonly kind: 'branch' | 'leaf';
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly nodes: number;
}

/** Where a row lies that does not fit into its leaf. */
export interface Overflow {
  readonly first: number;
  readonly pages: number;
}

export class LmdbPages {
  readonly file: string;
  readonly pageBytes: number;
  readonly fileBytes: number;
  /** Both first pages, as far as they can be read; the newer state first. */
  readonly metas: readonly Meta[];
  /** What is wrong with a first page. */
  readonly metaFaults: readonly PageFault[];
  readonly #fd: number;

  /** Throws `PageFault` unless at least one of the first two pages can be read. */
  constructor(file: string) {
    this.file = file;
    this.#fd = openSync(file, 'r');
    try {
      this.fileBytes = fstatSync(this.#fd).size;
      this.pageBytes = this.#findPageBytes();
      const metas: Meta[] = [];
      const faults: PageFault[] = [];
      for (const page of [0, 1] as const) {
        try {
          metas.push(this.#meta(page));
        } catch (error) {
          if (!(error instanceof PageFault)) throw error;
          faults.push(error);
        }
      }
      if (metas.length === 0) throw faults[0] as PageFault;
      this.metas = metas.sort((a, b) => b.transaction - a.transaction);
      this.metaFaults = faults;
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get meta(): Meta {
    return this.metas[0] as Meta;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Reads `[at, at + bytes)` of the file. */
  read(at: number, bytes: number, into: Buffer = Buffer.allocUnsafe(bytes)): Buffer {
    if (at + bytes > this.fileBytes || readSync(this.#fd, into, 0, bytes, at) < bytes)
      throw new PageFault(Math.floor(at / this.pageBytes), 'lies behind the end of the file');
    return into;
  }

  /** Which transaction has written a page. */
  transactionOf(number: number): number {
    return this.#number(viewOf(this.read(number * this.pageBytes, PAGE_HEADER_BYTES)), H_TRANSACTION, number);
  }

  /** A page of a tree, whose header is checked and whose nodes are not. */
  treePage(number: number, into?: Buffer): TreePage {
    const bytes = this.read(number * this.pageBytes, this.pageBytes, into);
    const view = viewOf(bytes);
    this.#checkHeader(number, view);
    const flags = view.getUint16(H_FLAGS, true);
    if (flags !== IS_BRANCH && flags !== IS_LEAF)
      throw new PageFault(number, `is neither branch nor leaf (flags ${flags})`);
    const lower = view.getUint16(H_LOWER, true);
    const upper = view.getUint16(H_UPPER, true);
    if ((lower & 1) !== 0 || lower > upper || PAGE_HEADER_BYTES + upper > this.pageBytes)
      throw new PageFault(number, `has no room for its own nodes (${lower}, ${upper})`);
    return { number, kind: flags === IS_LEAF ? 'leaf' : 'branch', bytes, view, nodes: lower >>> 1 };
  }

  /** Checks the first page of an overflow, and reads up to `bytes` of its data. */
  overflow(overflow: Overflow, bytes: number): Buffer {
    const { first, pages } = overflow;
    const room = pages * this.pageBytes - PAGE_HEADER_BYTES;
    const head = this.read(first * this.pageBytes, PAGE_HEADER_BYTES + Math.min(bytes, room));
    const view = viewOf(head);
    this.#checkHeader(first, view);
    if (view.getUint16(H_FLAGS, true) !== IS_OVERFLOW) throw new PageFault(first, 'is no overflow page');
    if (view.getUint32(H_PAGES, true) !== pages)
      throw new PageFault(first, `begins ${view.getUint32(H_PAGES, true)} pages where ${pages} belong`);
    return head.subarray(PAGE_HEADER_BYTES);
  }

  /** What a node of a leaf says; throws when it does not lie within its page. */
  leafNode(page: TreePage, i: number): LeafNode {
    const { view } = page;
    const at = this.nodeAt(page, i);
    const flags = view.getUint16(at + N_FLAGS, true);
    const keyBytes = view.getUint16(at + N_KEY_BYTES, true);
    const dataBytes = view.getUint32(at, true);
    const keyAt = at + NODE_HEADER_BYTES;
    const dataAt = keyAt + keyBytes;
    const held = (flags & NODE_OVERFLOWS) === 0 ? dataBytes : OVERFLOW_BYTES;
    if (dataAt + held > this.pageBytes) throw new PageFault(page.number, `has a node ${i} that does not lie in it`);
    return { flags, keyAt, keyBytes, dataBytes, dataAt };
  }

  /**
   * Where a node of a leaf overflows to; throws when its row does not fit there. There may be more pages than it needs: a row that is
   * written twice in one transaction, the second time shorter, stays where it was.
   */
  overflowOf(page: TreePage, node: LeafNode): Overflow {
    const { view } = page;
    const first = this.#number(view, node.dataAt, page.number);
    const pages = this.#number(view, node.dataAt + 16, page.number);
    if (pages < Math.floor((PAGE_HEADER_BYTES - 1 + node.dataBytes) / this.pageBytes) + 1)
      throw new PageFault(page.number, `has a row of ${node.dataBytes} bytes on ${pages} pages`);
    return { first, pages };
  }

  /** Child page and separator key of a node of a branch. */
  branchNode(page: TreePage, i: number): { readonly child: number; readonly keyAt: number; readonly keyBytes: number } {
    const { view } = page;
    const at = this.nodeAt(page, i);
    const keyBytes = view.getUint16(at + N_KEY_BYTES, true);
    const keyAt = at + NODE_HEADER_BYTES;
    if (keyAt + keyBytes > this.pageBytes) throw new PageFault(page.number, `has a node ${i} that does not lie in it`);
    return { child: view.getUint32(at, true) + view.getUint16(at + N_FLAGS, true) * 0x1_0000_0000, keyAt, keyBytes };
  }

  /** Offset of node `i`, which lies behind the page's free room. */
  nodeAt(page: TreePage, i: number): number {
    const { view } = page;
    const at = PAGE_HEADER_BYTES + view.getUint16(PAGE_HEADER_BYTES + i * 2, true);
    if (at < this.upperOf(page) || at + NODE_HEADER_BYTES > this.pageBytes)
      throw new PageFault(page.number, `has a node ${i} that does not lie in it`);
    return at;
  }

  /** Where the nodes of a page begin. */
  upperOf(page: TreePage): number {
    return PAGE_HEADER_BYTES + page.view.getUint16(H_UPPER, true);
  }

  /** The tree described at `at`, on page `page`. */
  tree(view: DataView, at: number, page: number): Tree {
    const root = view.getBigUint64(at + 40, true);
    const tree: Tree = {
      pad: view.getUint32(at, true),
      flags: view.getUint16(at + 4, true),
      depth: view.getUint16(at + 6, true),
      branchPages: this.#number(view, at + 8, page),
      leafPages: this.#number(view, at + 16, page),
      overflowPages: this.#number(view, at + 24, page),
      entries: this.#number(view, at + 32, page),
      root: root === NO_PAGE ? undefined : this.#number(view, at + 40, page),
    };
    if (tree.depth > DEPTH_MAX) throw new PageFault(page, `describes a tree of depth ${tree.depth}`);
    return tree;
  }

  #checkHeader(number: number, view: DataView): void {
    if (view.getBigUint64(H_PAGE, true) !== BigInt(number))
      throw new PageFault(number, `says that it is page ${view.getBigUint64(H_PAGE, true)}`);
    if (view.getBigUint64(H_TRANSACTION, true) > BigInt(this.metas[0]?.transaction ?? 0))
      throw new PageFault(number, 'is of a transaction that was never committed');
  }

  #number(view: DataView, at: number, page: number): number {
    const value = view.getBigUint64(at, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new PageFault(page, `has a number out of range at ${at}`);
    return Number(value);
  }

  /** From the first page, or where that is damaged from wherever the second one is found. */
  #findPageBytes(): number {
    const first = this.#metaBytes(0);
    const said = first.readUInt32LE(M_FREE);
    for (let bytes = MIN_PAGE_BYTES; bytes <= MAX_PAGE_BYTES; bytes *= 2) {
      if (bytes === said && first.readUInt32LE(M_MAGIC) === LMDB_MAGIC) return bytes;
    }
    for (let bytes = MIN_PAGE_BYTES; bytes <= MAX_PAGE_BYTES; bytes *= 2) {
      if (this.fileBytes < bytes + META_BYTES) break;
      const second = this.#metaBytes(bytes);
      if (second.readUInt32LE(M_MAGIC) === LMDB_MAGIC && second.readUInt32LE(M_FREE) === bytes) return bytes;
    }
    if (first.readUInt32LE(M_MAGIC) !== LMDB_MAGIC)
      throw new PageFault(undefined, 'its first pages are not those of a database');
    throw new PageFault(undefined, `its pages have ${said} bytes`);
  }

  #metaBytes(at: number): Buffer {
    const meta = Buffer.alloc(META_BYTES);
    if (readSync(this.#fd, meta, 0, META_BYTES, at) < META_BYTES)
      throw new PageFault(undefined, 'it is cut off within its first pages');
    return meta;
  }

  #meta(page: 0 | 1): Meta {
    const bytes = this.#metaBytes(page * this.pageBytes);
    const view = viewOf(bytes);
    const fault = (reason: string): PageFault => new PageFault(page, reason);
    if (view.getBigUint64(H_PAGE, true) !== BigInt(page) || view.getUint16(M_FLAGS, true) !== IS_META)
      throw fault('is not the first page of a database that it should be');
    if (view.getUint32(M_MAGIC, true) !== LMDB_MAGIC) throw fault('has not the mark of a database');
    const version = view.getUint32(M_VERSION, true) & 0xffff;
    if (version !== LMDB_VERSION) throw fault(`is of LMDB's format ${version}`);
    const free = this.tree(view, M_FREE, page);
    if (free.pad !== this.pageBytes) throw fault(`says that pages have ${free.pad} bytes`);
    return {
      page,
      transaction: this.#number(view, M_TRANSACTION, page),
      lastPage: this.#number(view, M_LAST_PAGE, page),
      free,
      main: this.tree(view, M_MAIN, page),
    };
  }
}
