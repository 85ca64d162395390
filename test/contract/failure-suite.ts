/**
 * What an adapter does when its server or its peers fail, on a server of the test's own: killed and started again in mid-traffic,
 * consumers that die with messages in their hands, two processes that publish the same, garbage from somebody else.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { BrokerAdapter } from '../../runtime/broker/broker-adapter.ts';
import { carried, handled, ownName, specOf, Taker, Told } from '../support/adapter-bench.ts';
import { tmpDir } from '../support/tmp-dir.ts';
import { codeOf, until } from '../support/until.ts';

export interface OwnServer {
  readonly url: string;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

export interface FailingAdapter {
  start(dir: string): Promise<OwnServer>;
  make(url: string, broker: string, options: { callTimeoutMs?: number; reconnectGraceMs: number }): BrokerAdapter;
  /** Puts things that are no messages where those of subscription `a` are. Resolves with how many. */
  litter(url: string, broker: string): Promise<number>;
}

const MESSAGES = 1_500;
const UNDER_WAY = 40;
/** Longer than any test takes: what is gone is known to be so by something else. */
const LONG_MS = 120_000;
const GRACE_MS = 500;
const PROCESS = join(import.meta.dirname, '..', 'support', 'adapter-process.ts');

export function failureSuite(kind: 'redis' | 'nats', failing: FailingAdapter, skip: string | undefined): void {
  const it = (name: string, body: (server: OwnServer, open: Open) => Promise<void>): void => {
    const title = `${kind}: ${name}${skip === undefined ? '' : ` [skipped: ${skip}]`}`;
    test.skipIf(skip !== undefined)(title, async () => {
      await using dir = await tmpDir(`own-${kind}`);
      const server = await failing.start(dir.path);
      end.push(() => server.kill());
      await body(server, open(server, ownName('failing')));
      for (const close of end.splice(0).reverse()) await close();
    });
  };
  const end: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of end.splice(0).reverse()) await close().catch(() => {});
  });
  interface Open {
    readonly broker: string;
    (events?: Told, callTimeoutMs?: number): Promise<BrokerAdapter>;
  }
  const open = (server: OwnServer, broker: string): Open =>
    Object.assign(
      async (events = new Told(), callTimeoutMs?: number): Promise<BrokerAdapter> => {
        const times = callTimeoutMs === undefined ? {} : { callTimeoutMs };
        const adapter = failing.make(server.url, broker, { ...times, reconnectGraceMs: GRACE_MS });
        await adapter.open(events);
        end.push(() => adapter.close());
        return adapter;
      },
      { broker },
    );
  const process_ = (server: OwnServer, broker: string, ...args: string[]) => {
    const child = spawn(process.execPath, [PROCESS, kind, server.url, broker, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    child.stdout.on('data', (data: Buffer) => lines.push(...data.toString().split('\n').filter(Boolean)));
    end.push(async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    });
    return { child, lines };
  };

  it('the server is killed twice in mid-traffic: nothing accepted is lost, nothing is handed out after it was settled', async (server, open) => {
    const told = new Told();
    const [publisher, worker] = [await open(told), await open()];
    const settledIds = new Set<string>();
    const twice: string[] = [];
    const order: number[] = [];
    const settling: Promise<void>[] = [];
    const taker = await Taker.join(worker, specOf('a', { ackTimeoutMs: 2_000 }), (handOut) => {
      const { id } = handOut.message.header;
      if (settledIds.has(id)) twice.push(id);
      order.push(Number(id.slice(1)));
      settling.push(
        taker_()
          .settle(handOut, handled)
          .then(() => void settledIds.add(id)),
      );
      taker_().request(1);
    });
    const taker_ = (): Taker => taker;
    taker.request(UNDER_WAY);
    let next = 0;
    let accepted = 0;
    const publishing = Array.from({ length: UNDER_WAY }, async () => {
      while (next < MESSAGES) {
        const { duplicate } = await publisher.accept(carried(`m${next++}`, { delivery: 'EXACTLY_ONCE' }));
        expect(duplicate).toBe(false);
        accepted += 1;
      }
    });
    for (const part of [0.3, 0.6]) {
      await until(`${part} of it`, () => settledIds.size > MESSAGES * part);
      await server.kill();
      await server.restart();
    }
    await Promise.all(publishing);
    expect(accepted).toBe(MESSAGES);
    await until('all are settled', () => settledIds.size === MESSAGES);
    await Promise.all(settling);
    expect(twice).toEqual([]);
    expect(told.connections.filter((state) => state === 'down').length).toBeGreaterThanOrEqual(2);
    expect((await publisher.subscriptions()).get('a')).toEqual({ pattern: 'orders.>', waiting: 0, dead: 0 });
    // Each for the first time, in the order in which they were accepted.
    const firsts = [...new Set(order)];
    expect(firsts).toEqual([...firsts].sort((a, b) => a - b));
  });

  /** A process that takes five messages and is killed with them. */
  const killedHolder = async (server: OwnServer, broker: string): Promise<void> => {
    const { child, lines } = process_(server, broker, 'hold', String(LONG_MS));
    await until('five are held', () => lines.length >= 5);
    child.kill('SIGKILL');
    await once(child, 'exit');
  };

  it('the only consumer is killed with messages in its hands: the next one has them soon, as lost and not as tried', async (server, open) => {
    const adapter = await open();
    await (await Taker.join(adapter, specOf('a', { ackTimeoutMs: LONG_MS }))).consumer.close();
    for (let i = 0; i < 8; i++) await adapter.accept(carried(`m${i}`));
    await killedHolder(server, open.broker);
    const taker = await Taker.join(adapter, specOf('a', { ackTimeoutMs: LONG_MS }));
    taker.request(8);
    await taker.at(7);
    const facts = taker.handOuts.map(({ message, attempt, lost }) => [message.header.id, attempt, lost]);
    expect(facts).toEqual(Array.from({ length: 8 }, (_, i) => [`m${i}`, 1, i < 5 ? 1 : 0]));
    for (const handOut of taker.handOuts) await taker.settle(handOut, handled);
  });

  it('one of two consumers is killed: the other has its messages soon, and order is kept', async (server, open) => {
    const adapter = await open();
    const other = await Taker.join(adapter, specOf('a', { ackTimeoutMs: LONG_MS }));
    for (let i = 0; i < 5; i++) await adapter.accept(carried(`m${i}`));
    await killedHolder(server, open.broker);
    for (let i = 5; i < 8; i++) await adapter.accept(carried(`m${i}`));
    other.request(8);
    await other.at(7);
    expect(other.ids).toEqual(Array.from({ length: 8 }, (_, i) => `m${i}`));
  });

  it('what was lost twice is handed out alone', async (server, open) => {
    const adapter = await open();
    await (await Taker.join(adapter, specOf('a', { ackTimeoutMs: LONG_MS }))).consumer.close();
    const accept = async (...numbers: number[]): Promise<void> => {
      for (const i of numbers) await adapter.accept(carried(`m${i}`, { key: `k${i}` }));
    };
    await accept(0, 1, 2, 3, 4);
    for (const _ of [1, 2]) await killedHolder(server, open.broker);
    const taker = await Taker.join(adapter, specOf('a', { ackTimeoutMs: LONG_MS }));
    taker.request(7);
    for (let i = 0; i < 5; i++) {
      const handOut = await taker.at(i);
      expect([handOut.message.header.id, handOut.lost, taker.handOuts.length]).toEqual([`m${i}`, 2, i + 1]);
      await taker.settle(handOut, handled);
    }
    await accept(5, 6);
    await taker.at(6);
    expect(taker.handOuts.slice(5).map(({ lost }) => lost)).toEqual([0, 0]);
  });

  it('two processes publish the same at the same time: each is accepted once', async (server, open) => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    const ends = [process_(server, open.broker, 'publish', '300'), process_(server, open.broker, 'publish', '300')];
    await until('both are ready', () => ends.every(({ lines }) => lines[0] === 'ready'));
    for (const { child } of ends) child.stdin.write('go\n');
    await until('both have published', () => ends.every(({ lines }) => lines.length === 2));
    expect(ends.reduce((sum, { lines }) => sum + Number(lines[1]), 0)).toBe(300);
    taker.request(600);
    await taker.at(299);
    expect(new Set(taker.ids).size).toBe(300);
    expect((await adapter.subscriptions()).get('a')?.waiting).toBe(300);
  });

  it('what is no message becomes a dead letter, and what comes behind it goes on', async (_server, open) => {
    const told = new Told();
    const adapter = await open(told);
    const taker = await Taker.join(adapter, specOf('a'));
    await adapter.accept(carried('before'));
    const count = await failing.litter(_server.url, open.broker);
    await adapter.accept(carried('behind'));
    taker.request(2);
    for (const n of [0, 1]) await taker.settle(await taker.at(n), handled);
    expect(taker.ids).toEqual(['before', 'behind']);
    const letters = await until('the letters', async () => {
      const all = await adapter.deadLetters({ limit: 100, reason: 'undecodable' });
      return all.length === count && all;
    });
    expect(letters.every(({ subscription, error }) => subscription === 'a' && error.code === 'INVALID_MESSAGE')).toBe(
      true,
    );
    await until('the notices', () => told.dead_.length === count);
    expect(await adapter.purge(letters.map(({ id }) => id))).toBe(count);
  });

  it('the server is away at the start, and later: callers learn it in time, and all goes on when it is there', async (server, open) => {
    const told = new Told();
    const adapter = await open(told, 700);
    const taker = await Taker.join(adapter, specOf('a'));
    await adapter.accept(carried('m1'));
    await server.kill();
    // Whether the connection's end is known yet or not.
    expect(await codeOf(adapter.accept(carried('m2')))).toBe('BROKER_UNAVAILABLE');
    await until('it is known', () => told.connections.at(-1) === 'down');
    expect(await codeOf(adapter.accept(carried('m2')))).toBe('BROKER_UNAVAILABLE');
    expect(await codeOf(open())).toBe('BROKER_UNAVAILABLE');
    await server.restart();
    await until('the connection', () => told.connections.at(-1) === 'up');
    const third = await until('it is accepted', async () => adapter.accept(carried('m3')).catch(() => undefined));
    expect(third.subscriptions).toEqual(['a']);
    taker.request(2);
    await taker.at(1);
    expect([taker.ids[0], taker.ids.at(-1)]).toEqual(['m1', 'm3']);
  });
}
