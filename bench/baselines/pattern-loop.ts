/**
 * Which of many subscriptions a subject is for, by asking each of them: token by token, or with a regular expression for each.
 *
 * Owns: what one would write without a trie. The regular expressions are the usual translation of `*` and `>`.
 */
import { matchesSubject } from '../../runtime/broker/subjects.ts';

export type Match = (subject: string) => number;

/** How many of `patterns` match, each looked at token by token. */
export function tokenLoop(patterns: readonly string[]): Match {
  return (subject) => {
    let found = 0;
    for (const pattern of patterns) if (matchesSubject(pattern, subject)) found += 1;
    return found;
  };
}

/** How many of `patterns` match, each as a regular expression. */
export function regexLoop(patterns: readonly string[]): Match {
  const expressions = patterns.map(expressionOf);
  return (subject) => {
    let found = 0;
    for (const expression of expressions) if (expression.test(subject)) found += 1;
    return found;
  };
}

function expressionOf(pattern: string): RegExp {
  const tokens = pattern.split('.').map((token, index) => {
    if (token === '*') return index === 0 ? '(?!\\$)[^.]+' : '[^.]+';
    if (token === '>') return index === 0 ? '(?!\\$).+' : '.+';
    return token.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${tokens.join('\\.')}$`);
}
