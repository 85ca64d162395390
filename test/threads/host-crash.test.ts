/**
 * Hosts on real threads, ended in every way a thread can end, at every kind of moment. Whatever happened: every call settles, every
 * ledger is right, and the system goes on.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { ActorSystem } from '../../runtime/index.ts';
import type { HostLoss } from '../../runtime/system/topology.ts';
import { ledger } from '../support/actors/ledger.ts';
import { saboteur, type SaboteurState, type Way } from '../support/actors/saboteur.ts';
import { LedgerWriters } from '../support/ledger-writers.ts';
import { type TmpDir, tmpDir } from '../support/tmp-dir.ts';
import { recordEvents, until } from '../support/until.ts';
import { watchWorkers } from '../support/workers.ts';
import { existsSync } from 'node:fs';
import { placementOf } from '../../runtime/kernel/address.ts';

interface Ending {
  readonly way: Way;
  readonly kind: HostLoss['kind'];
  /** Ends the thread from outside, once the saboteur is where it should be. */
  readonly fromOutside?: true;
}

const ENDINGS: readonly Ending[] = [
  { way: 'exit', kind: 'exit' },
  { way: 'uncaught', kind: 'error' },
  { way: 'rejection', kind: 'error' },
  { way: 'out_of_memory', kind: 'out_of_memory' },
  { way: 'loop', kind: 'hung' },
  { way: 'wait_for_end', kind: 'exit', fromOutside: true },
];

const HOSTS = 2;
let folder: TmpDir | undefined;

afterEach(async () => {
  await folder?.[Symbol.asyncDispose]();
  folder = undefined;
});

const start = (more: { dataDir?: string; hangAfterMs?: number } = {}): Promise<ActorSystem> =>
  ActorSystem.start({
    threads: HOSTS,
    actors: [
      new URL('../support/actors/ledger.ts', import.meta.url),
      new URL('../support/actors/saboteur.ts', import.meta.url),
    ],
    hostHeapMb: 64,
    hangAfterMs: 1_000,
    ...more,
  });

describe.each(ENDINGS)('a host that ends by $way', ({ way, kind, fromOutside }) => {
  test('while idle, in a turn and during an effect: nothing is lost, nothing doubled, every call settles', async () => {
    folder = await tmpDir('host-crash');
    using workers = watchWorkers();
    // What takes its time to end must not be taken for hung first.
    await using system = await start(way === 'loop' ? {} : { hangAfterMs: 60_000 });
    const lost = recordEvents(system, 'host_lost');
    const replaced = recordEvents(system, 'host_replaced');
    const failed = recordEvents(system, 'failed');
    const writers = await LedgerWriters.create(system);
    const ref = await system.spawn(saboteur, { id: 's' });
    const slot = placementOf(ref.key, HOSTS);
    const endFromOutside = async (flag: string): Promise<void> => {
      if (fromOutside !== true) return;
      await until('the saboteur at work', () => existsSync(flag));
      await workers.named(`host ${slot}`)?.terminate();
    };
    const settled = async (deaths: number): Promise<void> => {
      await until(`death ${deaths}`, () => {
        expect(failed).toEqual([]);
        return lost.length >= deaths && replaced.length >= deaths;
      });
      expect(lost.at(-1)).toMatchObject({ slot, kind });
      expect(lost).toHaveLength(deaths);
    };

    // Idle.
    const idle = folder.at('idle');
    await ref.tell({ type: 'DIE_LATER', way, flag: idle });
    await endFromOutside(idle);
    await until('the first death', () => lost.length === 1);
    // In the gap between the hosts.
    expect(await ref.ask({ type: 'PING' })).toBe(1);
    await settled(1);
    writers.run();
    await writers.more(3);

    // In a turn, under load.
    const inTurn = folder.at('turn');
    const dying = ref.ask({ type: 'DIE', way, flag: inTurn }, { timeoutMs: 20_000 });
    const behind = ref.ask({ type: 'PING' }, { timeoutMs: 20_000 });
    await endFromOutside(inTurn);
    await settled(2);
    if (kind === 'hung') expect(lost[1]).toMatchObject({ running: ref.key });
    expect(await dying).toBe('survived');
    expect(await behind).toBe(2);
    await writers.more(3);

    // During an effect, under load.
    const inEffect = folder.at('effect');
    await ref.tell({ type: 'DIE_IN_EFFECT', way, flag: inEffect, class: 'once' });
    await endFromOutside(inEffect);
    await settled(3);
    const { view } = await ref.waitFor((s) => (s.view as SaboteurState).outcomes.length > 0);
    expect(view).toEqual({ pings: 2, survived: 1, outcomes: ['UNKNOWN_OUTCOME'] });
    await writers.more(3);

    await writers.stop();
    expect(writers.failures).toEqual([]);
    expect(await writers.faults()).toEqual([]);
    expect(failed).toEqual([]);
    expect(await system.deadLetters.list()).toEqual([]);
    expect((await system.stats()).callsUnderWay).toBe(0);
  });
});

