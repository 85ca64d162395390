/** The broker in clumsy hands: every fault is an error of ours, that names the value; nothing hangs, nothing wrong is taken silently. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MessageBroker } from '../../../runtime/broker/message-broker.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import { BlocksError } from '../../../runtime/kernel/errors.ts';

let system: ActorSystem;
let broker: MessageBroker;

beforeAll(async () => {
  system = await ActorSystem.start({ threads: 0 });
  broker = await MessageBroker.start({ system, env: {} });
});
afterAll(async () => {
  await broker.close();
  await system.stop();
});

/** Anything may be called with anything. */
type Any = Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
const loose = (target: object): Any => target as Any;

const errorOf = async (call: () => unknown): Promise<BlocksError> => {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(BlocksError);
    return error as BlocksError;
  }
  throw new Error('it was taken');
};

const handle = (): void => {};

describe('options of a broker', () => {
  test.each<[unknown, string]>([
    [null, 'null'],
    [[], '[]'],
    [{ system: 42 }, 'system: 42 is not an ActorSystem'],
    [{ system: {} }, 'system: {} is not an ActorSystem'],
    [{ adapter: {} }, 'adapter: {} is not a BrokerAdapter'],
    [{ url: 5 }, 'url: 5 is not a text'],
    [{ env: 5 }, 'env: 5'],
    [{ contracts: {} }, 'contracts: {} is not a ContractRegistry'],
    [{ retry: 5 }, 'retry: 5 is not a retry policy'],
    [{ retry: { bogus: 1 } }, 'retry.bogus: no such field'],
    [{ retry: { initialMs: -1 } }, 'retry.initialMs: -1'],
    [{ retry: { jitter: 'some' } }, 'retry.jitter: "some"'],
    [{ retry: { maxAttempts: Number.NaN } }, 'retry.maxAttempts: NaN'],
    [{ ttlMs: Number.POSITIVE_INFINITY }, 'ttlMs: Infinity'],
    [{ redrivesLimit: 1.5 }, 'redrivesLimit: 1.5 is not a whole number'],
    [{ rememberedLimit: Number.POSITIVE_INFINITY }, 'rememberedLimit: Infinity'],
    [{ env: { MAX_RETRY_ATTEMPTS: '2.5' } }, 'MAX_RETRY_ATTEMPTS (environment): "2.5"'],
  ])('%j', async (options, words) => {
    const all = typeof options === 'object' && options !== null && !Array.isArray(options);
    const error = await errorOf(() => loose(MessageBroker)['start']!(all ? { system, env: {}, ...options } : options));
    expect(error.code).toBe('INVALID_OPTIONS');
    expect(error.message).toContain(words);
  });

  test('a blank variable is none', async () => {
    await using quiet = await MessageBroker.start({ system, name: 'blank', env: { MAX_RETRY_ATTEMPTS: ' ' } });
    expect(quiet.name).toBe('blank');
  });
});

