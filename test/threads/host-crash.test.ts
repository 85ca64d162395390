/**
 * What a host's death means for the actor that was running: blame, repetition, parking. Every way and moment of dying under load is
 * `thread-death-proof.ts`.
 */
import { writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { ActorSystem } from '../../runtime/index.ts';
import { ledger } from '../support/actors/ledger.ts';
import { saboteur, type SaboteurState } from '../support/actors/saboteur.ts';
import { type TmpDir, tmpDir } from '../support/tmp-dir.ts';
import { recordEvents, until } from '../support/until.ts';
import { watchWorkers } from '../support/workers.ts';
import { placementOf } from '../../runtime/kernel/address.ts';

const HOSTS = 2;
/** A host is replaced within it, also where the machine gives it a twentieth of a core. */
const PATIENT_MS = 25_000;
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
    askTimeoutMs: PATIENT_MS,
    tellTimeoutMs: PATIENT_MS,
    ...more,
  });

test('an idempotent effect runs again after its host died', async () => {
  folder = await tmpDir('host-crash');
  await using system = await start();
  const ref = await system.spawn(saboteur, { id: 's' });
  await ref.tell({ type: 'DIE_IN_EFFECT', way: 'exit', flag: folder.at('effect'), class: 'again' });
  const { view } = await ref.waitFor((s) => (s.view as SaboteurState).outcomes.length > 0);
  expect((view as SaboteurState).outcomes).toEqual(['ran again']);
});

test('an effect that kills its host every time fails after maxAttempts, and what ran beside it goes on', async () => {
  folder = await tmpDir('host-crash');
  await using system = await start();
  const lost = recordEvents(system, 'host_lost');
  const ref = await system.spawn(saboteur, { id: 's' });
  const near = Array.from({ length: 40 }, (_, i) => `n${i}`).filter(
    (id) => placementOf(`saboteur/${id}`, HOSTS) === placementOf(ref.key, HOSTS),
  );
  // Effects that were under way at every one of the deaths, and end when they are allowed to.
  const go = folder.at('go');
  const neighbours = await Promise.all(near.slice(0, 4).map((id) => system.spawn(saboteur, { id })));
  for (const neighbour of neighbours) await neighbour.tell({ type: 'WAIT_IN_EFFECT', until: go });
  await ref.tell({ type: 'DIE_IN_EFFECT', way: 'exit', class: 'again' });
  const { view } = await ref.waitFor((s) => (s.view as SaboteurState).outcomes.length > 0, { timeoutMs: 30_000 });
  expect((view as SaboteurState).outcomes).toEqual(['HOST_LOST']);
  expect(lost).toHaveLength(3);
  writeFileSync(go, '');
  for (const neighbour of neighbours) {
    const end = await neighbour.waitFor((s) => (s.view as SaboteurState).outcomes.length > 0);
    expect((end.view as SaboteurState).outcomes).toEqual(['waited']);
  }
  expect(await ref.ask({ type: 'PING' })).toBe(1);
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
