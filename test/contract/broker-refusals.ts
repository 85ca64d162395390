/**
 * What every broker makes of messages that fail, come too late, are too large or too many.
 */
import { expect } from 'vitest';
import type { Message } from '../../runtime/broker/contract/message.ts';
import type { ReceiptState } from '../../runtime/broker/contract/receipt.ts';
import { codeOf, until } from '../support/until.ts';
import { type BrokerCase, gate, numbers, QUICK } from './broker-case.ts';

/** See `broker.ts`. */
export const brokerRefusals: readonly BrokerCase[] = [
  {
    name: 'a failing message is tried again with its policy, then set aside with reason, error, attempts and times',
    run: async (world) => {
      const broker = await world.start();
      const attempts: number[] = [];
      const told: unknown[] = [];
      broker.on('dead_letter', (event) => told.push(event.messageId));
      await broker.subscribe(
        'bad',
        (_message, { attempt }) => {
          attempts.push(attempt);
          throw Object.assign(new Error(`no ${attempt}`), { code: 'E_NO' });
        },
        { name: 'b', retry: { ...QUICK, maxAttempts: 5 } },
      );
      const receipt = await broker.publish({ type: 'bad', payload: 'x', retry: { maxAttempts: 3 } });
      const state = await receipt.settled({ timeoutMs: 10_000 });
      expect(state.subscriptions['b']).toMatchObject({ status: 'dead', attempt: 3 });
      expect(attempts).toEqual([1, 2, 3]);
      const letters = await until('the letter is there', async () => {
        const { letters } = await broker.deadLetters.list({ subscription: 'b' });
        return letters.length > 0 && letters;
      });
      expect(letters).toHaveLength(1);
      const [letter] = letters;
      expect(letter).toMatchObject({ reason: 'attempts', attempts: 3, redrives: 0, subscription: 'b' });
      expect(letter?.message).toMatchObject({ id: receipt.id, payload: 'x' });
      expect(letter?.error.message).toBe('no 3');
      expect(letter?.error.stack).toContain('no 3');
      expect(letter?.deadMs).toBeGreaterThanOrEqual(letter?.firstDeliveredMs ?? Number.NaN);
      expect(told).toEqual([receipt.id]);
    },
  },
  {
    name: 'dead letters: filters, pages, redrive by id and by filter, the cap, purge',
    run: async (world) => {
      const broker = await world.start({ redrivesLimit: 2 });
      let isBroken = true;
      const done: unknown[] = [];
      await broker.subscribe(
        'work.*',
        ({ payload }) => {
          if (isBroken) throw new Error('broken');
          done.push(payload);
        },
        { name: 'w', retry: { ...QUICK, maxAttempts: 1 } },
      );
      const receipts = await Promise.all(
        numbers(7).map((n) => broker.publish({ type: n % 2 === 0 ? 'work.even' : 'work.odd', payload: n })),
      );
      for (const receipt of receipts) await receipt.settled({ timeoutMs: 10_000 });
      const listed = (): Promise<number> => broker.deadLetters.list().then(({ letters }) => letters.length);
      await until('seven letters', async () => (await listed()) === 7);
      const page = await broker.deadLetters.list({ limit: 4 });
      const rest = await broker.deadLetters.list({ limit: 4, after: page.next ?? '' });
      expect([...page.letters, ...rest.letters].map(({ message }) => message.payload)).toEqual(numbers(7));
      expect(rest.next).toBeUndefined();
      expect((await broker.deadLetters.list({ type: 'work.odd' })).letters).toHaveLength(3);
      expect((await broker.deadLetters.list({ subjectPattern: 'work.even' })).letters).toHaveLength(4);
      expect((await broker.deadLetters.list({ reason: 'expired' })).letters).toHaveLength(0);
      const [first] = page.letters;
      for (const redrives of [1, 2]) {
        const [now] = (await broker.deadLetters.list({ limit: 100 })).letters.filter(
          ({ message }) => message.payload === 0,
        );
        expect(await broker.deadLetters.redrive(now?.id ?? '')).toBe(1);
        await until(`redriven ${redrives}`, async () =>
          (await broker.deadLetters.list()).letters.some((letter) => letter.redrives === redrives),
        );
      }
      expect(first?.message.payload).toBe(0);
      isBroken = false;
      // The one that was redriven twice stays.
      expect(await broker.deadLetters.redrive({ subscription: 'w' })).toBe(6);
      await until('six are done', () => done.length === 6);
      expect(new Set(done)).toEqual(new Set([1, 2, 3, 4, 5, 6]));
      expect(await broker.receipt(receipts[1]?.id ?? '')).toMatchObject({ status: 'handled' });
      expect(await listed()).toBe(1);
      expect(await broker.deadLetters.purge({})).toBe(1);
      expect(await listed()).toBe(0);
    },
  },
  {
    name: 'whose sender wants the error instead of a dead letter has it in the receipt, when the tries are used up',
    run: async (world) => {
      const broker = await world.start();
      let tries = 0;
      await broker.subscribe(
        'count',
        () => {
          tries += 1;
          throw Object.assign(new Error('nobody can count that'), { code: 'UNCOUNTABLE' });
        },
        { name: 'counter', retry: QUICK },
      );
      const send = async (whenExhausted?: 'answer'): Promise<ReceiptState> => {
        const retry = { ...QUICK, maxAttempts: 3, ...(whenExhausted === undefined ? {} : { whenExhausted }) };
        return (await broker.publish({ type: 'count', retry })).settled({ timeoutMs: 10_000 });
      };
      const answered = await send('answer');
      expect(answered.status).toBe('handled');
      expect(answered.subscriptions['counter']).toMatchObject({
        status: 'handled',
        attempt: 3,
        reply: { failure$: { message: 'nobody can count that', code: 'UNCOUNTABLE' } },
      });
      expect(tries).toBe(3);
      expect((await broker.deadLetters.list()).letters).toEqual([]);
      expect((await send()).status).toBe('dead');
      expect(tries).toBe(6);
      expect((await broker.deadLetters.list()).letters).toHaveLength(1);
    },
  },
  {
    name: 'a handler that takes too long is aborted, and its message is tried again',
    run: async (world) => {
      const broker = await world.start();
      const reasons: unknown[] = [];
      let calls = 0;
      await broker.subscribe(
        'slow',
        (_message, { signal }) => {
          calls += 1;
          if (calls > 1) return 'done';
          return new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              reasons.push((signal.reason as { code?: string }).code);
              reject(signal.reason as Error);
            });
          });
        },
        { name: 's', ackTimeoutMs: 100, retry: QUICK },
      );
      const receipt = await broker.publish({ type: 'slow' });
      expect(await receipt.settled({ timeoutMs: 20_000 })).toMatchObject({
        subscriptions: { s: { status: 'handled', attempt: 2, reply: 'done' } },
      });
      expect(reasons).toEqual(['ACK_TIMEOUT']);
    },
  },
  {
    name: 'a message that has expired is a dead letter, whether somebody listens or not',
    run: async (world) => {
      const broker = await world.start();
      const absent = await broker.subscribe('news', () => {}, { name: 'n' });
      await absent.close();
      const receipt = await broker.publish({ type: 'news', ttlMs: 30 });
      expect(await receipt.settled({ timeoutMs: 10_000 })).toMatchObject({ subscriptions: { n: { status: 'dead' } } });
      const { letters } = await broker.deadLetters.list({ reason: 'expired' });
      expect(letters.map(({ message, error }) => [message.id, error.code])).toEqual([[receipt.id, 'MESSAGE_EXPIRED']]);
    },
  },
  {
    name: 'many large replies at once: each is with its receipt',
    run: async (world) => {
      const broker = await world.start();
      const all = gate();
      let begun = 0;
      const answer = async ({ payload }: Message): Promise<Uint8Array> => {
        begun += 1;
        if (begun === 100) all.open();
        await all.opened;
        return new Uint8Array(20_000).fill(payload as number);
      };
      await broker.subscribe('large', answer, { name: 'large', concurrency: 100 });
      const receipts = await Promise.all(
        numbers(100).map((n) => broker.publish({ type: 'large', payload: n, key: `${n}` })),
      );
      const replyOf = ({ subscriptions }: ReceiptState): unknown =>
        (subscriptions['large'] as { reply?: Uint8Array }).reply?.[0];
      const settled = await Promise.all(receipts.map((receipt) => receipt.settled({ timeoutMs: 20_000 })));
      expect(settled.map(replyOf)).toEqual(numbers(100));
      for (const { status } of await Promise.all(receipts.map((receipt) => receipt.state())))
        expect(status).toBe('handled');
    },
  },
  {
    name: 'as many as may wait: the publisher is told',
    run: async (world) => {
      const broker = await world.start();
      await (await broker.subscribe('f', () => {}, { name: 'f', waitingLimit: 3 })).close();
      for (const n of numbers(3)) await broker.publish({ type: 'f', payload: n });
      expect(await codeOf(broker.publish({ type: 'f' }))).toBe('QUEUE_FULL');
      expect((await broker.subscriptions()).get('f')).toMatchObject({ pattern: 'f', waiting: 3 });
      const got: unknown[] = [];
      await broker.subscribe('f', ({ payload }) => void got.push(payload), { name: 'f', waitingLimit: 3 });
      await until('there is room again', () => got.length === 3);
      expect((await broker.publish({ type: 'f' })).subscriptions).toBe(1);
    },
  },
  {
    name: 'a payload that cannot be carried, or is too large, is refused, and nothing is lost',
    run: async (world) => {
      const broker = await world.start();
      await broker.subscribe('z', () => {}, { name: 'z' });
      expect(await codeOf(broker.publish({ type: 'z', payload: () => 1 }))).toBe('UNSERIALIZABLE_VALUE');
      expect(await codeOf(broker.publish({ type: 'z', payload: new Uint8Array(2 << 20) }))).toBe('MESSAGE_TOO_LARGE');
      const large = await broker.publish({ type: 'z', payload: new Uint8Array(900_000) });
      expect((await large.settled({ timeoutMs: 10_000 })).status).toBe('handled');
      expect(await codeOf(broker.publish({ type: 'no.*' }))).toBe('INVALID_SUBJECT');
      expect(await codeOf(broker.publish({ type: '', ttlMs: -1 } as never))).toBe('INVALID_MESSAGE');
    },
  },
];
