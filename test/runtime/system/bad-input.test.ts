/**
 * What users get wrong in their code: a typed error with code, the offending value and the remedy, at the earliest moment, and nothing
 * lost by it.
 */
import { describe, expect, test } from 'vitest';
import { createMachine } from 'xstate';
import { ActorSystem, defineActor } from '../../../runtime/index.ts';
import type { Definition } from '../../../runtime/kernel/definition.ts';
import type { SystemOptions } from '../../../runtime/system/options.ts';
import { counter, puppet, stuck } from '../../support/actors/basic.ts';
import { codeOf, errorOf, until } from '../../support/until.ts';

const MODULE = new URL('../../support/actors/basic.ts', import.meta.url);
const at = (path: string): URL => new URL(path, import.meta.url);
const start = (threads: number, more: SystemOptions = {}): Promise<ActorSystem> =>
  ActorSystem.start({ threads, actors: [MODULE], ...more });

describe('options', () => {
  test('all faults are told at once, each with its value', async () => {
    const options = {
      dataDir: '',
      threads: -1,
      actors: ['./actors.ts', 42, 'file:///fine.ts'],
      sync: 'yes',
      retention: 3,
      askTimeoutMs: '5',
      tellTimeoutMs: 0,
      residentCellsLimit: Number.NaN,
      callsLimit: -5,
      checkpointEveryTurns: null,
      checkpointEveryBytes: 0,
      hangAfterMs: 5,
      drainTimeoutMs: -1,
      hostHeapMb: 1,
      onLog: 'console',
      datadir: './typo',
    };
    const error = await errorOf(ActorSystem.start(options as unknown as SystemOptions));
    expect(error.code).toBe('INVALID_OPTIONS');
    const faults = error.details?.['faults'] as string[];
    for (const name of Object.keys(options))
      expect(
        faults.some((fault) => fault.startsWith(name)),
        name,
      ).toBe(true);
    expect(faults.filter((fault) => fault.startsWith('actors['))).toHaveLength(2);
    for (const value of ['""', '-1', './actors.ts', '42', '"yes"', '"5"', '-5', '"console"'])
      expect(error.message).toContain(value);
    expect(error.message).toContain('datadir: no such option');
    expect(error.message).toContain('dataDir');
    expect(error.message).toContain('import.meta.url');
  });

  test.each([
    ['threads', 1.5],
    ['threads', '4'],
    ['threads', 1_000],
    ['actors', 'file:///a.ts'],
    ['hostHeapMb', 'big'],
    ['callsLimit', Number.NaN],
    ['dataDir', 7],
  ])('%s: %s is refused', async (name, value) => {
    const error = await errorOf(ActorSystem.start({ [name]: value }));
    expect(error).toMatchObject({ code: 'INVALID_OPTIONS' });
    expect(error.message).toContain(name);
  });

  test.each([null, 'options', 5])('%s is no object of options', async (options) => {
    expect(await codeOf(ActorSystem.start(options as unknown as SystemOptions))).toBe('INVALID_OPTIONS');
  });
});

