/** A past that cannot be repeated blocks, with a diagnosis; one that can is repeated, clock and randomness included. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installTurnGlobals } from '../../../runtime/host/turn-globals.ts';
import type { LoadedCell, TurnRecord } from '../../../runtime/journal/turn-record.ts';
import type { Behavior } from '../../../runtime/kernel/behavior.ts';
import { StorageError } from '../../../runtime/kernel/errors.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';
import { CellRig, carried, definitionOf, KEY, obedient, type OpState } from './cell-rig.ts';

const message = (type: string): Envelope => ({ to: KEY, message: { type } });

/** A counter that tells somebody its number; `shape` is what a change of code would change. */
const teller = (shape: (n: number) => unknown): Behavior<never> =>
  ({
    init: () => ({ n: 0 }),
    receive: (state: { n: number }, _message: unknown, turn: { send(to: string, message: unknown): void }) => {
      turn.send('other/o', shape(state.n));
      return { n: state.n + 1 };
    },
    save: (state: unknown) => state,
    load: (saved: unknown) => saved,
    view: (state: unknown) => state,
  }) as unknown as Behavior<never>;

const past = (behavior: Behavior<never>): CellRig => {
  const rig = new CellRig(definitionOf(behavior));
  rig.spawn();
  for (const type of ['ONE', 'TWO', 'THREE']) rig.step(message(type));
  return rig;
};

const why = (result: ReturnType<typeof CellRig.recover>['result']): string =>
  result.kind === 'blocked' ? result.error.message : 'recovered';

describe('a behavior that has changed', () => {
  const rig = past(teller((n) => ({ at: { list: [1, n] } })));

  test.each([
    [
      'another value',
      (n: number) => ({ at: { list: [1, n < 1 ? n : n + 1] } }),
      /turn 3 \(TWO\).*message\.at\.list\[1\] differs/,
    ],
    [
      'one element more',
      (n: number) => ({ at: { list: [1, n, 2] } }),
      /turn 2 \(ONE\).*message\.at\.list\.length differs/,
    ],
    ['another type', (n: number) => ({ at: { list: [1, String(n)] } }), /turn 2 \(ONE\).*list\[1\] differs/],
    ['one property more', (n: number) => ({ at: { list: [1, n] }, more: 1 }), /turn 2 \(ONE\).*message\.more differs/],
    ['one property less', () => ({ at: {} }), /turn 2 \(ONE\).*message\.at\.list differs/],
  ])('%s: which turn, and where', (_name, shape, pattern) => {
    const { cell, result } = CellRig.recover({ turns: rig.records }, definitionOf(teller(shape)));
    expect(result).toMatchObject({ kind: 'blocked', error: { code: 'ACTOR_BLOCKED', details: { key: KEY } } });
    expect(why(result)).toMatch(pattern);
    expect(why(result)).toContain('without a new version');
    // Kept for the mended code.
    expect(cell.carried?.turns).toHaveLength(4);
  });

  test('one that sends nothing any more, or one thing more', () => {
    const silent = { ...teller(() => 1), receive: (state: { n: number }) => state } as unknown as Behavior<never>;
    expect(why(CellRig.recover({ turns: rig.records }, definitionOf(silent)).result)).toMatch(
      /turn 2.*intents\.length differs/,
    );
  });

  test('one that throws now', () => {
    const throwing = teller((n) => {
      if (n === 2) throw new TypeError('not any more');
      return { at: { list: [1, n] } };
    });
    expect(why(CellRig.recover({ turns: rig.records }, definitionOf(throwing)).result)).toMatch(
      /turn 4 \(THREE\) throws.*not any more/,
    );
  });

  test('the same code again: recovered', () => {
    const { result } = CellRig.recover({ turns: rig.records }, definitionOf(teller((n) => ({ at: { list: [1, n] } }))));
    expect(why(result)).toBe('recovered');
  });
});

