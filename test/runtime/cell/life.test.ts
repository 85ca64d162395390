/**
 * Any life of a cell, brought back from any image of it and the turns after, is the same life: state, books, watermarks (R1, C9).
 * And of a life: failed steps leave nothing (C6), nothing is consumed twice (C7), every request is answered (C8).
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { imageOf } from '../../../runtime/cell/image.ts';
import type { Behavior } from '../../../runtime/kernel/behavior.ts';
import { encodeError } from '../../../runtime/kernel/errors.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';
import { CellRig, carried, definitionOf, KEY, obedient, type Op, RUN } from './cell-rig.ts';

const id = fc.constantFrom('a', 'b');
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ op: fc.constant('add' as const), by: fc.integer({ min: -5, max: 5 }) }),
  fc.record({ op: fc.constant('set' as const), id, delayMs: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ op: fc.constantFrom('cancel' as const, 'effect' as const, 'effect.cancel' as const), id }),
  fc.record({ op: fc.constant('ask' as const), ask: fc.constantFrom('q', 'r') }),
  fc.record({ op: fc.constant('spawn' as const), childId: fc.constantFrom('x', 'y') }),
  fc.record({
    op: fc.constantFrom(
      'send',
      'reply',
      'fail',
      'take',
      'answer',
      'stash',
      'unstash',
      'watch',
      'emit',
      'draw',
      'throw',
    ) as fc.Arbitrary<'send'>,
  }),
  { weight: 1, arbitrary: fc.constant({ op: 'exit' } as const) },
);

type Happening =
  | {
      readonly kind: 'message';
      readonly op: Op;
      readonly from: 'outside' | 'cell' | 'nobody';
      readonly ask: boolean;
      readonly key: string | undefined;
      readonly ttl: boolean;
    }
  | { readonly kind: 'timer' | 'effect.done' | 'effect.failed' | 'effect.event'; readonly id: string }
  | { readonly kind: 'reply' | 'ask.failed'; readonly ask: string }
  | { readonly kind: 'terminated'; readonly childId: string | undefined }
  | { readonly kind: 'watch' | 'unwatch' | 'stop' | 'spawn' | 'resume' }
  | { readonly kind: 'pass'; readonly ms: number };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('message' as const),
      op,
      from: fc.constantFrom('outside' as const, 'cell' as const, 'nobody' as const),
      ask: fc.boolean(),
      key: fc.option(fc.constantFrom('k1', 'k2', 'k3', 'k4', 'k5'), { nil: undefined, freq: 3 }),
      ttl: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'timer' as const,
        'effect.done' as const,
        'effect.failed' as const,
        'effect.event' as const,
      ),
      id,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('reply' as const, 'ask.failed' as const),
      ask: fc.constantFrom('q', 'r'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('terminated' as const), childId: fc.constantFrom('x', 'y', undefined) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('watch' as const, 'unwatch' as const, 'stop' as const, 'spawn' as const, 'resume' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 200 }) }) },
);

/** Makes the envelope of what happens; ids grow by stream, as their senders give them. */
class Post {
  #outside = 0;
  #position = 0;

