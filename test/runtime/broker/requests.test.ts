/** Requests that nobody answers: what their asker is told. */
import { expect, test } from 'vitest';
import { Requests } from '../../../runtime/broker/requests.ts';
import { BrokerUnavailableError, RequestTimeoutError } from '../../../runtime/kernel/errors.ts';
import { ManualClock } from '../../../runtime/testing/manual-clock.ts';

test('a deadline that passes while the server cannot be reached says so, and why', async () => {
  const clock = new ManualClock();
  const server: { down?: Error } = {};
  const requests = new Requests(clock, () => server.down);
  const ask = (): Promise<unknown> =>
    requests.run('"balance"', { timeoutMs: 100 }, () => Promise.resolve()).catch((error: unknown) => error);
  const [plain] = await Promise.all([ask(), clock.advance(100)]);
  expect(plain).toBeInstanceOf(RequestTimeoutError);
  expect([(plain as Error).cause, (plain as RequestTimeoutError).details]).toEqual([undefined, {}]);
  server.down = new BrokerUnavailableError('ECONNREFUSED');
  const [down] = await Promise.all([ask(), clock.advance(100)]);
  expect(down).toBeInstanceOf(RequestTimeoutError);
  expect(down).toMatchObject({ cause: server.down, details: { connection: 'down' } });
  expect((down as Error).message).toContain('connection to the broker');
  expect(requests.size).toBe(0);
});
