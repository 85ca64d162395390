/** New code after a crash: each turn is repeated by the version that made it, and the end is what a stop in peace would have given. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { carriedRow, toCarry } from '../../../runtime/cell/carry.ts';
import { decodeImage, encodeImage } from '../../../runtime/journal/row-codec.ts';
import type { ImageRow, TurnRecord } from '../../../runtime/journal/turn-record.ts';
import type { Behavior, Turn } from '../../../runtime/kernel/behavior.ts';
import { asOfVersion, type Definition } from '../../../runtime/kernel/definition.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';
import { CellRig, carried, definitionOf, KEY } from './cell-rig.ts';

interface Till {
  readonly sum: number;
  /** How the state came to be what it is. */
  readonly log: readonly string[];
}

const message = (by: number): Envelope => ({ to: KEY, message: { by } });

/** Version v counts v-fold, and tells another one so: no version can repeat what another did. */
const behaviorOf = (version: number): Behavior<never> =>
  ({
    init: () => ({ sum: 0, log: [`began in ${version}`] }),
    receive: (state: Till, { by }: { by: number }, turn: Turn): Till => {
      const sum = state.sum + by * version;
      turn.send('other/o', { version, sum });
      if (by % 3 === 0) turn.setTimer({ id: `t${by}`, delayMs: 100 * version, payload: version });
      if (by % 5 === 0) turn.stash();
      if (by % 7 === 0) turn.unstashAll();
      return { sum, log: [...state.log, `${version}:${by}`] };
    },
    save: (state: unknown) => state,
    load: (saved: unknown) => saved,
    view: (state: unknown) => state,
  }) as unknown as Behavior<never>;

/** Changes what it is given, as a careless `migrate` does. */
const migrateTo =
  (version: number) =>
  (saved: unknown, from: number): unknown => {
    const state = saved as { sum: number; log: string[] };
    state.sum += 1_000;
    state.log.push(`${from}>${version}`);
    return state;
  };

const options = { idempotencyKeysLimit: 50 };
const first = definitionOf(behaviorOf(1), { ...options, version: 1 });
const alone = (version: number): Definition =>
  definitionOf(behaviorOf(version), { ...options, version, migrate: migrateTo(version) });
/** Knows the one before it, which knows the one before it. */
const chain = (version: number): Definition =>
  version === 1
    ? first
    : definitionOf(behaviorOf(version), {
        ...options,
        version,
        migrate: migrateTo(version),
        previous: [chain(version - 1)],
      });

/** Turns of version 1, then of 2, …; each version takes over as after a stop in peace. Images by the last turn they stand for. */
const live = (lives: readonly (readonly number[])[], definitionAt: (version: number) => Definition = chain) => {
  const records: TurnRecord[] = [];
  const images: ImageRow[] = [];
  let rig = new CellRig(first);
  rig.spawn();
  for (const [i, bys] of lives.entries()) {
    if (i > 0) {
      const { cell, result } = CellRig.recover({ image: rig.image() }, definitionAt(i + 1));
      expect(result.kind).toBe('recovered');
      rig = CellRig.of(cell);
    }
    for (const by of bys) {
      rig.step(message(by));
      images.push(rig.image());
    }
    records.push(...rig.records);
  }
  return { records, images, last: rig };
};

const why = (result: ReturnType<typeof CellRig.recover>['result']): string =>
  result.kind === 'blocked' ? result.error.message : 'recovered';

test('a crash and a deploy give what a stop and a deploy give, wherever the last stored state is', () => {
  const bys = fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(fc.array(bys, { minLength: 1, maxLength: 4 }), fc.nat(), fc.boolean(), (lives, at, ends) => {
      const { records, images, last } = live(lives);
      const version = lives.length + (ends ? 1 : 0);
      const stopped = CellRig.recover({ image: last.image() }, chain(version));
      const image = images[at % (images.length + 1)];
      const turns = records.filter((record) => record.sequence > (image?.sequence ?? 0));
      const crashed = CellRig.recover({ image, turns: carried(turns) }, chain(version));
      expect(why(crashed.result)).toBe('recovered');
      expect(CellRig.of(crashed.cell).image()).toEqual(CellRig.of(stopped.cell).image());
    }),
    { numRuns: 300 },
  );
});

