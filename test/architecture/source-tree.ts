/** The repository's TypeScript files, as the architecture rules see them: repository-relative path and text. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface SourceFile {
  /** Relative to the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** What is published. */
export const PRODUCT_FOLDERS = ['runtime', 'actors', 'supervisors'] as const;

/** Every `.ts` file (declaration files too) under the given top-level folders, sorted by path. */
export const readSources = (folders: readonly string[]): SourceFile[] =>
  folders
    .flatMap((folder) => {
      try {
        return readdirSync(join(REPOSITORY, folder), { recursive: true, withFileTypes: true });
      } catch {
        return [];
      }
    })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => ({
      path: file
        .slice(REPOSITORY.length + 1)
        .split(sep)
        .join('/'),
      text: readFileSync(file, 'utf8'),
    }));

/** Planted sources for the rules' own tests. */
export const planted = (files: Readonly<Record<string, string>>): SourceFile[] =>
  Object.entries(files).map(([path, text]) => ({ path, text }));

/** `**` is any path, `*` anything within one segment. */
export const matchesPath = (path: string, pattern: string): boolean =>
  new RegExp(
    `^${pattern
      .split('**')
      .map((piece) =>
        piece
          .split('*')
          .map((literal) => literal.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
          .join('[^/]*'),
      )
      .join('.*')}$`,
  ).test(path);

/** The repository path a relative specifier points at, or `undefined` for a package. */
export const resolveRelative = (from: string, specifier: string): string | undefined =>
  specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : undefined;
