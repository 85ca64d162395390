/** Circuit breakers for tests, and an actor whose effects call a dependency through one of them. */
import {
  type ActorDefinition,
  CircuitBreaker,
  type CircuitBreakerDefinition,
  defineActor,
  defineCircuitBreaker,
} from '../../../actors/index.ts';
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
  /** One a call, all at once; each call takes `ms`. */
  readonly outcomes: readonly ('well' | 'badly')[];
  readonly ms?: number;
}

/** Of each call: `ok`, `failed`, or the code of the refusal. `peak`: most calls under way at once, by the counters in shared memory. */
export interface CallReport {
  readonly results: readonly string[];
  readonly state: string;
}

async function call({ input, actors }: EffectContext): Promise<CallReport> {
  const { breaker: name, outcomes, ms = 0 } = input as Calls;
  const breaker = await CircuitBreaker.of(actors, BREAKERS[name] as CircuitBreakerDefinition);
  const one = async (outcome: string): Promise<string> => {
    try {
      return await breaker.execute(async () => {
        await new Promise((resolve) => setTimeout(resolve, ms));
        if (outcome === 'badly') throw new Error('the dependency is ill');
        return 'ok';
      });
    } catch (error) {
      return (error as { code?: string }).code ?? 'failed';
    }
  };
  const results = await Promise.all(outcomes.map(one));
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
