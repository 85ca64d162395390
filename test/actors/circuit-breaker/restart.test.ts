/** What a killed process leaves of its circuits is what the next one finds: open until the same moment, isolated, and with its window. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CircuitBreaker } from '../../../actors/index.ts';
import type { CallOutcome, Run } from '../../../actors/circuit-breaker/call-window.ts';
import { resolveBreaker } from '../../../actors/circuit-breaker/breaker-settings.ts';
import type { CircuitContext } from '../../../actors/circuit-breaker/circuit-breaker-machine.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import { createTestSystem, ManualClock } from '../../../runtime/testing/index.ts';
import { hasty, shared, steady } from '../../support/actors/guarded.ts';
import { crashCopy } from '../../support/crash-copy.ts';
import { ReferenceCircuit } from '../../support/reference-circuit.ts';
import { type TmpDir, tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, until } from '../../support/until.ts';

const actors = [new URL('../../support/actors/guarded.ts', import.meta.url)];
const TRIPPER = fileURLToPath(new URL('../../support/trip-until-killed.ts', import.meta.url));

let folder: TmpDir;
let openUntilMs: number;
let copies = 0;

beforeAll(async () => {
  folder = await tmpDir('breaker-restart');
  const child = spawn(process.execPath, [TRIPPER, folder.at('killed')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (bytes: Buffer) => resolve(bytes.toString()));
    child.once('exit', (code) => reject(new Error(`the process ended with ${code}`)));
  });
  openUntilMs = Number(/^LEFT (\d+)/.exec(said)?.[1]);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
});
afterAll(() => folder[Symbol.asyncDispose]());

const killed = (): string => {
  copies += 1;
  return crashCopy(folder.at('killed'), folder.at(`copy${copies}`));
};

test.each([0, 2])('after kill -9 (threads: %i)', async (threads) => {
  await using system = await ActorSystem.start({ dataDir: killed(), threads, actors });
  const open = await CircuitBreaker.of(system, steady, { id: 'open' });
  expect(open.snapshot()).toMatchObject({ state: 'open', openUntilMs, openings: 1, reason: '3 failures in a row' });
  expect(await codeOf(open.execute(() => 1))).toBe('CIRCUIT_OPEN');

  const counting = await CircuitBreaker.of(system, shared, { id: 'counting' });
  expect(counting.snapshot()).toMatchObject({ state: 'closed', calls: 7, failures: 7 });
  for (let i = 0; i < 3; i++) await counting.execute(() => Promise.reject(new Error('ill'))).catch(() => {});
  expect(counting.state).toBe('open');

  const isolated = await CircuitBreaker.of(system, steady, { id: 'isolated' });
  expect(isolated.snapshot()).toMatchObject({ state: 'isolated', reason: 'maintenance' });

  // Its time was up while nobody lived, or is soon.
  const due = await CircuitBreaker.of(system, hasty, { id: 'due' });
  await until('half open', () => due.state === 'half_open');
  for (let i = 0; i < 3; i++) expect(await due.execute(() => 'well')).toBe('well');
  await until('closed', () => due.state === 'closed');
});

test('the deadline is the original one, to the millisecond', async () => {
  const clock = new ManualClock(openUntilMs - 1);
  const system = await ActorSystem.startWith({ dataDir: killed(), threads: 0, actors }, { clock });
  const open = await CircuitBreaker.of(system, steady, { id: 'open', clock });
  await clock.settle();
  expect(open.state).toBe('open');
  await clock.advance(1);
  expect(open.state).toBe('half_open');
  await system.stop({ drainTimeoutMs: 0 });
});

test('killed between any two events, with its state stored or not: the same as the reference that lives on', async () => {
  await using dir = await tmpDir('breaker-model');
  let runs = 0;
  const outcome = fc.constantFrom<CallOutcome>('success', 'failure', 'failure', 'slow');
  const move = fc.oneof(
    { weight: 4, arbitrary: fc.array(outcome, { minLength: 1, maxLength: 4 }) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 300 }) },
    { weight: 2, arbitrary: fc.constantFrom('probe', 'well', 'kill', 'kill', 'store') },
  );
  const { settings } = resolveBreaker(
    'test',
    {
      policy: { kind: 'time_window', durationMs: 500, minimumCalls: 3, failureRate: 0.6 },
      slowCall: { durationMs: 10, rate: 0.9 },
      openMs: 100,
      halfOpen: { probes: 2, timeoutMs: 200 },
    },
    {},
  );
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 8, maxLength: 24, size: 'max' }), async (moves) => {
      runs += 1;
      let dataDir = dir.at(`run${runs}-0`);
      let clock = new ManualClock(1_900_000_000_000);
      let nowMs = clock.now();
      const start = async (): Promise<ActorSystem> => {
        clock = new ManualClock(nowMs);
        return ActorSystem.startWith({ dataDir, threads: 0, actors, sync: 'relaxed' }, { clock });
      };
      let system = await start();
      const ask = (message: unknown): Promise<unknown> => {
        const answer = system.refOf('steady/model').ask(message);
        return Promise.all([answer, clock.settle()]).then(([value]) => value);
      };
      await Promise.all([system.spawn(steady, { id: 'model', ifExists: 'attach' }), clock.settle()]);
      await ask({ type: 'CONFIGURE', settings });
      const reference = new ReferenceCircuit(settings, nowMs);
      for (const [at, step] of moves.entries()) {
        if (Array.isArray(step)) {
          await ask({ type: 'REPORT', generation: reference.generation, runs: step.map((one): Run => [one, 1]) });
          reference.report(reference.generation, step);
        } else if (typeof step === 'number') {
          nowMs += step;
          await clock.advance(step);
          reference.advance(nowMs);
        } else if (step === 'probe') {
          const answer = (await ask({ type: 'PROBE' })) as { granted: boolean };
          expect(answer.granted).toBe(reference.probe() !== undefined);
        } else if (step === 'well') {
          const ticket = reference.tickets[0]?.ticket ?? 0;
          await ask({ type: 'PROBED', ticket, outcome: 'success' });
          reference.probed(ticket, 'success');
        } else if (step === 'store') {
          // What comes back next is the stored state, without its turns. Storing takes a while.
          let isStored = false;
          const storing = system.checkpoint().then(() => {
            isStored = true;
          });
          for (; !isStored; nowMs += 1) await clock.advance(1);
          await storing;
          reference.advance(nowMs);
        } else {
          const old = dataDir;
          dataDir = crashCopy(old, dir.at(`run${runs}-${at + 1}`));
          await system.stop({ drainTimeoutMs: 0 });
          system = await start();
        }
        const snapshot = system.refOf('steady/model').snapshot();
        const [{ view }] = await Promise.all([snapshot, clock.settle()]);
        const { value, context } = view as { value: string; context: CircuitContext };
        const { generation, openUntilMs: until_, openings, probing } = context;
        expect({ at, step, state: value, generation, openUntilMs: until_, openings, out: probing.out }).toEqual({
          at,
          step,
          state: reference.state,
          generation: reference.generation,
          openUntilMs: reference.openUntilMs,
          openings: reference.openings,
          out: reference.tickets.map(({ ticket }) => ticket),
        });
      }
      await system.stop({ drainTimeoutMs: 0 });
    }),
    { numRuns: 12 },
  );
}, 60_000);

test('on the clock of a test system, a breaker is moved by it alone', async () => {
  await using rig = await createTestSystem({ actors });
  const opening = CircuitBreaker.of(rig.system, steady, { clock: rig.clock });
  await rig.settle();
  const breaker = await opening;
  for (let i = 0; i < 3; i++) await breaker.execute(() => Promise.reject(new Error('ill'))).catch(() => {});
  await rig.settle();
  expect(breaker.snapshot()).toMatchObject({ state: 'open', openUntilMs: rig.clock.now() + 600_000 });
  await rig.advance(600_000);
  expect(breaker.state).toBe('half_open');
});
