/** An actor as a handler: which key it is asked under, and what its answers mean. */
import { expect, test } from 'vitest';
import { actorHandler } from '../../../runtime/broker/actor-handler.ts';
import type { DeliveryContext } from '../../../runtime/broker/contract/broker-contract.ts';
import type { Message } from '../../../runtime/broker/contract/message.ts';
import type { ActorCallOptions, ActorHandle, ActorHost } from '../../../runtime/kernel/actor-host.ts';
import { HandlerError, InvalidOptionsError, NoReplyError } from '../../../runtime/kernel/errors.ts';
import { Reference } from '../../../runtime/kernel/reference.ts';

const clerk = new Reference('clerk/c');

const MESSAGE: Message = {
  id: 'm',
  kind: 'EVENT',
  type: 't',
  subject: 't',
  source: 's',
  payload: 1,
  timeMs: 0,
  correlationId: 'm',
  delivery: 'EXACTLY_ONCE',
};

/** Hands one message to the actor; what it was asked with, and what came of it. */
async function handed(
  message: Message,
  redrives: number,
  answer: () => unknown = () => 'done',
): Promise<{ key: string; value: unknown }> {
  const asked: ActorCallOptions[] = [];
  const ref = {
    ask: (_message: unknown, options: ActorCallOptions) => {
      asked.push(options);
      return Promise.resolve().then(answer);
    },
  } as unknown as ActorHandle;
  const host = { refOf: () => ref } as unknown as ActorHost;
  const context = { redrives, signal: new AbortController().signal } as DeliveryContext;
  const value = await actorHandler(host, clerk)(message, context);
  return { key: asked[0]?.idempotencyKey as string, value };
}

test('the key is that of the message, or its id; a redriven one has a key of its own', async () => {
  expect(await handed(MESSAGE, 0)).toEqual({ key: 'm', value: 'done' });
  expect((await handed({ ...MESSAGE, idempotencyKey: 'k' }, 0)).key).toBe('k');
  expect((await handed(MESSAGE, 1)).key).toBe('m~1');
  expect((await handed(MESSAGE, 2)).key).toBe('m~2');
  const long = { ...MESSAGE, id: 'x'.repeat(255) + 'y' };
  const { key } = await handed(long, 12);
  expect([key.length, key.slice(-4)]).toEqual([256, 'y~12']);
});

test('without a reply it has handled the message; its failure is the message’s', async () => {
  const refuse = (error: Error) => (): never => {
    throw error;
  };
  expect((await handed(MESSAGE, 0, refuse(new NoReplyError('no')))).value).toBeUndefined();
  await expect(handed(MESSAGE, 0, refuse(new HandlerError('bad')))).rejects.toThrow('bad');
});

test('a broker without a system says so', () => {
  expect(() => actorHandler(undefined, clerk)).toThrow(InvalidOptionsError);
});
