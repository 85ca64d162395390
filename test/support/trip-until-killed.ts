/**
 * A process of its own that leaves circuits in each state and waits to be killed: `node trip-until-killed.ts <dataDir>`. Says `LEFT` and
 * when the open one is to be half open.
 */
import { writeSync } from 'node:fs';
import { CircuitBreaker } from '../../actors/index.ts';
import { ActorSystem } from '../../runtime/index.ts';
import { hasty, shared, steady } from './actors/guarded.ts';

const actors = [new URL('./actors/guarded.ts', import.meta.url)];
const system = await ActorSystem.start({ dataDir: process.argv[2] ?? '', threads: 1, actors });
const fail = (): Promise<never> => Promise.reject(new Error('the dependency is ill'));
const failing = async (breaker: CircuitBreaker, times: number): Promise<void> => {
  for (let i = 0; i < times; i++) await breaker.execute(fail).catch(() => {});
  await breaker.flush();
};

const open = await CircuitBreaker.of(system, steady, { id: 'open' });
await failing(open, 3);
const counting = await CircuitBreaker.of(system, shared, { id: 'counting' });
await failing(counting, 7);
const isolated = await CircuitBreaker.of(system, steady, { id: 'isolated' });
await isolated.isolate('maintenance');
const due = await CircuitBreaker.of(system, hasty, { id: 'due' });
await failing(due, 1);
writeSync(1, `LEFT ${open.snapshot().openUntilMs}\n`);
