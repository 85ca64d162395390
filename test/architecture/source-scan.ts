/**
 * Reads TypeScript just far enough for the architecture rules: comments out, literals aside, imports and exports listed.
 *
 * No compiler API is needed (the compiler of the day has none). The scan is a small state machine, so that a quote in a
 * comment, an import in a string or a slash in a regular expression does not fool the rules.
 */

export interface Scan {
  /** The code without comments; each string is replaced by `"<index>"`, template text and regular expressions are blanked. */
  readonly code: string;
  /** The strings, by index. */
  readonly strings: readonly string[];
}

export interface ImportStatement {
  readonly specifier: string;
  /** `type`: erased (`import type`, `export type … from`). `dynamic`: `import('…')`. */
  readonly kind: 'value' | 'type' | 'dynamic';
  readonly line: number;
}

export interface ExportedNames {
  readonly names: readonly { readonly name: string; readonly kind: 'value' | 'type' }[];
  readonly hasStar: boolean;
}

const REGEX_MAY_FOLLOW =
  /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|void|throw|await|yield|else|do))\s*$/;

const keepNewlines = (text: string): string => text.replace(/[^\n]/g, ' ');

const endOfQuoted = (text: string, start: number): number => {
  const quote = text[start];
  let at = start + 1;
  while (at < text.length && text[at] !== quote) at += text[at] === '\\' ? 2 : 1;
  return at + 1;
};

const endOfRegex = (text: string, start: number): number => {
  let inClass = false;
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === '\\') at += 1;
    else if (char === '\n') return -1;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) {
      const flags = /^[a-z]*/.exec(text.slice(at + 1))?.[0].length ?? 0;
      return at + 1 + flags;
    }
  }
  return -1;
};

export const scan = (text: string): Scan => {
  const strings: string[] = [];
  /** Brace depth at which each open template's `${` ends. */
  const templateDepths: number[] = [];
  let code = '';
  let depth = 0;
  let at = text.startsWith('#!') ? text.indexOf('\n') : 0;

  const templateText = (): void => {
    while (at < text.length) {
      if (text[at] === '\\') {
        code += keepNewlines(text.slice(at, at + 2));
        at += 2;
      } else if (text[at] === '`') {
        code += '`';
        at += 1;
        return;
      } else if (text.startsWith('${', at)) {
        code += '${';
        at += 2;
        templateDepths.push(depth);
        return;
      } else {
        code += text[at] === '\n' ? '\n' : ' ';
        at += 1;
      }
    }
  };

  while (at < text.length) {
    const char = text[at] as string;
    if (text.startsWith('//', at)) {
      const end = text.indexOf('\n', at);
      at = end === -1 ? text.length : end;
    } else if (text.startsWith('/*', at)) {
      const found = text.indexOf('*/', at + 2);
      const end = found === -1 ? text.length : found + 2;
      code += ` ${keepNewlines(text.slice(at, end)).replace(/ /g, '')}`;
      at = end;
    } else if (char === "'" || char === '"') {
      const end = endOfQuoted(text, at);
      code += `"${strings.length}"`;
      strings.push(text.slice(at + 1, end - 1));
      at = end;
    } else if (char === '`') {
      code += '`';
      at += 1;
      templateText();
    } else if (char === '/' && REGEX_MAY_FOLLOW.test(code.slice(-80))) {
      const end = endOfRegex(text, at);
      code += end === -1 ? '/' : '/ /';
      at = end === -1 ? at + 1 : end;
    } else if (char === '}' && templateDepths.at(-1) === depth) {
      templateDepths.pop();
      code += '}';
      at += 1;
      templateText();
    } else {
      if (char === '{') depth += 1;
      if (char === '}') depth -= 1;
      code += char;
      at += 1;
    }
  }
  return { code, strings };
};

const lineAt = (code: string, index: number): number => code.slice(0, index).split('\n').length;

/** Every import of a file: `import … from`, `import '…'`, `export … from`, `import('…')`. */
export const importsOf = (text: string): ImportStatement[] => {
  const { code, strings } = scan(text);
  const found: ImportStatement[] = [];
  const add = (match: RegExpExecArray, index: string | undefined, kind: ImportStatement['kind']): void => {
    const specifier = strings[Number(index)];
    if (specifier !== undefined) found.push({ specifier, kind, line: lineAt(code, match.index) });
  };
  const isTypeOnly = (word: string | undefined): ImportStatement['kind'] => (word === undefined ? 'value' : 'type');

  for (const match of code.matchAll(/(?<![.\w$])import\s*(type\s(?!\s*from\b))?(?:[\w$*{},\s]*?\bfrom\s*)?"(\d+)"/g))
    add(match, match[2], isTypeOnly(match[1]));
  for (const match of code.matchAll(
    /(?<![.\w$])export\s*(type\b)?\s*(?:\*(?:\s*as\s+[\w$]+)?|\{[^}]*\})\s*from\s*"(\d+)"/g,
  ))
    add(match, match[2], isTypeOnly(match[1]));
  for (const match of code.matchAll(/(?<![.\w$])import\s*\(\s*"(\d+)"/g)) add(match, match[1], 'dynamic');
  return found.sort((a, b) => a.line - b.line);
};

/** The names a module exports, as far as they are spelled out. */
export const exportsOf = (text: string): ExportedNames => {
  const { code } = scan(text);
  const names: { name: string; kind: 'value' | 'type' }[] = [];
  for (const match of code.matchAll(/(?<![.\w$])export\s*(type\b)?\s*\{([^}]*)\}/g)) {
    for (const part of (match[2] ?? '').split(',').map((item) => item.trim())) {
      const spelled = /^(type\s+)?(?:[\w$]+\s+as\s+)?([\w$]+)$/.exec(part);
      if (spelled?.[2] === undefined) continue;
      names.push({ name: spelled[2], kind: (match[1] ?? spelled[1]) ? 'type' : 'value' });
    }
  }
  for (const match of code.matchAll(/(?<![.\w$])export\s*(type\s)?\s*\*\s*as\s+([\w$]+)/g))
    if (match[2] !== undefined) names.push({ name: match[2], kind: match[1] === undefined ? 'value' : 'type' });
  const declared =
    /(?<![.\w$])export\s+(?:declare\s+)?(?:(interface|type)|(?:abstract\s+)?class|(?:async\s+)?function\s*\*?|const|let)\s+([\w$]+)/g;
  for (const match of code.matchAll(declared))
    if (match[2] !== undefined) names.push({ name: match[2], kind: match[1] === undefined ? 'value' : 'type' });
  return {
    names: names.sort((a, b) => (a.name < b.name ? -1 : 1)),
    hasStar: /(?<![.\w$])export\s*(?:type\s*)?\*\s*from\b/.test(code),
  };
};
