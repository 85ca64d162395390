/**
 * jq, as far as workflows of the Open Workflow Specification write it: text to a tree.
 *
 * Owns: the grammar and its precedences. What none of it can be is refused with its position: what a tree means is `jq-to-cel.ts`.
 */
export type JqNode = { readonly at: number } & (
  | { readonly kind: 'identity' }
  | { readonly kind: 'member'; readonly of: JqNode; readonly name: string }
  | { readonly kind: 'index'; readonly of: JqNode; readonly index: JqNode }
  | { readonly kind: 'literal'; readonly source: string; readonly value: unknown }
  | { readonly kind: 'text'; readonly parts: readonly (string | JqNode)[] }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: JqNode; readonly right: JqNode }
  | { readonly kind: 'negative'; readonly of: JqNode }
  | { readonly kind: 'if'; readonly condition: JqNode; readonly yes: JqNode; readonly otherwise: JqNode }
  | { readonly kind: 'object'; readonly members: readonly (readonly [string, JqNode])[] }
  | { readonly kind: 'list'; readonly items: readonly JqNode[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly JqNode[] }
);

/** What cannot be read, or has no translation; where in the expression. */
export class JqFault extends Error {
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

interface Token {
  readonly kind: 'name' | 'field' | 'variable' | 'number' | 'text' | 'sign' | 'end';
  readonly text: string;
  readonly at: number;
}

/** From weak to strong; each binds to the left, `//` to the right. */
const LEVELS: readonly (readonly string[])[] = [
  ['|'],
  ['//'],
  ['or'],
  ['and'],
  ['==', '!=', '<', '<=', '>', '>='],
  ['+', '-'],
  ['*', '/', '%'],
];
/** Above `|` alone: what may stand as a member's value, or an item, without parentheses. */
const ITEM_LEVEL = 1;
const SIGNS = /^(?:\/\/=?|[=!<>]=|\|=|[-+*/%]=|\.\.|[-+*/%|,:;<>=?()[\]{}.])/;
const KEYWORDS = new Set(['as', 'def', 'reduce', 'foreach', 'try', 'catch', 'label', 'import', 'include', '__loc__']);

/** @throws JqFault */
export function parseJq(source: string): JqNode {
  const parser = new Parser(source);
  const node = parser.pipe();
  parser.expectEnd();
  return node;
}

class Parser {
  readonly #source: string;
  #at: number;
  #token: Token;

  constructor(source: string, from = 0) {
    this.#source = source;
    this.#at = from;
    this.#token = this.#scan();
  }

  pipe(): JqNode {
    return this.#binary(0);
  }

