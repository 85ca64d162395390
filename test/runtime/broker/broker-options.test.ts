/** Options of a broker and of its parts: all faults at once, defaults from the environment, code wins. */
import { describe, expect, test } from 'vitest';
import { resolveBrokerOptions, withoutPassword } from '../../../runtime/broker/broker-options.ts';
import { messageIds } from '../../../runtime/broker/message-id.ts';
import { MessageMaker } from '../../../runtime/broker/message-maker.ts';
import { resolveSubscribeOptions } from '../../../runtime/broker/subscribe-options.ts';
import { patternsMeet } from '../../../runtime/broker/adapters/embedded-seeding.ts';
import { BatchBuilder } from '../../../runtime/broker/adapters/embedded-batch.ts';
import {
  blockOf,
  MessagePacker,
  MessageReader,
  unpackMessage,
} from '../../../runtime/broker/adapters/embedded-frame.ts';
import { decodeValue } from '../../../runtime/wire/value-codec.ts';
import type { ActorHost } from '../../../runtime/kernel/actor-host.ts';
import type { BlocksError } from '../../../runtime/kernel/errors.ts';
import { seededRandom } from '../../../runtime/kernel/random.ts';

const system = { spawn: () => {}, refOf: () => {} } as unknown as ActorHost;
const faultsOf = (run: () => unknown): readonly string[] => {
  try {
    run();
  } catch (error) {
    return ((error as BlocksError).details['faults'] as readonly string[] | undefined) ?? [String(error)];
  }
  return [];
};

describe('MessageBroker.start', () => {
  test('defaults', () => {
    expect(resolveBrokerOptions({ system, env: {} })).toMatchObject({
      name: 'main',
      scheme: 'memory',
      ttlMs: undefined,
      retry: { maxAttempts: 3 },
      tracing: true,
      redrivesLimit: 10,
    });
  });

  test('the environment stands behind options, and code wins', () => {
    const env = {
      MESSAGE_BROKER_URL: 'redis://:secret@host:6379',
      MESSAGE_TTL_SECONDS: '1.5',
      MAX_RETRY_ATTEMPTS: '7',
      DISTRIBUTED_TRACING_ENABLED: 'no',
    };
    expect(resolveBrokerOptions({ env })).toMatchObject({
      scheme: 'redis',
      ttlMs: 1_500,
      retry: { maxAttempts: 7 },
      tracing: false,
    });
    const own = { system, url: 'memory:', ttlMs: 5, retry: { maxAttempts: 2 }, tracing: true };
    expect(resolveBrokerOptions({ env, ...own })).toMatchObject({
      scheme: 'memory',
      ttlMs: 5,
      retry: { maxAttempts: 2 },
      tracing: true,
    });
  });

  test('all faults at once', () => {
    const faults = faultsOf(() =>
      resolveBrokerOptions({
        name: 'no good',
        ttlMs: -1,
        redrivesLimit: Number.NaN,
        lifetime: 3,
        env: { MESSAGE_TTL_SECONDS: 'soon', MAX_RETRY_ATTEMPTS: '0', DISTRIBUTED_TRACING_ENABLED: 'maybe' },
      } as never),
    );
    for (const what of [
      'name',
      'ttlMs',
      'redrivesLimit',
      'lifetime',
      'MESSAGE_TTL_SECONDS',
      'MAX_RETRY_ATTEMPTS',
      'DISTRIBUTED',
      'system',
    ]) {
      expect(faults.some((fault) => fault.startsWith(what))).toBe(true);
    }
  });

  test.each(['http://host', 'redis:', 'nats://', 'not a url'])('%s is no broker, and no password is shown', (url) => {
    expect(() => resolveBrokerOptions({ url, env: {} })).toThrow(/is not the URL of a broker/);
    expect(withoutPassword('nats://me:secret@host')).toBe('nats://me:***@host');
  });
});

