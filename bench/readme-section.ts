/**
 * The bench section of README.md: everything between two markers is the table, and is written by this.
 *
 * Owns: the markers and what is between them. Touches nothing else.
 */

const START = '<!-- bench:start -->';
const END = '<!-- bench:end -->';

/** `readme` with `table` between its markers; throws when it has none. */
export function withTable(readme: string, table: string): string {
  const start = readme.indexOf(START);
  const end = readme.indexOf(END);
  if (start === -1 || end === -1 || end < start) {
    throw new Error(`README.md has no place for the table: put ${START} and ${END} on lines of their own`);
  }
  return `${readme.slice(0, start + START.length)}\n\n${table}\n\n${readme.slice(end)}`;
}
