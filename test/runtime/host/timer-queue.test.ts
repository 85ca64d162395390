/** The queue of timers against a sorted list, on a clock that jumps. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { askOfTimer } from '../../../runtime/cell/ask-timer.ts';
import type { AskEntry, TimerEntry } from '../../../runtime/cell/book.ts';
import { TimerQueue, type Waiting } from '../../../runtime/host/timer-queue.ts';
import type { Clock, Wait } from '../../../runtime/kernel/clock.ts';

/** A wall clock that may be set, and a monotonic one, on which waits are. */
class TwoClocks implements Clock {
  wallMs = 1_000_000;
  #monoMs = 0;
  readonly #waits = new Set<{ dueMs: number; fire: () => void }>();

  get waiting(): number {
    return this.#waits.size;
  }

  now(): number {
    return this.wallMs;
  }

  monotonicMs(): number {
    return this.#monoMs;
  }

  wait(ms: number, fire: () => void): Wait {
    const wait = { dueMs: this.#monoMs + ms, fire };
    this.#waits.add(wait);
    return { cancel: () => void this.#waits.delete(wait) };
  }

  defer(run: () => void): void {
    run();
  }

  pass(ms: number): void {
    const end = this.#monoMs + ms;
    for (;;) {
      const next = [...this.#waits].filter((wait) => wait.dueMs <= end).sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.#waits.delete(next);
      this.wallMs += next.dueMs - this.#monoMs;
      this.#monoMs = next.dueMs;
      next.fire();
    }
    this.wallMs += end - this.#monoMs;
    this.#monoMs = end;
  }
}

/** What a cell waits for, as its books have it. */
class Actor implements Waiting {
  readonly timers = new Map<string, TimerEntry>();
  readonly asks = new Map<string, AskEntry>();
  readonly bookOf = (): this => this;

  set(queue: TimerQueue, id: string, dueMs: number, armed: number): void {
    this.timers.set(id, { dueMs, payload: null, armed });
    queue.add('a/b', id, dueMs, armed);
  }

  ask(queue: TimerQueue, ask: string, dueMs: number): void {
    this.asks.set(ask, { dueMs, to: 'c/d', armed: 1, isLate: false });
    queue.addAsk('a/b', dueMs);
  }
}

const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), inMs: fc.integer({ min: -1_000, max: 200_000 }) }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 100_000 }) }),
  fc.record({ kind: fc.constant('jump' as const), ms: fc.integer({ min: -100_000, max: 100_000 }) }),
);

