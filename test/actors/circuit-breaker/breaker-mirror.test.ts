/** A thread's mirror: what passes while it is behind, what it reports and when, tickets, and what is lost on the way. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CircuitBreakerOptions } from '../../../actors/circuit-breaker/breaker-settings.ts';
import type { CallOutcome } from '../../../actors/circuit-breaker/call-window.ts';
import type { CircuitEvent } from '../../../actors/circuit-breaker/circuit-breaker-machine.ts';
import { CircuitActor, type MirrorThread } from '../../support/circuit-actor.ts';
import { codeOf } from '../../support/until.ts';

const THREE: CircuitBreakerOptions = {
  policy: { kind: 'consecutive', failures: 3 },
  openMs: 1_000,
  openFactor: 1,
  halfOpen: { probes: 3, timeoutMs: 5_000 },
};
const WINDOW: CircuitBreakerOptions = {
  policy: { kind: 'count_window', size: 10, minimumCalls: 5, failureRate: 0.5 },
  openMs: 1_000,
};

/** Never full of successes here, which would not be told. */
const LONG: CircuitBreakerOptions = { ...WINDOW, policy: { kind: 'count_window', size: 100, minimumCalls: 5 } };

const call = ({ mirror }: MirrorThread, ...outcomes: readonly CallOutcome[]): void => {
  for (const outcome of outcomes) mirror.record(mirror.check(), outcome);
};
const reports = (thread: MirrorThread): (CircuitEvent & { type: 'REPORT' })[] =>
  thread.sent.filter((event) => event.type === 'REPORT');

test('its own failures trip at once, before the actor knows, and are reported at once, in order', async () => {
  const actor = new CircuitActor();
  const thread = await actor.mirror(THREE);
  call(thread, 'failure', 'failure', 'success', 'failure', 'failure');
  expect(thread.sent).toEqual([]);
  expect(thread.passes).toBe(true);
  call(thread, 'failure');
  expect(thread.passes).toBe(false);
  expect(thread.mirror.state).toBe('open');
  expect(actor.view.value).toBe('closed');
  expect(thread.sent).toEqual([
    {
      type: 'REPORT',
      generation: 1,
      runs: [
        ['failure', 2],
        ['success', 1],
        ['failure', 3],
      ],
    },
  ]);
  await thread.deliver();
  expect(actor.view.value).toBe('open');
  expect(thread.passes).toBe(false);
});

test('what another thread tripped passes here until it is shown, and no longer; late results change nothing', async () => {
  const actor = new CircuitActor();
  const [here, there] = [await actor.mirror(THREE), await actor.mirror(THREE)];
  const passed = here.mirror.check();
  call(there, 'failure', 'failure', 'failure');
  await there.deliver();
  expect(actor.view.value).toBe('open');
  expect(here.passes).toBe(true);
  call(here, 'success', 'failure');
  await here.show();
  expect(here.passes).toBe(false);
  here.mirror.record(passed, 'failure');
  await actor.advance(500);
  await here.deliverAll();
  expect(actor.view.context).toMatchObject({ generation: 2, window: null });
  expect(here.mirror.here.unreported).toBe(0);
});

test('a report sent before, and counted after the circuit had opened and closed, counts for nothing', async () => {
  const actor = new CircuitActor();
  const slow = await actor.mirror(WINDOW);
  call(slow, 'failure', 'failure', 'failure', 'failure');
  await actor.clock.advance(100);
  expect(reports(slow)).toHaveLength(1);
  actor.take({ type: 'ISOLATE', reason: 'now' });
  actor.take({ type: 'RESET' });
  await slow.deliver();
  expect(actor.view).toMatchObject({ value: 'closed', context: { window: null, generation: 3 } });
  call(slow, 'success');
  expect(slow.passes).toBe(true);
});

