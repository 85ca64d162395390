/** An order as a statechart: a payment as an effect, a parcel as a child machine with timers, a bell as a live source. */
import { type AnyActorRef, assign, fromCallback, sendParent, sendTo, setup } from 'xstate';
import { defineActor, effect, reply } from '../../../actors/index.ts';
import { typed } from '../typed.ts';

/** What payments were asked for, by this thread: key and try. `hold`: they do not end. */
export const payments = { asked: [] as { readonly key: string; readonly attempt: number }[], hold: false };

const parcel = setup({
  types: typed<{
    context: { legs: number };
    events: { type: 'CALL' | 'LAST'; from: AnyActorRef };
    input: { legs: number };
  }>(),
}).createMachine({
  id: 'parcel',
  context: ({ input }) => ({ legs: input.legs }),
  initial: 'moving',
  output: { signedBy: 'Ada' },
  states: {
    moving: {
      always: { guard: ({ context }) => context.legs === 0, target: 'there' },
      after: {
        40: {
          target: 'moving',
          reenter: true,
          actions: [assign({ legs: ({ context }) => context.legs - 1 }), sendParent({ type: 'MOVED' })],
        },
      },
      on: {
        CALL: {
          actions: sendTo(
            ({ event }) => event.from,
            ({ context }) => ({ type: 'HERE', legs: context.legs }),
          ),
        },
      },
    },
    there: { type: 'final' },
  },
  on: { LAST: { actions: sendTo(({ event }) => event.from, { type: 'BACK' }) } },
});

const orderMachine = setup({
  types: typed<{
    context: { seen: string[]; receipt: string; signedBy: string; at: number };
    events:
      | { type: 'PLACE' }
      | { type: 'MOVED' }
      | { type: 'HERE' }
      | { type: 'BACK' }
      | { type: 'ABORT' }
      | { type: 'GET' }
      | { type: 'RING' }
      | { type: 'RANG' }
      | { type: 'FAIL' };
  }>(),
  actors: {
    parcel,
    pay: effect<string, { amount: number }>(
      async ({ input, idempotencyKey, attempt, signal }) => {
        payments.asked.push({ key: idempotencyKey, attempt });
        if (payments.hold) {
          await new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')));
          });
        }
        if (attempt === 1) throw new Error('busy');
        return `paid ${input.amount}`;
      },
      { retry: { maxAttempts: 3, initialMs: 1 } },
    ),
    bell: fromCallback<{ type: 'RING' }>(({ sendBack, receive }) => receive(() => sendBack({ type: 'RANG' }))),
  },
  actions: {
    see: assign({ seen: ({ context, event }) => [...context.seen, event.type] }),
  },
}).createMachine({
  id: 'order',
  context: { seen: [], receipt: '', signedBy: '', at: 0 },
  initial: 'new',
  invoke: { id: 'bell', src: 'bell' },
  on: {
    GET: { actions: reply(({ context, self }) => ({ ...context, self })) },
    RING: { actions: sendTo('bell', { type: 'RING' }) },
    RANG: { actions: 'see' },
    MOVED: { actions: 'see' },
    HERE: { actions: 'see' },
    BACK: { actions: 'see' },
    FAIL: {
      actions: () => {
        throw new Error('asked to');
      },
    },
  },
  states: {
    new: { on: { PLACE: { target: 'paying', actions: assign({ at: () => Date.now() }) } } },
    paying: {
      invoke: {
        id: 'pay',
        src: 'pay',
        input: { amount: 12 },
        onDone: { target: 'sent', actions: assign({ receipt: ({ event }) => event.output }) },
      },
    },
    sent: {
      entry: sendTo('parcel', ({ self }) => ({ type: 'CALL', from: self })),
      exit: sendTo('parcel', ({ self }) => ({ type: 'LAST', from: self })),
      on: { ABORT: 'new' },
      invoke: {
        id: 'parcel',
        src: 'parcel',
        input: { legs: 2 },
        onDone: {
          target: 'delivered',
          actions: assign({ signedBy: ({ event }) => (event.output as { signedBy: string }).signedBy }),
        },
      },
    },
    delivered: { tags: 'settled' },
  },
});

export const order = defineActor(import.meta.url, 'order', { machine: orderMachine, failure: { maxAttempts: 1 } });
