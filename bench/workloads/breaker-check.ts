/** What a closed circuit costs the caller: the check alone, and around a call. */
import { CircuitBreaker, type CircuitBreakerOptions } from '../../actors/index.ts';
import { bareCall, executed, FAILS_ONCE_IN, timed } from '../baselines/guarded-call.ts';
import type { Contender, Contestant, Setting, Workload } from '../contract.ts';
import { startSystem } from '../own-system.ts';
import { cockatiel, opossum } from '../peers/breakers.ts';

const OPTIONS: CircuitBreakerOptions = {
  policy: { kind: 'count_window', size: 100, minimumCalls: 20, failureRate: 0.5 },
  openMs: 30_000,
};

/** Every outcome is counted in this thread and reported to the journaled actor, since a window with a failure is never saturated. */
async function guarded(
  { dir, sampleMs }: Setting,
  options: CircuitBreakerOptions,
  manyOf: (breaker: CircuitBreaker) => (count: number) => void | Promise<void>,
): Promise<Contestant> {
  const system = await startSystem({ dataDir: dir, threads: 1 });
  const breaker = await CircuitBreaker.of(system, 'bench', options);
  return timed(sampleMs, manyOf(breaker), async () => {
    const { generation, state } = breaker.snapshot();
    if (state !== 'closed' || generation !== 1) throw new Error(`the circuit is ${state} after ${generation} changes`);
    await breaker.flush();
    if (breaker.snapshot().calls === 0) throw new Error('the actor has counted no call');
    await system.stop();
  });
}

const check: Contender = {
  name: 'check',
  kind: 'ours',
  label: 'check() and record()',
  beside: ['bare-call'],
  open: (setting) =>
    guarded(setting, OPTIONS, (breaker) => {
      let calls = 0;
      return (count) => {
        for (let i = 0; i < count; i++) {
          calls += 1;
          breaker.record(breaker.check(), calls % FAILS_ONCE_IN === 0 ? 'failure' : 'success');
        }
      };
    }),
};

const execute: Contender = {
  name: 'execute',
  kind: 'ours',
  label: 'execute, last 100 calls',
  beside: ['bare-call', 'cockatiel', 'opossum'],
  open: (setting) =>
    guarded(setting, OPTIONS, (breaker) => (count) => executed(count, (call) => breaker.execute(call))),
};

const executeTimed: Contender = {
  name: 'execute-timed',
  kind: 'ours',
  label: 'execute, last 100 calls, slow ones too',
  beside: ['bare-call', 'cockatiel', 'opossum'],
  open: (setting) =>
    guarded(
      setting,
      { ...OPTIONS, slowCall: { durationMs: 2_000, rate: 0.8 } },
      (breaker) => (count) => executed(count, (call) => breaker.execute(call)),
    ),
};

export const breakerCheck: Workload = {
  name: 'breaker-check',
  title: 'A call through a closed circuit',
  what:
    'One call after the other, in the thread of the caller; one in a thousand fails. Ours is shared by all threads and durable: the ' +
    'outcomes travel to its journaled actor meanwhile. The others live in this thread alone.',
  conditions: { durability: 'journal, fsync; others: none', messageBytes: 0, concurrency: '1 under way', hosts: 1 },
  metrics: [{ name: 'time', unit: 'ns', better: 'lower' }],
  contenders: [check, execute, executeTimed, bareCall, cockatiel, opossum],
};
