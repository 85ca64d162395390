/** The chart beside a reference, over random settings, outcomes and times, saved and loaded between any two turns. */
import fc from 'fast-check';
import { createActor, SimulatedClock } from 'xstate';
import { describe, expect, test } from 'vitest';
import type { BreakerSettings } from '../../../actors/circuit-breaker/breaker-settings.ts';
import {
  type CallOutcome,
  countCalls,
  emptyWindow,
  type Run,
  tallyOf,
} from '../../../actors/circuit-breaker/call-window.ts';
import {
  type CircuitContext,
  type CircuitEvent,
  circuitBreakerMachine,
  type ProbeAnswer,
} from '../../../actors/circuit-breaker/circuit-breaker-machine.ts';
import { machineBehavior } from '../../../actors/machine/machine-behavior.ts';
import { ReferenceCircuit } from '../../support/reference-circuit.ts';
import { carried } from '../../support/side-by-side.ts';
import { TurnHarness } from '../../support/turn-harness.ts';

const RUNS = 200;
const START_MS = 1_800_000_000_000;

const outcome = fc.constantFrom<CallOutcome>('success', 'success', 'failure', 'slow', 'slow_failure');
const rate = fc.constantFrom(0.1, 0.25, 1 / 3, 0.5, 0.9, 1);
const policy = fc.oneof(
  fc.record({ kind: fc.constant('consecutive' as const), failures: fc.integer({ min: 1, max: 5 }) }),
  fc
    .record({ size: fc.integer({ min: 1, max: 12 }), minimum: fc.integer({ min: 1, max: 12 }), failureRate: rate })
    .map(({ size, minimum, failureRate }) => ({
      kind: 'count_window' as const,
      size,
      minimumCalls: Math.min(size, minimum),
      failureRate,
    })),
  fc.record({
    kind: fc.constant('time_window' as const),
    durationMs: fc.constantFrom(100, 333, 1_000),
    minimumCalls: fc.integer({ min: 1, max: 10 }),
    failureRate: rate,
  }),
);
const settingsOf: fc.Arbitrary<BreakerSettings> = fc
  .record({
    policy,
    slowRate: fc.option(rate, { nil: null }),
    openMs: fc.integer({ min: 1, max: 500 }),
    openFactor: fc.constantFrom(1, 2, 3),
    openMsMore: fc.integer({ min: 0, max: 2_000 }),
    probes: fc.integer({ min: 1, max: 4 }),
    tolerated: fc.nat({ max: 3 }),
    timeoutMs: fc.integer({ min: 1, max: 1_000 }),
  })
  .map(({ policy: chosen, slowRate, openMs, openFactor, openMsMore, probes, tolerated, timeoutMs }) => ({
    policy: chosen,
    slowCall: slowRate === null ? null : { durationMs: 100, rate: slowRate },
    openMs,
    openFactor,
    openMsLimit: openMs + openMsMore,
    halfOpen: { probes, toleratedFailures: Math.min(tolerated, probes - 1), timeoutMs },
  }));

type Move =
  | { readonly kind: 'report'; readonly late: boolean; readonly outcomes: readonly CallOutcome[] }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'probe' }
  | { readonly kind: 'probed'; readonly which: number; readonly outcome: CallOutcome | 'unused' }
  | { readonly kind: 'isolate' | 'reset' };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('report' as const),
      late: fc.constantFrom(false, false, false, true),
      outcomes: fc.array(outcome, { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 900 })),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('probe' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('probed' as const),
      which: fc.nat({ max: 3 }),
      outcome: fc.oneof(outcome, fc.constantFrom('success' as const, 'unused' as const)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('isolate' as const, 'reset' as const, 'reset' as const) }),
  },
);

/** Runs of equal outcomes. */
const runsOf = (outcomes: readonly CallOutcome[]): Run[] => {
  const runs: [CallOutcome, number][] = [];
  for (const one of outcomes) {
    const last = runs.at(-1);
    if (last?.[0] === one) last[1] += 1;
    else runs.push([one, 1]);
  }
  return runs;
};

class Sides {
  readonly harness: TurnHarness;
  readonly key: string;
  readonly reference: ReferenceCircuit;
  readonly #tickets: number[] = [];

  constructor(settings: BreakerSettings, carry: boolean) {
    this.harness = new TurnHarness(carry ? { carry: carried } : {});
    this.harness.nowMs = START_MS;
    this.key = this.harness.spawn(machineBehavior(circuitBreakerMachine) as never);
    this.#tell({ type: 'CONFIGURE', settings });
    this.reference = new ReferenceCircuit(settings, START_MS);
  }

  do(step: Move): void {
    const { harness, reference } = this;
    switch (step.kind) {
      case 'report': {
        const generation = reference.generation - (step.late ? 1 : 0);
        this.#tell({ type: 'REPORT', generation, runs: runsOf(step.outcomes) });
        reference.report(generation, step.outcomes);
        return;
      }
      case 'wait':
        harness.advance(step.ms);
        reference.advance(harness.nowMs);
        return;
      case 'probe': {
        const call = harness.ask(this.key, { type: 'PROBE' } satisfies CircuitEvent);
        const answer = harness.replies.find((one) => one.call === call)?.value as ProbeAnswer;
        expect(answer.granted ? answer.ticket : undefined).toBe(reference.probe());
        if (answer.granted) this.#tickets.push(answer.ticket);
        return;
      }
      case 'probed': {
        // One of those given out lately, also one that is long back or was never given.
        const ticket = this.#tickets.at(-1 - step.which) ?? 999;
        this.#tell({ type: 'PROBED', ticket, outcome: step.outcome });
        reference.probed(ticket, step.outcome);
        return;
      }
      case 'isolate':
        this.#tell({ type: 'ISOLATE', reason: 'by hand' });
        reference.isolate();
        return;
      case 'reset':
        this.#tell({ type: 'RESET' });
        reference.reset();
    }
  }

