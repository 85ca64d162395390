/** What survives: a stop, a crash, a checkpoint, a trimmed log. The crash is a copy of the data folder as a killed process leaves it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import type { SystemOptions } from '../../../runtime/system/options.ts';
import {
  counter,
  counterInMemory,
  counterSnapshot,
  puppet,
  type PuppetState,
  virtualCounter,
} from '../../support/actors/basic.ts';
import { chain, idempotentPayment, oncePayment, queryPayment, reminder } from '../../support/actors/charts.ts';
import { crashCopy } from '../../support/crash-copy.ts';
import { type TmpDir, tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, errorOf, until } from '../../support/until.ts';

const ACTORS = [
  new URL('../../support/actors/basic.ts', import.meta.url),
  new URL('../../support/actors/charts.ts', import.meta.url),
  new URL('../../support/actors/ledger.ts', import.meta.url),
];

let folder: TmpDir;
let copies = 0;

beforeEach(async () => {
  folder = await tmpDir('durability');
});
afterEach(() => folder[Symbol.asyncDispose]());

const start = (more: SystemOptions = {}): Promise<ActorSystem> =>
  ActorSystem.start({ dataDir: folder.at('data'), threads: 0, actors: ACTORS, ...more });

/** Ends `system` in one of the two ways, and starts its successor. */
const again = async (
  system: ActorSystem,
  how: 'stopped' | 'killed',
  more: SystemOptions & { dataDir?: string } = {},
): Promise<ActorSystem> => {
  const dataDir = more.dataDir ?? folder.at('data');
  copies += 1;
  const copy = how === 'killed' ? crashCopy(dataDir, folder.at(`copy${copies}`)) : dataDir;
  await system.stop();
  return start({ ...more, dataDir: copy });
};

