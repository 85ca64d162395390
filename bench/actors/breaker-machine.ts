/**
 * A circuit breaker as an XState machine: three states, a guard, assigned counters.
 *
 * Owns: the machine that we host and that the baseline runs with XState's own `createActor`.
 */
import { assign, setup } from 'xstate';
import { reply } from '../../actors/index.ts';
import type { BreakerEvent } from './messages.ts';

const TRIPS_AFTER = 5;

interface BreakerContext {
  readonly failures: number;
  readonly openings: number;
}

type Event = BreakerEvent | { readonly type: 'REPORT' };

export const breakerMachine = setup({
  types: { context: {} as BreakerContext, events: {} as Event },
  actions: {
    count: assign({ failures: ({ context }) => context.failures + 1 }),
    reset: assign({ failures: 0 }),
    opened: assign({ openings: ({ context }) => context.openings + 1 }),
  },
  guards: { tooMany: ({ context }) => context.failures >= TRIPS_AFTER },
}).createMachine({
  id: 'breaker',
  initial: 'closed',
  context: { failures: 0, openings: 0 },
  on: { REPORT: { actions: reply(({ context }) => context.openings) } },
  states: {
    closed: {
      on: { ok: { actions: 'reset' }, fail: [{ guard: 'tooMany', target: 'open' }, { actions: 'count' }] },
    },
    open: { entry: 'opened', on: { probe: 'half' } },
    half: { on: { ok: { target: 'closed', actions: 'reset' }, fail: 'open' } },
  },
});
