/**
 * The schedule: how far the file is filed.
 *
 * Owns: that number, over restarts. It moves when runs are on disk; those of a batch that was filed and not counted are started again
 * under their ids, which starts nothing twice.
 */
import { assign, setup } from 'xstate';
import { defineActor } from '../../actors/index.ts';

interface ScheduleContext {
  /** How many flights there will be, and of which file. */
  readonly total: number;
  readonly file: string;
  readonly filed: number;
}

export interface ScheduleEvent {
  readonly type: 'FILED';
  /** All before this one. */
  readonly filed: number;
}

const scheduleMachine = setup({
  types: {
    context: {} as ScheduleContext,
    events: {} as ScheduleEvent,
    input: {} as { readonly total: number; readonly file: string },
  },
  guards: { isAll: ({ context }) => context.filed === context.total },
  actions: { count: assign({ filed: ({ event }) => event.filed }) },
}).createMachine({
  id: 'schedule',
  context: ({ input }) => ({ total: input.total, file: input.file, filed: 0 }),
  initial: 'filing',
  states: {
    filing: {
      on: { FILED: { actions: 'count' } },
      always: { guard: 'isAll', target: 'filed' },
    },
    filed: {},
  },
});

export const schedule = defineActor(import.meta.url, 'schedule', { machine: scheduleMachine });
