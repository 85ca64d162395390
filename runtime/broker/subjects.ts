/**
 * Subjects: what messages are published to, and the patterns that subscriptions name. NATS's grammar
 * (https://docs.nats.io/nats-concepts/subjects), with MQTT's rule for what belongs to the system (MQTT 5.0, 4.7.2).
 *
 * Owns: the grammar, its checks, the matching of one pattern with one subject, and the subjects of the system itself. Matching one
 * subject with many patterns is `subject-trie.ts`.
 *
 * A subject is tokens between dots: `orders.eu.paid`. In a pattern, `*` stands for one token and `>`, as the last one, for all the
 * rest, at least one: `orders.*.paid`, `orders.>`.
 *
 * Invariants:
 * SJ1. A token is one character or more, without dots, white space, control characters and wildcards; upper and lower case differ.
 * SJ2. A subject whose first token begins with `$` is the system's. No wildcard in the first place matches it: who listens to `>`
 *      does not hear commands, queries and replies.
 * SJ3. What passes here is at most `SUBJECT_LENGTH_LIMIT` characters and `SUBJECT_TOKENS_LIMIT` tokens, and well formed Unicode: it
 *      can be a key in LMDB and Redis, and its bytes give the same text back.
 */
import { InvalidSubjectError } from '../kernel/errors.ts';
import { SUBJECT_LENGTH_LIMIT, SUBJECT_TOKENS_LIMIT } from '../kernel/limits.ts';

/** Stands for one token. */
export const ANY_TOKEN = '*';
/** Stands for the rest, at least one token; only as the last one. */
export const ANY_REST = '>';

const DOT = 0x2e;
const SYSTEM = '$';
const COMMANDS = '$command';
const QUERIES = '$query';
const REPLIES = '$reply';

// \s has no zero-width characters; \p{C} has: they make subjects that look alike and are not.
const FORBIDDEN_IN_TOKEN = /[\s\p{C}]/u;
const WILDCARD_IN_TOKEN = /[*>]/;

/**
 * Throws unless messages can be published to `subject`: the system's subjects included, wildcards not.
 *
 * @throws InvalidSubjectError with the token at fault in `details.token`, its place (from 0) in `details.index`, and `details.rule`.
 */
export function assertSubject(subject: string): void {
  check(subject, 'subject', false);
}

/**
 * Throws unless a subscription can name `pattern`. A subject is a pattern too: of itself.
 *
 * @throws InvalidSubjectError as `assertSubject`.
 */
export function assertPattern(pattern: string): void {
  check(pattern, 'pattern', true);
}

/** Throws `InvalidSubjectError` unless `token` can be one token of a subject: the name of a system, for one. */
export function assertToken(token: string): void {
  if (typeof token !== 'string') throw invalid('token', token, 'text', 'it must be a string');
  if (token.includes('.')) throw invalid('token', token, 'one-token', 'a single token has no dots', token, 0);
  check(token, 'token', false);
}

/** Whether `subject` (or pattern) is one of the system's: its first token begins with `$`. */
export function isSystemSubject(subject: string): boolean {
  return subject.startsWith(SYSTEM);
}

/** Whether `pattern`, which is one, has wildcards. */
export function hasWildcard(pattern: string): boolean {
  return pattern.includes(ANY_TOKEN) || pattern.endsWith(ANY_REST);
}

/** Whether messages to `subject` are for who subscribed to `pattern`. Both must have passed their `assert`. */
export function matchesSubject(pattern: string, subject: string): boolean {
  if (isSystemSubject(subject) && !isSystemSubject(pattern)) return false;
  let inPattern = 0;
  let inSubject = 0;
  for (;;) {
    const patternEnd = endOfToken(pattern, inPattern);
    const subjectEnd = endOfToken(subject, inSubject);
    const token = pattern.slice(inPattern, patternEnd);
    if (token === ANY_REST) return true;
    if (token !== ANY_TOKEN && token !== subject.slice(inSubject, subjectEnd)) return false;
    const patternIsOver = patternEnd === pattern.length;
    const subjectIsOver = subjectEnd === subject.length;
    if (patternIsOver || subjectIsOver) return patternIsOver && subjectIsOver;
    inPattern = patternEnd + 1;
    inSubject = subjectEnd + 1;
  }
}

