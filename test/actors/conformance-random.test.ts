/** Random statecharts and random events, side by side with XState; and the checker itself, with faults planted. */
import fc from 'fast-check';
import { assign, cancel, createMachine, raise } from 'xstate';
import { expect, test } from 'vitest';
import { machineBehavior } from '../../actors/machine/machine-behavior.ts';
import type { MachineState } from '../../actors/machine/machine-state.ts';
import type { Behavior, Signal, Turn } from '../../runtime/kernel/behavior.ts';
import { EVENTS, randomMachine } from '../support/random-machine.ts';
import { firstDifference, SideBySide } from '../support/side-by-side.ts';

const RUNS = 400;

type Move = { readonly kind: 'event' | 'wait' | 'resolve' | 'reject'; readonly n: number };

const tape = fc.array(fc.nat({ max: 9_999 }), { minLength: 20, maxLength: 260 });
const moves = fc.array(
  fc.record<Move>({
    kind: fc.constantFrom('event', 'event', 'event', 'wait', 'resolve', 'reject'),
    n: fc.nat({ max: 99 }),
  }),
  { minLength: 3, maxLength: 25 },
);

/** Plays the moves; answers how many there were until the end, or where the sides first differ. */
function play(
  numbers: readonly number[],
  steps: readonly Move[],
  carry: boolean,
  kind: 'any' | 'knowable' | 'plain',
): { moves: number; features: string[] } {
  const sides = new SideBySide(randomMachine(numbers, kind), { carry, failures: 'keep' });
  const features = new Set<string>();
  const compare = (what: string): boolean => {
    // A chart may ask XState for the impossible (an event for a child that is not there): both must say so.
    if (sides.harness.failures.length > 0) {
      const failure = `ours failed at ${what}: ${String(sides.harness.failures[0])}`;
      expect([failure, sides.theirs().status]).toEqual([failure, 'error']);
      features.add('threw');
      return false;
    }
    expect({ what, ...sides.ours() }).toEqual({ what, ...sides.theirs() });
    return sides.isActive;
  };
  let played = 0;
  if (!sides.isActive && sides.harness.failures.length > 0) return { moves: 0, features: [] };
  for (const { kind, n } of compare('start') ? steps : []) {
    if (kind === 'event') sides.do({ type: EVENTS[n % EVENTS.length] as string });
    else if (kind === 'wait') sides.do({ advance: 5 * (1 + (n % 8)) });
    else {
      const pending = sides.harness.pending(sides.key).filter((id) => !id.includes(':'));
      const id = pending[n % Math.max(1, pending.length)];
      if (id === undefined) continue;
      features.add(kind);
      sides.do({ settle: id, result: kind === 'resolve' ? n : new Error(`no ${n}`) });
    }
    played += 1;
    if (!compare(`move ${played}: ${kind} ${n}`)) break;
  }
  for (const { key } of sides.harness.asked) if (key !== sides.key) features.add('kid');
  features.add(sides.theirs().status);
  return { moves: played, features: [...features] };
}

test.each([
  ['random charts', 'live', false, 'any'],
  ['random charts', 'saved and loaded between all turns', true, 'any'],
  ['random charts without history', 'live', false, 'knowable'],
  ['random charts without history', 'saved and loaded between all turns', true, 'knowable'],
  ['random charts without history and regions', 'live', false, 'plain'],
] as const)('%s agree with XState, %s', (_what, _how, carry, kind) => {
  let total = 0;
  const met = new Map<string, number>();
  fc.assert(
    fc.property(tape, moves, (numbers, steps) => {
      const { moves: played, features } = play(numbers, steps, carry, kind);
      total += played;
      for (const feature of features) met.set(feature, (met.get(feature) ?? 0) + 1);
    }),
    { numRuns: RUNS },
  );
  // The property would be worth nothing if most charts ended at once or had nothing in them.
  expect(total).toBeGreaterThan(RUNS * 3);
  for (const feature of ['active', 'done', 'kid', 'resolve', 'reject'])
    expect([feature, met.get(feature) ?? 0]).not.toEqual([feature, 0]);
});

// The checker itself: what it must not miss.

const chart = createMachine({
  id: 'c',
  context: { n: 0 },
  type: 'parallel',
  on: {
    LATER: { actions: raise({ type: 'HIT' }, { delay: 30, id: 'hit' }) },
    CANCEL: { actions: cancel('hit') },
    HIT: { actions: assign({ n: ({ context }) => context.n + 10 }) },
  },
  states: {
    x: { initial: 'a', states: { a: { on: { GO: 'b' }, after: { 50: 'b' } }, b: { tags: 'there', on: { GO: 'a' } } } },
    y: {
      initial: 'a',
      states: { a: { on: { GO: { target: 'b', actions: assign({ n: ({ context }) => context.n + 1 }) } } }, b: {} },
    },
  },
});
const steps = [
  { advance: 10 },
  { type: 'GO' },
  { type: 'GO' },
  { advance: 60 },
  { type: 'LATER' },
  { type: 'CANCEL' },
  { advance: 40 },
  { type: 'X' },
];

type Faulty = (real: Behavior<MachineState>) => Partial<Behavior<MachineState>>;

const faults: Record<string, Faulty> = {
  'a lost event': () => ({ receive: (state: MachineState) => state }),
  'an event handled twice': (real) => ({
    receive: (state, message, turn) => real.receive(real.receive(state, message, turn), message, turn),
  }),
  'a lost timer': (real) => ({
    signal: (state, signal, turn) => (signal.kind === 'timer' ? state : signalOf(real, state, signal, turn)),
  }),
  'a wrong context': (real) => ({
    receive: (state, message, turn) => {
      const next = real.receive(state, message, turn);
      return { ...next, snapshot: { ...next.snapshot, context: { n: 99 } } as MachineState['snapshot'] };
    },
  }),
  'lost tags': (real) => ({
    receive: (state, message, turn) => {
      const next = real.receive(state, message, turn);
      return { ...next, snapshot: { ...next.snapshot, tags: new Set() } as MachineState['snapshot'] };
    },
  }),
  'an event that was not emitted': (real) => ({
    receive: (state, message, turn) => {
      turn.emit({ type: 'extra' });
      return real.receive(state, message, turn);
    },
  }),
  'timers lost by saving': (real) => ({
    load: (saved, context) => ({ ...real.load(saved, context), timers: new Map() }),
  }),
};

function signalOf(real: Behavior<MachineState>, state: MachineState, signal: Signal, turn: Turn): MachineState {
  return real.signal?.(state, signal, turn) ?? state;
}

test.each(Object.entries(faults))('a planted fault is found: %s', (_what, faulty) => {
  const real = machineBehavior(chart);
  const behavior = {
    init: (input: unknown, turn: Turn) => real.init(input, turn),
    receive: (state: MachineState, message: unknown, turn: Turn) => real.receive(state, message, turn),
    signal: (state: MachineState, signal: Signal, turn: Turn) => signalOf(real, state, signal, turn),
    save: (state: MachineState) => real.save(state),
    load: (saved: unknown, context: Parameters<typeof real.load>[1]) => real.load(saved, context),
    view: (state: MachineState) => real.view(state),
    ...faulty(real),
  } as Behavior<never>;
  // Loading would mend some of them.
  const found = [true, false].map((carry) => firstDifference(chart, steps, { behavior, carry }));
  expect(found.some((difference) => difference !== undefined)).toBe(true);
});

test('without a fault nothing is found', () => {
  expect(firstDifference(chart, steps, { carry: true })).toBeUndefined();
});