describe.each([0, 1])('modules, threads: %i', (threads) => {
  test.each([
    ['a file that is not there', at('../../support/modules/not-there.ts'), 'DEFINITION_MODULE'],
    ['a module that throws', at('../../support/modules/throws.ts'), 'DEFINITION_MODULE'],
    ['a module without definitions', at('../../support/modules/no-definitions.ts'), 'INVALID_DEFINITION'],
  ])('%s: refused at the start, by name', async (_name, url, code) => {
    const error = await errorOf(start(threads, { actors: [MODULE, url] }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(url.href);
    expect(error.details).toMatchObject({ module: url.href });
  });

  test('two definitions of one name are refused, both modules named', async () => {
    const other = at('../../support/modules/same-name.ts');
    const error = await errorOf(start(threads, { actors: [MODULE, other] }));
    expect(error.code).toBe('INVALID_DEFINITION');
    expect(error.message).toContain(MODULE.href);
    expect(error.message).toContain(other.href);
  });
});

describe('definitions', () => {
  test.each([
    ['a closure', () => ({}), 'function'],
    ['a machine', createMachine({}), 'object'],
    ['nothing', undefined, 'undefined'],
    ['a name', 'counter', 'string'],
    ['null', null, 'null'],
  ])('spawn of %s says what to do', async (_name, value, what) => {
    await using system = await start(0);
    const error = await errorOf(system.spawn(value as unknown as Definition, { id: 'x' }));
    expect(error.code).toBe('INVALID_DEFINITION');
    expect(error.message).toContain('defineActor(import.meta.url');
    expect(error.message).toContain(what);
  });

  test('one that its module does not export cannot be spawned', async () => {
    await using system = await start(0);
    const hidden = defineActor(MODULE.href, 'hidden', {
      reducer: { init: () => 0, receive: (state: number) => state },
    });
    const error = await errorOf(system.spawn(hidden, { id: 'x' }));
    expect(error.code).toBe('UNKNOWN_DEFINITION');
    expect(error.message).toContain('hidden');
    expect(error.message).toMatch(/export/);
  });

  test.each([
    ['a closure in place of a specification', () => defineActor(import.meta.url, 'x', (() => {}) as never)],
    ['a closure in place of a machine', () => defineActor(import.meta.url, 'x', { machine: (() => {}) as never })],
    ['no behavior', () => defineActor(import.meta.url, 'x', {} as never)],
    ['two behaviors', () => defineActor(import.meta.url, 'x', { machine: createMachine({}), reducer: {} } as never)],
    ['a path in place of a module URL', () => defineActor('./x.ts', 'x', { machine: createMachine({}) })],
    ['version 0', () => defineActor(import.meta.url, 'x', { machine: createMachine({}), version: 0 })],
    [
      'a mailbox without room',
      () => defineActor(import.meta.url, 'x', { machine: createMachine({}), mailboxLimit: 0 }),
    ],
    [
      'a durability that there is not',
      () => defineActor(import.meta.url, 'x', { machine: createMachine({}), durability: 'forever' as never }),
    ],
    [
      'a migrate that is no function',
      () => defineActor(import.meta.url, 'x', { machine: createMachine({}), migrate: 5 as never }),
    ],
    [
      'an option that there is not',
      () => defineActor(import.meta.url, 'x', { machine: createMachine({}), mailBoxLimit: 5 } as never),
    ],
  ])('%s is refused where it is defined', (_name, define) => {
    expect(define).toThrow(expect.objectContaining({ code: 'INVALID_DEFINITION' }));
  });

  test.each(['', '1st', 'with space', 'a/b', 'ä', 'x'.repeat(129)])('the name %j is refused', (name) => {
    expect(() => defineActor(import.meta.url, name, { machine: createMachine({}) })).toThrow(
      expect.objectContaining({ code: 'INVALID_ADDRESS' }),
    );
  });
});

describe.each([0, 1])('addresses, threads: %i', (threads) => {
  test('an unknown definition is refused by name, with those that there are', async () => {
    await using system = await start(threads);
    expect(() => system.ref('nope', 'x')).toThrow(
      expect.objectContaining({
        code: 'UNKNOWN_DEFINITION',
        message: expect.stringMatching(/"nope".*counter.*actors/s) as string,
      }),
    );
    expect(await codeOf(system.refOf('nope/x').tell({ type: 'ADD' }))).toBe('UNKNOWN_DEFINITION');
    expect(await codeOf(system.refOf('nope/x').ask({ type: 'GET' }))).toBe('UNKNOWN_DEFINITION');
  });

  test.each(['', 'a~b', 'a\nb', 'a\0b', 'x'.repeat(513)])('the id %j is refused', async (id) => {
    await using system = await start(threads);
    expect(await codeOf(system.spawn(counter, { id }))).toBe('INVALID_ADDRESS');
    expect(() => system.ref(counter, id)).toThrow(expect.objectContaining({ code: 'INVALID_ADDRESS' }));
  });

  test('an id that is no string, and none at all', async () => {
    await using system = await start(threads);
    expect(await codeOf(system.spawn(counter, { id: 7 as unknown as string }))).toBe('INVALID_ADDRESS');
    expect(await codeOf(system.spawn(counter, {} as { id: string }))).toBe('INVALID_ADDRESS');
    expect(await codeOf(system.spawn(counter, undefined as unknown as { id: string }))).toMatch(/^INVALID_/);
  });

  test('strange ids that are allowed work', async () => {
    await using system = await start(threads);
    for (const id of ['a/b', ' ', 'ä€😀', 'x'.repeat(512), '😀'.repeat(256), 'constructor', '__proto__']) {
      const ref = await system.spawn(counter, { id });
      expect(await ref.ask({ type: 'ADD', by: 1 })).toBe(1);
    }
  });

  test('a second spawn of an id is refused, and the first goes on', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one', input: { start: 5 } });
    const error = await errorOf(system.spawn(counter, { id: 'one', input: { start: 9 } }));
    expect(error.code).toBe('ACTOR_ALREADY_EXISTS');
    expect(error.message).toContain('counter/one');
    expect(error.message).toContain('ifExists');
    expect(await ref.ask({ type: 'ADD', by: 1 })).toBe(6);
  });

  test('a message to nobody names the actor and the remedy', async () => {
    await using system = await start(threads);
    const error = await errorOf(system.ref(counter, 'nobody').tell({ type: 'ADD', by: 1 }));
    expect(error).toMatchObject({ code: 'ACTOR_NOT_FOUND', details: { key: 'counter/nobody' } });
    expect(error.message).toContain('spawn');
    expect(await codeOf(system.ref(counter, 'nobody').ask({ type: 'GET' }))).toBe('ACTOR_NOT_FOUND');
    expect(await codeOf(system.ref(counter, 'nobody').stop())).toBe('ACTOR_NOT_FOUND');
  });

  test('a message to one that has stopped says how it ended', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    await ref.ask({ type: 'END' });
    const error = await errorOf(ref.tell({ type: 'ADD', by: 1 }));
    expect(error.code).toBe('ACTOR_STOPPED');
    expect(error.message).toContain('counter/one');
    expect(await codeOf(ref.ask({ type: 'GET' }))).toBe('ACTOR_STOPPED');
  });
});