  envelope(rig: CellRig, what: Exclude<Happening, { kind: 'pass' }>): Envelope {
    const to = KEY;
    const base = { to, message: undefined } as const;
    switch (what.kind) {
      case 'message': {
        const { from, ask, key } = what;
        this.#outside += 1;
        this.#position += 1;
        const own = { stream: 65_536 + RUN, position: this.#outside, index: 0 };
        return {
          to,
          message: what.op,
          ...(from === 'outside'
            ? { id: own }
            : from === 'cell'
              ? { id: { stream: 1, position: this.#position, index: 0 }, from: 'other/o' }
              : {}),
          ...(ask ? { replyTo: { kind: 'outside', call: this.#outside, run: RUN } as const } : {}),
          ...(key === undefined ? {} : { idempotencyKey: key }),
          ...(what.ttl ? { expiresAtMs: rig.nowMs + 20 } : {}),
        };
      }
      case 'timer':
        return {
          ...base,
          control: { kind: 'timer', id: what.id, armed: rig.cell.book.timers?.get(what.id)?.armed ?? 1 },
        };
      case 'effect.done':
        return { ...base, control: { kind: 'effect.done', id: what.id, output: { of: what.id } } };
      case 'effect.failed':
        return { ...base, control: { kind: 'effect.failed', id: what.id, error: encodeError(new Error('e')) } };
      case 'effect.event':
        return { ...base, control: { kind: 'effect.event', id: what.id, event: 1 } };
      case 'reply':
        return { ...base, control: { kind: 'reply', ask: what.ask, value: 7 }, id: this.#fromHost() };
      case 'ask.failed':
        return {
          ...base,
          control: { kind: 'ask.failed', ask: what.ask, error: encodeError(new Error('e')) },
          id: this.#fromHost(),
        };
      case 'terminated': {
        const { childId } = what;
        const incarnation = childId === undefined ? undefined : rig.cell.book.children?.get(childId)?.incarnation;
        const key = childId === undefined ? 'other/o' : `other/${childId}`;
        const named = childId === undefined ? {} : { childId };
        return {
          ...base,
          control: {
            kind: 'terminated',
            key,
            ...named,
            ...(incarnation === undefined ? {} : { incarnation }),
            reason: { kind: 'normal' },
          },
          id: this.#fromHost(),
        };
      }
      case 'watch':
      case 'unwatch':
        return { ...base, control: { kind: what.kind, watcher: 'other/w' }, id: this.#fromHost() };
      case 'stop':
        return { ...base, control: { kind: 'stop', reason: { kind: 'shutdown' } }, id: this.#fromHost() };
      case 'spawn':
      case 'resume':
        return {
          ...base,
          control: {
            kind: 'spawn',
            logic: [],
            input: undefined,
            ifExists: what.kind === 'spawn' ? 'refuse' : 'resume',
          },
          id: this.#fromHost(),
        };
    }
  }

  #fromHost(): { stream: number; position: number; index: number } {
    this.#position += 1;
    return { stream: 1, position: this.#position, index: 0 };
  }
}

interface Life {
  readonly rig: CellRig;
  /** An image after each of the first turns. */
  readonly images: Map<number, ReturnType<CellRig['image']>>;
  readonly consumed: Envelope[];
}

const live = (happenings: readonly Happening[], durability: 'journal' | 'snapshot'): Life => {
  const rig = new CellRig(definitionOf(obedient as Behavior<never>, { durability }));
  const images = new Map<number, ReturnType<CellRig['image']>>();
  const consumed: Envelope[] = [];
  const post = new Post();
  rig.spawn();
  images.set(rig.cell.sequence, rig.image());
  for (const what of happenings) {
    if (what.kind === 'pass') {
      rig.nowMs += what.ms;
      continue;
    }
    rig.cell.mailbox.push(post.envelope(rig, what));
    for (let envelope = rig.cell.next(); envelope !== undefined; envelope = rig.cell.next()) {
      // The host answers these from the books, without a turn.
      if (
        envelope.unstashed !== true &&
        envelope.idempotencyKey !== undefined &&
        rig.cell.book.keys?.has(envelope.idempotencyKey) === true
      )
        continue;
      const before = rig.cell.sequence;
      const image = carried(imageOf(rig.cell, RUN));
      const outcome = rig.step(envelope);
      if (outcome.kind === 'failed') {
        expect(carried(imageOf(rig.cell, RUN)), 'C6').toEqual(image);
        rig.park(envelope, new Error('gave up'));
      }
      expect(rig.cell.sequence).toBe(before + (outcome.kind === 'dropped' ? 0 : 1));
      if (outcome.kind === 'handled' && envelope.replyTo !== undefined)
        answered(
          envelope,
          outcome.intents.map((intent) => intent.kind ?? 'send'),
        );
      consumed.push(envelope);
      images.set(rig.cell.sequence, rig.image());
      if (rig.cell.sequence > 200) return { rig, images, consumed };
    }
  }
  return { rig, images, consumed };
};

const answered = (envelope: Envelope, kinds: readonly string[]): void => {
  const { op: name } = envelope.message as Op;
  const later = name === 'take' || name === 'stash';
  expect(kinds.includes('reply') || kinds.includes('fail') || later, `C8: ${name}`).toBe(true);
};

describe.each(['journal', 'snapshot'] as const)('durability: %s', (durability) => {
  test('from any image and the turns after it: the same cell', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), fc.nat(), (happenings, choice) => {
        const { rig, images } = live(happenings, durability);
        const expected = carried(imageOf(rig.cell, RUN));
        const definition = definitionOf(obedient as Behavior<never>, { durability });
        const points = [...images.keys()];
        const from = points[choice % points.length] ?? 1;
        for (const image of [undefined, images.get(from)]) {
          const after = image?.sequence ?? 0;
          const turns = rig.records.filter((record) => record.sequence > after);
          const { cell, result } = CellRig.recover({ image, turns }, definition);
          if (result.kind === 'blocked') throw result.error;
          expect(carried(imageOf(cell, RUN))).toEqual(expected);
          expect(cell.sequence).toBe(rig.cell.sequence);
        }
      }),
      { numRuns: 400 },
    );
  });
});

test('what was consumed is dropped when it comes again, before and after a recovery (C7)', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 30 }), (happenings) => {
      const { rig, consumed } = live(happenings, 'journal');
      const { cell } = CellRig.recover({ turns: rig.records });
      const recovered = new CellRig();
      Object.assign(recovered, { cell });
      for (const again of [rig, recovered]) {
        for (const envelope of consumed) {
          if (envelope.id === undefined || envelope.unstashed === true) continue;
          const before = again.cell.sequence;
          expect(again.step(envelope).kind).toBe('dropped');
          expect(again.cell.sequence).toBe(before);
        }
      }
    }),
    { numRuns: 200 },
  );
});

test('sequences are dense, and the window of keys is bounded, the oldest first out', () => {
  const rig = new CellRig();
  rig.spawn();
  for (let i = 1; i <= 6; i++) {
    rig.step({
      to: KEY,
      message: { op: 'reply' },
      replyTo: { kind: 'outside', call: i, run: RUN },
      idempotencyKey: `k${i}`,
    });
  }
  expect(rig.records.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect([...(rig.cell.book.keys?.keys() ?? [])]).toEqual(['k4', 'k5', 'k6']);
  expect(rig.cell.book.keys?.get('k5')).toEqual({ kind: 'value', value: { n: 0 } });
});
