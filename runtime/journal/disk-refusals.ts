/** What the system says when a file operation fails, as an error with a name. Owns: which code means what. */
import { BlocksError, DataFolderReadOnlyError, StorageError, StorageFullError } from '../kernel/errors.ts';
import { codeOf } from './durable-files.ts';

const FULL = new Set<unknown>(['ENOSPC', 'EDQUOT', 'EFBIG']);
const READ_ONLY = new Set<unknown>(['EACCES', 'EPERM', 'EROFS']);

export const isFull = (error: unknown): boolean => FULL.has(codeOf(error));

/** `verb`: what could not be done with `path`, as in "cannot be opened". An error with a name of ours keeps it. */
export function refusalOf(error: unknown, path: string, verb: string): BlocksError {
  if (error instanceof BlocksError) return error;
  const context = { cause: error, details: { path } };
  if (isFull(error)) return new StorageFullError(`${path} is on a disk without room`, context);
  if (READ_ONLY.has(codeOf(error))) return new DataFolderReadOnlyError(`${path} cannot be written`, context);
  // Too many open files, a folder in a file's place.
  return new StorageError(`${path} cannot be ${verb}: ${String((error as Error | undefined)?.message)}`, context);
}