describe.each(['stopped', 'killed'] as const)('%s and started again', (how) => {
  test('state, addresses, endings; an actor in memory is gone', async () => {
    const first = await start();
    for (const definition of [counter, counterSnapshot, counterInMemory]) {
      const ref = await first.spawn(definition, { id: 'one', input: { start: 10 } });
      for (let i = 0; i < 5; i++) await ref.tell({ type: 'ADD', by: 2 });
    }
    const ended = await first.spawn(counter, { id: 'ended' });
    await ended.ask({ type: 'END' });
    await first.ref(virtualCounter, 'v').tell({ type: 'ADD', by: 3 });
    const before = await first.ref(counter, 'one').snapshot();
    await using second = await again(first, how);
    expect(await second.ref(counter, 'one').snapshot()).toEqual(before);
    expect(await second.ref(counterSnapshot, 'one').ask({ type: 'ADD', by: 1 })).toBe(21);
    expect(await codeOf(second.ref(counterInMemory, 'one').ask({ type: 'GET' }))).toBe('ACTOR_NOT_FOUND');
    expect(await codeOf(second.ref(counter, 'ended').ask({ type: 'GET' }))).toBe('ACTOR_STOPPED');
    expect(await codeOf(second.spawn(counter, { id: 'one' }))).toBe('ACTOR_ALREADY_EXISTS');
    expect(await second.ref(virtualCounter, 'v').ask({ type: 'ADD', by: 0 })).toBe(3);
  });

  test('a key asked again gets the same reply, and nothing is handled twice', async () => {
    const first = await start();
    const ref = await first.spawn(counter, { id: 'one' });
    expect(await ref.ask({ type: 'ADD', by: 1 }, { idempotencyKey: 'a' })).toBe(1);
    await ref.tell({ type: 'ADD', by: 1 }, { idempotencyKey: 't' });
    expect(await ref.ask({ type: 'ADD', by: 1 }, { idempotencyKey: 'b' })).toBe(3);
    const refusal = await errorOf(ref.ask({ type: 'BOOM' }, { idempotencyKey: 'c' }));
    await using second = await again(first, how);
    const same = second.ref(counter, 'one');
    expect(await same.ask({ type: 'ADD', by: 1 }, { idempotencyKey: 'a' })).toBe(1);
    expect(await same.ask({ type: 'ADD', by: 1 }, { idempotencyKey: 'b' })).toBe(3);
    await same.tell({ type: 'ADD', by: 1 }, { idempotencyKey: 't' });
    const refusedAgain = await errorOf(same.ask({ type: 'BOOM' }, { idempotencyKey: 'c' }));
    expect([refusedAgain.code, refusedAgain.message]).toEqual([refusal.code, refusal.message]);
    expect(await same.ask({ type: 'GET' })).toMatchObject({ n: 3 });
    expect(await second.deadLetters.list()).toHaveLength(1);
  });

  test('a request whose answer comes after the restart', async () => {
    const first = await start();
    const ref = await first.spawn(puppet, { id: 'p' });
    const lost = codeOf(ref.ask({ type: 'TAKE' }, { idempotencyKey: 'k', timeoutMs: 60_000 }));
    await until('it to be taken', async () => ((await ref.snapshot()).view as PuppetState).taken.length === 1);
    await using second = await again(first, how);
    expect(await lost).toBe('SYSTEM_STOPPED');
    const same = second.ref(puppet, 'p');
    const asked = same.ask({ type: 'TAKE' }, { idempotencyKey: 'k' });
    await same.tell({ type: 'ANSWER', value: 'at last' });
    expect(await asked).toBe('at last');
    expect(await same.ask({ type: 'TAKE' }, { idempotencyKey: 'k' })).toBe('at last');
  });

  test('stash, watchers, children and their endings', async () => {
    const first = await start();
    const ref = await first.spawn(puppet, { id: 'p' });
    for (let n = 1; n <= 3; n++) await ref.tell({ type: 'STASH', n });
    await ref.tell({ type: 'SPAWN', childId: 'kid', definition: 'counter', id: 'kid' });
    const watched = await first.spawn(counter, { id: 'watched' });
    await ref.tell({ type: 'WATCH', key: watched.key });
    await until('the kid to live', async () => (await first.ref(counter, 'kid').snapshot()).status === 'running');
    await using second = await again(first, how);
    const same = second.ref(puppet, 'p');
    await same.tell({ type: 'UNSTASH' });
    expect(await same.ask({ type: 'LOOK' })).toEqual([1, 2, 3]);
    await second.ref(counter, 'kid').ask({ type: 'END' });
    await second.ref(counter, 'watched').ask({ type: 'END' });
    const list = await until('both ends', async () => {
      const seen = (await same.ask({ type: 'LOOK' })) as unknown[];
      return seen.length === 5 ? seen : undefined;
    });
    expect(list.slice(3)).toEqual([
      { terminated: 'counter/kid', childId: 'kid', reason: 'normal' },
      { terminated: 'counter/watched', childId: undefined, reason: 'normal' },
    ]);
  });

  test('a timer fires at its time: once, whether that is past or to come', async () => {
    const first = await start();
    const past = await first.spawn(reminder, { id: 'past', input: { ms: 1 } });
    const toCome = await first.spawn(reminder, { id: 'to-come', input: { ms: 600 } });
    const far = await first.spawn(reminder, { id: 'far', input: { ms: 30 * 24 * 3_600_000 } });
    const setAt = (await toCome.snapshot()).view as { context: { setAt: number } };
    await using second = await again(first, how);
    const isLate = (s: { view: unknown }): boolean => (s.view as { value: string }).value === 'late';
    await second.ref(reminder, 'past').waitFor(isLate);
    const fired = await second.ref(reminder, 'to-come').waitFor(isLate);
    const { context } = fired.view as { context: { setAt: number; firedAt: number } };
    expect(context.setAt).toBe(setAt.context.setAt);
    expect(context.firedAt - context.setAt).toBeGreaterThanOrEqual(600);
    expect((await second.ref(reminder, 'far').snapshot()).view).toMatchObject({ value: 'waiting' });
    expect([past.key, far.key]).toHaveLength(2);
  });

  test.each([
    ['idempotent', idempotentPayment, 'settled', 'paid', 2],
    ['query', queryPayment, 'settled', 'paid', 2],
    ['at_most_once', oncePayment, 'unclear', 'UNKNOWN_OUTCOME', 1],
  ] as const)('an effect under way, %s', async (_name, definition, value, result, times) => {
    const first = await start();
    const ref = await first.spawn(definition, { id: 'p', input: { folder: folder.path } });
    await ref.tell({ type: 'PAY' });
    const paid = (): string[] =>
      existsSync(folder.at('paid')) ? readFileSync(folder.at('paid'), 'utf8').trim().split('\n') : [];
    await until('the effect to be under way', () => paid().length === 1);
    await using second = await again(first, how);
    writeFileSync(folder.at('go'), '');
    const { view } = await second.ref(definition, 'p').waitFor((s) => (s.view as { value: string }).value === value);
    expect(view).toMatchObject({ value, context: { result } });
    expect(paid()).toHaveLength(times);
    expect(new Set(paid()).size).toBe(1);
    if (value !== 'unclear') return;
    // Started again on purpose, it is another start: another key.
    await second.ref(definition, 'p').tell({ type: 'PAY' });
    await second.ref(definition, 'p').waitFor((s) => (s.view as { value: string }).value === 'settled');
    expect(new Set(paid()).size).toBe(2);
  });

  test('a machine with child machines goes on where it was', async () => {
    const first = await start();
    const ref = await first.spawn(chain, { id: 'c' });
    await ref.tell({ type: 'START' });
    await using second = await again(first, how);
    const done = await second.ref(chain, 'c').waitFor((s) => s.status === 'stopped');
    expect(done.view).toMatchObject({ value: 'done', context: { results: [2, 4] } });
  });

  test('dead letters stay, and can be sent again', async () => {
    const first = await start();
    const ref = await first.spawn(counter, { id: 'one' });
    await codeOf(ref.tell({ type: 'BOOM' }));
    const before = await first.deadLetters.list();
    expect(before).toMatchObject([{ to: ref.key, message: { type: 'BOOM' }, reason: 'handler_failed', attempts: 3 }]);
    await using second = await again(first, how);
    expect(await second.deadLetters.list()).toEqual(before);
    // It fails again: a new letter in place of the old.
    expect(await second.deadLetters.redrive()).toBe(1);
    const after = await second.deadLetters.list();
    expect(after).toHaveLength(1);
    expect(after[0]?.id).not.toBe(before[0]?.id);
    expect(await second.deadLetters.purge(after.map(({ id }) => id))).toBe(1);
    expect(await second.deadLetters.purge(['nobody'])).toBe(0);
    expect(await second.deadLetters.list()).toEqual([]);
  });

  test('after a checkpoint a restart reads nothing older, and finds everything', async () => {
    const first = await start();
    const ref = await first.spawn(counter, { id: 'one' });
    const waiting = await first.spawn(reminder, { id: 'r', input: { ms: 300 } });
    for (let i = 0; i < 100; i++) await ref.tell({ type: 'ADD', by: 1 });
    const position = await first.checkpoint();
    expect(position).toBeGreaterThanOrEqual(102);
    await ref.tell({ type: 'ADD', by: 1 }, { idempotencyKey: 'after' });
    await using second = await again(first, how);
    expect(second.opened.tailTurns).toBeLessThan(10);
    expect(second.opened.checkpoint).toBeGreaterThanOrEqual(position);
    expect(await second.ref(counter, 'one').ask({ type: 'GET' })).toMatchObject({ n: 101 });
    await second.ref(counter, 'one').tell({ type: 'ADD', by: 1 }, { idempotencyKey: 'after' });
    expect(await second.ref(counter, 'one').ask({ type: 'GET' })).toMatchObject({ n: 101 });
    await second
      .ref(reminder, waiting.key.split('/')[1] ?? '')
      .waitFor((s) => (s.view as { value: string }).value === 'late');
  });

  test('a trimmed log: the state is there, the past is not, and says so', async () => {
    const first = await start({ retention: 'trim' });
    const ref = await first.spawn(counter, { id: 'one' });
    for (let i = 0; i < 50; i++) await ref.tell({ type: 'ADD', by: 1 });
    await first.checkpoint();
    await until('the log to be trimmed', async () => (await first.history(ref).turns()).length < 51);
    await ref.tell({ type: 'ADD', by: 1 });
    await using second = await again(first, how, { retention: 'trim' });
    const same = second.ref(counter, 'one');
    expect(await same.ask({ type: 'ADD', by: 1 })).toBe(52);
    expect(await codeOf(second.history(same).at(5))).toBe('ACTOR_NOT_FOUND');
    expect((await second.history(same).turns()).length).toBeLessThan(10);
  });
});