  expectEnd(): void {
    if (this.#token.kind !== 'end') this.#unexpected();
  }

  /** Position behind the parenthesis that closes an interpolation. */
  closeInterpolation(): number {
    if (this.#token.text !== ')') this.#unexpected();
    return this.#token.at + 1;
  }

  #binary(level: number): JqNode {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    while (this.#isOperator(operators)) {
      const { text: operator, at } = this.#take();
      const right = operator === '//' ? this.#binary(level) : this.#binary(level + 1);
      left = { kind: 'binary', operator, left, right, at };
    }
    if (level === 0 && this.#is(',')) throw new JqFault('"," gives several results: write a list', this.#token.at);
    return left;
  }

  #isOperator(operators: readonly string[]): boolean {
    return (this.#token.kind === 'sign' || this.#token.kind === 'name') && operators.includes(this.#token.text);
  }

  #unary(): JqNode {
    if (!this.#is('-')) return this.#postfix();
    const { at } = this.#take();
    return { kind: 'negative', of: this.#postfix(), at };
  }

  #postfix(): JqNode {
    let node = this.#primary();
    for (;;) {
      const { kind, text, at } = this.#token;
      if (kind === 'field') {
        this.#take();
        node = { kind: 'member', of: node, name: text, at };
      } else if (text === '.' && kind === 'sign') {
        this.#take();
        if (!this.#is('[')) this.#unexpected();
      } else if (text === '[' && kind === 'sign') node = this.#index(node);
      else if (text === '?' && kind === 'sign') throw new JqFault('"?" hides errors, and is not translated', at);
      else return node;
    }
  }

  #index(of: JqNode): JqNode {
    const { at } = this.#take();
    if (this.#is(']')) throw new JqFault('".[]" gives several results: use map(…)', at);
    const index = this.pipe();
    if (this.#is(':')) throw new JqFault('a part of a list, as in [a:b], is not translated', this.#token.at);
    this.#expect(']');
    if (index.kind === 'literal' && typeof index.value === 'string')
      return { kind: 'member', of, name: index.value, at };
    return { kind: 'index', of, index, at };
  }

  #primary(): JqNode {
    const token = this.#take();
    const { kind, text, at } = token;
    switch (kind) {
      case 'field':
        return { kind: 'member', of: { kind: 'identity', at }, name: text, at };
      case 'variable':
        return { kind: 'variable', name: text, at };
      case 'number':
        return { kind: 'literal', source: text, value: Number(text), at };
      case 'text':
        return this.#text(at);
      case 'name':
        return this.#named(text, at);
      case 'sign':
        return this.#sign(text, at);
      case 'end':
        throw new JqFault('it ends too early', at);
    }
  }

  #sign(text: string, at: number): JqNode {
    switch (text) {
      case '.':
        return { kind: 'identity', at };
      case '(': {
        const node = this.pipe();
        this.#expect(')');
        return node;
      }
      case '[': {
        const items = this.#is(']') ? [] : this.#items();
        this.#expect(']');
        return { kind: 'list', items, at };
      }
      case '{':
        return this.#object(at);
      default:
        throw new JqFault(`"${text}" is not expected here`, at);
    }
  }

  #named(text: string, at: number): JqNode {
    if (KEYWORDS.has(text)) throw new JqFault(`"${text}" is not translated`, at);
    if (text === 'true' || text === 'false' || text === 'null') {
      return { kind: 'literal', source: text, value: JSON.parse(text) as unknown, at };
    }
    if (text === 'if') return this.#if(at);
    const args: JqNode[] = [];
    if (this.#is('(')) {
      do {
        this.#take();
        args.push(this.pipe());
      } while (this.#is(';'));
      this.#expect(')');
    }
    return { kind: 'call', name: text, args, at };
  }

  #if(at: number): JqNode {
    const condition = this.pipe();
    this.#expect('then');
    const yes = this.pipe();
    if (this.#is('elif')) {
      const { at: next } = this.#take();
      return { kind: 'if', condition, yes, otherwise: this.#if(next), at };
    }
    const otherwise: JqNode = this.#is('else') ? (this.#take(), this.pipe()) : { kind: 'identity', at };
    this.#expect('end');
    return { kind: 'if', condition, yes, otherwise, at };
  }

  #items(): JqNode[] {
    const items = [this.#binary(ITEM_LEVEL)];
    while (this.#is(',')) {
      this.#take();
      items.push(this.#binary(ITEM_LEVEL));
    }
    return items;
  }

  #object(at: number): JqNode {
    const members: [string, JqNode][] = [];
    while (!this.#is('}')) {
      if (members.length > 0) this.#expect(',');
      const key = this.#take();
      const name = key.kind === 'text' ? this.#plainText(key.at) : key.text;
      if (key.kind === 'variable' && !this.#is(':')) {
        members.push([name, { kind: 'variable', name, at: key.at }]);
        continue;
      }
      if (key.kind !== 'name' && key.kind !== 'text') throw new JqFault('a computed key is not translated', key.at);
      if (!this.#is(':')) {
        members.push([name, { kind: 'member', of: { kind: 'identity', at: key.at }, name, at: key.at }]);
        continue;
      }
      this.#take();
      members.push([name, this.#binary(ITEM_LEVEL)]);
    }
    this.#expect('}');
    return { kind: 'object', members, at };
  }

  #plainText(at: number): string {
    const node = this.#text(at);
    if (node.kind === 'literal') return node.value as string;
    throw new JqFault('a computed key is not translated', at);
  }

  /** The text that begins at `at`, its interpolations too; what comes behind it is the next token. */
  #text(at: number): JqNode {
    const parts: (string | JqNode)[] = [];
    let raw = '';
    const flush = (): void => {
      if (raw !== '') parts.push(this.#unescape(raw, at));
      raw = '';
    };
    let i = at + 1;
    for (; this.#source[i] !== '"'; i++) {
      if (i >= this.#source.length) throw new JqFault('the quotes are not closed', at);
      if (this.#source.startsWith('\\(', i)) {
        flush();
        const inner = new Parser(this.#source, i + 2);
        parts.push(inner.pipe());
        i = inner.closeInterpolation() - 1;
      } else if (this.#source[i] === '\\') raw += this.#source.slice(i, ++i + 1);
      else raw += this.#source[i];
    }
    flush();
    this.#at = i + 1;
    this.#token = this.#scan();
    if (parts.every((part) => typeof part === 'string')) {
      const value = parts.join('');
      return { kind: 'literal', source: JSON.stringify(value), value, at };
    }
    return { kind: 'text', parts, at };
  }

  #unescape(raw: string, at: number): string {
    try {
      return JSON.parse(`"${raw.replaceAll('\n', '\\n').replaceAll('\t', '\\t')}"`) as string;
    } catch {
      throw new JqFault('an escape that is none', at);
    }
  }

  #is(text: string): boolean {
    return this.#token.text === text && (this.#token.kind === 'sign' || this.#token.kind === 'name');
  }

  #expect(text: string): void {
    if (!this.#is(text)) throw new JqFault(`"${text}" is expected here`, this.#token.at);
    this.#take();
  }

  #unexpected(): never {
    const { kind, text, at } = this.#token;
    if (/^(?:[-+*/%|]|\/\/)?=$/.test(text)) throw new JqFault(`"${text}" changes a value, and is not translated`, at);
    throw new JqFault(kind === 'end' ? 'it ends too early' : `"${text}" is not expected here`, at);
  }

  #take(): Token {
    const token = this.#token;
    // A text is read as a whole, by whoever takes it.
    if (token.kind !== 'text') this.#token = this.#scan();
    return token;
  }

  #scan(): Token {
    const space = /^(?:\s|#[^\n]*)+/.exec(this.#source.slice(this.#at));
    this.#at += space?.[0].length ?? 0;
    const at = this.#at;
    const rest = this.#source.slice(at);
    if (rest === '') return { kind: 'end', text: '', at };
    const forms: readonly (readonly [Token['kind'], RegExp])[] = [
      ['field', /^\.([A-Za-z_]\w*)/],
      ['variable', /^\$([A-Za-z_]\w*)/],
      ['number', /^(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)/],
      ['name', /^([A-Za-z_]\w*)/],
    ];
    for (const [kind, form] of forms) {
      const [all, text] = form.exec(rest) ?? [];
      if (all === undefined || text === undefined) continue;
      this.#at += all.length;
      return { kind, text, at };
    }
    if (rest.startsWith('."')) {
      this.#at += 1;
      return this.#quotedField(at);
    }
    if (rest.startsWith('"')) return { kind: 'text', text: '"', at };
    const [sign] = SIGNS.exec(rest) ?? [];
    if (sign === undefined) throw new JqFault(`"${rest[0]}" is not expected here`, at);
    this.#at += sign.length;
    return { kind: 'sign', text: sign, at };
  }

  /** `."a name"` */
  #quotedField(at: number): Token {
    const [all, inner = ''] = /^"((?:[^"\\]|\\.)*)"/.exec(this.#source.slice(this.#at)) ?? [];
    if (all === undefined) throw new JqFault('the quotes are not closed', at);
    this.#at += all.length;
    return { kind: 'field', text: this.#unescape(inner, at), at };
  }
}