test('an idempotent effect runs again after its host died', async () => {
  folder = await tmpDir('host-crash');
  await using system = await start();
  const ref = await system.spawn(saboteur, { id: 's' });
  await ref.tell({ type: 'DIE_IN_EFFECT', way: 'exit', flag: folder.at('effect'), class: 'again' });
  const { view } = await ref.waitFor((s) => (s.view as SaboteurState).outcomes.length > 0);
  expect((view as SaboteurState).outcomes).toEqual(['ran again']);
});

test('a hang is blamed on the actor in whose turn it is, and says so', async () => {
  folder = await tmpDir('host-crash');
  await using system = await start();
  const lost = recordEvents(system, 'host_lost');
  const ref = await system.spawn(saboteur, { id: 'the-one' });
  const dying = ref.ask({ type: 'DIE', way: 'loop', flag: folder.at('hang') }, { timeoutMs: 20_000 });
  expect(await dying).toBe('survived');
  expect(lost).toMatchObject([{ kind: 'hung', running: 'saboteur/the-one' }]);
  expect(lost[0]?.message).toContain('saboteur/the-one');
});

test('many calls under way to one actor, and more of them while its host is gone: all in order, each once', async () => {
  folder = await tmpDir('host-crash');
  await using system = await start({ dataDir: folder.at('data') });
  const lost = recordEvents(system, 'host_lost');
  const replaced = recordEvents(system, 'host_replaced');
  const ref = await system.spawn(ledger, { id: 'many' });
  const slot = placementOf(ref.key, HOSTS);
  const near =
    Array.from({ length: 20 }, (_, i) => `s${i}`).find((id) => placementOf(`saboteur/${id}`, HOSTS) === slot) ?? '';
  const killer = await system.spawn(saboteur, { id: near });
  let n = 0;
  const tells: Promise<void>[] = [];
  const tellSome = (count: number): void => {
    for (let i = 0; i < count; i++) tells.push(ref.tell({ type: 'ADD', n: (n += 1) }));
  };
  for (const flag of ['one', 'two', 'three']) {
    const deaths = lost.length;
    tellSome(2_000);
    const dying = killer.tell({ type: 'DIE', way: 'exit', flag: folder.at(flag) });
    tellSome(2_000);
    await until('the death', () => lost.length > deaths);
    tellSome(500);
    await until('the successor', () => {
      tellSome(1);
      return replaced.length > deaths;
    });
    tellSome(500);
    await dying;
  }
  await Promise.all(tells);
  expect(await ref.ask({ type: 'GET' })).toEqual({ n, peer: 0, gaps: 0, doubles: 0 });
});

