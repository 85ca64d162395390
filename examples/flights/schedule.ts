/**
 * The schedule: takes flight plans from outside and sends each to its flight.
 *
 * Owns: how many flights were filed. Taking a batch, moving the count and sending the plans are one turn, hence one transaction: after a
 * crash the count says exactly which flights have their plan, and a batch that comes again is recognised by where it begins.
 */
import { assign, enqueueActions, setup } from 'xstate';
import { defineActor } from '../../actors/index.ts';
import { refToFlight } from './flight.ts';
import type { Flight } from './flight-log.ts';

interface ScheduleContext {
  /** How many flights there will be, and of which file. */
  readonly total: number;
  readonly file: string;
  readonly filed: number;
}

export interface ScheduleEvent {
  readonly type: 'FILE';
  /** In the order of the file, without gaps. */
  readonly flights: readonly Flight[];
}

const scheduleMachine = setup({
  types: {
    context: {} as ScheduleContext,
    events: {} as ScheduleEvent,
    input: {} as { readonly total: number; readonly file: string },
  },
  guards: {
    isNext: ({ context, event }) => event.flights[0]?.number === context.filed,
    isFiled: ({ context }) => context.filed === context.total,
  },
  actions: {
    count: assign({ filed: ({ context, event }) => context.filed + event.flights.length }),
    sendPlans: enqueueActions(({ enqueue, event }) => {
      for (const flight of event.flights) enqueue.sendTo(refToFlight(flight.number), { type: 'PLAN', flight });
    }),
  },
}).createMachine({
  id: 'schedule',
  context: ({ input }) => ({ total: input.total, file: input.file, filed: 0 }),
  initial: 'filing',
  states: {
    filing: {
      on: { FILE: { guard: 'isNext', actions: ['count', 'sendPlans'] } },
      always: { guard: 'isFiled', target: 'filed' },
    },
    filed: {},
  },
});

export const schedule = defineActor(import.meta.url, 'schedule', { machine: scheduleMachine });