describe('what cannot be repeated', () => {
  const { records, images } = live([[1, 2], [3], [4]]);
  const upTo = (sequence: number): TurnRecord[] => records.filter((record) => record.sequence <= sequence);

  test('turns say their version', () => {
    expect(records.map(({ version }) => version)).toEqual([1, 1, 1, 2, 3]);
  });

  test('turns of a version that is not in previous: blocked by name, kept, and recovered by whoever knows it', () => {
    const { cell, result } = CellRig.recover({ turns: upTo(3) }, alone(2));
    expect(result).toMatchObject({
      kind: 'blocked',
      error: { code: 'ACTOR_BLOCKED', details: { key: KEY, sequence: 0, version: 1, present: 2 } },
    });
    expect(why(result)).toMatch(/op\/one.*turn 1 .*version 1 of "op".*version 2.*previous: add it, or start the code/);
    expect(cell.carried?.turns).toHaveLength(3);
    expect(CellRig.recover({ ...cell.carried }, chain(2)).cell.state).toMatchObject({ sum: 1_003 });
    expect(CellRig.recover({ ...cell.carried }, first).cell.state).toMatchObject({ sum: 3 });
  });

  test('a gap in the chain of versions', () => {
    const skipping = definitionOf(behaviorOf(3), { version: 3, migrate: migrateTo(3), previous: [alone(2)] });
    expect(why(CellRig.recover({ turns: upTo(5) }, skipping).result)).toMatch(/turn 1 .*no version 1 in previous/);
    const stored = CellRig.recover({ image: images[1], turns: records.slice(3) }, skipping);
    expect(why(stored.result)).toBe('recovered');
    // The image of version 1 is read by the migrate of 2 alone.
    expect(stored.cell.state).toMatchObject({ log: ['began in 1', '1:1', '1:2', '1>2', '2:3', '2>3', '3:4'] });
  });

  test('a previous version without a migrate, where one is needed', () => {
    const dumb = definitionOf(behaviorOf(2), { version: 2 });
    const third = definitionOf(behaviorOf(3), { version: 3, migrate: migrateTo(3), previous: [first, dumb] });
    expect(why(CellRig.recover({ turns: upTo(5) }, third).result)).toMatch(
      /by version 1.*version 2 and no migrate\(\)/,
    );
  });

  test('turns and images of a newer version than the code', () => {
    for (const loaded of [{ turns: upTo(5) }, { image: images[0], turns: records.slice(2) }, { image: images[3] }]) {
      const { result } = CellRig.recover(loaded, chain(2));
      expect(result).toMatchObject({ error: { code: 'ACTOR_BLOCKED', details: { version: 3, present: 2 } } });
      expect(why(result)).toMatch(/version 3 of "op", the code has version 2: deploy the newer code/);
    }
  });

  test('versions that go back', () => {
    const turns = records.map((record) => (record.sequence === 4 ? { ...record, version: 1 } : record));
    const lying = turns.map((record) => (record.sequence === 3 ? { ...record, version: 2 } : record));
    expect(why(CellRig.recover({ image: images[1], turns: turns.slice(3) }, chain(3)).result)).toMatch(
      /turn 4 \(message\) asks/,
    );
    expect(
      why(
        CellRig.recover(
          { image: { ...(images[2] as ImageRow) }, turns: [{ ...(records[4] as TurnRecord), version: 1 }] },
          chain(3),
        ).result,
      ),
    ).toMatch(/turn 5 says version 1.*version 2 came before/);
    expect(why(CellRig.recover({ turns: lying }, chain(3)).result)).toMatch(/turn 3 \(message\) asks/);
  });

  test('a past that was rebuilt into a row, as the doctor does, is repeated by the same versions', () => {
    const carried = toCarry({ key: KEY, image: undefined, turns: records, pending: [] });
    const image = decodeImage(KEY, encodeImage(carriedRow(carried, [], undefined)));
    const { cell, result } = CellRig.recover({ image }, chain(3));
    expect(why(result)).toBe('recovered');
    expect(cell.state).toEqual(CellRig.recover({ turns: records }, chain(3)).cell.state);
    expect(why(CellRig.recover({ image }, alone(3)).result)).toMatch(/no version 1 in previous/);
  });

  test('what is carried in a blocked image is as it was loaded, though a migrate changes what it is given', () => {
    const image = carried(images[1] as ImageRow);
    const broken = records.slice(3).map((record) => ({ ...record, intents: [] }));
    const { cell } = CellRig.recover({ image, turns: broken }, chain(3));
    expect(cell.carried?.image).toEqual(images[1]);
  });

  test('the same version with other behavior: found as before', () => {
    const silent = { ...behaviorOf(1), receive: (state: Till) => state } as unknown as Behavior<never>;
    expect(why(CellRig.recover({ turns: upTo(3) }, definitionOf(silent)).result)).toMatch(
      /turn 2.*intents\.length differs/,
    );
  });
});

