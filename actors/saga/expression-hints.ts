/**
 * What to tell somebody whose expression does not work.
 */
import type { EngineFault } from './expression-engine.ts';
import type { ExpressionFault } from './expression-source.ts';

/** One line: what, where in what, and what to do. */
export function faultText(fault: ExpressionFault, written: unknown): string {
  const at = fault.position === undefined ? '' : ` at ${fault.position}`;
  const text = typeof written === 'string' ? ` in ${JSON.stringify(written)}` : '';
  return `${fault.message}${at}${text}${fault.hint === undefined ? '' : ` (${fault.hint})`}`;
}

/** What has probably been meant. */
export function hintFor({ code }: EngineFault, source: string): string | undefined {
  if (source.includes('===')) return 'equality is ==';
  if (/[^=!<>]=[^=]/.test(source)) return 'equality is ==';
  if (/(?:^|\s)(?:and|or|not)(?:\s|$)/i.test(source)) return 'logic is &&, || and !';
  switch (code) {
    case 'no_such_overload':
      return 'the two sides are of different kinds: convert one, as string(n), int(text), double(text)';
    case 'no_such_key':
      return 'ask first, as has(a.b) ? a.b : 0';
    case 'unterminated_string':
      return 'close the quotes';
    default:
      return undefined;
  }
}

/** "did you mean": a known name that differs by two letters, or by a third of a long one's; a short one by one. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = (name.length < 4 ? 1 : Math.max(2, Math.floor(name.length / 3))) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best === undefined ? undefined : `did you mean "${best}"?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