describe.each([0, 1])('messages, threads: %i', (threads) => {
  const cycle: Record<string, unknown> = { a: { b: [] } };
  ((cycle['a'] as Record<string, unknown>)['b'] as unknown[]).push(cycle);
  let deep: unknown = 'bottom';
  for (let i = 0; i < 200; i++) deep = { deep };

  test.each([
    ['a function', { list: [1, { call: () => 1 }] }, 'list[1].call'],
    ['a symbol', { kind: Symbol('s') }, 'kind'],
    ['a cycle', cycle, 'a.b[0]'],
    ['a promise', { later: Promise.resolve(1) }, 'later'],
    ['too much depth', deep, 'deep.deep'],
  ])('%s is refused with its path, and the actor goes on', async (_name, data, path) => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    const calls = [
      ref.tell({ type: 'ADD', by: 1, data }),
      ref.ask({ type: 'ADD', by: 1, data }),
      system.spawn(counter, { id: 'two', input: { data } as object }),
    ];
    for (const call of calls) {
      const error = await errorOf(call);
      expect(error.code).toBe('UNSERIALIZABLE_VALUE');
      expect(error.details?.['path']).toContain(path);
      expect(error.message).toContain(path);
    }
    expect(await ref.ask({ type: 'ADD', by: 1 })).toBe(1);
    expect(await codeOf(system.ref(counter, 'two').ask({ type: 'GET' }))).toBe('ACTOR_NOT_FOUND');
    expect((await system.stats()).callsUnderWay).toBe(0);
  });

  test('one over the limit is refused, and the next goes through', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    for (const call of [
      ref.tell({ type: 'ADD', by: 1, data: 'x'.repeat(2 << 20) }),
      ref.ask({ type: 'ADD', by: 1, data: new Uint8Array(2 << 20) }),
    ]) {
      const error = await errorOf(call);
      expect(error.code).toBe('MESSAGE_TOO_LARGE');
      expect(error.message).toMatch(/1,?048,?576|1 MiB/);
    }
    expect(await ref.ask({ type: 'ADD', by: 1, data: 'x'.repeat(900_000) })).toBe(1);
  });

  test('a buggy actor: what it sends, replies and keeps must be data too', async () => {
    await using system = await start(threads);
    const one = await system.spawn(counter, { id: 'one' });
    const ref = await system.spawn(puppet, { id: 'p' });
    for (const message of [{ type: 'SEND_FUNCTION', to: one.key }, { type: 'REPLY_FUNCTION' }] as const) {
      const error = await errorOf(ref.ask(message));
      expect(error).toMatchObject({ code: 'HANDLER_FAILED', cause: { code: 'UNSERIALIZABLE_VALUE' } });
      expect(error.message).toMatch(/by|deep\[0\]\.callback/);
    }
    expect(await ref.ask({ type: 'LOOK' })).toEqual([]);
    expect(await one.ask({ type: 'GET' })).toMatchObject({ n: 0 });
    expect(await system.deadLetters.list()).toHaveLength(2);
  });

  test('a sent message that nobody waits for and that cannot be carried leaves the sender unharmed', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    ref.send({ type: 'ADD', by: 1, data: () => 1 });
    ref.send({ type: 'ADD', by: 2 });
    await until('the second to arrive', async () => ((await ref.snapshot()).view as { n: number }).n === 2);
  });

  test('a mailbox that stays full: the caller is told at its deadline', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(stuck, { id: 's' });
    const first = codeOf(ref.tell({ type: 'BOOM' }, { timeoutMs: 2_000 }));
    const tells = Array.from({ length: 20 }, () => errorOf(ref.tell({ type: 'ADD', by: 1 }, { timeoutMs: 300 })));
    const errors = await Promise.all(tells);
    const codes = errors.map((error) => error.code);
    expect(codes.filter((code) => code === 'MAILBOX_FULL').length).toBeGreaterThanOrEqual(16);
    expect(codes.every((code) => code === 'MAILBOX_FULL' || code === 'TELL_TIMEOUT')).toBe(true);
    const full = errors.find((error) => error.code === 'MAILBOX_FULL');
    expect(full?.message).toContain('stuck/s');
    expect(full).toMatchObject({ retryable: true });
    expect(await first).toBe('TELL_TIMEOUT');
  });

  test('more calls than `callsLimit` are refused at once', async () => {
    await using system = await start(threads, { callsLimit: 10 });
    const ref = await system.spawn(counter, { id: 'one' });
    const calls = Array.from({ length: 11 }, () => codeOf(ref.ask({ type: 'ADD', by: 1 })));
    expect((await Promise.all(calls)).filter((code) => code === 'MAILBOX_FULL')).toHaveLength(1);
    expect(await ref.ask({ type: 'ADD', by: 1 })).toBe(11);
  });

  test('an ask that nobody answers: at its deadline, with the remedy', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(puppet, { id: 'p' });
    const error = await errorOf(ref.ask({ type: 'TAKE' }, { timeoutMs: 100 }));
    expect(error).toMatchObject({ code: 'ASK_TIMEOUT', retryable: true });
    expect(error.message).toContain('puppet/p');
    expect(error.message).toContain('100 ms');
    expect(error.message).toContain('idempotencyKey');
    // The late answer finds nobody, and does no harm.
    await ref.tell({ type: 'ANSWER', value: 1 });
    expect(await ref.ask({ type: 'LOOK' })).toEqual([]);
  });

  test('an ask that is handled without an answer: at once', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    const error = await errorOf(ref.ask({ type: 'QUIET' }));
    expect(error.code).toBe('NO_REPLY');
    expect(error.message).toContain('QUIET');
  });

  test('a handler that throws: the error, its cause, and the letter', async () => {
    await using system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    const error = await errorOf(ref.ask({ type: 'BOOM' }));
    expect(error).toMatchObject({ code: 'HANDLER_FAILED', details: { key: 'counter/one', attempts: 3 } });
    expect((error.cause as Error).message).toContain('boom, on purpose');
    expect(await ref.ask({ type: 'ADD', by: 1 })).toBe(1);
    expect(await system.deadLetters.list()).toMatchObject([
      { to: 'counter/one', reason: 'handler_failed', attempts: 3 },
    ]);
  });
});

