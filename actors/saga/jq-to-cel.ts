/**
 * A jq expression as a CEL expression that says the same.
 *
 * Owns: what has a translation. What has none is refused with its position.
 *
 * Invariants:
 * JC1. Where both have a value it is the same value; a member that is missing is null in both.
 * JC2. Where jq compares or adds values of different kinds by rules of its own, the CEL expression fails, and never gives another value.
 */
import { JqFault, type JqNode, parseJq } from './jq-parser.ts';

/** What names stand for, as CEL. */
export interface JqScope {
  /** `.`; undefined: it has no value here, and `why` says so. */
  readonly current: string | undefined;
  readonly why?: string;
  /** `$name`, or a path of it as `workflow.input`. */
  readonly variables: ReadonlyMap<string, string>;
}

/** `isBoolean`: it is true or false, and nothing else. */
interface Cel {
  readonly text: string;
  readonly isBoolean: boolean;
}

const RESERVED = new Set(
  'in true false null as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);
const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=']);

/** The CEL expression, as a value. @throws JqFault */
export function celOf(source: string, scope: JqScope): string {
  return new Translation(scope).value(parseJq(source)).text;
}

/** The CEL expression as a condition, by jq's rule of what counts as true: all but false and null. @throws JqFault */
export function celCondition(source: string, scope: JqScope): string {
  return new Translation(scope).truth(parseJq(source));
}

function optional(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) && !RESERVED.has(name) ? `.?${name}` : `[?${JSON.stringify(name)}]`;
}

/** Its kind is not looked at before it has a value. */
function dynamic(cel: string): string {
  return cel.startsWith('dyn(') ? cel : `dyn(${cel})`;
}

class Translation {
  readonly #scope: JqScope;
  #loops = 0;

  constructor(scope: JqScope) {
    this.#scope = scope;
  }

  truth(node: JqNode): string {
    const { text, isBoolean } = this.value(node);
    return isBoolean ? text : `(${dynamic(text)} != null && ${dynamic(text)} != false)`;
  }

  value(node: JqNode): Cel {
    switch (node.kind) {
      case 'identity':
        return some(this.#current(node.at));
      case 'member':
        return this.#member(node);
      case 'index':
        return this.#index(node);
      case 'literal':
        return { text: node.source, isBoolean: typeof node.value === 'boolean' };
      case 'text':
        return some(`(${node.parts.map((part) => this.#part(part)).join(' + ')})`);
      case 'variable':
        return some(this.#variable([node.name], node.at));
      case 'negative':
        return some(`-${this.value(node.of).text}`);
      case 'binary':
        return this.#binary(node);
      case 'if': {
        const [then, otherwise] = [this.value(node.yes), this.value(node.otherwise)];
        const text = `(${this.truth(node.condition)} ? ${dynamic(then.text)} : ${dynamic(otherwise.text)})`;
        return { text, isBoolean: then.isBoolean && otherwise.isBoolean };
      }
      case 'object':
        return some(
          `{${node.members.map(([name, of]) => `${JSON.stringify(name)}: ${dynamic(this.value(of).text)}`).join(', ')}}`,
        );
      case 'list':
        return some(`[${node.items.map((item) => dynamic(this.value(item).text)).join(', ')}]`);
      case 'call':
        return this.#call(node);
    }
  }

  #current(at: number): string {
    const { current, why } = this.#scope;
    if (current === undefined) throw new JqFault(`"." has no value here: ${why}`, at);
    return current;
  }

  #part(part: string | JqNode): string {
    return typeof part === 'string' ? JSON.stringify(part) : `string(${dynamic(this.value(part).text)})`;
  }

  /** A chain of members is one chain of CEL: only its end has a default. */
  #member(node: JqNode & { readonly kind: 'member' }): Cel {
    const names: string[] = [];
    let of: JqNode = node;
    for (; of.kind === 'member'; of = of.of) names.unshift(of.name);
    if (of.kind === 'variable') {
      const known = [names.length, names.length - 1, 1, 0].map((length) => [of.name, ...names.slice(0, length)]);
      const path = known.find((one) => this.#scope.variables.has(one.join('.')));
      const base = this.#variable(path ?? [of.name, ...names], of.at);
      return some(chain(base, names.slice((path?.length ?? 1) - 1)));
    }
    return some(chain(this.value(of).text, names));
  }

