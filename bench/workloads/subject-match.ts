/** Which subscriptions a message's subject is for, among 100, 10,000 and 100,000 of them. */
import { SubjectTrie } from '../../runtime/broker/subject-trie.ts';
import { matchesSubject } from '../../runtime/broker/subjects.ts';
import { type Match, regexLoop, tokenLoop } from '../baselines/pattern-loop.ts';
import type { Contender, Metric, Workload } from '../contract.ts';
import { Pace } from '../pace.ts';

const SIZES = [100, 10_000, 100_000] as const;
/** Of a quick run. */
const QUICK_SIZE = 100_000;
/** More than are remembered, by far. */
const NEW_SUBJECTS = 200_000;
const KNOWN_SUBJECTS = 1_000;
const CHECKED_SUBJECTS = 20;

const MATCH: Metric = { name: 'match', unit: 'µs', better: 'lower' };

/** Six in ten for one subject, the others with wildcards, and one that hears everything. */
const patternsOf = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => {
    if (i === 0) return '>';
    switch (i % 10) {
      case 6:
        return `shop.*.order-${i}.paid`;
      case 7:
        return `shop.eu.order-${i}.*`;
      case 8:
        return `shop.eu.order-${i}.>`;
      case 9:
        return `*.eu.order-${i}.paid`;
      default:
        return `shop.eu.order-${i}.paid`;
    }
  });

/** Subjects as they come out of a decoder: flat strings, never seen before. */
const subjectsOf = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => Buffer.from(`shop.eu.order-${(i * 7_919) % count}.paid`).toString('latin1'));

const contender = (
  options: Pick<Contender, 'kind' | 'name' | 'label' | 'beside'>,
  count: number,
  subjectCount: number,
  matchWith: (patterns: readonly string[]) => Match,
): Contender => ({
  ...options,
  missing: (quick) => (quick && count !== QUICK_SIZE ? 'not in a quick run' : undefined),
  async open({ sampleMs }) {
    const patterns = patternsOf(count);
    const subjects = subjectsOf(subjectCount);
    const match = matchWith(patterns);
    for (let i = 0; i < CHECKED_SUBJECTS; i++) {
      const subject = subjects[(i * 997) % subjects.length] as string;
      const expected = patterns.filter((pattern) => matchesSubject(pattern, subject)).length;
      if (match(subject) !== expected) throw new Error(`${subject}: not the ${expected} that match`);
    }
    let at = 0;
    const pace = new Pace(
      sampleMs,
      (size) => {
        let found = 0;
        for (let i = 0; i < size; i++) {
          found += match(subjects[at] as string);
          at = at + 1 === subjects.length ? 0 : at + 1;
        }
        // Everybody hears everything once, at least.
        if (found < size) throw new Error(`${found} found for ${size} subjects`);
        return size;
      },
      { first: 1 },
    );
    await pace.warmUp();
    return { sample: async () => ({ match: 1e6 / (await pace.rate()) }), close: async () => {} };
  },
});

const withTrie = (patterns: readonly string[]): Match => {
  const trie = new SubjectTrie<number>();
  for (const [i, pattern] of patterns.entries()) trie.add(pattern, i);
  return (subject) => trie.match(subject).length;
};

const written = (count: number): string => count.toLocaleString('en-US');

export const subjectMatch: Workload = {
  name: 'subject-match',
  title: 'Subject to subscriptions',
  what: 'A subject of four tokens, and all of 100, 10,000 or 100,000 patterns that match it (1 to 3): 6 of 10 patterns are literal.',
  conditions: { durability: 'in memory', messageBytes: 0, concurrency: '1 thread', hosts: 0 },
  metrics: [MATCH],
  contenders: SIZES.flatMap((count) => [
    contender(
      {
        kind: 'ours',
        name: `new-${count}`,
        label: `${written(count)} patterns, a new subject each time`,
        beside: [`tokens-${count}`, `regex-${count}`],
      },
      count,
      NEW_SUBJECTS,
      withTrie,
    ),
    contender(
      {
        kind: 'ours',
        name: `known-${count}`,
        label: `${written(count)} patterns, ${written(KNOWN_SUBJECTS)} subjects in turn`,
        beside: [`tokens-${count}`],
      },
      count,
      KNOWN_SUBJECTS,
      withTrie,
    ),
    contender(
      { kind: 'baseline', name: `tokens-${count}`, label: `a loop over ${written(count)} patterns, token by token` },
      count,
      KNOWN_SUBJECTS,
      tokenLoop,
    ),
    contender(
      { kind: 'baseline', name: `regex-${count}`, label: `a loop over ${written(count)} regular expressions` },
      count,
      KNOWN_SUBJECTS,
      regexLoop,
    ),
  ]),
};