/** The subject of commands to a system: `$command.<target>.<action>`. `action` may be of several tokens, or `>` in a pattern. */
export function commandSubject(target: string, action: string): string {
  return systemSubject(COMMANDS, target, action);
}

/** The subject of queries to a system: `$query.<target>.<query>`. */
export function querySubject(target: string, query: string): string {
  return systemSubject(QUERIES, target, query);
}

/** The subject of answers to one asker: `$reply.<asker>`, or of one request of it: `$reply.<asker>.<request>`. */
export function replySubject(asker: string, request?: string): string {
  return request === undefined ? systemSubject(REPLIES, asker) : systemSubject(REPLIES, asker, request);
}

function systemSubject(family: string, name: string, rest?: string): string {
  assertToken(name);
  const subject = rest === undefined ? `${family}.${name}` : `${family}.${name}.${rest}`;
  assertPattern(subject);
  return subject;
}

/** Where the token that begins at `from` ends: at a dot, or at the end. */
function endOfToken(text: string, from: number): number {
  const dot = text.indexOf('.', from);
  return dot === -1 ? text.length : dot;
}

function check(text: string, what: string, wildcards: boolean): void {
  if (typeof text !== 'string') throw invalid(what, text, 'text', 'it must be a string');
  if (text.length === 0) throw invalid(what, text, 'empty', 'it must have at least one token');
  if (text.length > SUBJECT_LENGTH_LIMIT) {
    const rule = `it has ${text.length} characters, the limit is ${SUBJECT_LENGTH_LIMIT}`;
    throw invalid(what, `${text.slice(0, 60)}…`, 'length', rule);
  }
  const tokens = countDots(text) + 1;
  if (tokens > SUBJECT_TOKENS_LIMIT)
    throw invalid(what, text, 'tokens', `it has ${tokens} tokens, the limit is ${SUBJECT_TOKENS_LIMIT}`);
  if (!text.isWellFormed()) throw invalid(what, text, 'well-formed', 'half of a surrogate pair has no bytes');
  if (isPlainAscii(text)) return;
  checkTokens(text, what, wildcards);
}

/** Nearly every subject: letters, digits, `-`, `_`, `$` and single dots within. No wildcards, so that it is right for patterns too. */
function isPlainAscii(text: string): boolean {
  return /^[\w$-]+(?:\.[\w$-]+)*$/.test(text);
}

function checkTokens(text: string, what: string, wildcards: boolean): void {
  const tokens = text.split('.');
  for (const [index, token] of tokens.entries()) {
    if (token === '')
      throw invalid(what, text, 'empty-token', 'between, before and after dots there must be a token', token, index);
    if (wildcards && token === ANY_TOKEN) continue;
    if (token === ANY_REST && wildcards) {
      if (index === tokens.length - 1) continue;
      throw invalid(what, text, 'rest-last', '">" may only be the last token', token, index);
    }
    if (WILDCARD_IN_TOKEN.test(token)) {
      throw wildcards
        ? invalid(what, text, 'whole-token', 'a wildcard must be a token by itself', token, index)
        : invalid(what, text, 'no-wildcards', `a ${what} has no wildcards: only patterns have`, token, index);
    }
    if (FORBIDDEN_IN_TOKEN.test(token))
      throw invalid(what, text, 'characters', 'white space and control characters are not allowed', token, index);
  }
}

function countDots(text: string): number {
  let dots = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) === DOT) dots += 1;
  return dots;
}

function invalid(
  what: string,
  value: unknown,
  rule: string,
  words: string,
  token?: string,
  index?: number,
): InvalidSubjectError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : `a ${typeof value}`;
  const where = token === undefined ? '' : `token ${(index ?? 0) + 1}, ${JSON.stringify(token)}: `;
  return new InvalidSubjectError(`${what} ${shown} is not valid: ${where}${words}`, {
    details: { [what]: value, rule, ...(token === undefined ? {} : { token, index }) },
  });
}
