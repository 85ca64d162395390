/** Effects of machines: what `effect()` attaches, what a creator is given, and live sources as XState runs them. */
import { assign, createActor, createMachine, fromCallback, fromObservable, fromPromise, setup, waitFor } from 'xstate';
import { expect, test, vi } from 'vitest';
import { effect, effectOf, type EffectArgument } from '../../actors/machine/effect-logic.ts';
import { machineBehavior } from '../../actors/machine/machine-behavior.ts';
import { kindOfLogic } from '../../actors/machine/xstate-internals.ts';
import type { CallEffect, SourceContext, SourceEffect } from '../../runtime/kernel/behavior.ts';
import { InvalidDefinitionError } from '../../runtime/kernel/errors.ts';
import { Reference } from '../../runtime/kernel/reference.ts';
import { TurnHarness } from '../support/turn-harness.ts';

const specOf = (logic: unknown) =>
  machineBehavior(createMachine({ id: 'm' } as never, { actors: { it: logic } } as never) as never).effect?.('it');

test('plain promise logic is idempotent, with one try', () => {
  expect(specOf(fromPromise(async () => 1))).toMatchObject({
    kind: 'call',
    class: 'idempotent',
    retry: undefined,
    timeoutMs: undefined,
  });
});

test('effect() attaches class, retry, timeout and pool, to a function or to promise logic', () => {
  const options = {
    class: 'at_most_once',
    retry: { maxAttempts: 4, initialMs: 5 },
    timeoutMs: 100,
    pool: { module: 'file:///w.js', name: 'run' },
  } as const;
  expect(specOf(effect(async () => 1, options))).toMatchObject(options);
  const logic = fromPromise(async () => 1);
  expect(specOf(effect(logic, { class: 'query' }))).toMatchObject({ class: 'query' });
  expect(specOf(logic)).toMatchObject({ class: 'idempotent' });
  expect(kindOfLogic(effect(logic))).toBe('promise');
});

