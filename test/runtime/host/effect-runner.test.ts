/** Effects: outcomes, retries, timeouts, abort, cancel, and what a crash in between means. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { EffectEntry } from '../../../runtime/cell/book.ts';
import { Cell } from '../../../runtime/cell/cell.ts';
import { EffectRunner } from '../../../runtime/host/effect-runner.ts';
import { effectMark, unwatched } from '../../../runtime/host/watch.ts';
import type { EffectContext, EffectSpec, SourceContext } from '../../../runtime/kernel/behavior.ts';
import { defineBehavior } from '../../../runtime/kernel/definition.ts';
import type { SelfMessage } from '../../../runtime/kernel/message.ts';
import { ManualClock } from '../../../runtime/testing/manual-clock.ts';

const KEY = 'a/one';

class Rig {
  readonly clock = new ManualClock();
  readonly delivered: SelfMessage[] = [];
  readonly tried: number[] = [];
  readonly specs = new Map<string, EffectSpec>();
  readonly pooled: { work: unknown; aborted: () => boolean; resolve: (value: unknown) => void }[] = [];
  readonly cell: Cell;
  readonly runner: EffectRunner;

  constructor() {
    const never = (): never => {
      throw new Error('not called');
    };
    const behavior = {
      init: never,
      receive: never,
      save: never,
      load: never,
      view: never,
      effect: (source: string) => this.specs.get(source),
    };
    this.cell = new Cell(KEY, defineBehavior(import.meta.url, 'a', behavior));
    this.cell.resolveBehavior();
    this.runner = new EffectRunner({
      clock: this.clock,
      watch: { ...unwatched, tries: (mark) => void this.tried.push(mark) },
      random: { next: () => 0.5 },
      pool: (work, _context, signal) =>
        new Promise((resolve) => {
          this.pooled.push({ work, aborted: () => signal.aborted, resolve });
        }),
      actors: { spawn: never, refOf: never },
      deliver: (_cell, message) => void this.delivered.push(message),
    });
  }

  book(id: string, source: string, started = 4, input: unknown = { n: 1 }): void {
    const entry: EffectEntry = { source, input, started };
    this.cell.book.effects ??= new Map();
    this.cell.book.effects.set(id, entry);
  }

  begin(id: string, spec: EffectSpec, started = 4): void {
    this.specs.set(id, spec);
    this.book(id, id, started);
    this.runner.start(this.cell, id, started);
  }
}

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});

const failures = (): unknown[] =>
  rig.delivered.map((message) =>
    message.kind === 'effect.failed' ? [message.error.code, message.error.message] : message.kind,
  );

describe('calls', () => {
  test('a result, once, and what the function was given', async () => {
    const seen: EffectContext[] = [];
    rig.begin('e', { kind: 'call', run: (context) => Promise.resolve(void seen.push(context)).then(() => 'done') });
    expect(rig.runner.size).toBe(1);
    expect(rig.cell.holds).toBe(1);
    await rig.clock.settle();
    expect(rig.delivered).toEqual([{ kind: 'effect.done', id: 'e', output: 'done' }]);
    expect(seen).toMatchObject([{ input: { n: 1 }, idempotencyKey: 'a/one#4/e', attempt: 1, self: KEY }]);
    expect(rig.runner.size).toBe(0);
    expect(rig.cell.holds).toBe(0);
  });

  test('a plain value, a throw, a rejection, a thrown string', async () => {
    rig.begin('value', { kind: 'call', run: () => 5 });
    rig.begin('throw', {
      kind: 'call',
      run: () => {
        throw new RangeError('at once');
      },
    });
    rig.begin('reject', { kind: 'call', run: () => Promise.reject(new TypeError('later')) });
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors
    rig.begin('string', { kind: 'call', run: () => Promise.reject('no error') });
    await rig.clock.settle();
    expect(failures()).toEqual(
      expect.arrayContaining(['effect.done', ['ERROR', 'at once'], ['ERROR', 'later'], ['THROWN_VALUE', 'no error']]),
    );
    expect(rig.delivered).toHaveLength(4);
  });

  test('retries with backoff, the same key, growing attempts; then the last error', async () => {
    const seen: [number, string, number][] = [];
    rig.begin('e', {
      kind: 'call',
      retry: { maxAttempts: 3, initialMs: 100, factor: 2, jitter: 'none' },
      run: ({ attempt, idempotencyKey }) => {
        seen.push([attempt, idempotencyKey, rig.clock.now()]);
        throw new Error(`try ${attempt}`);
      },
    });
    await rig.clock.settle();
    await rig.clock.advance(99);
    expect(seen).toHaveLength(1);
    await rig.clock.advance(1);
    await rig.clock.advance(200);
    const t0 = seen[0]?.[2] ?? 0;
    expect(seen).toEqual([
      [1, 'a/one#4/e', t0],
      [2, 'a/one#4/e', t0 + 100],
      [3, 'a/one#4/e', t0 + 300],
    ]);
    expect(failures()).toEqual([['ERROR', 'try 3']]);
    await rig.clock.advance(10_000);
    expect(seen).toHaveLength(3);
  });

  test('a timeout aborts the try and counts as one; a late result is nobody’s', async () => {
    const resolvers: ((value: string) => void)[] = [];
    const signals: AbortSignal[] = [];
    rig.begin('e', {
      kind: 'call',
      timeoutMs: 50,
      retry: { maxAttempts: 2, initialMs: 10, jitter: 'none' },
      run: ({ signal }) => {
        signals.push(signal);
        return new Promise((resolve) => void resolvers.push(resolve));
      },
    });
    await rig.clock.settle();
    await rig.clock.advance(50);
    expect(signals[0]?.aborted).toBe(true);
    expect(signals[0]?.reason).toMatchObject({ code: 'EFFECT_TIMEOUT' });
    await rig.clock.advance(10);
    resolvers[0]?.('too late');
    await rig.clock.settle();
    expect(rig.delivered).toEqual([]);
    resolvers[1]?.('in time');
    await rig.clock.settle();
    await rig.clock.advance(1_000);
    expect(rig.delivered).toEqual([{ kind: 'effect.done', id: 'e', output: 'in time' }]);
  });

  test('cancelled: aborted, no outcome, no retry, no hold', async () => {
    const signals: AbortSignal[] = [];
    const run = ({ signal }: EffectContext): Promise<never> => {
      signals.push(signal);
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    };
    for (const id of ['a', 'b', 'c']) rig.begin(id, { kind: 'call', retry: { maxAttempts: 5, initialMs: 1 }, run });
    await rig.clock.settle();
    rig.runner.cancel(KEY, 'a');
    rig.runner.cancel(KEY, 'a');
    rig.runner.cancel(KEY, 'unknown');
    rig.runner.cancelAll(KEY);
    await rig.clock.advance(1_000);
    expect(signals.every((signal) => signal.aborted)).toBe(true);
    expect(signals).toHaveLength(3);
    expect(rig.delivered).toEqual([]);
    expect(rig.runner.size).toBe(0);
    expect(rig.cell.holds).toBe(0);
  });

  test('cancelled between two tries', async () => {
    let tries = 0;
    rig.begin('e', {
      kind: 'call',
      retry: { maxAttempts: 5, initialMs: 100, jitter: 'none' },
      run: () => {
        tries += 1;
        throw new Error('no');
      },
    });
    await rig.clock.settle();
    rig.runner.cancel(KEY, 'e');
    await rig.clock.advance(10_000);
    expect(tries).toBe(1);
    expect(rig.delivered).toEqual([]);
  });

  test('taken back or replaced by a later turn before the commit: not started', async () => {
    let runs = 0;
    rig.specs.set('s', { kind: 'call', run: () => (runs += 1) });
    rig.book('gone', 's', 4);
    rig.cell.book.effects?.delete('gone');
    rig.runner.start(rig.cell, 'gone', 4);
    rig.book('again', 's', 6);
    rig.runner.start(rig.cell, 'again', 4);
    await rig.clock.settle();
    expect(runs).toBe(0);
    rig.runner.start(rig.cell, 'again', 6);
    await rig.clock.settle();
    expect(runs).toBe(1);
  });

  test('started again while it runs: the first is aborted and says nothing, the second has a key of its own', async () => {
    const keys: string[] = [];
    const resolvers: ((value: string) => void)[] = [];
    const spec: EffectSpec = {
      kind: 'call',
      run: ({ idempotencyKey }) => {
        keys.push(idempotencyKey);
        return new Promise((resolve) => void resolvers.push(resolve));
      },
    };
    rig.begin('e', spec, 4);
    await rig.clock.settle();
    rig.begin('e', spec, 7);
    await rig.clock.settle();
    resolvers[0]?.('first');
    resolvers[1]?.('second');
    await rig.clock.settle();
    expect(keys).toEqual(['a/one#4/e', 'a/one#7/e']);
    expect(rig.delivered).toEqual([{ kind: 'effect.done', id: 'e', output: 'second' }]);
    expect(rig.cell.holds).toBe(0);
  });

  test('one that the definition does not know any more', async () => {
    rig.book('e', 'unknown');
    rig.runner.start(rig.cell, 'e', 4);
    await rig.clock.settle();
    expect(failures()).toMatchObject([['INVALID_DEFINITION', expect.stringContaining('"unknown"')]]);
  });

  test('on the pool: module and name, aborted by cancel', async () => {
    rig.begin('e', { kind: 'call', run: () => 1, pool: { module: 'file:///x.ts', name: 'work' } });
    rig.begin('f', { kind: 'call', run: () => 1, pool: { module: 'file:///x.ts', name: 'work' } });
    await rig.clock.settle();
    expect(rig.pooled).toMatchObject([{ work: { module: 'file:///x.ts', name: 'work' } }, {}]);
    rig.runner.cancel(KEY, 'e');
    expect(rig.pooled[0]?.aborted()).toBe(true);
    rig.pooled[1]?.resolve('heavy');
    await rig.clock.settle();
    expect(rig.delivered).toEqual([{ kind: 'effect.done', id: 'f', output: 'heavy' }]);
  });
});

describe('after a crash', () => {
  test('at_most_once is not run again, idempotent and query are, under the same key', async () => {
    const ran: string[] = [];
    for (const effectClass of ['at_most_once', 'idempotent', 'query'] as const) {
      rig.specs.set(effectClass, {
        kind: 'call',
        class: effectClass,
        run: ({ idempotencyKey }) => void ran.push(idempotencyKey),
      });
      rig.book(effectClass, effectClass, 9);
    }
    rig.specs.set('plain', { kind: 'call', run: ({ idempotencyKey }) => void ran.push(idempotencyKey) });
    rig.book('plain', 'plain', 9);
    rig.runner.resume(rig.cell);
    await rig.clock.settle();
    expect(ran.sort()).toEqual(['a/one#9/idempotent', 'a/one#9/plain', 'a/one#9/query']);
    expect(rig.delivered).toHaveLength(4);
    expect(rig.delivered.filter((message) => message.kind === 'effect.failed')).toMatchObject([
      { id: 'at_most_once', error: { code: 'UNKNOWN_OUTCOME', details: { effect: 'at_most_once' } } },
    ]);
  });
});

describe('sources', () => {
  test('events until it ends; nothing after', async () => {
    let context: SourceContext | undefined;
    rig.begin('s', { kind: 'source', start: (given) => ((context = given), undefined) });
    context?.emit(1);
    context?.emit(2);
    context?.done('end');
    context?.emit(3);
    context?.fail(new Error('late'));
    expect(rig.delivered).toEqual([
      { kind: 'effect.event', id: 's', event: 1 },
      { kind: 'effect.event', id: 's', event: 2 },
      { kind: 'effect.done', id: 's', output: 'end' },
    ]);
    expect(rig.cell.holds).toBe(0);
  });

  test('what the actor sends reaches it; cancel stops and aborts it, also one whose stop throws', () => {
    const heard: unknown[] = [];
    let stopped = 0;
    let signal: AbortSignal | undefined;
    const start = (given: SourceContext): (() => void) => {
      signal = given.signal;
      given.receive((message) => void heard.push(message));
      return () => {
        stopped += 1;
        throw new Error('cannot stop');
      };
    };
    rig.begin('s', { kind: 'source', start });
    rig.runner.send(KEY, 's', 'hello');
    rig.runner.send(KEY, 'unknown', 'nobody');
    rig.runner.cancel(KEY, 's');
    rig.runner.send(KEY, 's', 'gone');
    expect(heard).toEqual(['hello']);
    expect(stopped).toBe(1);
    expect(signal?.aborted).toBe(true);
    expect(rig.delivered).toEqual([]);
  });

  test('one that throws while it starts, and one that ends within its start', () => {
    rig.begin('throws', {
      kind: 'source',
      start: () => {
        throw new Error('no start');
      },
    });
    let stopped = 0;
    rig.begin('short', {
      kind: 'source',
      start: ({ done }) => {
        done('at once');
        return () => void (stopped += 1);
      },
    });
    expect(failures()).toEqual([['ERROR', 'no start'], 'effect.done']);
    rig.runner.close();
    expect(stopped).toBeLessThanOrEqual(1);
    expect(rig.cell.holds).toBe(0);
  });
});

describe('after hosts have died', () => {
  const mark = (id: string): number => effectMark(KEY, id, 4);
  const pending = (begun: string[], id: string): EffectSpec => ({
    kind: 'call',
    run: () => {
      begun.push(id);
      return new Promise(() => {});
    },
  });

  test('one of which its host died as often as a message may fail is not begun again: HostLostError', () => {
    rig.specs.set('e', { kind: 'call', run: () => {} });
    rig.book('e', 'e');
    rig.runner.suspect([[mark('e'), 3]]);
    rig.runner.resume(rig.cell);
    expect(rig.delivered).toMatchObject([{ kind: 'effect.failed', id: 'e', error: { code: 'HOST_LOST' } }]);
    expect(rig.runner.size).toBe(0);
  });

  test('those that were under way twice are begun one at a time, each named before, the others at once', async () => {
    const begun: string[] = [];
    for (const id of ['a', 'b', 'c', 'd']) {
      rig.specs.set(id, pending(begun, id));
      rig.book(id, id);
    }
    rig.runner.suspect([
      [mark('a'), 2],
      [mark('b'), 2],
      [mark('c'), 1],
    ]);
    rig.runner.resume(rig.cell);
    await rig.clock.advance(0);
    expect(begun).toEqual(['a', 'c', 'd']);
    expect(rig.tried).toEqual([mark('a')]);
    await rig.clock.advance(1_000);
    expect(begun).toEqual(['a', 'c', 'd', 'b']);
    expect(rig.tried).toEqual([mark('a'), mark('b')]);
  });

  test('one that is cancelled while it waits for its trial is never begun', async () => {
    const begun: string[] = [];
    for (const id of ['a', 'b']) {
      rig.specs.set(id, pending(begun, id));
      rig.book(id, id);
    }
    rig.runner.suspect([
      [mark('a'), 2],
      [mark('b'), 2],
    ]);
    rig.runner.resume(rig.cell);
    rig.cell.book.effects?.delete('b');
    rig.runner.cancel(KEY, 'b');
    await rig.clock.advance(1_000);
    expect(begun).toEqual(['a']);
    expect(rig.cell.holds).toBe(1);
  });
});