describe('calls', () => {
  test.each<[string, readonly unknown[], string, string]>([
    ['publish', [null], 'INVALID_MESSAGE', 'null is not a message'],
    ['publish', [{ type: 'x', kind: 'COMMAND' }], 'INVALID_MESSAGE', 'target: undefined is not the id of a system'],
    ['publish', [{ type: 'x', retry: { initialMs: -5 } }], 'INVALID_MESSAGE', 'retry.initialMs: -5'],
    ['publish', [{ type: 'x', retry: { bogus: 1 } }], 'INVALID_MESSAGE', 'retry.bogus'],
    ['publish', [{ type: 'x', extensions: [] }], 'INVALID_MESSAGE', 'extensions: []'],
    ['publish', [{ type: 'x', extensions: { a: {} } }], 'INVALID_MESSAGE', 'extensions'],
    ['publish', [{ type: 'x', traceparent: 5 }], 'INVALID_MESSAGE', 'traceparent: 5'],
    ['publish', [{ type: 'x', contractVersion: 1.5 }], 'INVALID_MESSAGE', 'contractVersion: 1.5'],
    ['publish', [{ type: 'x', delayMs: 5, notBeforeMs: 5 }], 'INVALID_MESSAGE', 'give one of them'],
    ['publish', [{ type: 'x', replyTo: '*' }], 'INVALID_SUBJECT', '*'],
    ['request', [undefined], 'INVALID_MESSAGE', 'undefined is not a message'],
    ['request', [{ type: 'q' }], 'NO_HANDLER', 'which names no target'],
    ['request', [{ type: 'q' }, null], 'INVALID_OPTIONS', 'null'],
    ['request', [{ type: 'q' }, { timeoutMs: Number.NaN }], 'INVALID_OPTIONS', 'timeoutMs: NaN'],
    ['request', [{ type: 'q' }, { signal: 5 }], 'INVALID_OPTIONS', 'signal: 5'],
    ['request', [{ type: 'q' }, { bogus: 5 }], 'INVALID_OPTIONS', 'bogus: no such option'],
    ['subscribe', ['a', 5], 'INVALID_OPTIONS', 'handler: 5'],
    ['subscribe', ['a', handle, []], 'INVALID_OPTIONS', '[]'],
    ['subscribe', ['a', handle, { concurrency: 1.5 }], 'INVALID_OPTIONS', 'concurrency: 1.5'],
    ['subscribe', ['a', handle, { retry: null }], 'INVALID_OPTIONS', 'retry: null'],
    ['subscribe', ['a', handle, { retry: { factor: 0.5 } }], 'INVALID_OPTIONS', 'retry.factor: 0.5'],
    ['subscribe', ['a', handle, { name: 'a', from: { position: 1.5 } }], 'INVALID_OPTIONS', 'from: {"position":1.5}'],
    ['receipt', [undefined], 'INVALID_OPTIONS', 'id: undefined'],
    ['retain', ['a', null], 'INVALID_OPTIONS', 'limits: null'],
    ['retain', ['a', { messages: 1.5 }], 'INVALID_OPTIONS', 'messages: 1.5'],
    ['retain', ['a', { days: 1 }], 'INVALID_OPTIONS', 'days: no such option'],
    ['unschedule', [5], 'INVALID_OPTIONS', 'name: 5'],
    ['schedule', ['', { everyMs: 1_000 }, { type: 'x' }], 'INVALID_OPTIONS', 'name: ""'],
    ['schedule', ['s', { at: null }, { type: 'x' }], 'INVALID_SCHEDULE', 'at: null'],
    ['schedule', ['s', { at: '2030-01-01' }, { type: 'x' }], 'INVALID_SCHEDULE', 'give a Date'],
    ['schedule', ['s', { cron: '0 0 30 2 *' }, { type: 'x' }], 'INVALID_SCHEDULE', 'never due'],
    ['schedule', ['s', { cron: '0 0 0 1 1 * 2020' }, { type: 'x' }], 'INVALID_SCHEDULE', 'never due'],
    ['schedule', ['s', { cron: '* * * * *', everyMs: 50 }, { type: 'x' }], 'INVALID_SCHEDULE', 'give one of'],
    ['schedule', ['s', { everyMs: 50, timeZone: 'UTC' }, { type: 'x' }], 'INVALID_SCHEDULE', 'give one of'],
    ['schedule', ['s', { everyMs: 50, bogus: 1 }, { type: 'x' }], 'INVALID_SCHEDULE', 'bogus: no such field'],
    ['on', ['dead-letter', handle], 'INVALID_OPTIONS', 'kind: "dead-letter" is not one of late_reply, dead_letter'],
    ['on', ['failed'], 'INVALID_OPTIONS', 'listener: undefined'],
  ])('%s(%j)', async (method, args, code, words) => {
    const error = await errorOf(() => loose(broker)[method]!(...args));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(words)]);
  });

  test.each<[unknown, string]>([
    [undefined, 'undefined is neither the id of a letter'],
    [null, 'null'],
    [42, '42'],
    [[5], '[0]: 5 is not the id of a letter'],
    [{ reason: 'nope' }, 'reason: "nope" is not one of attempts, expired, refused, contract, undecodable'],
    [{ subjectPattern: 'a..b' }, 'subjectPattern'],
    [{ subscription: 5 }, 'subscription: 5'],
    [{ deadAfterMs: 'x' }, 'deadAfterMs: "x"'],
    [{ deadBeforeMs: new Date(0) }, 'deadBeforeMs'],
    [{ limit: 1.5 }, 'limit: 1.5'],
    [{ after: 5 }, 'after: 5'],
    [{ typ: 'x' }, 'typ: no such filter'],
  ])('deadLetters of %j', async (which, words) => {
    for (const method of which === undefined ? ['redrive', 'purge'] : ['list', 'redrive', 'purge']) {
      if (method === 'list' && Array.isArray(which)) continue;
      const error = await errorOf(() => loose(broker.deadLetters)[method]!(which));
      expect([error.code, error.message]).toEqual(['INVALID_OPTIONS', expect.stringContaining(words)]);
    }
  });

  test('a time that has passed is now, once, however often it is asked for', async () => {
    const got: unknown[] = [];
    await using subscription = await broker.subscribe('past', ({ id }) => void got.push(id), { name: 'past' });
    const at = Date.now() - 60_000;
    await broker.schedule('past', { at }, { type: 'past' });
    await broker.schedule('past', { at: new Date(at) }, { type: 'past' });
    const id = `schedule:past:${at}`;
    await broker.publish({ type: 'past', id: 'last' });
    while (!got.includes('last') || !got.includes(id)) await new Promise(setImmediate);
    expect(got.filter((one) => one === id)).toEqual([id]);
    expect(subscription.name).toBe('past');
  });

  test('waiting for a receipt, and after the end', async () => {
    const short = await MessageBroker.start({ system, name: 'short', env: {} });
    const absent = await short.subscribe('k', handle, { name: 'k' });
    await absent.close();
    const receipt = await short.publish({ type: 'k' });
    for (const options of [null, { timeoutMs: Number.NaN }, { timeoutMs: 'x' }, { signal: 5 }, { bogus: 1 }]) {
      expect((await errorOf(() => loose(receipt)['settled']!(options))).code).toBe('INVALID_OPTIONS');
    }
    const waiting = errorOf(() => receipt.settled());
    await Promise.all([short.close(), short.close()]);
    expect((await waiting).code).toBe('BROKER_CLOSED');
    const calls: readonly (() => unknown)[] = [
      () => short.publish({ type: 'k' }),
      () => short.request({ type: 'k' }),
      () => short.subscribe('k', handle),
      () => short.receipt('k'),
      () => short.subscriptions(),
      () => short.retain('k'),
      () => short.retained(),
      () => short.schedule('k', { everyMs: 1_000 }, { type: 'k' }),
      () => short.unschedule('k'),
      () => short.schedules(),
      () => short.stats(),
      () => short.deadLetters.list(),
      () => short.deadLetters.redrive({}),
      () => short.deadLetters.purge('k/1'),
      () => receipt.settled(),
      () => receipt.state(),
    ];
    for (const call of calls) {
      // A promise that is rejected, not something thrown at whoever forgot to wait.
      const promise = call() as Promise<unknown>;
      expect((await errorOf(() => promise)).code, String(call)).toBe('BROKER_CLOSED');
    }
    await absent.close();
  });
});