describe('messages between actors', () => {
  test('what was sent and not handled is handled after a crash, once', async () => {
    const first = await start();
    const sender = await first.spawn(puppet, { id: 'p' });
    await first.spawn(counter, { id: 'one' });
    // The copies are taken at every moment of a burst; each must end in the same place.
    const tells = Array.from({ length: 50 }, () =>
      sender.tell({ type: 'SEND', to: 'counter/one', message: { type: 'ADD', by: 1 } }),
    );
    const ends: Promise<number>[] = [];
    let at = 0;
    for (const tell of tells) {
      await tell;
      at += 1;
      if (at % 10 !== 0) continue;
      const sent = at;
      const dataDir = crashCopy(folder.at('data'), folder.at(`burst${at}`));
      ends.push(
        (async () => {
          await using system = await start({ dataDir });
          return await until(`${sent} to arrive`, async () => {
            const { n } = await system.ref(counter, 'one').ask<{ n: number }>({ type: 'GET' });
            return n >= sent ? n : undefined;
          });
        })(),
      );
    }
    await first.stop();
    for (const [i, n] of (await Promise.all(ends)).entries()) {
      expect(n).toBeGreaterThanOrEqual((i + 1) * 10);
      expect(n).toBeLessThanOrEqual(50);
    }
  });

  test('thirty crashes one after the other leave an actor as it was', async () => {
    let system = await start();
    let dataDir = folder.at('data');
    const ref = await system.spawn(counter, { id: 'one' });
    for (let i = 1; i <= 30; i++) {
      const n = await system.ref(counter, 'one').ask({ type: 'ADD', by: 1 }, { idempotencyKey: `k${i}` });
      expect(n).toBe(i);
      const copy = crashCopy(dataDir, folder.at(`crash${i}`));
      await system.stop({ drainTimeoutMs: 0 });
      dataDir = copy;
      system = await start({ dataDir });
      expect(await system.refOf(ref.key).ask({ type: 'ADD', by: 1 }, { idempotencyKey: `k${i}` })).toBe(i);
    }
    expect(system.opened.run).toBe(31);
    await system.stop();
  });
});
