/** In which asynchronous context handlers run: their message is in it, also after they have waited, and nobody else's things are. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { callAlone, callWithin, messageInHands } from '../../../runtime/broker/handling-context.ts';
import type { Delivery } from '../../../runtime/broker/delivery.ts';
import type { Message } from '../../../runtime/broker/contract/message.ts';
import { carried } from '../../support/adapter-bench.ts';

const messageOf = (id: string): Message => ({ ...carried(id).header, payload: undefined });
const DELIVERY = {} as Delivery;

test.each([
  ['alone', callAlone],
  ['within', callWithin],
])('%s: each handler has its own message, however they wait, and none is left behind', async (_name, call) => {
  const seen: string[] = [];
  const slow = async ({ id }: Message): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      await nextTurn();
      seen.push(`${id}: ${messageInHands()?.id}`);
    }
  };
  const done = ['a', 'b'].map((id) => call(slow as never, messageOf(id), DELIVERY));
  call((() => void seen.push(`c: ${messageInHands()?.id}`)) as never, messageOf('c'), DELIVERY);
  expect(messageInHands()).toBeUndefined();
  await Promise.all(done);
  expect(messageInHands()).toBeUndefined();
  expect(seen).toEqual(['c: c', 'a: a', 'b: b', 'a: a', 'b: b', 'a: a', 'b: b']);
});

test('a handler that throws leaves nothing behind either', () => {
  const fail = (): never => {
    throw new Error('it failed');
  };
  expect(() => callAlone(fail, messageOf('a'), DELIVERY)).toThrow('it failed');
  expect(messageInHands()).toBeUndefined();
});

test('alone: what the caller has in its context, or a handler puts into its own, is not seen by the next', () => {
  const tenant = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const look = (): void => {
    seen.push(tenant.getStore());
    tenant.enterWith('of a handler');
  };
  tenant.run('of the caller', () => {
    callAlone(look, messageOf('a'), DELIVERY);
    callAlone(look, messageOf('b'), DELIVERY);
    seen.push(tenant.getStore());
  });
  expect(seen).toEqual([undefined, undefined, 'of the caller']);
});

test('within: the context of the caller, which is a span, goes on', () => {
  const span = new AsyncLocalStorage<string>();
  let seen: string | undefined;
  span.run('a span', () => callWithin(() => void (seen = span.getStore()), messageOf('a'), DELIVERY));
  expect(seen).toBe('a span');
});