test('never early by the wall clock, once, in order of due time, then of setting; all in the end', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = new TwoClocks();
      const due = new Map<string, number>();
      const fired: string[] = [];
      const actor = new Actor();
      const queue = new TimerQueue(clock, actor.bookOf, (_key, id) => {
        expect(due.get(id), 'early').toBeLessThanOrEqual(clock.wallMs);
        fired.push(id);
      });
      for (const [i, each] of steps.entries()) {
        if (each.kind === 'add') {
          due.set(String(i), clock.wallMs + each.inMs);
          actor.set(queue, String(i), clock.wallMs + each.inMs, i);
        } else if (each.kind === 'pass') clock.pass(each.ms);
        else clock.wallMs += each.ms;
        expect(clock.waiting).toBeLessThanOrEqual(1);
      }
      clock.pass(1_000_000);
      expect([...fired].sort()).toEqual([...due.keys()].sort());
      expect(queue.size).toBe(0);
      expect(clock.waiting).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test('those due at once fire in the order in which they were set', () => {
  const clock = new TwoClocks();
  const fired: string[] = [];
  const actor = new Actor();
  const queue = new TimerQueue(clock, actor.bookOf, (_key, id) => void fired.push(id));
  for (let i = 0; i < 100; i++) actor.set(queue, String(i), clock.wallMs + 10, 1);
  actor.set(queue, 'earlier', clock.wallMs + 5, 1);
  clock.pass(20);
  expect(fired).toEqual(['earlier', ...Array.from({ length: 100 }, (_, i) => String(i))]);
});

test('a clock set back delays, a clock set forward hastens, within a minute', () => {
  const clock = new TwoClocks();
  const fired: string[] = [];
  const actor = new Actor();
  const queue = new TimerQueue(clock, actor.bookOf, (_key, id) => void fired.push(id));
  actor.set(queue, 'back', clock.wallMs + 1_000, 1);
  clock.wallMs -= 5_000;
  clock.pass(1_000);
  expect(fired).toEqual([]);
  clock.pass(5_000);
  expect(fired).toEqual(['back']);
  actor.set(queue, 'forward', clock.wallMs + 40 * 24 * 3_600_000, 1);
  clock.wallMs += 41 * 24 * 3_600_000;
  clock.pass(60_000);
  expect(fired).toEqual(['back', 'forward']);
});

test('a timer that sets another while it fires, and a closed queue', () => {
  const clock = new TwoClocks();
  const fired: string[] = [];
  const actor = new Actor();
  const queue: TimerQueue = new TimerQueue(clock, actor.bookOf, (_key, id) => {
    fired.push(id);
    if (fired.length < 3) actor.set(queue, `${id}+`, clock.wallMs, 1);
  });
  actor.set(queue, 'a', clock.wallMs + 5, 1);
  actor.set(queue, 'late', clock.wallMs + 5_000, 1);
  clock.pass(10);
  expect(fired).toEqual(['a', 'a+', 'a++']);
  queue.close();
  clock.pass(10_000);
  expect(fired).toHaveLength(3);
  expect(clock.waiting).toBe(0);
});

test('Q3: timers set again and cancelled leave the heap, and do not fire', () => {
  const clock = new TwoClocks();
  const actor = new Actor();
  const fired: string[] = [];
  const queue = new TimerQueue(clock, actor.bookOf, (_key, id, at) => void fired.push(`${id}@${at}`));
  for (let at = 0; at < 200_000; at++) actor.set(queue, String(at % 100), clock.wallMs + 60_000 - (at % 7), at);
  expect(queue.size).toBeLessThan(5_000);
  for (let id = 0; id < 100; id += 2) actor.timers.delete(String(id));
  clock.pass(60_000);
  const last = Array.from({ length: 50 }, (_, i) => 2 * i + 1).map((id) => `${id}@${199_900 + id}`);
  expect([...fired].sort()).toEqual([...last].sort());
  expect(queue.size).toBe(0);
});

const asking = fc.oneof(
  step,
  fc.record({ kind: fc.constant('answer' as const), nth: fc.nat({ max: 20 }) }),
  fc.record({ kind: fc.constant('resume' as const) }),
);

test('Q4: a question that nobody answers is late once, never early; one that is answered never is; together they are one entry', () => {
  fc.assert(
    fc.property(fc.array(asking, { maxLength: 60 }), (steps) => {
      const clock = new TwoClocks();
      const actor = new Actor();
      const late = new Set<string>();
      const queue = new TimerQueue(clock, actor.bookOf, (_key, id) => {
        const ask = askOfTimer(id) as string;
        expect(actor.asks.get(ask)?.dueMs, 'early').toBeLessThanOrEqual(clock.wallMs);
        expect(late, 'twice').not.toContain(ask);
        late.add(ask);
      });
      const unanswered = new Set<string>();
      for (const [i, each] of steps.entries()) {
        if (each.kind === 'add') {
          actor.ask(queue, String(i), clock.wallMs + each.inMs);
          unanswered.add(String(i));
        } else if (each.kind === 'pass') clock.pass(each.ms);
        else if (each.kind === 'jump') clock.wallMs += each.ms;
        else if (each.kind === 'resume') {
          // Told while it was stopped, it heard nothing.
          late.clear();
          queue.addAll('a/b', actor);
        } else {
          const ask = [...actor.asks.keys()][each.nth];
          if (ask === undefined || late.has(ask)) continue;
          actor.asks.delete(ask);
          unanswered.delete(ask);
        }
      }
      clock.pass(1_000_000);
      expect([...late].sort()).toEqual([...unanswered].sort());
      expect(queue.size).toBe(0);
      expect(clock.waiting).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test('Q3, Q4: many open questions are one entry, and those of cells without any leave the heap', () => {
  const clock = new TwoClocks();
  const actor = new Actor();
  const late: string[] = [];
  const queue = new TimerQueue(clock, actor.bookOf, (_key, id) => void late.push(id));
  for (let i = 0; i < 20_000; i++) actor.ask(queue, String(i), clock.wallMs + 1_000 + (i >> 3));
  expect(queue.size).toBe(1);
  const startMs = clock.wallMs;
  clock.pass(1_000 + 2_500 + 20);
  expect(late).toHaveLength(20_000);
  expect(clock.wallMs - startMs).toBe(3_520);
  actor.asks.clear();
  for (let i = 0; i < 200_000; i++) queue.addAsk(`a/${i}`, clock.wallMs + 60_000);
  expect(queue.size).toBeLessThan(2_000);
});