test('states that are stored with each turn need a migrate and no previous', () => {
  const stored = definitionOf(behaviorOf(1), { durability: 'snapshot' });
  const rig = new CellRig(stored);
  rig.spawn();
  rig.step(message(1));
  rig.step(message(2));
  const next = definitionOf(behaviorOf(2), { durability: 'snapshot', version: 2, migrate: migrateTo(2) });
  const { cell, result } = CellRig.recover({ turns: rig.records }, next);
  expect(why(result)).toBe('recovered');
  expect(cell.state).toMatchObject({ sum: 1_003 });
});

test('inline logic is repeated by the version of its root, and its state comes along as it is', () => {
  const withChild = (version: number, previous: Definition[] = []): Definition =>
    definitionOf({ ...behaviorOf(version), child: () => behaviorOf(version) } as unknown as Behavior<never>, {
      version,
      migrate: migrateTo(version),
      previous,
    });
  const rig = new CellRig(withChild(1));
  rig.step({
    to: KEY,
    message: undefined,
    control: { kind: 'spawn', logic: ['c'], input: undefined, ifExists: 'reset' },
  });
  rig.step(message(2));
  expect(why(CellRig.recover({ turns: rig.records }, withChild(2)).result)).toMatch(/no version 1 in previous/);
  const { cell, result } = CellRig.recover({ turns: rig.records }, withChild(2, [withChild(1)]));
  expect(why(result)).toBe('recovered');
  expect(cell.state).toMatchObject({ sum: 2 });
  expect(cell.edition.version).toBe(2);
  const gone = definitionOf(behaviorOf(2), { version: 2, previous: [definitionOf(behaviorOf(1))] });
  expect(why(CellRig.recover({ turns: rig.records }, gone).result)).toMatch(/throws|no inline logic/);
});

describe('definitions', () => {
  test('a version is found through the ones before', () => {
    const third = chain(3);
    expect([1, 2, 3, 4].map((version) => asOfVersion(third, version)?.version)).toEqual([1, 2, 3, undefined]);
  });

  test.each<[string, object, RegExp]>([
    ['a fraction', { version: 1.5 }, /version is 1\.5, expected a whole number from 1 to 4294967295/],
    ['nothing', { version: 0 }, /version is 0/],
    ['more than a turn can say', { version: 2 ** 32 }, /version is 4294967296/],
    ['endless', { version: Number.POSITIVE_INFINITY }, /version is Infinity/],
    ['text', { version: '2' }, /version is 2, expected/],
    ['previous that is no list', { version: 2, previous: first }, /previous is no list/],
    [
      'previous with a behavior',
      { version: 2, previous: [behaviorOf(1)] },
      /previous has a value that is no definition/,
    ],
    ['the same version', { version: 1, previous: [first] }, /version 1, which is not below 1/],
    ['one twice', { version: 2, previous: [first, first] }, /version 1 twice/],
  ])('%s is refused', (_what, given, pattern) => {
    expect(() => definitionOf(behaviorOf(1), given)).toThrowError(pattern);
    expect(() => definitionOf(behaviorOf(1), given)).toThrowError(
      expect.objectContaining({ code: 'INVALID_DEFINITION' }),
    );
  });

  test("the largest version is a turn's", () => {
    expect(definitionOf(behaviorOf(1), { version: 2 ** 32 - 1 }).version).toBe(2 ** 32 - 1);
  });
});