test('a pass of an earlier generation is good for nothing in the next one', async () => {
  const actor = new CircuitActor();
  const thread = await actor.mirror(THREE);
  const pass = thread.mirror.check();
  actor.take({ type: 'RESET' });
  await thread.show();
  for (let i = 0; i < 5; i++) thread.mirror.record(pass, 'failure');
  await actor.advance(1_000);
  expect(thread.passes).toBe(true);
  expect(thread.sent).toEqual([]);
  expect(thread.mirror.check()).not.toBe(pass);
});

test.each(['under way', 'answered'])(
  'a state from before a report that is %s does not take its outcomes back',
  async (how) => {
    const actor = new CircuitActor();
    const thread = await actor.mirror(THREE);
    const before = actor.sight();
    call(thread, 'failure', 'failure');
    await actor.advance(100);
    if (how === 'answered') await thread.deliver(true);
    await thread.show(before);
    call(thread, 'failure');
    expect(thread.passes).toBe(false);
  },
);

test('a trip while a report is under way is reported as soon as that is over', async () => {
  const actor = new CircuitActor();
  const thread = await actor.mirror(THREE);
  call(thread, 'failure');
  await actor.advance(100);
  call(thread, 'failure', 'failure');
  expect(thread.passes).toBe(false);
  expect(reports(thread)).toHaveLength(1);
  await thread.deliver();
  expect(reports(thread)).toHaveLength(2);
  await thread.deliver();
  expect(actor.view.value).toBe('open');
});

test('outcomes wait no longer than the delay, for one report at a time', async () => {
  const actor = new CircuitActor();
  const thread = await actor.mirror({ ...WINDOW, reportDelayMs: 100 });
  call(thread, 'failure', 'success');
  await actor.advance(99);
  expect(thread.sent).toHaveLength(0);
  await actor.advance(1);
  expect(reports(thread)).toHaveLength(1);
  call(thread, 'success');
  await actor.advance(1_000);
  expect(reports(thread)).toHaveLength(1);
  await thread.deliver();
  await actor.advance(100);
  expect(reports(thread)).toHaveLength(2);
  await thread.deliver();
  expect(actor.view.context.window).toEqual({
    kind: 'count_window',
    runs: [
      ['failure', 1],
      ['success', 2],
    ],
  });
});

test('ten thousand calls are reported however short the time was', async () => {
  const actor = new CircuitActor();
  const thread = await actor.mirror(WINDOW);
  for (let i = 0; i < 9_999; i++) call(thread, 'success');
  expect(thread.sent).toHaveLength(0);
  call(thread, 'success');
  expect(reports(thread)).toEqual([{ type: 'REPORT', generation: 1, runs: [['success', 10_000]] }]);
});

test('a thousand runs are reported, too', async () => {
  const actor = new CircuitActor();
  const thread = await actor.mirror({
    ...WINDOW,
    policy: { kind: 'count_window', size: 10_000, minimumCalls: 10_000 },
  });
  for (let i = 0; i < 999; i++) call(thread, i % 2 === 0 ? 'success' : 'failure');
  expect(thread.sent).toHaveLength(0);
  call(thread, 'failure', 'success');
  expect(reports(thread)[0]?.runs.length).toBeGreaterThan(990);
});

test('what waits while the actor does not answer is bounded, in one report and in all', async () => {
  const actor = new CircuitActor();
  const thread = await actor.mirror({
    ...WINDOW,
    policy: { kind: 'count_window', size: 1, minimumCalls: 1, failureRate: 1 },
  });
  // Slow ones do not trip here, and make short runs.
  for (let i = 0; i < 60_000; i++) call(thread, i % 2 === 0 ? 'success' : 'slow');
  expect(reports(thread)).toHaveLength(1);
  expect(thread.mirror.here.unreported).toBeLessThanOrEqual(10_001);
  expect(thread.mirror.here.lostReports).toBeGreaterThan(0);
  await thread.deliverAll();
  await thread.mirror.flush();
  for (const { runs } of reports(thread)) expect(runs.length).toBeLessThanOrEqual(1_000);
  expect(thread.mirror.here.unreported).toBe(0);
});

