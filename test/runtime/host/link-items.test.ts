/** Envelopes across a link: whatever is written is read back, names are given before they are used, and nothing else is believed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ItemReader, ItemWriter } from '../../../runtime/host/link-items.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';

const keys = fc.constantFrom('a/1', 'a/2', 'b/x/child', 'c/é');
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const envelopes: fc.Arbitrary<Envelope> = fc.record({
  to: keys,
  message: fc.oneof(fc.constant(undefined), fc.integer(), fc.constant({ type: 'GO', list: [1, 2] })),
  control: maybe(fc.constant({ kind: 'watch', watcher: 'a/2' } as const)),
  id: maybe(fc.record({ stream: fc.nat(), position: fc.maxSafeNat(), index: fc.nat() })),
  from: maybe(keys),
  replyTo: maybe(
    fc.oneof(
      fc.record({ kind: fc.constant('outside' as const), call: fc.nat(), run: fc.nat() }),
      fc.constant({ kind: 'cell', key: 'a/1', ask: 'q', idempotencyKey: 'k' } as const),
    ),
  ),
  idempotencyKey: maybe(fc.string()),
  expiresAtMs: maybe(fc.double({ noNaN: true })),
  unstashed: maybe(fc.constant(true)),
  traceparent: maybe(fc.string()),
});
const tuples = fc.constantFrom(['receipts', [1, 2]], ['reply', 7, 'value']);

const writerInto = (sent: unknown[]): ItemWriter => new ItemWriter((item) => void sent.push(item));

test('LI1: what is written is read back, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(envelopes, tuples), { maxLength: 50 }), (items) => {
      const sent: unknown[] = [];
      const writer = writerInto(sent);
      for (const item of items) writer.write(item, 0);
      expect(new ItemReader().read(sent)).toEqual(items);
    }),
  );
});

test('LI1: items that were refused take no name with them', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(envelopes, fc.boolean()), { maxLength: 50 }), (items) => {
      const sent: { readonly item: unknown; readonly lost: boolean }[] = [];
      let lost = false;
      const writer = new ItemWriter((item) => {
        sent.push({ item, lost: lost && typeof (item as unknown[])[0] === 'number' });
      });
      for (const [envelope, refused] of items) {
        lost = refused;
        writer.write(envelope, 0);
      }
      const arrived = new ItemReader().read(sent.filter((each) => !each.lost).map(({ item }) => item));
      expect(arrived).toEqual(items.filter(([, refused]) => !refused).map(([envelope]) => envelope));
      const back = sent.filter((each) => each.lost).map(({ item }) => writer.original(item));
      expect(back).toEqual(items.filter(([, refused]) => refused).map(([envelope]) => envelope));
    }),
  );
});

test('LI2: names are bounded, and all keys beyond are said in full', () => {
  const sent: unknown[] = [];
  const writer = writerInto(sent);
  const read: unknown[] = [];
  const reader = new ItemReader();
  let names = 0;
  for (let i = 0; i < 40_000; i++) {
    for (const message of ['first', 'second', 'third']) writer.write({ to: `cell/${i}`, message }, 0);
    names += sent.filter((item) => (item as unknown[])[0] === 'name').length;
    read.push(...reader.read(sent.splice(0)));
  }
  expect(names).toBe(16_384);
  expect((read as Envelope[]).every(({ to }, i) => to === `cell/${Math.floor(i / 3)}`)).toBe(true);
});

describe('LI3: anything else is refused', () => {
  test.each<[string, unknown]>([
    ['no list', 'text'],
    ['a name that was never given', [0, 5, null]],
    ['a key that is none', [0, {}, null]],
    ['an id that is none', [2, 'a/1', null, 1, 'x', 0]],
    ['fields that are not there', [255, 'a/1', null]],
    ['a control message without a kind', [4, 'a/1', null, [1]]],
    ['a name that is no text', ['name', 5]],
  ])('%s', (_what, item) => {
    expect(() => new ItemReader().read([item])).toThrowError(expect.objectContaining({ code: 'FRAME_REFUSED' }));
  });
});
