/** Machines for tests of the whole: effects of each class, timers, children. What was done outside stands in a file. */
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { assign, setup } from 'xstate';
import { defineActor } from '../../../runtime/index.ts';
import { effect } from '../../../actors/index.ts';
import { typed } from '../typed.ts';

interface PaymentContext {
  readonly folder: string;
  readonly result: string;
}

interface Work {
  readonly folder: string;
}

/** Writes its key, then waits until the file `go` is there. */
const pay = async ({
  input,
  idempotencyKey,
  signal,
}: {
  input: Work;
  idempotencyKey: string;
  signal: AbortSignal;
}): Promise<string> => {
  appendFileSync(`${input.folder}/paid`, `${idempotencyKey}\n`);
  while (!existsSync(`${input.folder}/go`)) await pause(5, undefined, { signal });
  return 'paid';
};

const paymentMachine = (effectClass: 'idempotent' | 'at_most_once' | 'query') =>
  setup({
    types: {
      context: typed<PaymentContext>(),
      input: typed<Work>(),
      events: typed<{ type: 'PAY' } | { type: 'CANCEL' }>(),
    },
    actors: { pay: effect<string, Work>(pay, { class: effectClass }) },
  }).createMachine({
    context: ({ input }) => ({ folder: input.folder, result: '' }),
    initial: 'open',
    states: {
      open: { on: { PAY: 'paying' } },
      paying: {
        on: { CANCEL: 'cancelled' },
        invoke: {
          src: 'pay',
          input: ({ context }) => ({ folder: context.folder }),
          onDone: { target: 'settled', actions: assign({ result: ({ event }) => event.output }) },
          onError: {
            target: 'unclear',
            actions: assign({ result: ({ event }) => (event.error as { code?: string }).code ?? 'error' }),
          },
        },
      },
      cancelled: {},
      settled: {},
      unclear: { on: { PAY: 'paying' } },
    },
  });

export const idempotentPayment = defineActor(import.meta.url, 'payment-idempotent', {
  machine: paymentMachine('idempotent'),
});
export const oncePayment = defineActor(import.meta.url, 'payment-once', { machine: paymentMachine('at_most_once') });
export const queryPayment = defineActor(import.meta.url, 'payment-query', { machine: paymentMachine('query') });

/** Waits `ms`, then is late. */
const reminderMachine = setup({
  types: {
    context: typed<{ readonly ms: number; readonly setAt: number; readonly firedAt: number }>(),
    input: typed<{ readonly ms: number }>(),
    events: typed<{ type: 'PING' } | { type: 'SNOOZE' }>(),
  },
  delays: { ms: ({ context }) => context.ms },
}).createMachine({
  context: ({ input }) => ({ ms: input.ms, setAt: Date.now(), firedAt: 0 }),
  initial: 'waiting',
  states: {
    waiting: {
      on: { SNOOZE: { target: 'waiting', reenter: true } },
      after: { ms: { target: 'late', actions: assign({ firedAt: () => Date.now() }) } },
    },
    late: {},
  },
});

export const reminder = defineActor(import.meta.url, 'reminder', { machine: reminderMachine });

const stepMachine = setup({
  types: { input: typed<{ readonly n: number }>(), context: typed<{ readonly n: number }>(), output: typed<number>() },
}).createMachine({
  context: ({ input }) => ({ n: input.n }),
  initial: 'working',
  states: { working: { after: { 1: 'done' } }, done: { type: 'final' } },
  output: ({ context }) => context.n * 2,
});

/** Invokes one child machine after the other. */
const chainMachine = setup({
  types: {
    context: typed<{ readonly n: number; readonly results: readonly number[] }>(),
    events: typed<{ type: 'START' }>(),
  },
  actors: { step: stepMachine },
}).createMachine({
  context: { n: 1, results: [] },
  initial: 'idle',
  states: {
    idle: { on: { START: 'first' } },
    first: {
      invoke: {
        src: 'step',
        input: ({ context }) => ({ n: context.n }),
        onDone: {
          target: 'second',
          actions: assign({
            n: ({ event }) => event.output,
            results: ({ context, event }) => [...context.results, event.output],
          }),
        },
      },
    },
    second: {
      invoke: {
        src: 'step',
        input: ({ context }) => ({ n: context.n }),
        onDone: {
          target: 'done',
          actions: assign({ results: ({ context, event }) => [...context.results, event.output] }),
        },
      },
    },
    done: { type: 'final' },
  },
});

export const chain = defineActor(import.meta.url, 'chain', { machine: chainMachine });