test.each([
  ['consecutive', THREE, 0],
  ['a full count window', WINDOW, 1],
])('while all is well, nothing is said: %s', async (_what, options, expected) => {
  const actor = new CircuitActor();
  const thread = await actor.mirror(options);
  for (let i = 0; i < 50; i++) {
    call(thread, ...Array.from({ length: 10 }, () => 'success' as const));
    await actor.advance(100);
    await thread.deliverAll();
  }
  expect(thread.sent).toHaveLength(expected);
});

test('a time window without failures hears every tenth of it; with the first failure, soon', async () => {
  const actor = new CircuitActor();
  const policy = { kind: 'time_window', durationMs: 20_000, minimumCalls: 50 } as const;
  const thread = await actor.mirror({ policy, reportDelayMs: 100 });
  call(thread, 'success');
  await actor.advance(1_999);
  expect(thread.sent).toHaveLength(0);
  await actor.advance(1);
  expect(thread.sent).toHaveLength(1);
  await thread.deliverAll();
  call(thread, 'success');
  await actor.advance(500);
  call(thread, 'failure');
  await actor.advance(100);
  expect(reports(thread)[1]?.runs).toEqual([
    ['success', 1],
    ['failure', 1],
  ]);
  await thread.deliverAll();
  // The failure of another thread is as good a reason.
  const other = await actor.mirror({ policy, reportDelayMs: 100 });
  await actor.advance(20_000);
  await other.show();
  call(other, 'success');
  await actor.advance(50);
  actor.take({ type: 'REPORT', generation: 1, runs: [['failure', 1]] });
  await other.show();
  await actor.advance(100);
  expect(reports(other)).toHaveLength(1);
});

test('a trip that the actor does not share is taken back when it has answered', async () => {
  const actor = new CircuitActor();
  const [here, there] = [await actor.mirror(THREE), await actor.mirror(THREE)];
  call(here, 'failure', 'failure');
  await actor.advance(100);
  await here.deliver();
  // Unknown here: a success in between.
  actor.take({ type: 'REPORT', generation: 1, runs: [['success', 1]] });
  call(here, 'failure');
  expect(here.passes).toBe(false);
  await here.deliver();
  expect(actor.view.value).toBe('closed');
  expect(here.passes).toBe(true);
  await there.show();
  expect(there.passes).toBe(true);
});

test('when the answer comes before the state does, nothing is counted twice', async () => {
  const actor = new CircuitActor();
  const thread = await actor.mirror(THREE);
  call(thread, 'failure');
  await actor.advance(100);
  await thread.deliver(true);
  call(thread, 'failure');
  expect(thread.passes).toBe(true);
  await thread.show();
  expect(thread.passes).toBe(true);
  call(thread, 'failure');
  expect(thread.passes).toBe(false);
});

test('with the actor out of reach it refuses on its own as long as the circuit would be open, and lets calls pass again', async () => {
  const actor = new CircuitActor();
  const thread = await actor.mirror(THREE);
  call(thread, 'failure', 'failure', 'failure');
  await thread.lose();
  expect(thread.mirror.here.lostReports).toBe(1);
  expect(thread.passes).toBe(false);
  await actor.clock.advance(999);
  expect(thread.passes).toBe(false);
  await actor.clock.advance(1);
  expect(thread.passes).toBe(true);
  call(thread, 'failure', 'failure', 'failure');
  expect(thread.passes).toBe(false);
  expect(reports(thread)).toHaveLength(2);
  // It never arrives, nor is it said to be lost: the same.
  await actor.clock.advance(1_000);
  expect(thread.passes).toBe(true);
});