test('both hosts at once: everything comes back', async () => {
  folder = await tmpDir('host-crash');
  await using system = await start({ dataDir: folder.at('data') });
  const lost = recordEvents(system, 'host_lost');
  const replaced = recordEvents(system, 'host_replaced');
  const writers = await LedgerWriters.create(system);
  const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
  const first = ids.find((id) => placementOf(`saboteur/${id}`, HOSTS) === 0) ?? '';
  const second = ids.find((id) => placementOf(`saboteur/${id}`, HOSTS) === 1) ?? '';
  const refs = [await system.spawn(saboteur, { id: first }), await system.spawn(saboteur, { id: second })];
  writers.run();
  await writers.more(2);
  const dying = refs.map((ref, i) =>
    ref.ask({ type: 'DIE', way: 'exit', flag: `${folder?.path}/both${i}` }, { timeoutMs: 20_000 }),
  );
  expect(await Promise.all(dying)).toEqual(['survived', 'survived']);
  await until('both to be replaced', () => replaced.length === 2);
  expect(lost).toHaveLength(2);
  await writers.more(3);
  await writers.stop();
  expect(await writers.faults()).toEqual([]);
});

test('a message that kills its host every time is parked after maxAttempts, and the rest goes on', async () => {
  await using system = await start();
  const lost = recordEvents(system, 'host_lost');
  const letters = recordEvents(system, 'dead_letter');
  const ref = await system.spawn(saboteur, { id: 'poisoned' });
  const neighbour = await system.spawn(ledger, { id: 'l0' });
  const poison = ref.ask({ type: 'DIE', way: 'exit' }, { timeoutMs: 30_000 });
  const behind = [1, 2, 3].map(() => ref.ask({ type: 'PING' }, { timeoutMs: 30_000 }));
  await expect(poison).rejects.toMatchObject({ code: 'HANDLER_FAILED', cause: { code: 'HOST_LOST' } });
  expect(await Promise.all(behind)).toEqual([1, 2, 3]);
  expect(lost).toHaveLength(3);
  expect(lost.map((loss) => loss.running)).toEqual([ref.key, ref.key, ref.key]);
  await neighbour.tell({ type: 'ADD', n: 1 });
  const list = await system.deadLetters.list();
  expect(list).toMatchObject([{ to: ref.key, message: { type: 'DIE' }, reason: 'handler_failed', attempts: 3 }]);
  expect(letters).toMatchObject([{ key: ref.key }]);
});

test('three messages that each kill once are none of them taken for poison', async () => {
  folder = await tmpDir('host-crash');
  await using system = await start();
  const lost = recordEvents(system, 'host_lost');
  const ref = await system.spawn(saboteur, { id: 's' });
  for (const flag of ['one', 'two', 'three', 'four']) {
    expect(await ref.ask({ type: 'DIE', way: 'exit', flag: folder.at(flag) }, { timeoutMs: 20_000 })).toBe('survived');
    expect(await ref.ask({ type: 'PING' })).toBeGreaterThan(0);
  }
  expect(lost).toHaveLength(4);
  expect(await system.deadLetters.list()).toEqual([]);
});

test('after `stop` no thread is left, also right after a host died', async () => {
  folder = await tmpDir('host-crash');
  using workers = watchWorkers();
  const system = await start({ dataDir: folder.at('data') });
  const lost = recordEvents(system, 'host_lost');
  const ref = await system.spawn(saboteur, { id: 's' });
  const slot = placementOf(ref.key, HOSTS);
  const dying = ref.tell({ type: 'DIE', way: 'exit', flag: folder.at('once') });
  const outcome = dying.then(
    () => 'receipt',
    (error: { code: string }) => error.code,
  );
  await until('the death', () => lost.length === 1);
  await system.stop();
  expect(['receipt', 'SYSTEM_STOPPED']).toContain(await outcome);
  expect(workers.named(`host ${slot}`)).toBeUndefined();
  expect(workers.named(`host ${1 - slot}`)).toBeUndefined();
  await using again = await start({ dataDir: folder.at('data') });
  expect(await again.ref(saboteur, 's').ask({ type: 'PING' })).toBe(1);
});