describe('what is stored', () => {
  const rig = past(teller((n) => n));
  const image = rig.image();
  const second = (options: object): ReturnType<typeof CellRig.recover> =>
    CellRig.recover(
      { image },
      definitionOf(
        teller((n) => n),
        options,
      ),
    );

  test('missing turns', () => {
    const { result } = CellRig.recover(
      { turns: rig.records.filter(({ sequence }) => sequence !== 3) },
      definitionOf(teller((n) => n)),
    );
    expect(why(result)).toMatch(/turn 4 follows turn 2.*missing/);
    const behind = CellRig.recover({ image, turns: rig.records.slice(3) }, definitionOf(teller((n) => n)));
    expect(why(behind.result)).toMatch(/turn 4 follows turn 4.*missing/);
  });

  test('a newer version than the code', () => {
    const newer = new CellRig(
      definitionOf(
        teller((n) => n),
        { version: 5 },
      ),
    );
    newer.spawn();
    const { result } = CellRig.recover(
      { image: newer.image() },
      definitionOf(
        teller((n) => n),
        { version: 2 },
      ),
    );
    expect(why(result)).toMatch(/version 5.*version 2.*newer/);
  });

  test('an older version without migrate, with one, with one that throws', () => {
    expect(why(second({ version: 2 }).result)).toMatch(/version 1.*version 2.*no migrate\(\)/);
    const good = second({ version: 3, migrate: (saved: { n: number }, from: number) => ({ n: saved.n * 10, from }) });
    expect(good.cell.state).toEqual({ n: 30, from: 1 });
    const bad = second({
      version: 2,
      migrate: () => {
        throw new Error('cannot');
      },
    });
    expect(bad.result).toMatchObject({ kind: 'blocked', error: { cause: { message: 'cannot' } } });
  });

  test('a state that does not load', () => {
    const picky = {
      ...teller((n) => n),
      load: () => {
        throw new TypeError('what is this');
      },
    } as unknown as Behavior<never>;
    expect(why(CellRig.recover({ image }, definitionOf(picky)).result)).toMatch(
      /stored state does not load.*what is this/,
    );
  });

  test('damaged bytes', () => {
    const damage = { name: 'DataDamagedError', code: 'DATA_DAMAGED', message: 'sum does not fit' };
    const { result } = CellRig.recover({ image, damage }, definitionOf(teller((n) => n)));
    expect(result).toMatchObject({ kind: 'blocked', error: { cause: { code: 'DATA_DAMAGED' } } });
  });

  test('a turn that cannot be read: blocked, and nothing that waits is lost', () => {
    const unreadable: LoadedCell['turns'] = {
      length: 1,
      [Symbol.iterator](): Iterator<TurnRecord> {
        throw new StorageError('a value of the journal cannot be read by this version');
      },
    };
    const pending = [{ to: 'ops/a', message: 1, id: { stream: 1, position: 2, index: 0 } }];
    const { cell, result } = CellRig.recover({ image, turns: unreadable, pending }, definitionOf(teller((n) => n)));
    expect(why(result)).toMatch(/cannot be read/);
    expect(cell.mailbox.waiting()).toEqual(pending);
    expect(cell.carried).toMatchObject({ image, turns: [], damage: { code: 'STORAGE_FAILED' } });
  });

  test('an image of a newer format', () => {
    const body = { ...(image.body as object), format: 99 };
    expect(why(CellRig.recover({ image: { ...image, body } }, definitionOf(teller((n) => n))).result)).toMatch(
      /format 99.*upgrade/,
    );
  });

  test('messages that nobody consumed come first, then what had arrived before it was loaded', () => {
    const pending = [{ ...message('P1'), id: { stream: 0, position: 50, index: 0 } }];
    const { cell } = CellRig.recover({ image, pending }, definitionOf(teller((n) => n)));
    expect(cell.mailbox.waiting().map((envelope) => (envelope.message as { type: string }).type)).toEqual(['P1']);
  });
});

describe('clock and randomness', () => {
  let uninstall = (): void => {};
  beforeAll(() => {
    uninstall = installTurnGlobals();
  });
  afterAll(() => uninstall());

  const draw = () => {
    const values = crypto.getRandomValues(new Uint32Array(2));
    return {
      now: Date.now(),
      date: new Date().toISOString(),
      text: Date(),
      called: new Date(2_020, 1, 2).getTime(),
      instance: new Date() instanceof Date,
      performance: performance.now(),
      random: Math.random(),
      uuid: crypto.randomUUID(),
      values: [...values],
    };
  };
  const drawing = {
    init: () => [],
    receive: (state: readonly unknown[], _message: unknown, turn: { send(to: string, message: unknown): void }) => {
      const drawn = draw();
      turn.send('other/o', drawn);
      return [...state, drawn, draw()];
    },
    save: (state: unknown) => state,
    load: (saved: unknown) => saved,
    view: (state: unknown) => state,
  } as unknown as Behavior<never>;

  test('a replay sees the same, whenever it comes', () => {
    const rig = new CellRig(definitionOf(drawing));
    rig.spawn();
    rig.nowMs = 1_700_000_000_123;
    rig.step(message('DRAW'));
    rig.nowMs += 5_000;
    rig.step(message('DRAW'));
    const { cell, result } = CellRig.recover({ turns: rig.records }, definitionOf(drawing));
    expect(why(result)).toBe('recovered');
    expect(cell.state).toEqual(carried(rig.cell.state));
    const [first, second, third] = cell.state as ReturnType<typeof draw>[];
    expect(first).toMatchObject({ now: 1_700_000_000_123, date: '2023-11-14T22:13:20.123Z', instance: true });
    expect(first?.uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const draws = [first, second, third].map((drawn) => drawn?.random);
    expect(new Set(draws).size).toBe(3);
    expect(new Set([first, second, third].map((drawn) => drawn?.uuid)).size).toBe(3);
  });

  test('outside of a step nothing changes', () => {
    const before = Date.now();
    const drawn = draw();
    expect(drawn.now).toBeGreaterThanOrEqual(before);
    expect(drawn.random).not.toBe(draw().random);
    expect(new Date(5).getTime()).toBe(5);
    expect(Date.UTC(2_020, 0)).toBe(1_577_836_800_000);
    expect(Date.parse('2020-01-01')).toBe(1_577_836_800_000);
    class MyDate extends Date {}
    expect(new MyDate(7)).toBeInstanceOf(MyDate);
    expect(new MyDate(7).getTime()).toBe(7);
    expect(structuredClone(new Date(9)).getTime()).toBe(9);
  });

  test('a step that throws leaves them as they were', () => {
    const rig = new CellRig(
      definitionOf({
        ...obedient,
        receive: (): OpState => {
          throw new Error('on purpose');
        },
      } as unknown as Behavior<never>),
    );
    rig.nowMs = 5;
    rig.spawn();
    expect(rig.step(message('X')).kind).toBe('failed');
    expect(Date.now()).toBeGreaterThan(1_600_000_000_000);
  });
});