test('half open: a crowd asks for no more tickets than there are, and gets no more', async () => {
  const actor = new CircuitActor();
  const threads = [await actor.mirror(THREE), await actor.mirror(THREE)];
  const [first] = threads as [MirrorThread];
  call(first, 'failure', 'failure', 'failure');
  await first.deliver();
  await actor.advance(1_000);
  for (const thread of threads) await thread.show();
  expect(first.mirror.state).toBe('half_open');
  expect(first.passes).toBe(false);
  const entering = threads.flatMap(({ mirror }) =>
    Array.from({ length: 50 }, () => Promise.resolve(mirror.enter(undefined))),
  );
  const settled = Promise.allSettled(entering);
  await actor.clock.settle();
  for (const thread of threads) expect(thread.waiting).toHaveLength(3);
  for (const thread of threads) await thread.deliverAll();
  const passes = (await settled).flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  expect(passes.map(({ ticket }) => ticket)).toEqual([1, 2, 3]);
  for (const thread of threads) await thread.show();
  expect(await codeOf(Promise.resolve(threads[1]?.mirror.enter(undefined)))).toBe('CIRCUIT_OPEN');
  for (const pass of passes) first.mirror.record(pass, 'success');
  await first.deliverAll();
  expect(actor.view.value).toBe('closed');
});

test('a ticket that nobody waits for any more goes back; one that cannot be had is a refusal', async () => {
  const actor = new CircuitActor();
  const thread = await actor.mirror(THREE);
  call(thread, 'failure', 'failure', 'failure');
  await thread.deliver();
  await actor.advance(1_000);
  await thread.show();
  const abort = new AbortController();
  const given = Promise.resolve(thread.mirror.enter(abort.signal)).catch((error: Error) => error.message);
  abort.abort(new Error('too late'));
  await thread.deliver();
  expect(await given).toBe('too late');
  await thread.deliverAll();
  expect(actor.view.context.probing).toEqual({ out: [], succeeded: 0, failed: 0 });
  const lost = codeOf(Promise.resolve(thread.mirror.enter(undefined)));
  await thread.lose();
  expect(await lost).toBe('CIRCUIT_OPEN');
});

test('two mirrors, whatever is late: in the end they show what the actor is, and it has counted each outcome once', async () => {
  const step = fc.record({
    thread: fc.nat({ max: 1 }),
    what: fc.constantFrom(
      'success',
      'failure',
      'failure',
      'deliver',
      'deliver late',
      'show',
      'wait',
    ) as fc.Arbitrary<string>,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<CircuitBreakerOptions>(THREE, LONG, { ...LONG, openMs: 50, halfOpen: { probes: 1 } }),
      fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }),
      async (options, steps) => {
        const actor = new CircuitActor();
        const threads = [await actor.mirror(options), await actor.mirror(options)];
        let recorded = 0;
        // Whoever had no answer for as long as the circuit would have been open begins anew: what it had not told is forgotten.
        let hasForgotten = false;
        for (const { thread: at, what } of steps) {
          const thread = threads[at] as MirrorThread;
          const wasOpen = thread.mirror.state === 'open';
          if (what === 'deliver') await thread.deliver();
          else if (what === 'deliver late') await thread.deliver(true);
          else if (what === 'show') await thread.show();
          else if (what === 'wait') await actor.advance(60);
          else if (thread.passes) {
            recorded += 1;
            hasForgotten ||= wasOpen;
            call(thread, what as CallOutcome);
          }
        }
        for (let round = 0; round < 3; round++) {
          for (const thread of threads) {
            const flushed = thread.mirror.flush();
            while (thread.waiting.length > 0 || thread.mirror.here.unreported > 0) {
              await thread.deliver();
              await thread.show();
            }
            await thread.show();
            await flushed;
          }
        }
        for (const { mirror } of threads) {
          expect(mirror.state).toBe(actor.view.value);
          expect(mirror.context).toEqual(actor.view.context);
        }
        const told = threads.flatMap(reports).flatMap(({ runs }) => runs.map(([, calls]) => calls));
        const sum = told.reduce((total, calls) => total + calls, 0);
        expect(sum).toBeLessThanOrEqual(recorded);
        const all = threads.flatMap(reports).every(({ generation }) => generation === 1);
        const isWhole = all && actor.view.context.generation === 1 && !hasForgotten;
        if (isWhole && options !== THREE) expect(sum).toBe(recorded);
      },
    ),
    { numRuns: 60 },
  );
});
