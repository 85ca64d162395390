/**
 * A killed process's words: what it has said was true, so each is written whole before anything else happens.
 */
import { writeSync } from 'node:fs';

/** Writes a line to whoever started this process. */
export function writeLine(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      // The one who listens is slow.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}
