/** A machine that asks and watches others: a traveller wants a seat, and hears when its train is no more. */
import { type AnyActorRef, assign, setup } from 'xstate';
import {
  ask,
  defineActor,
  reply,
  type ReplyEvent,
  type TerminatedEvent,
  unwatch,
  watch,
} from '../../../actors/index.ts';
import type { Turn } from '../../../runtime/kernel/behavior.ts';
import type { ReplyTo } from '../../../runtime/kernel/message.ts';
import { typed } from '../typed.ts';

type TrainMessage = { readonly type: 'SEAT' | 'LEAVE' | 'ANSWER' };

/** Answers `SEAT` at once, or when told to `ANSWER` if it was spawned slow. */
export const train = defineActor(import.meta.url, 'train', {
  reducer: {
    init: (input: { readonly slow?: boolean } | undefined) => ({
      slow: input?.slow === true,
      seats: 0,
      waiting: [] as ReplyTo[],
    }),
    receive(state, { type }: TrainMessage, turn: Turn) {
      if (type === 'LEAVE') turn.exit({ kind: 'normal' });
      if (type === 'ANSWER') {
        for (const handle of state.waiting) turn.replyTo(handle, state.seats);
        return { ...state, waiting: [] };
      }
      if (type !== 'SEAT') return state;
      const seats = state.seats + 1;
      if (!state.slow) turn.reply(seats);
      const handle = state.slow ? turn.takeReplyTo() : undefined;
      return { ...state, seats, waiting: handle === undefined ? state.waiting : [...state.waiting, handle] };
    },
  },
});

const machine = setup({
  types: typed<{
    context: { train: AnyActorRef; heard: string[] };
    input: { train: AnyActorRef; timeoutMs?: number };
    events:
      | { type: 'BOARD' }
      | { type: 'WATCH' }
      | { type: 'UNWATCH' }
      | { type: 'GET' }
      | ReplyEvent<'seat', number>
      | TerminatedEvent;
  }>(),
}).createMachine({
  context: ({ input }) => ({ train: input.train, heard: [] }),
  on: {
    BOARD: { actions: ask(({ context }) => context.train, { type: 'SEAT' }, { id: 'seat', timeoutMs: 400 }) },
    WATCH: { actions: watch(({ context }) => context.train) },
    UNWATCH: { actions: unwatch(({ context }) => context.train) },
    GET: { actions: reply(({ context }) => context.heard) },
    'reply.seat': {
      actions: assign({ heard: ({ context, event }) => [...context.heard, `seat ${event.value}`] }),
    },
    'ask.failed.seat': {
      actions: assign({ heard: ({ context, event }) => [...context.heard, `no seat: ${event.error.name}`] }),
    },
    terminated: {
      actions: assign({ heard: ({ context, event }) => [...context.heard, `${event.key}: ${event.reason.kind}`] }),
    },
  },
});

export const traveller = defineActor(import.meta.url, 'traveller', { machine });