  #index(node: JqNode & { readonly kind: 'index' }): Cel {
    if (node.index.kind === 'negative') throw new JqFault('an index from the end is not translated', node.index.at);
    return some(`${dynamic(this.value(node.of).text)}[?${this.value(node.index).text}].orValue(null)`);
  }

  #variable(path: readonly string[], at: number): string {
    const { variables } = this.#scope;
    const found = variables.get(path.join('.'));
    if (found !== undefined) return found;
    const known = [...variables.keys()].map((name) => `$${name}`).join(', ');
    throw new JqFault(`"$${path.join('.')}" has no value here (known: ${known || 'none'})`, at);
  }

  #binary(node: JqNode & { readonly kind: 'binary' }): Cel {
    const { operator, left, right, at } = node;
    if (operator === '|') return this.#within(this.value(left).text, right);
    if (operator === 'and' || operator === 'or') {
      return {
        text: `(${this.truth(left)} ${operator === 'and' ? '&&' : '||'} ${this.truth(right)})`,
        isBoolean: true,
      };
    }
    const [a, b] = [this.value(left), this.value(right)];
    if (operator === '//') {
      const text = `(${this.truth(left)} ? ${dynamic(a.text)} : ${dynamic(b.text)})`;
      return { text, isBoolean: a.isBoolean && b.isBoolean };
    }
    if (COMPARISONS.has(operator)) {
      return { text: `(${dynamic(a.text)} ${operator} ${dynamic(b.text)})`, isBoolean: true };
    }
    if (left.kind === 'object' || right.kind === 'object') {
      throw new JqFault(`"${operator}" of objects is not translated: CEL does not merge: name the members`, at);
    }
    // Whole numbers are no integers in jq: 5 / 2 is 2.5.
    if (operator === '/') return some(`(double(${dynamic(a.text)}) / double(${dynamic(b.text)}))`);
    return some(`(${dynamic(a.text)} ${operator} ${dynamic(b.text)})`);
  }

  #within(current: string, node: JqNode): Cel {
    const inner = new Translation({ ...this.#scope, current });
    inner.#loops = this.#loops;
    return inner.value(node);
  }

  #call(node: JqNode & { readonly kind: 'call' }): Cel {
    const { name, args, at } = node;
    const [arg] = args;
    const current = (): string => dynamic(this.#current(at));
    if (args.length === 0) {
      switch (name) {
        case 'not':
          return { text: `!(${this.truth({ kind: 'identity', at })})`, isBoolean: true };
        case 'length':
          return some(`size(${current()})`);
        case 'tostring':
          return some(`string(${current()})`);
      }
    }
    if (arg !== undefined && args.length === 1) {
      switch (name) {
        case 'map':
          return this.#map(arg, at);
        case 'any':
        case 'all':
          return {
            text: this.#loop(name === 'any' ? 'exists' : 'all', arg, at, (inner, body) => inner.truth(body)),
            isBoolean: true,
          };
        case 'startswith':
        case 'endswith': {
          const method = name === 'startswith' ? 'startsWith' : 'endsWith';
          return { text: `string(${current()}).${method}(${this.value(arg).text})`, isBoolean: true };
        }
        case 'has':
          return { text: `(${this.value(arg).text} in ${current()})`, isBoolean: true };
      }
    }
    throw new JqFault(`"${name}" is not translated`, at);
  }

  /** `map(select(a) | b)` is a filter, and a map behind it. */
  #map(body: JqNode, at: number): Cel {
    const select = selectOf(body);
    if (select === undefined)
      return some(this.#loop('map', body, at, (inner, node) => dynamic(inner.value(node).text)));
    const filtered = this.#loop('filter', select.condition, at, (inner, node) => inner.truth(node));
    if (select.rest === undefined) return some(filtered);
    return this.#within(filtered, { kind: 'call', name: 'map', args: [select.rest], at });
  }

  #loop(macro: string, body: JqNode, at: number, write: (inner: Translation, body: JqNode) => string): string {
    const name = `each${this.#loops + 1}`;
    const inner = new Translation({ ...this.#scope, current: name });
    inner.#loops = this.#loops + 1;
    return `${dynamic(this.#current(at))}.${macro}(${name}, ${write(inner, body)})`;
  }
}

function selectOf(node: JqNode): { readonly condition: JqNode; readonly rest: JqNode | undefined } | undefined {
  if (node.kind === 'call' && node.name === 'select' && node.args.length === 1) {
    return { condition: node.args[0] as JqNode, rest: undefined };
  }
  if (node.kind !== 'binary' || node.operator !== '|') return undefined;
  const first = selectOf(node.left);
  return first === undefined || first.rest !== undefined ? undefined : { ...first, rest: node.right };
}

function chain(base: string, names: readonly string[]): string {
  return names.length === 0 ? base : `${dynamic(base)}${names.map(optional).join('')}.orValue(null)`;
}

function some(text: string): Cel {
  return { text, isBoolean: false };
}
