/**
 * The database's file, looked at before LMDB is let near it.
 *
 * Owns: whether LMDB may have the file. lmdb 3.5.6 trusts every byte of it: damage to its own pages ends the process with a
 * segmentation fault, makes it loop, or loses rows in silence; and it maps the file, so that a page behind its end is a bus error.
 *
 * Invariants:
 * MF1. A file whose pages are not what LMDB will take them for is `DataDamagedError`; nothing has been written to it.
 * MF2. After `checkLmdbFile` every page that the database counts as its own lies within the file.
 */
import { accessSync, constants, statSync, truncateSync } from 'node:fs';
import { DataDamagedError, DataFolderReadOnlyError, StorageError } from '../kernel/errors.ts';
import { REMEDY } from './data-folder.ts';
import { checkLmdbPages, type LmdbFault } from './lmdb-check.ts';
import { LmdbPages, PageFault } from './lmdb-pages.ts';

/** Faults told in a message; the rest is in its details. */
const FAULTS_TOLD = 3;

/** Looks at `file`, which may be missing: then it is to be made. An empty one has lost everything: a new one has its name only when it is whole. `everyPage: false`: only at its first two pages. */
export function checkLmdbFile(file: string, everyPage: boolean): void {
  const size = sizeOf(file);
  if (size === undefined) return;
  const { faults, end } = look(file, everyPage);
  if (faults.length > 0) throw damaged(file, faults);
  // Its last pages are free and were never written.
  if (size < end) truncateSync(file, end);
}

function look(file: string, everyPage: boolean): { readonly faults: readonly LmdbFault[]; readonly end: number } {
  let pages: LmdbPages;
  try {
    pages = new LmdbPages(file);
  } catch (error) {
    if (error instanceof PageFault) return { faults: [faultOf(error)], end: 0 };
    throw error;
  }
  try {
    const faults = everyPage ? checkLmdbPages(pages).faults : pages.metaFaults.map(faultOf);
    return { faults, end: (pages.meta.lastPage + 1) * pages.pageBytes };
  } finally {
    pages.close();
  }
}

function faultOf(fault: PageFault): LmdbFault {
  return { table: 'first pages', page: fault.page, reason: fault.message };
}

function sizeOf(file: string): number | undefined {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (!stat.isFile()) throw new StorageError(`${file} is not a file`);
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw new DataFolderReadOnlyError(`${file} cannot be written`, { cause: error, details: { path: file } });
  }
  return stat.size;
}

function damaged(file: string, faults: readonly LmdbFault[]): DataDamagedError {
  const told = faults.slice(0, FAULTS_TOLD).map(({ table, reason }) => `${table}: ${reason}`);
  const rest = faults.length - told.length;
  return new DataDamagedError(
    `${file} is damaged and is not opened: ${told.join('; ')}${rest > 0 ? `; and ${rest} more` : ''}. ${REMEDY}`,
    { details: { table: 'file', path: file, faults } },
  );
}