test('bad options and bad logic are refused', () => {
  expect(() => effect(async () => 1, { class: 'twice' as never })).toThrow(InvalidDefinitionError);
  expect(() => effect(async () => 1, { timeoutMs: 0 })).toThrow(/timeoutMs/);
  expect(() => effect(async () => 1, { retry: { maxAttempts: 0 } })).toThrow(/maxAttempts/);
  expect(() => effect(async () => 1, { retry: { attempts: 3 } as never })).toThrow(
    /no "attempts" \(known: maxAttempts/,
  );
  expect(() => effect(async () => 1, { retries: 3 } as never)).toThrow(/no "retries" \(known: class, retry/);
  expect(() => effect(async () => 1, { retry: 3 as never })).toThrow(/retry is number, expected an object/);
  expect(() => effect(fromCallback(() => {}) as never)).toThrow(InvalidDefinitionError);
});

test('the creator gets input, signal, key, try and self', async () => {
  const creator = vi.fn(async ({ input }: EffectArgument<{ a: number }>) => input.a * 2);
  const machine = setup({ actors: { double: effect(creator) } }).createMachine({
    id: 'm',
    context: { got: 0 },
    invoke: {
      id: 'd',
      src: 'double',
      input: { a: 21 },
      onDone: { actions: assign({ got: ({ event }) => event.output }) },
    },
  });
  const harness = new TurnHarness();
  const key = harness.spawn(machineBehavior(machine) as never);
  const { signal } = harness.effect(key, 'd').controller;
  await harness.call(key, 'd', 2);
  expect(harness.view(key)).toMatchObject({ context: { got: 42 } });
  const argument = creator.mock.calls[0]?.[0];
  expect(argument).toMatchObject({ input: { a: 21 }, attempt: 2, idempotencyKey: `${key}/d` });
  expect(argument?.signal).toBe(signal);
  expect(argument?.self).toBeInstanceOf(Reference);
});

test('a throwing creator fails the effect, and an emitting one is not held up', async () => {
  const spec = specOf(
    fromPromise(({ emit }) => {
      emit({ type: 'heard by nobody' });
      throw new Error('at once');
    }),
  ) as CallEffect;
  await expect(
    (async () =>
      spec.run({
        input: 1,
        signal: new AbortController().signal,
        idempotencyKey: 'k',
        attempt: 1,
        self: 'd/1',
        actors: { spawn: () => Promise.reject(new Error('none')), refOf: () => undefined as never },
      }))(),
  ).rejects.toThrow('at once');
});

test('effect() works in an XState actor without a runtime', async () => {
  const actor = createActor(
    effect(async ({ input, attempt }: EffectArgument<number>) => input + attempt),
    { input: 4 },
  ).start();
  expect((await waitFor(actor, ({ status }) => status === 'done')).output).toBe(5);
});

function source(logic: unknown, options: { input?: unknown; reportSnapshots?: boolean } = {}) {
  const heard: unknown[] = [];
  const listeners: ((message: unknown) => void)[] = [];
  const context: SourceContext = {
    input: { id: 'it', input: options.input, reportSnapshots: options.reportSnapshots ?? false },
    self: 'd/1',
    signal: new AbortController().signal,
    emit: (event) => heard.push(event),
    done: (output) => heard.push({ done: output }),
    fail: (error) => heard.push({ failed: (error as Error).message }),
    receive: (listener) => listeners.push(listener),
  };
  const kind = kindOfLogic(logic);
  const spec = effectOf({ name: 'it', logic: logic as never, kind: kind as never }) as SourceEffect;
  const stop = spec.start(context);
  return { heard, stop, send: (message: unknown) => listeners.forEach((listener) => listener(message)) };
}

test('callback logic: sendBack, receive, the cleanup once, silence after the end', () => {
  const cleanup = vi.fn();
  const { heard, stop, send } = source(
    fromCallback<{ type: string }, { n: number }>(({ sendBack, receive, input, emit }) => {
      sendBack({ type: 'START', n: input.n });
      emit({ type: 'nobody' });
      receive((event) => sendBack({ type: `GOT ${event.type}` }));
      return cleanup;
    }),
    { input: { n: 3 } },
  );
  send({ type: 'A' });
  expect(heard).toEqual([{ event: { type: 'START', n: 3 } }, { event: { type: 'GOT A' } }]);
  stop?.();
  stop?.();
  expect(cleanup).toHaveBeenCalledTimes(1);
});

test('observable logic: completion, failure, and snapshots where they are wanted', () => {
  const observer = {
    current: undefined as unknown as { next(value: unknown): void; error(error: unknown): void; complete(): void },
  };
  const unsubscribe = vi.fn();
  const logic = fromObservable(() => ({ subscribe: (given: never) => ((observer.current = given), { unsubscribe }) }));
  const silent = source(logic);
  observer.current.next(1);
  observer.current.complete();
  expect(silent.heard).toEqual([{ done: undefined }]);
  const told = source(logic, { reportSnapshots: true, input: 'in' });
  observer.current.next(1);
  observer.current.error(new Error('cut'));
  expect(told.heard).toEqual([
    { snapshot: { status: 'active', context: undefined, output: undefined, error: undefined, input: 'in' } },
    { snapshot: { status: 'active', context: 1, output: undefined, error: undefined, input: 'in' } },
    { failed: 'cut' },
  ]);
  source(logic).stop?.();
  expect(unsubscribe).toHaveBeenCalledTimes(1);
});

test('a source that throws at its start has failed', () => {
  const { heard } = source(
    fromCallback(() => {
      throw new Error('no socket');
    }),
  );
  expect(heard).toEqual([{ failed: 'no socket' }]);
});

test('a source whose news nobody takes ends, and takes nothing down with it', () => {
  const context = { fail: vi.fn() };
  const logic = fromCallback(({ sendBack }) => {
    sendBack({ type: 'BIG' });
  });
  const spec = effectOf({ name: 'it', logic, kind: 'source' }) as SourceEffect;
  spec.start({
    ...context,
    input: { id: 'it', input: undefined, reportSnapshots: false },
    receive: () => {},
    emit: () => {
      throw new Error('too large');
    },
  } as unknown as SourceContext);
  expect(context.fail).toHaveBeenCalledWith(new Error('too large'));
});

test('logic of any making that starts something is a source', () => {
  const logic = {
    getInitialSnapshot: () => ({ status: 'active' as const, output: undefined, error: undefined }),
    getPersistedSnapshot: (snapshot: unknown) => snapshot,
    transition: (snapshot: { status: string }, event: { type: string }) =>
      event.type === 'END' ? { ...snapshot, status: 'done', output: 8 } : snapshot,
    start: () => {},
  };
  expect(kindOfLogic(logic)).toBe('source');
  const { heard, send } = source(logic);
  send({ type: 'END' });
  expect(heard).toEqual([{ done: 8 }]);
});
