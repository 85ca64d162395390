/** A circuit breaker in a real system: on the calling thread, on one host, shared by callers on two hosts and in the application. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CircuitBreaker, defineCircuitBreaker } from '../../../actors/index.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import { placementOf } from '../../../runtime/kernel/address.ts';
import { breakerUser, type CallReport, gated, hasty, payer, shared, steady } from '../../support/actors/guarded.ts';
import { type TmpDir, tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, errorOf, until } from '../../support/until.ts';

const actors = [new URL('../../support/actors/guarded.ts', import.meta.url)];
const fail = (): Promise<never> => Promise.reject(new Error('the dependency is ill'));

let dir: TmpDir;
let system: ActorSystem;

const start = (threads: number): Promise<ActorSystem> =>
  ActorSystem.start({ dataDir: dir.at('data'), threads, actors, sync: 'relaxed' });

const userOn = (slot: number, hosts: number) => {
  for (let n = 0; ; n++) {
    const id = `u${n}`;
    if (placementOf(`breaker-user/${id}`, Math.max(1, hosts)) === slot) return system.spawn(breakerUser, { id });
  }
};

describe.each([0, 1, 2])('threads: %i', (threads) => {
  beforeEach(async () => {
    dir = await tmpDir('breaker');
    system = await start(threads);
  });
  afterEach(async () => {
    await system.stop();
    await dir[Symbol.asyncDispose]();
  });

  test('closed, open, and isolated; events say why', async () => {
    const breaker = await CircuitBreaker.of(system, steady);
    const stop = new AbortController();
    const changes: string[] = [];
    const listening = (async () => {
      for await (const { from, to, reason } of breaker.events({ signal: stop.signal })) {
        changes.push(`${from} → ${to}: ${reason}`);
      }
    })();
    expect(breaker.state).toBe('closed');
    expect(await breaker.execute(() => 7)).toBe(7);
    for (let i = 0; i < 2; i++) await expect(breaker.execute(fail)).rejects.toThrow('ill');
    expect(await breaker.execute(async (signal) => signal)).toBeUndefined();
    for (let i = 0; i < 3; i++) await expect(breaker.execute(fail)).rejects.toThrow('ill');
    // At once, before the actor has said so.
    expect(breaker.state).toBe('open');
    const refusal = await errorOf(breaker.execute(() => 7));
    expect(refusal).toMatchObject({
      code: 'CIRCUIT_OPEN',
      retryable: true,
      details: { circuit: 'steady/breaker', state: 'open' },
    });
    expect(refusal.details?.['retryAfterMs']).toBeGreaterThan(599_000);
    await breaker.flush();
    expect(breaker.snapshot()).toMatchObject({
      state: 'open',
      reason: '3 failures in a row',
      openings: 1,
      here: { unreported: 0 },
    });
    expect(await breaker.execute(() => 7, { fallback: (error) => (error as { code: string }).code })).toBe(
      'CIRCUIT_OPEN',
    );

    await breaker.isolate('maintenance');
    const isolated = await errorOf(breaker.execute(() => 7));
    expect(isolated.message).toMatch(/isolated until reset\(\): maintenance/);
    expect(isolated.details).not.toHaveProperty('retryAfterMs');
    await breaker.reset('it is over');
    expect(breaker.state).toBe('closed');
    expect(await breaker.execute(() => 7)).toBe(7);
    await until('the events', () => changes.length === 3);
    stop.abort();
    await listening;
    expect(changes).toEqual([
      'closed → open: 3 failures in a row',
      'open → isolated: maintenance',
      'isolated → closed: it is over',
    ]);
  });

  test('what one thread hears of its calls is known to the others', async () => {
    const here = await CircuitBreaker.of(system, steady);
    const users = await Promise.all(Array.from({ length: Math.max(1, threads) }, (_, slot) => userOn(slot, threads)));
    for (const user of users) {
      expect(await user.ask<CallReport>({ type: 'CALL', breaker: 'steady', outcomes: ['well'] })).toMatchObject({
        results: ['ok'],
      });
    }
    const [first] = users;
    const outcomes = ['badly', 'badly', 'badly', 'badly'] as const;
    const report = await first?.ask<CallReport>({ type: 'CALL', breaker: 'steady', outcomes });
    expect(report).toEqual({ results: ['failed', 'failed', 'failed', 'failed'], state: 'open' });
    await until('the application knows', () => here.state === 'open');
    expect(await codeOf(here.execute(() => 1))).toBe('CIRCUIT_OPEN');
    for (const user of users) {
      await until('the hosts know', async () => {
        const { results } = await user.ask<CallReport>({ type: 'CALL', breaker: 'steady', outcomes: ['well'] });
        return results[0] === 'CIRCUIT_OPEN';
      });
    }
    await here.reset();
    for (const user of users) {
      await until('all may call again', async () => {
        const { results } = await user.ask<CallReport>({ type: 'CALL', breaker: 'steady', outcomes: ['well'] });
        return results[0] === 'ok';
      });
    }
  });

  test('failures of several threads open it together', async () => {
    const here = await CircuitBreaker.of(system, shared);
    const users = await Promise.all(Array.from({ length: Math.max(1, threads) }, (_, slot) => userOn(slot, threads)));
    // Four each and four here: below the minimum of ten for each of them.
    const outcomes = ['badly', 'well', 'badly', 'well', 'badly', 'badly'] as const;
    const reports = await Promise.all(
      users.map((user) => user.ask<CallReport>({ type: 'CALL', breaker: 'shared', outcomes })),
    );
    for (const { results } of reports)
      expect(results.filter((result) => result === 'failed').length).toBeGreaterThan(0);
    for (let i = 0; i < 4; i++) await here.execute(fail).catch(() => {});
    await here.flush();
    await until('open', () => here.state === 'open');
    expect(here.snapshot().reason).toMatch(/of 1\d calls failed/);
  });

  test('half open: no more probes than there are, over all threads; the good ones close it', async () => {
    const here = await CircuitBreaker.of(system, hasty);
    const users = await Promise.all(Array.from({ length: Math.max(1, threads) }, (_, slot) => userOn(slot, threads)));
    await users.at(-1)?.ask({ type: 'CALL', breaker: 'hasty', outcomes: ['well'] });
    await here.execute(fail).catch(() => {});
    await here.flush();
    await until('half open', () => here.state === 'half_open');
    const before = here.snapshot().generation;
    // Twenty at once on every thread. Those that are let through end only when all others have been refused.
    const gate = dir.at('gate');
    mkdirSync(gate);
    const outcomes = Array.from({ length: 20 }, () => 'well' as const);
    const calls = Promise.all([
      Promise.all(outcomes.map((outcome) => gated(here, outcome, gate))),
      ...users.map(async (user) => {
        const errand = { type: 'CALL', breaker: 'hasty', outcomes, gate } as const;
        return (await user.ask<CallReport>(errand, { timeoutMs: 30_000 })).results;
      }),
    ]);
    const total = 20 * (1 + users.length);
    await until('all have begun or been refused', () => readdirSync(gate).length === total);
    expect(readdirSync(gate).filter((name) => name.startsWith('begun'))).toHaveLength(3);
    expect(here.snapshot()).toMatchObject({ state: 'half_open', probes: { limit: 3, out: 3 } });
    writeFileSync(join(gate, 'open'), '');
    const all = (await calls).flat();
    expect(all.filter((result) => result === 'ok')).toHaveLength(3);
    expect(all.filter((result) => result === 'CIRCUIT_OPEN')).toHaveLength(total - 3);
    await until('closed', () => here.state === 'closed');
    expect(here.snapshot()).toMatchObject({
      generation: before + 1,
      openings: 0,
      reason: 'probes: 3 succeeded, 0 failed',
    });
  });

  test('a failed probe opens it again, and one that is given back unused does not', async () => {
    const here = await CircuitBreaker.of(system, hasty);
    await here.execute(fail).catch(() => {});
    await here.flush();
    await until('half open', () => here.state === 'half_open');
    const abort = new AbortController();
    const given = errorOf(
      here.execute(
        async () => {
          abort.abort(new Error('changed my mind'));
          throw abort.signal.reason;
        },
        { signal: abort.signal },
      ),
    );
    expect((await given).message).toBe('changed my mind');
    await until('the ticket is back', () => here.snapshot().probes.out === 0);
    expect(here.snapshot()).toMatchObject({ state: 'half_open', probes: { limit: 3, succeeded: 0, failed: 0 } });
    await here.execute(fail).catch(() => {});
    await until('open again', () => here.snapshot().openings === 2);
  });

  test("a machine's effect goes through it", async () => {
    let paid = 0;
    const pay = async (isWell: boolean): Promise<string> => {
      const ref = await system.spawn(payer, { id: `p${paid++}`, input: { isWell } });
      const { view } = await ref.waitFor((seen) => seen.view?.hasTag('over') === true);
      return view.context.code;
    };
    expect(await pay(true)).toBe('ok');
    for (let i = 0; i < 3; i++) expect(await pay(false)).toBe('failed');
    // On another host they may not have heard yet.
    await until('refused', async () => (await pay(true)) === 'CIRCUIT_OPEN');
  });

  test('by name, with options that change while it lives', async () => {
    const breaker = await CircuitBreaker.of(system, 'rates', {
      policy: { kind: 'consecutive', failures: 2 },
      openMs: 1_000,
    });
    expect(breaker.key).toBe('circuit-breaker/rates');
    const again = await CircuitBreaker.of(system, 'rates');
    expect(again.snapshot().settings).toMatchObject({ policy: { failures: 2 }, openMs: 1_000 });
    await CircuitBreaker.of(system, 'rates', { policy: { kind: 'consecutive', failures: 1 } });
    await again.execute(fail).catch(() => {});
    expect(breaker.state).toBe('open');
    expect((await CircuitBreaker.of(system, 'other')).snapshot().settings.policy).toEqual({
      kind: 'consecutive',
      failures: 5,
    });
  });
});

test('a definition that no module exports is refused by name, and so is anything else', async () => {
  await using alone = await ActorSystem.start({ threads: 0 });
  const hidden = defineCircuitBreaker(import.meta.url, 'hidden');
  expect(await codeOf(CircuitBreaker.of(alone, hidden))).toMatch(/UNKNOWN_DEFINITION|INVALID_DEFINITION/);
  expect(await codeOf(CircuitBreaker.of(alone, breakerUser as never))).toBe('INVALID_DEFINITION');
});