describe('call options', () => {
  test.each([
    [{ timeoutMs: 0 }],
    [{ timeoutMs: -1 }],
    [{ timeoutMs: Number.NaN }],
    [{ timeoutMs: '5' }],
    [{ idempotencyKey: '' }],
    [{ idempotencyKey: 'k'.repeat(257) }],
    [{ idempotencyKey: 5 }],
    [{ ttlMs: -1 }],
    [{ ttlMs: '5' }],
    [{ ttlMs: Number.NaN }],
    [{ signal: 'stop' }],
    [{ idempotencykey: 'k' }],
    [{ timeout: 5 }],
  ])('%j is refused, and nothing is sent', async (options) => {
    await using system = await start(0);
    const ref = await system.spawn(counter, { id: 'one' });
    expect(await codeOf(ref.tell({ type: 'ADD', by: 1 }, options as object))).toBe('INVALID_OPTIONS');
    expect(await codeOf(ref.ask({ type: 'ADD', by: 1 }, options as object))).toBe('INVALID_OPTIONS');
    expect(await ref.ask({ type: 'GET' })).toMatchObject({ n: 0 });
  });

  test('an unknown ifExists is refused, and an option that is none', async () => {
    await using system = await start(0);
    const error = await errorOf(system.spawn(counter, { id: 'one', inputs: 5 } as never));
    expect(error).toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringContaining('inputs: no such option'),
    });
    expect(await codeOf(system.spawn(counter, { id: 'one', ifExists: 'replace' as 'attach' }))).toBe('INVALID_OPTIONS');
  });

  test('a signal that has aborted, before and during the call', async () => {
    await using system = await start(0);
    const ref = await system.spawn(puppet, { id: 'p' });
    const reason = new Error('never mind');
    await expect(ref.ask({ type: 'LOOK' }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const asked = ref.ask({ type: 'TAKE' }, { signal: controller.signal });
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
    expect((await system.stats()).callsUnderWay).toBe(0);
  });

  test.each([0, 1])('after `stop`, every verb says so, threads: %i', async (threads) => {
    const system = await start(threads);
    const ref = await system.spawn(counter, { id: 'one' });
    await system.stop();
    await system.stop();
    expect(await codeOf(ref.tell({ type: 'ADD', by: 1 }))).toBe('SYSTEM_STOPPED');
    expect(await codeOf(ref.ask({ type: 'GET' }))).toBe('SYSTEM_STOPPED');
    expect(await codeOf(ref.snapshot())).toBe('SYSTEM_STOPPED');
    expect(await codeOf(ref.waitFor(() => true))).toBe('SYSTEM_STOPPED');
    expect(await codeOf(system.spawn(counter, { id: 'two' }))).toBe('SYSTEM_STOPPED');
    expect(await codeOf(system.deadLetters.list())).toBe('SYSTEM_STOPPED');
    expect(await codeOf(system.history(ref).turns())).toBe('SYSTEM_STOPPED');
    expect(await codeOf(system.checkpoint())).toBe('SYSTEM_STOPPED');
    expect(await codeOf(system.stats())).toBe('SYSTEM_STOPPED');
    expect(() => ref.send({ type: 'ADD', by: 1 })).toThrow(expect.objectContaining({ code: 'SYSTEM_STOPPED' }));
  });
});
