/** Circuit breakers for tests, and an actor whose effects call a dependency through one of them. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import {
  type ActorDefinition,
  CircuitBreaker,
  type CircuitBreakerDefinition,
  defineActor,
  defineCircuitBreaker,
  effect,
  type EffectArgument,
} from '../../../actors/index.ts';
import { assign, setup } from 'xstate';
import type { EffectContext } from '../../../runtime/index.ts';
import type { ReplyTo } from '../../../runtime/kernel/message.ts';

/** Opens with the third failure in a row, for ten minutes; two probes. */
export const steady = defineCircuitBreaker(import.meta.url, 'steady', {
  policy: { kind: 'consecutive', failures: 3 },
  openMs: 600_000,
  halfOpen: { probes: 2 },
  reportDelayMs: 5,
});

/** Half open nearly at once; three probes, which may take their time. */
export const hasty = defineCircuitBreaker(import.meta.url, 'hasty', {
  policy: { kind: 'consecutive', failures: 1 },
  openMs: 50,
  openFactor: 1,
  halfOpen: { probes: 3, timeoutMs: 60_000 },
  reportDelayMs: 5,
});

/** Half of at least ten calls. */
export const shared = defineCircuitBreaker(import.meta.url, 'shared', {
  policy: { kind: 'count_window', size: 20, minimumCalls: 10, failureRate: 0.5 },
  openMs: 600_000,
  reportDelayMs: 5,
});

const BREAKERS: Readonly<Record<string, CircuitBreakerDefinition>> = { steady, hasty, shared };

export interface Calls {
  readonly type: 'CALL';
  readonly breaker: string;
  /** One a call, all at once. */
  readonly outcomes: readonly ('well' | 'badly')[];
  /** See `gated`. */
  readonly gate?: string;
}

/** Of each call: `ok`, `failed`, or the code of the refusal. */
export interface CallReport {
  readonly results: readonly string[];
  readonly state: string;
}

let marks = 0;
const mark = (gate: string | undefined, what: string): void => {
  marks += 1;
  if (gate !== undefined) writeFileSync(join(gate, `${what}-${process.pid}-${threadId}-${marks}`), '');
};

/**
 * One call through a breaker. With a gate, a folder: it leaves a file `begun-…` when the dependency is called, and ends when there is a
 * file `open`; a refused one leaves `refused-…`.
 */
export async function gated(breaker: CircuitBreaker, outcome: 'well' | 'badly', gate?: string): Promise<string> {
  try {
    return await breaker.execute(async () => {
      mark(gate, 'begun');
      while (gate !== undefined && !existsSync(join(gate, 'open'))) await pause(5);
      if (outcome === 'badly') throw new Error('the dependency is ill');
      return 'ok';
    });
  } catch (error) {
    const code = (error as { code?: string }).code ?? 'failed';
    if (code === 'CIRCUIT_OPEN') mark(gate, 'refused');
    return code;
  }
}

async function call({ input, actors }: EffectContext): Promise<CallReport> {
  const { breaker: name, outcomes, gate } = input as Calls;
  const breaker = await CircuitBreaker.of(actors, BREAKERS[name] as CircuitBreakerDefinition);
  const results = await Promise.all(outcomes.map((outcome) => gated(breaker, outcome, gate)));
  await breaker.flush();
  return { results, state: breaker.state };
}

interface CallerState {
  readonly waiting: Readonly<Record<string, ReplyTo | undefined>>;
}

/** Answers with a `CallReport`. */
export const breakerUser: ActorDefinition<Calls> = defineActor(import.meta.url, 'breaker-user', {
  reducer: {
    init: (): CallerState => ({ waiting: {} }),
    receive(state: CallerState, calls: Calls, turn): CallerState {
      const id = `c${turn.sequence}`;
      turn.startEffect({ id, source: 'call', input: calls });
      return { waiting: { ...state.waiting, [id]: turn.takeReplyTo() } };
    },
    signal(state: CallerState, signal, turn): CallerState {
      if (signal.kind !== 'effect.done' && signal.kind !== 'effect.failed') return state;
      const { [signal.id]: handle, ...waiting } = state.waiting;
      if (handle !== undefined) {
        if (signal.kind === 'effect.done') turn.replyTo(handle, signal.output);
        else turn.failTo(handle, signal.error);
      }
      return { waiting };
    },
    effects: { call: { kind: 'call', run: call } },
  },
});

/** A machine that pays through a breaker: `paid`, or `refused` while the circuit is open. */
export const payer = defineActor(import.meta.url, 'payer', {
  machine: setup({
    types: { context: {} as { readonly code: string }, input: {} as { readonly isWell: boolean } },
    actors: {
      pay: effect(async ({ input, actors }: EffectArgument<boolean>) => {
        const breaker = await CircuitBreaker.of(actors, steady);
        return gated(breaker, input ? 'well' : 'badly');
      }),
    },
  }).createMachine({
    context: { code: '' },
    initial: 'paying',
    states: {
      paying: {
        invoke: {
          src: 'pay',
          input: ({ event }) => (event as unknown as { readonly input: { readonly isWell: boolean } }).input.isWell,
          onDone: { target: 'over', actions: assign({ code: ({ event }) => event.output }) },
        },
      },
      over: { tags: 'over' },
    },
  }),
});