test('subscribe: all faults at once', () => {
  const retry = { maxAttempts: 3 };
  const faults = faultsOf(() =>
    resolveSubscribeOptions(
      { name: 'a b', queue: 'q', concurrency: 0, order: 'maybe', from: { position: -1 }, retries: 1 } as never,
      'no function',
      retry,
    ),
  );
  for (const what of ['handler', 'name:', 'name and queue', 'concurrency', 'order', 'from', 'retries']) {
    expect(faults.some((fault) => fault.startsWith(what))).toBe(true);
  }
  expect(faultsOf(() => resolveSubscribeOptions({ from: 'beginning' }, () => {}, retry))).toHaveLength(1);
});

describe('messages', () => {
  const maker = new MessageMaker({
    source: 'me',
    ttlMs: undefined,
    nowMs: () => 1_000,
    newId: messageIds(() => 1_000, seededRandom(1, 2)),
    trace: () => undefined,
  });

  test('a draft says all that is wrong with it', () => {
    const faults = faultsOf(() =>
      maker.header(
        { type: '', kind: 'SHOUT', delivery: 'MAYBE', ttlMs: 0, id: 7, retry: { maxAttempts: 0 }, colour: 1 } as never,
        undefined,
      ),
    );
    for (const what of ['type', 'kind', 'delivery', 'ttlMs', 'id', 'retry.maxAttempts', 'colour']) {
      expect(faults.some((fault) => fault.startsWith(`${what}:`))).toBe(true);
    }
    expect(faultsOf(() => maker.header(null as never, undefined))).toHaveLength(1);
  });

  test('kind, subject, delivery and times follow from what is given', () => {
    expect(maker.header({ type: 'ship', target: 'depot', ttlMs: 10, delayMs: 5 }, undefined)).toMatchObject({
      kind: 'COMMAND',
      subject: '$command.depot.ship',
      delivery: 'AT_LEAST_ONCE',
      notBeforeMs: 1_005,
      expiresAtMs: 1_015,
    });
    expect(maker.header({ type: 'price', kind: 'QUERY', target: 'shop' }, undefined)).toMatchObject({
      subject: '$query.shop.price',
      delivery: 'AT_MOST_ONCE',
    });
  });

  test('ids are UUIDs of version 7, and grow', () => {
    let nowMs = 1_700_000_000_000;
    const next = messageIds(() => nowMs, seededRandom(3, 4));
    const ids = Array.from({ length: 10_000 }, (_, i) => {
      if (i % 3_000 === 0) nowMs += 1;
      return next();
    });
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(ids.toSorted());
    expect(Number.parseInt((ids[0] ?? '').replace('-', '').slice(0, 12), 16)).toBe(1_700_000_000_001);
  });

  test('what is packed comes out as it went in', () => {
    const header = maker.header(
      {
        type: 'a.b',
        key: 'k',
        idempotencyKey: 'i',
        ttlMs: 5,
        extensions: { x: 1 },
        retry: { maxAttempts: 2 },
        correlationId: 'c',
      },
      undefined,
    );
    const builder = new BatchBuilder();
    builder.add(new MessagePacker(), header, { some: 'thing' }, false);
    const { header: read, payload } = unpackMessage(builder.packedAt(0));
    expect(read).toEqual(header);
    expect(decodeValue(payload)).toEqual({ some: 'thing' });
    const block = blockOf(builder.packedAt(0));
    expect(new MessageReader().read(block, 0, true).header.expiresAtMs).toBeUndefined();
  });
});

test.each([
  ['a.b', 'a.b', true],
  ['a.*', 'a.b', true],
  ['a.>', 'a.b.c', true],
  ['>', 'x', true],
  ['a.*.c', 'a.b.*', true],
  ['a.b', 'a.c', false],
  ['a.*', 'a.b.c', false],
  ['a.>', 'a', false],
  ['a.b.>', 'a.*', false],
])('%s and %s meet: %s', (a, b, meet) => {
  expect(patternsMeet(a, b)).toBe(meet);
  expect(patternsMeet(b, a)).toBe(meet);
});