  ours(): unknown {
    const { value, context } = this.harness.view<{ value: string; context: CircuitContext }>(this.key);
    const { generation, openings, openUntilMs, probing, window, settings, change } = context;
    expect(change).toMatchObject({ to: value, generation });
    return {
      state: value,
      generation,
      openings,
      openUntilMs,
      tickets: probing.out,
      succeeded: probing.succeeded,
      failed: probing.failed,
      tally:
        window === null || settings === null
          ? { calls: 0, failures: 0, slow: 0 }
          : tallyOf(window, settings.policy, this.harness.nowMs),
    };
  }

  theirs(): unknown {
    const { state, generation, openings, openUntilMs, tickets, succeeded, failed } = this.reference;
    const numbers = tickets.map(({ ticket }) => ticket);
    return {
      state,
      generation,
      openings,
      openUntilMs,
      tickets: numbers,
      succeeded,
      failed,
      tally: this.reference.tally(),
    };
  }

  #tell(event: CircuitEvent): void {
    this.harness.tell(this.key, event);
  }
}

describe.each([
  ['living on', false],
  ['saved and loaded between any two turns', true],
])('%s', (_how, carry) => {
  test('the chart is in the state that the reference is in, with the same calls, tickets and deadlines', () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(settingsOf, fc.array(move, { minLength: 10, maxLength: 80, size: 'max' }), (settings, moves) => {
        const sides = new Sides(settings, carry);
        for (const [at, step] of moves.entries()) {
          const before = sides.reference.state;
          sides.do(step);
          const where = `move ${at}: ${JSON.stringify(step)}`;
          expect({ where, ...(sides.ours() as object) }).toEqual({ where, ...(sides.theirs() as object) });
          const way = `${before} ${sides.reference.state}`;
          seen.set(way, (seen.get(way) ?? 0) + 1);
          // No timer is left over from a state that is past.
          const timers = sides.harness.timers(sides.key).length;
          expect(timers).toBe(sides.reference.state === 'open' ? 1 : sides.reference.tickets.length);
        }
      }),
      { numRuns: RUNS },
    );
    // Random moves must have been everywhere, or this proves little.
    for (const step of ['closed open', 'open half_open', 'half_open open', 'half_open closed', 'half_open isolated']) {
      expect(seen.get(step), step).toBeGreaterThan(0);
    }
  });
});

test('calls counted in runs, or one by one, give the same window, and the same trip at the same call', () => {
  fc.assert(
    fc.property(settingsOf, fc.array(outcome, { maxLength: 60 }), (settings, outcomes) => {
      const together = countCalls(emptyWindow(settings.policy), runsOf(outcomes), settings, START_MS);
      let window = emptyWindow(settings.policy);
      let trip: unknown;
      for (const one of outcomes) {
        const counted = countCalls(window, [[one, 1]], settings, START_MS);
        window = counted.window;
        trip = counted.trip;
        if (trip !== undefined) break;
      }
      expect(together).toEqual({ window, trip });
    }),
    { numRuns: RUNS },
  );
});

test('a clock that was set back does not keep calls of the future', () => {
  const settings: BreakerSettings = {
    policy: { kind: 'time_window', durationMs: 1_000, minimumCalls: 2, failureRate: 0.5 },
    slowCall: null,
    openMs: 1,
    openFactor: 1,
    openMsLimit: 1,
    halfOpen: { probes: 1, toleratedFailures: 0, timeoutMs: 1 },
  };
  const ahead = countCalls(emptyWindow(settings.policy), [['failure', 1]], settings, START_MS + 60_000);
  expect(countCalls(ahead.window, [['failure', 1]], settings, START_MS).trip).toBeUndefined();
  expect(countCalls(ahead.window, [['failure', 1]], settings, START_MS + 60_000).trip).toMatchObject({ calls: 2 });
});

test("the chart runs under XState's own createActor too, for whoever wants to look at it", () => {
  const clock = new SimulatedClock();
  const actor = createActor(circuitBreakerMachine, { clock }).start();
  const settings: BreakerSettings = {
    policy: { kind: 'consecutive', failures: 2 },
    slowCall: null,
    openMs: 1_000,
    openFactor: 1,
    openMsLimit: 1_000,
    halfOpen: { probes: 1, toleratedFailures: 0, timeoutMs: 1_000 },
  };
  const emitted: string[] = [];
  actor.on('state_changed', ({ from, to, reason }) => void emitted.push(`${from} ${to} ${reason}`));
  actor.send({ type: 'CONFIGURE', settings });
  actor.send({ type: 'REPORT', generation: 1, runs: [['failure', 2]] });
  expect(actor.getSnapshot().value).toBe('open');
  expect(actor.getSnapshot().hasTag('refusing')).toBe(true);
  clock.increment(1_000);
  expect(actor.getSnapshot().value).toBe('half_open');
  actor.send({ type: 'PROBE' });
  actor.send({ type: 'PROBED', ticket: 1, outcome: 'success' });
  expect(actor.getSnapshot().value).toBe('closed');
  expect(emitted).toEqual([
    'closed open 2 failures in a row',
    'open half_open the time was up',
    'half_open closed probes: 1 succeeded, 0 failed',
  ]);
});
