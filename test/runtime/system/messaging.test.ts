/** What actors and the outside say to each other: order, answers, endings, stash, watch, live views. */
import { describe, expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import {
  counter,
  counterInMemory,
  counterSnapshot,
  puppet,
  type PuppetState,
  virtualCounter,
} from '../../support/actors/basic.ts';
import { codeOf, errorOf, until } from '../../support/until.ts';

const MODULE = new URL('../../support/actors/basic.ts', import.meta.url);
const start = (threads: number, onLog?: (key: string, values: readonly unknown[]) => void): Promise<ActorSystem> =>
  ActorSystem.start({ threads, actors: [MODULE], ...(onLog === undefined ? {} : { onLog }) });

const seen = (
  what: string,
  ref: { ask(message: { type: 'LOOK' }): Promise<unknown> },
  length: number,
): Promise<unknown[]> =>
  until(what, async () => {
    const list = (await ref.ask({ type: 'LOOK' })) as unknown[];
    return list.length >= length ? list : undefined;
  });

describe.each([0, 2])('threads: %i', (threads) => {
  test('tell, ask and send, in the order in which they were made, for every durability', async () => {
    await using system = await start(threads);
    for (const definition of [counter, counterInMemory, counterSnapshot]) {
      const ref = await system.spawn(definition, { id: 'one', input: { start: 10 } });
      const first = ref.tell({ type: 'ADD', by: 1 });
      ref.send({ type: 'ADD', by: 1 });
      const second = ref.ask({ type: 'ADD', by: 1 });
      const third = ref.ask({ type: 'GET' });
      expect(await first).toBeUndefined();
      expect(await second).toBe(13);
      expect(await third).toMatchObject({ n: 13 });
    }
  });

  test('what is asked while an actor is being spawned comes after its start', async () => {
    await using system = await start(threads);
    await system.spawn(counter, { id: 'first', input: { start: 1 } });
    const spawned = system.spawn(counter, { id: 'early', input: { start: 10 } });
    expect(await system.ref(counter, 'early').ask({ type: 'ADD', by: 1 })).toBe(11);
    await spawned;
  });

  test('a reply that comes later, to everybody whose right to it was kept', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(puppet, { id: 'p' });
    const asked = [ref.ask({ type: 'TAKE' }), ref.ask({ type: 'TAKE' })];
    await ref.tell({ type: 'TAKE' });
    await ref.tell({ type: 'ANSWER', value: { deep: [1, new Date(5)] } });
    expect(await Promise.all(asked)).toEqual([{ deep: [1, new Date(5)] }, { deep: [1, new Date(5)] }]);
    const failed = errorOf(ref.ask({ type: 'TAKE' }));
    await ref.tell({ type: 'ANSWER_ERROR' });
    expect(await failed).toMatchObject({ name: 'TypeError', message: 'no, on purpose' });
    await expect(ref.ask({ type: 'FAIL' })).rejects.toMatchObject({
      name: 'RangeError',
      message: 'refused, on purpose',
    });
    expect(await ref.ask({ type: 'LOOK' })).toEqual([]);
  });

  test('one actor asks another: the answer, no answer, and nobody there', async () => {
    await using system = await start(threads);
    const one = await system.spawn(counter, { id: 'one', input: { start: 5 } });
    const other = await system.spawn(puppet, { id: 'silent' });
    const ref = await system.spawn(puppet, { id: 'p' });
    await ref.tell({ type: 'ASK', to: one.key, message: { type: 'GET' } });
    await seen('the answer', ref, 1);
    await ref.tell({ type: 'ASK', to: other.key, message: { type: 'TAKE' }, timeoutMs: 50 });
    await seen('the timeout', ref, 2);
    await ref.tell({ type: 'ASK', to: 'counter/nobody', message: { type: 'GET' } });
    await seen('the refusal', ref, 3);
    await ref.tell({ type: 'ASK', to: one.key, message: { type: 'QUIET' } });
    const list = await seen('the silence', ref, 4);
    expect(list).toMatchObject([
      { reply: { n: 5 } },
      { failed: 'ASK_TIMEOUT' },
      { failed: 'ACTOR_NOT_FOUND' },
      { failed: 'NO_REPLY' },
    ]);
  });

  test('watch: the end of an actor, once; of one that has ended, and of one that never was', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(puppet, { id: 'p' });
    const [a, b, c] = [
      await system.spawn(counter, { id: 'a' }),
      await system.spawn(counter, { id: 'b' }),
      await system.spawn(counter, { id: 'c' }),
    ];
    for (const { key } of [a, b]) await ref.tell({ type: 'WATCH', key });
    await ref.tell({ type: 'UNWATCH', key: b.key });
    await a.ask({ type: 'END' });
    await b.ask({ type: 'END' });
    await seen('the end of a', ref, 1);
    await c.stop();
    await ref.tell({ type: 'WATCH', key: c.key });
    await seen('the end of c, told late', ref, 2);
    await ref.tell({ type: 'WATCH', key: 'counter/nobody' });
    const list = await seen('that there is nobody', ref, 3);
    expect(list).toEqual([
      { terminated: 'counter/a', childId: undefined, reason: 'normal' },
      { terminated: 'counter/c', childId: undefined, reason: 'shutdown' },
      { terminated: 'counter/nobody', childId: undefined, reason: 'error' },
    ]);
  });

  test('children: their end comes back, and they end with their parent', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(puppet, { id: 'p' });
    await ref.tell({ type: 'SPAWN', childId: 'kid', definition: 'counter', id: 'kid' });
    await ref.tell({ type: 'SPAWN', childId: 'other', definition: 'counter', id: 'other' });
    const kid = system.ref(counter, 'kid');
    await until('the kid to live', async () => (await kid.snapshot()).status === 'running');
    await kid.ask({ type: 'END' });
    const list = await seen("the kid's end", ref, 1);
    expect(list).toEqual([{ terminated: 'counter/kid', childId: 'kid', reason: 'normal' }]);
    // An id that lives already cannot be anybody's child.
    await system.spawn(counter, { id: 'taken' });
    await ref.tell({ type: 'SPAWN', childId: 'taken', definition: 'counter', id: 'taken' });
    expect(await seen('the refusal', ref, 2)).toMatchObject([
      {},
      { terminated: 'counter/taken', childId: 'taken', reason: 'error' },
    ]);
    expect(await system.ref(counter, 'taken').ask({ type: 'ADD', by: 1 })).toBe(1);
    await ref.stop();
    await until(
      'the other kid to end',
      async () => (await system.ref(counter, 'other').snapshot()).status === 'stopped',
    );
  });

  test('stash: kept in order, taken out in order, before what came later', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(puppet, { id: 'p' });
    for (let n = 1; n <= 5; n++) await ref.tell({ type: 'STASH', n });
    expect(await ref.ask({ type: 'LOOK' })).toEqual([]);
    const rest = [ref.tell({ type: 'UNSTASH' }), ref.tell({ type: 'STASH', n: 6 }), ref.ask({ type: 'LOOK' })];
    expect((await Promise.all(rest))[2]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('changes: the present state, then every newer one, to the end', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    const numbers: number[] = [];
    const controller = new AbortController();
    const reading = (async () => {
      for await (const snapshot of ref.changes({ signal: controller.signal })) {
        const { n } = snapshot.view as { n: number };
        numbers.push(n);
        if (n === 5) break;
      }
    })();
    await until('the first view', () => numbers.length > 0);
    for (let i = 0; i < 5; i++) await ref.tell({ type: 'ADD', by: 1 });
    await reading;
    expect(numbers[0]).toBe(0);
    expect(numbers.at(-1)).toBe(5);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    expect(new Set(numbers).size).toBe(numbers.length);
    controller.abort();
  });

  test('a signal ends a loop over changes, and over events', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    const controller = new AbortController();
    const loops = [ref.changes({ signal: controller.signal }), ref.events({ signal: controller.signal })].map(
      async (loop) => {
        let count = 0;
        for await (const _ of loop) count += 1;
        return count;
      },
    );
    await ref.tell({ type: 'ADD', by: 1 });
    controller.abort();
    await Promise.all(loops);
    const aborted = ref.changes({ signal: AbortSignal.abort() });
    expect(await aborted.next()).toMatchObject({ done: true });
  });

  test('events: each once, in order, for all who listen', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    const heard: unknown[][] = [[], []];
    const listening = heard.map(async (list) => {
      for await (const event of ref.events()) {
        list.push(event);
        if (event === 'last') break;
      }
    });
    // The subscription is in order with what is asked after it.
    await ref.snapshot();
    for (const event of [1, { two: 2 }, 'last']) await ref.tell({ type: 'EMIT', event });
    await Promise.all(listening);
    expect(heard).toEqual([
      [1, { two: 2 }, 'last'],
      [1, { two: 2 }, 'last'],
    ]);
  });

  test('waitFor: already true, true later, never, aborted', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    expect(await ref.waitFor((s) => (s.view as { n: number }).n === 0)).toMatchObject({
      status: 'running',
      sequence: 1,
    });
    const later = ref.waitFor((s) => (s.view as { n: number }).n === 2);
    await ref.tell({ type: 'ADD', by: 2 });
    expect(await later).toMatchObject({ view: { n: 2 } });
    expect(await codeOf(ref.waitFor(() => false, { timeoutMs: 50 }))).toBe('ASK_TIMEOUT');
    const controller = new AbortController();
    const reason = new Error('enough');
    const aborted = ref.waitFor(() => false, { signal: controller.signal });
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await expect(
      ref.waitFor(() => {
        throw new Error('a bad predicate');
      }),
    ).rejects.toThrow('a bad predicate');
    const ended = ref.waitFor((s) => s.status === 'stopped');
    await ref.ask({ type: 'END' });
    expect(await ended).toMatchObject({ status: 'stopped' });
  });

  test('snapshot of one that was never spawned, and of one that has ended', async () => {
    await using system = await start(threads);
    expect(await system.ref(counter, 'nobody').snapshot()).toMatchObject({ status: 'absent', sequence: 0 });
    const ref = await system.spawn(counter, { id: 'one' });
    await ref.stop();
    expect(await ref.snapshot()).toMatchObject({ status: 'stopped', view: { n: 0 } });
    await system.spawn(counter, { id: 'one', input: { start: 7 } });
    expect(await ref.ask({ type: 'GET' })).toMatchObject({ n: 7 });
  });

  test('virtual actors live when somebody writes to them', async () => {
    await using system = await start(threads);
    const ref = system.ref(virtualCounter, 'v');
    expect(await ref.ask({ type: 'ADD', by: 2 })).toBe(2);
    expect(await ref.ask({ type: 'ADD', by: 2 })).toBe(4);
    expect(await codeOf(system.spawn(virtualCounter, { id: 'v' }))).toBe('ACTOR_ALREADY_EXISTS');
    await system.spawn(virtualCounter, { id: 'v', ifExists: 'attach' });
    const sender = await system.spawn(puppet, { id: 'p' });
    await sender.tell({ type: 'SEND', to: 'virtual-counter/w', message: { type: 'ADD', by: 9 } });
    await until(
      'the other to live',
      async () => (await system.ref(virtualCounter, 'w').snapshot()).status === 'running',
    );
    expect(await system.ref(virtualCounter, 'w').ask({ type: 'ADD', by: 0 })).toBe(9);
  });

  test('a time to live: too late is refused, in time is handled', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    expect(await ref.ask({ type: 'ADD', by: 1 }, { ttlMs: 60_000 })).toBe(1);
    // Behind one that fails twice, with a wait in between.
    const failing = codeOf(ref.ask({ type: 'BOOM' }));
    const late = ref.ask({ type: 'ADD', by: 1 }, { ttlMs: 0.000_1 });
    expect(await failing).toBe('HANDLER_FAILED');
    expect((await errorOf(late)).code).toBe('MESSAGE_EXPIRED');
    expect(await ref.ask({ type: 'GET' })).toMatchObject({ n: 1 });
  });

  test('the same key asks once, also while the first is under way', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    const asks = Array.from({ length: 5 }, () => ref.ask({ type: 'ADD', by: 1 }, { idempotencyKey: 'k' }));
    expect(await Promise.all(asks)).toEqual([1, 1, 1, 1, 1]);
    await Promise.all([1, 2].map(() => ref.tell({ type: 'ADD', by: 1 }, { idempotencyKey: 't' })));
    expect(await ref.ask({ type: 'GET' })).toMatchObject({ n: 2 });
    const slow = await system.spawn(puppet, { id: 'p' });
    const waiting = [1, 2].map(() => slow.ask({ type: 'TAKE' }, { idempotencyKey: 'k' }));
    await until('one to be taken', async () => ((await slow.snapshot()).view as PuppetState).taken.length === 1);
    await slow.tell({ type: 'ANSWER', value: 'once' });
    expect(await Promise.all(waiting)).toEqual(['once', 'once']);
    const boom = [1, 2].map(() => codeOf(ref.ask({ type: 'BOOM' }, { idempotencyKey: 'b' })));
    expect(await Promise.all(boom)).toEqual(['HANDLER_FAILED', 'HANDLER_FAILED']);
    expect(await system.deadLetters.list()).toHaveLength(1);
  });

  test('what an actor logs reaches the system, with its key', async () => {
    const lines: [string, readonly unknown[]][] = [];
    await using system = await start(threads, (key, values) => void lines.push([key, values]));
    const ref = await system.spawn(puppet, { id: 'p' });
    await ref.tell({ type: 'LOG', values: ['hello', { n: 1 }] });
    await until('the line', () => lines.length > 0);
    expect(lines).toEqual([['puppet/p', ['hello', { n: 1 }]]]);
  });

  test('timers of a plain actor: fire once, not early; set again; cancelled', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(puppet, { id: 'p' });
    const before = Date.now();
    await ref.tell({ type: 'TIMER', id: 'cancelled', delayMs: 1 });
    await ref.tell({ type: 'TIMER', id: 'a', delayMs: 30, payload: { n: 1 } });
    await ref.tell({ type: 'TIMER', id: 'b', delayMs: 5_000 });
    await ref.tell({ type: 'TIMER', id: 'b', delayMs: 60 });
    await ref.tell({ type: 'TIMER', id: 'c', delayMs: 10_000 });
    await ref.tell({ type: 'CANCEL_TIMER', id: 'c' });
    const list = (await seen('three timers', ref, 3)) as { timer: string; payload: unknown; at: number }[];
    expect(list.map(({ timer }) => timer)).toEqual(['cancelled', 'a', 'b']);
    expect(list[1]).toMatchObject({ payload: { n: 1 } });
    expect((list[1]?.at ?? 0) - before).toBeGreaterThanOrEqual(30);
    expect((list[2]?.at ?? 0) - before).toBeGreaterThanOrEqual(60);
    expect((await system.stats()).hosts.reduce((sum, host) => sum + host.timers, 0)).toBeLessThanOrEqual(2);
  });
});
