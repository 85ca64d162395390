import { describe, expect, test } from 'vitest';
import {
  assertPattern,
  assertSubject,
  assertToken,
  commandSubject,
  hasWildcard,
  isSystemSubject,
  matchesSubject,
  querySubject,
  replySubject,
} from '../../../runtime/broker/subjects.ts';
import { InvalidSubjectError } from '../../../runtime/kernel/errors.ts';
import { SUBJECT_LENGTH_LIMIT, SUBJECT_TOKENS_LIMIT } from '../../../runtime/kernel/limits.ts';

const faultOf = (check: () => void): Record<string, unknown> => {
  try {
    check();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidSubjectError);
    return { ...(error as InvalidSubjectError).details, message: (error as Error).message };
  }
  throw new Error('it passed');
};

describe('SJ1, SJ3: what a subject may be', () => {
  test.each([
    'orders',
    'orders.eu.paid',
    'Orders.EU',
    'a-b_c.1.2',
    '$command.billing.charge',
    'bestellungen.münchen.größe',
    '注文.東京',
    'price.€',
    'emoji.🦊',
    'a'.repeat(SUBJECT_LENGTH_LIMIT),
    Array.from({ length: SUBJECT_TOKENS_LIMIT }, () => 'a').join('.'),
  ])('%s', (subject) => {
    assertSubject(subject);
    assertPattern(subject);
    expect(matchesSubject(subject, subject)).toBe(true);
  });

  test.each([
    ['', 'empty', undefined, undefined],
    ['.', 'empty-token', '', 0],
    ['orders.', 'empty-token', '', 1],
    ['.orders', 'empty-token', '', 0],
    ['orders..paid', 'empty-token', '', 1],
    ['orders.*', 'no-wildcards', '*', 1],
    ['>', 'no-wildcards', '>', 0],
    ['orders.a>b', 'no-wildcards', 'a>b', 1],
    ['orders.my order', 'characters', 'my order', 1],
    ['orders.a\tb', 'characters', 'a\tb', 1],
    ['orders.a\0', 'characters', 'a\0', 1],
    ['orders.a\r\n', 'characters', 'a\r\n', 1],
    ['orders.\u00a0', 'characters', '\u00a0', 1],
    ['orders.zero\u200bwidth', 'characters', 'zero\u200bwidth', 1],
    ['orders.\u202eright', 'characters', '\u202eright', 1],
    ['orders.\x7f', 'characters', '\x7f', 1],
    ['orders.\ud800', 'well-formed', undefined, undefined],
    ['a'.repeat(SUBJECT_LENGTH_LIMIT + 1), 'length', undefined, undefined],
    [Array.from({ length: SUBJECT_TOKENS_LIMIT + 1 }, () => 'a').join('.'), 'tokens', undefined, undefined],
  ])('not %j: %s', (subject, rule, token, index) => {
    const fault = faultOf(() => assertSubject(subject));
    expect(fault).toMatchObject({ rule, ...(token === undefined ? {} : { token, index }) });
    if (token !== undefined) expect(fault['message']).toContain(JSON.stringify(token));
  });

  test.each([undefined, null, 7, {}, ['a']])('not a %j', (value) => {
    expect(faultOf(() => assertSubject(value as string))['rule']).toBe('text');
    expect(faultOf(() => assertToken(value as string))['rule']).toBe('text');
  });

  test('a text of megabytes is refused by its length, and not repeated in the message', () => {
    const fault = faultOf(() => assertSubject('a.'.repeat(1 << 20)));
    expect(fault['rule']).toBe('length');
    expect(String(fault['message']).length).toBeLessThan(300);
  });
});

describe('what a pattern may be', () => {
  test.each(['*', '>', 'orders.*', '*.paid', 'orders.>', '*.*.>', '$command.billing.>', '$reply.*'])(
    '%s',
    (pattern) => {
      assertPattern(pattern);
      expect(hasWildcard(pattern)).toBe(true);
      expect(() => assertSubject(pattern)).toThrow(InvalidSubjectError);
    },
  );

  test.each([
    ['orders.>.paid', 'rest-last', '>', 1],
    ['>.>', 'rest-last', '>', 0],
    ['orders.a*', 'whole-token', 'a*', 1],
    ['orders.**', 'whole-token', '**', 1],
    ['orders.>>', 'whole-token', '>>', 1],
    ['orders.*.', 'empty-token', '', 2],
  ])('not %s: %s', (pattern, rule, token, index) => {
    expect(faultOf(() => assertPattern(pattern))).toMatchObject({ rule, token, index });
  });
});

describe('SJ2: matching', () => {
  test.each([
    ['orders', 'orders', true],
    ['orders', 'order', false],
    ['orders', 'orders.paid', false],
    ['orders.paid', 'orders', false],
    ['orders.*', 'orders.paid', true],
    ['orders.*', 'orders', false],
    ['orders.*', 'orders.eu.paid', false],
    ['orders.*.paid', 'orders.eu.paid', true],
    ['orders.*.paid', 'orders.eu.sent', false],
    ['orders.>', 'orders.paid', true],
    ['orders.>', 'orders.eu.paid', true],
    ['orders.>', 'orders', false],
    ['*', 'orders', true],
    ['*', 'orders.paid', false],
    ['>', 'orders.eu.paid', true],
    ['*.>', 'orders', false],
    ['Orders', 'orders', false],
    ['ord', 'orders', false],
    ['orders.eu', 'orders.eur', false],
    // The system's.
    ['>', '$command.billing.charge', false],
    ['*.billing.charge', '$command.billing.charge', false],
    ['*', '$me', false],
    ['$command.>', '$command.billing.charge', true],
    ['$command.*.charge', '$command.billing.charge', true],
    ['orders.>', 'orders.$odd', true],
    ['orders.*', 'orders.$odd', true],
  ])('%s and %s: %s', (pattern, subject, expected) => {
    expect(matchesSubject(pattern, subject)).toBe(expected);
  });

  test("the system's subjects", () => {
    expect(commandSubject('billing', 'charge')).toBe('$command.billing.charge');
    expect(commandSubject('billing', '>')).toBe('$command.billing.>');
    expect(querySubject('billing', 'balance.of')).toBe('$query.billing.balance.of');
    expect(replySubject('n-1', 'r-2')).toBe('$reply.n-1.r-2');
    expect(replySubject('n-1')).toBe('$reply.n-1');
    expect(isSystemSubject('$reply.n-1')).toBe(true);
    expect(faultOf(() => commandSubject('billing.eu', 'charge'))).toMatchObject({ rule: 'one-token' });
    expect(faultOf(() => commandSubject('*', 'charge'))).toMatchObject({ rule: 'no-wildcards' });
    expect(faultOf(() => querySubject('billing', ''))).toMatchObject({ rule: 'empty-token', index: 2 });
  });
});
