/**
 * `${…}` in text: where the expressions of a condition or a template begin and end.
 *
 * Owns: the notation, and nothing of what stands between the braces.
 *
 * Invariants:
 * XS1. A condition keeps its length: every position in what the engine reads is a position in what was written.
 * XS2. `$${` is the text `${`; a brace within a string of an expression closes nothing.
 */

/** What is wrong with an expression, and where. */
export interface ExpressionFault {
  readonly message: string;
  /** Characters from the beginning of the source, from 0. */
  readonly position?: number | undefined;
  readonly hint?: string | undefined;
}

export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  /** `position`: where `source` begins in the whole text. */
  | { readonly kind: 'expression'; readonly source: string; readonly position: number };

/** A condition as the engine reads it: `${a.b} == 'c'` is ` (a.b) == 'c'`. Without `${` it stays as it is. */
export function conditionSource(written: string): { readonly source: string } | { readonly fault: ExpressionFault } {
  let source = '';
  for (let at = 0; at < written.length; ) {
    const quote = quoteAt(written, at);
    if (quote !== undefined) {
      const end = endOfString(written, at, quote);
      const inside = written.indexOf('${', at);
      if (inside !== -1 && inside < end) {
        return {
          fault: {
            message: '"${" within quotes is text, not a value',
            position: inside,
            hint: "leave the quotes away: a text value is compared as ${name} == 'text'",
          },
        };
      }
      source += written.slice(at, end);
      at = end;
    } else if (written.startsWith('${', at)) {
      const close = closingBrace(written, at + 2);
      if (close === -1) return { fault: unclosed(at) };
      if (written.slice(at + 2, close).trim() === '') return { fault: empty(at) };
      source += ` (${written.slice(at + 2, close)})`;
      at = close + 1;
    } else {
      source += written[at];
      at++;
    }
  }
  return { source };
}

/** Text with `${…}` in it, in its parts. */
export function templateParts(
  written: string,
): { readonly parts: readonly TemplatePart[] } | { readonly fault: ExpressionFault } {
  const parts: TemplatePart[] = [];
  let text = '';
  for (let at = 0; at < written.length; ) {
    if (written.startsWith('$${', at)) {
      text += '${';
      at += 3;
    } else if (written.startsWith('${', at)) {
      const close = closingBrace(written, at + 2);
      if (close === -1) return { fault: unclosed(at) };
      const source = written.slice(at + 2, close);
      if (source.trim() === '') return { fault: empty(at) };
      if (text !== '') parts.push({ kind: 'text', text });
      text = '';
      parts.push({ kind: 'expression', source, position: at + 2 });
      at = close + 1;
    } else {
      text += written[at];
      at++;
    }
  }
  if (text !== '' || parts.length === 0) parts.push({ kind: 'text', text });
  return { parts };
}

function unclosed(position: number): ExpressionFault {
  return { message: '"${" is not closed', position, hint: 'close it with "}"; "$${" is the text "${"' };
}

function empty(position: number): ExpressionFault {
  return { message: '"${}" has nothing in it', position, hint: 'name a value, as ${input.id}; "$${" is the text "${"' };
}

function quoteAt(text: string, at: number): string | undefined {
  const first = text[at];
  if (first !== '"' && first !== "'") return undefined;
  const triple = first.repeat(3);
  return text.startsWith(triple, at) ? triple : first;
}

/** Behind the string that begins at `at`; the end of the text when it is not closed. */
function endOfString(text: string, at: number, quote: string): number {
  const raw = /[rR][bB]?$/.test(text.slice(Math.max(0, at - 2), at));
  for (let i = at + quote.length; i < text.length; i++) {
    if (text[i] === '\\' && !raw) i++;
    else if (text.startsWith(quote, i)) return i + quote.length;
  }
  return text.length;
}

/** The brace that closes the one before `from`; -1 without one. */
function closingBrace(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; ) {
    const quote = quoteAt(text, at);
    if (quote !== undefined) {
      at = endOfString(text, at, quote);
      continue;
    }
    if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at;
    at++;
  }
  return -1;
}
