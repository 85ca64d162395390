/**
 * The database's file, looked at before LMDB is let near it.
 *
 * Owns: what must be true of the first two pages. lmdb 3.5.6 does not report a file that it cannot open: it ends the process with a
 * segmentation fault. And it maps the file, so that a page behind its end is a bus error.
 *
 * Invariants:
 * MF1. A file whose meta pages are not LMDB's is `DataDamagedError`; nothing has been written to it.
 * MF2. After `checkLmdbFile` every page that the database counts as its own lies within the file.
 */
import { accessSync, closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, statSync } from 'node:fs';
import { DataDamagedError, DataFolderReadOnlyError, StorageError } from '../kernel/errors.ts';

const META_BYTES = 168;
const MIN_PAGE_BYTES = 512;
const MAX_PAGE_BYTES = 65_536;

// Offsets in a meta page of LMDB's data format 2.
const FLAGS = 18;
const MAGIC = 24;
const VERSION = 28;
const PAGE_SIZE = 48;
const FREE_ROOT = 88;
const MAIN_ROOT = 136;
const LAST_PAGE = 144;

const IS_META = 0x08;
const LMDB_MAGIC = 0xbeefc0de;
const LMDB_VERSION = 2;
/** No root: an empty tree. */
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/** Looks at `file`, which may be missing or empty: then it is LMDB's to make. */
export function checkLmdbFile(file: string): void {
  const size = sizeOf(file);
  if (size === 0) return;
  const fd = openSync(file, 'r+');
  try {
    const first = readMeta(fd, 0, file);
    const pageBytes = first.readUInt32LE(PAGE_SIZE);
    if (pageBytes < MIN_PAGE_BYTES || pageBytes > MAX_PAGE_BYTES || (pageBytes & (pageBytes - 1)) !== 0)
      throw damaged(file, `its pages have ${pageBytes} bytes`);
    for (const meta of [first, readMeta(fd, pageBytes, file)]) {
      const last = meta.readBigUInt64LE(LAST_PAGE);
      for (const root of [meta.readBigUInt64LE(FREE_ROOT), meta.readBigUInt64LE(MAIN_ROOT)]) {
        if (root !== NO_PAGE && root > last) throw damaged(file, 'a root lies behind its last page');
      }
      const end = (last + 1n) * BigInt(pageBytes);
      if (end > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(file, 'its last page is out of range');
      // Cut off, or its last pages are free and were never written. Either way: zeros, whose sums do not fit.
      if (fstatSync(fd).size < Number(end)) ftruncateSync(fd, Number(end));
    }
  } finally {
    closeSync(fd);
  }
}

function sizeOf(file: string): number {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isFile()) throw new StorageError(`${file} is not a file`);
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw new DataFolderReadOnlyError(`${file} cannot be written`, { cause: error, details: { path: file } });
  }
  return stat.size;
}

function readMeta(fd: number, at: number, file: string): Buffer {
  const meta = Buffer.alloc(META_BYTES);
  if (readSync(fd, meta, 0, META_BYTES, at) < META_BYTES) throw damaged(file, 'it is cut off within its first pages');
  if ((meta.readUInt16LE(FLAGS) & IS_META) === 0 || meta.readUInt32LE(MAGIC) !== LMDB_MAGIC)
    throw damaged(file, 'its first pages are not those of a database');
  const version = meta.readUInt32LE(VERSION) & 0xffff;
  if (version !== LMDB_VERSION) throw damaged(file, `it is of LMDB's format ${version}`);
  return meta;
}

function damaged(file: string, reason: string): DataDamagedError {
  return new DataDamagedError(`${file} is damaged and cannot be opened: ${reason}. Put a backup in its place`, {
    details: { table: 'file', path: file, reason },
  });
}
