/**
 * Where what is in a folder: each kind of bytes that damage may hit, as ranges of its files.
 *
 * Owns: the map. It is drawn from an undamaged folder, by the readers that the runtime itself has.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BatchReader } from '../../runtime/journal/batch-reader.ts';
import { HEADER_BYTES, PRELUDE_BYTES } from '../../runtime/journal/batch-layout.ts';
import { LmdbPages, META_PAGES, PAGE_HEADER_BYTES, type Tree } from '../../runtime/journal/lmdb-pages.ts';

export interface Range {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

export interface FolderMap {
  readonly regions: ReadonlyMap<string, readonly Range[]>;
  /** Pages of the database by what they are, free ones too. */
  readonly pages: ReadonlyMap<string, readonly number[]>;
  readonly pageBytes: number;
  readonly databaseBytes: number;
}

const DATABASE = 'data.mdb';
const META_BYTES = 168;

class Surveyor {
  readonly regions = new Map<string, Range[]>();
  readonly pages = new Map<string, number[]>();
  readonly lmdb: LmdbPages;

  constructor(folder: string) {
    this.lmdb = new LmdbPages(join(folder, DATABASE));
  }

  region(name: string, start: number, end: number, file = DATABASE): void {
    if (end <= start) return;
    const list = this.regions.get(name) ?? [];
    list.push({ file, start, end });
    this.regions.set(name, list);
  }

  page(kind: string, number: number): void {
    const list = this.pages.get(kind) ?? [];
    list.push(number);
    this.pages.set(kind, list);
  }

  /** Every page of a tree; rows of tables by what they are made of. */
  tree(table: string, tree: Tree, number = tree.root): void {
    if (number === undefined) return;
    const { lmdb } = this;
    const page = lmdb.treePage(number);
    const base = number * lmdb.pageBytes;
    this.page(`${table} ${page.kind}`, number);
    this.region(`${page.kind} page: header`, base, base + PAGE_HEADER_BYTES);
    this.region(`${page.kind} page: offsets`, base + PAGE_HEADER_BYTES, base + PAGE_HEADER_BYTES + page.nodes * 2);
    for (let i = 0; i < page.nodes; i++) {
      const at = base + lmdb.nodeAt(page, i);
      this.region(`${page.kind} page: head of a node`, at, at + 8);
      if (page.kind === 'branch') {
        const { child, keyAt, keyBytes } = lmdb.branchNode(page, i);
        this.region('branch page: key', base + keyAt, base + keyAt + keyBytes);
        this.tree(table, tree, child);
        continue;
      }
      const node = lmdb.leafNode(page, i);
      this.region(`key of ${table}`, base + node.keyAt, base + node.keyAt + node.keyBytes);
      const data = base + node.dataAt;
      if ((node.flags & 1) !== 0) {
        const { first, pages } = lmdb.overflowOf(page, node);
        for (let p = first; p < first + pages; p++) this.page(p === first ? 'overflow first' : 'overflow rest', p);
        this.region('reference to an overflow', data, data + 24);
        this.region('overflow page: header', first * lmdb.pageBytes, first * lmdb.pageBytes + PAGE_HEADER_BYTES);
        const start = first * lmdb.pageBytes + PAGE_HEADER_BYTES;
        this.row(table, start, start + node.dataBytes);
      } else if ((node.flags & 2) !== 0) {
        this.region('description of a table', data, data + 48);
        const name = page.bytes.toString('latin1', node.keyAt, node.keyAt + node.keyBytes - 1);
        const inner = lmdb.tree(page.view, node.dataAt, number);
        this.tree(name, inner);
      } else this.row(table, data, data + node.dataBytes);
    }
  }

  row(table: string, start: number, end: number): void {
    if (table !== 'log') {
      this.region(`row of ${table}`, start, end);
      return;
    }
    const batch = new BatchReader(this.lmdb.read(start, end - start));
    const sends = start + batch.headersStart + batch.turns * HEADER_BYTES;
    const bodies = batch.turns === 0 ? end : start + batch.send(batch.header(0), 0);
    this.region('batch: prelude', start, start + PRELUDE_BYTES);
    this.region('batch: keys', start + PRELUDE_BYTES, start + batch.headersStart);
    this.region('batch: headers', start + batch.headersStart, sends);
    this.region('batch: sends and bodies', Math.min(sends, bodies), end);
  }
}

export function survey(folder: string): FolderMap {
  const surveyor = new Surveyor(folder);
  const { lmdb } = surveyor;
  try {
    for (let page = 0; page < META_PAGES; page++) {
      surveyor.region('first pages', page * lmdb.pageBytes, page * lmdb.pageBytes + META_BYTES);
      surveyor.page('first', page);
    }
    surveyor.tree('free', lmdb.meta.free);
    surveyor.tree('main', lmdb.meta.main);
    const databaseBytes = statSync(join(folder, DATABASE)).size;
    const used = new Set([...surveyor.pages.values()].flat());
    for (let page = 0; page < databaseBytes / lmdb.pageBytes; page++) if (!used.has(page)) surveyor.page('free', page);
    surveyor.region('anywhere in the database', 0, databaseBytes);
    for (const file of ['FORMAT', 'LOCK', 'lock.mdb', 'AHEAD']) {
      if (!existsSync(join(folder, file))) continue;
      const bytes = readFileSync(join(folder, file));
      if (file === 'AHEAD') frames(surveyor, bytes);
      else surveyor.region(`file ${file}`, 0, bytes.length, file);
    }
    return { regions: surveyor.regions, pages: surveyor.pages, pageBytes: lmdb.pageBytes, databaseBytes };
  } finally {
    lmdb.close();
  }
}

function frames(surveyor: Surveyor, bytes: Buffer): void {
  surveyor.region('file AHEAD: header', 0, 16, 'AHEAD');
  for (let at = 16; at < bytes.length; at += bytes.readUInt32LE(at)) {
    surveyor.region('file AHEAD: head of a frame', at, at + 20, 'AHEAD');
    surveyor.region('file AHEAD: writes', at + 20, at + bytes.readUInt32LE(at), 'AHEAD');
  }
}
