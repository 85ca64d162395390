import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SubjectTrie } from '../../../runtime/broker/subject-trie.ts';
import { matchesSubject } from '../../../runtime/broker/subjects.ts';
import { InvalidSubjectError } from '../../../runtime/kernel/errors.ts';
import { SUBJECT_CACHE_SUBJECTS, SUBJECT_CACHE_VALUES } from '../../../runtime/kernel/limits.ts';

/** Few tokens, so that patterns and subjects meet. */
const token = fc.constantFrom('a', 'b', 'c', '$x', 'constructor');
const subject = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(
    fc.array(fc.oneof({ weight: 3, arbitrary: token }, { weight: 2, arbitrary: fc.constant('*') }), { maxLength: 4 }),
    fc.boolean(),
  )
  .map(([tokens, rest]) => (rest || tokens.length === 0 ? [...tokens, '>'] : tokens).join('.'));
const value = fc.integer({ min: 0, max: 5 });

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), pattern, value }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), pattern, value }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('match' as const), subject }) },
);

/** The least that can be right: a list of pairs, and each of them looked at. */
class NaiveSubscriptions {
  readonly pairs: { readonly pattern: string; readonly value: number }[] = [];

  indexOf(patternOf: string, valueOf: number): number {
    return this.pairs.findIndex((one) => one.pattern === patternOf && one.value === valueOf);
  }

  match(of: string): number[] {
    return this.pairs.filter((one) => matchesSubject(one.pattern, of)).map((one) => one.value);
  }
}

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

test('ST1, ST2, ST3: whatever is added, removed and asked for, it says what a list of patterns says', () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.array(subject, { maxLength: 8 }),
      (steps, asked) => {
        const trie = new SubjectTrie<number>();
        const naive = new NaiveSubscriptions();
        const agree = (of: string): void => expect(sorted(trie.match(of)), of).toEqual(sorted(naive.match(of)));
        for (const one of steps) {
          switch (one.kind) {
            case 'add': {
              const isNew = naive.indexOf(one.pattern, one.value) === -1;
              if (isNew) naive.pairs.push({ pattern: one.pattern, value: one.value });
              expect(trie.add(one.pattern, one.value)).toBe(isNew);
              break;
            }
            case 'remove': {
              const at = naive.indexOf(one.pattern, one.value);
              if (at !== -1) naive.pairs.splice(at, 1);
              expect(trie.remove(one.pattern, one.value)).toBe(at !== -1);
              break;
            }
            case 'match':
              agree(one.subject);
              break;
          }
          // Asked before and after each change, so that what was kept is there to be wrong.
          asked.forEach(agree);
        }
        expect(trie.size).toBe(naive.pairs.length);
        const pairs = [...trie.entries()].map(([patternOf, valueOf]) => `${patternOf} ${valueOf}`).sort();
        expect(pairs).toEqual(naive.pairs.map((one) => `${one.pattern} ${one.value}`).sort());
      },
    ),
    { numRuns: 1_000 },
  );
});

describe('what stays behind', () => {
  test('nothing of a pattern that is gone', () => {
    const trie = new SubjectTrie<number>();
    const patterns = ['a', 'a.b.c', 'a.*.c', '>', 'a.>', '*.*.>'];
    patterns.forEach((one, i) => trie.add(one, i));
    for (const [i, one] of patterns.entries()) {
      trie.match('a.b.c');
      expect(trie.remove(one, i)).toBe(true);
      expect(trie.remove(one, i)).toBe(false);
    }
    expect(trie.size).toBe(0);
    expect([...trie.entries()]).toEqual([]);
    expect(trie.match('a.b.c')).toEqual([]);
  });

  test('a match that was given does not change', () => {
    const trie = new SubjectTrie<string>();
    trie.add('a.b', 'first');
    const before = trie.match('a.b');
    trie.add('a.*', 'second');
    trie.remove('a.b', 'first');
    expect(before).toEqual(['first']);
    expect(trie.match('a.b')).toEqual(['second']);
  });
});

test('ST4: it goes on being right when more subjects are asked for than are kept, and when a list is too long to keep', () => {
  const trie = new SubjectTrie<number>();
  const many = SUBJECT_CACHE_VALUES + 1;
  for (let i = 0; i < many; i++) trie.add('wide.>', i);
  trie.add('one.*', 1);
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < SUBJECT_CACHE_SUBJECTS + 10; i++) expect(trie.match(`one.${i}`)).toEqual([1 + round]);
    expect(trie.match('wide.a')).toHaveLength(many + round);
    trie.remove('one.*', 1);
    trie.add('one.*', 2);
    trie.add('wide.a', -1);
  }
});

test('a pattern that is none is refused before anything is changed', () => {
  const trie = new SubjectTrie<number>();
  expect(() => trie.add('a.>.b', 1)).toThrow(InvalidSubjectError);
  expect(() => trie.add('', 1)).toThrow(InvalidSubjectError);
  expect(trie.size).toBe(0);
  expect(trie.remove('a.>.b', 1)).toBe(false);
});
