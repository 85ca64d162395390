/** An actor whose effects talk to other actors, and a journaled counter for them to talk to. */
import { type ActorDefinition, defineActor } from '../../../actors/index.ts';
import type { EffectContext } from '../../../runtime/index.ts';
import type { ReplyTo } from '../../../runtime/kernel/message.ts';

export type CountMessage = { type: 'ADD'; by: number } | { type: 'KEEP' } | { type: 'GET' };

/** Adds, answers with the sum and emits it. To `KEEP` it never answers. */
export const counted = defineActor(import.meta.url, 'counted', {
  reducer: {
    init: (input: { sum?: number } | undefined) => ({ sum: input?.sum ?? 0 }),
    receive(state, message: CountMessage, turn) {
      if (message.type === 'KEEP') {
        turn.takeReplyTo();
        return state;
      }
      const sum = state.sum + (message.type === 'ADD' ? message.by : 0);
      turn.reply(sum);
      if (message.type === 'ADD') turn.emit({ sum });
      return { sum };
    },
  },
});

export type Errand =
  | { type: 'ASK'; key: string; message: unknown; timeoutMs?: number }
  | { type: 'TELL'; key: string; message: unknown }
  | { type: 'SPAWN'; id: string; sum: number; ifExists?: 'attach' | 'refuse' }
  /** Looks on until the sum is reached; answers with the sums and the events that were seen. */
  | { type: 'FOLLOW'; key: string; until: number }
  | { type: 'SNAPSHOT'; key: string }
  | { type: 'STOP'; key: string };

async function run({ input, actors }: EffectContext): Promise<unknown> {
  const errand = input as Errand;
  switch (errand.type) {
    case 'ASK': {
      const { key, message, timeoutMs } = errand;
      return actors.refOf(key).ask(message, timeoutMs === undefined ? {} : { timeoutMs });
    }
    case 'TELL':
      return actors.refOf(errand.key).tell(errand.message);
    case 'SPAWN': {
      const { id, sum, ifExists } = errand;
      const ref = await actors.spawn(counted, { id, input: { sum }, ...(ifExists === undefined ? {} : { ifExists }) });
      return ref.key;
    }
    case 'SNAPSHOT':
      return actors.refOf(errand.key).snapshot();
    case 'STOP':
      return actors.refOf(errand.key).stop();
    case 'FOLLOW': {
      const stop = new AbortController();
      const ref = actors.refOf(errand.key);
      const events: unknown[] = [];
      const listening = (async () => {
        for await (const event of ref.events({ signal: stop.signal })) events.push(event);
      })();
      const sums: unknown[] = [];
      for await (const { status, view } of ref.changes()) {
        const sum = (view as { sum: number } | undefined)?.sum;
        sums.push(sum ?? status);
        if (sum !== undefined && sum >= errand.until) break;
      }
      stop.abort();
      await listening;
      return { sums, events };
    }
  }
}

interface EnvoyState {
  readonly waiting: Readonly<Record<string, ReplyTo | undefined>>;
}

/** Runs an errand as an effect and answers with what came of it. */
export const envoy: ActorDefinition<Errand> = defineActor(import.meta.url, 'envoy', {
  reducer: {
    init: (): EnvoyState => ({ waiting: {} }),
    receive(state: EnvoyState, errand: Errand, turn): EnvoyState {
      const id = `e${turn.sequence}`;
      turn.startEffect({ id, source: 'errand', input: errand });
      return { waiting: { ...state.waiting, [id]: turn.takeReplyTo() } };
    },
    signal(state: EnvoyState, signal, turn): EnvoyState {
      if (signal.kind !== 'effect.done' && signal.kind !== 'effect.failed') return state;
      const { [signal.id]: handle, ...waiting } = state.waiting;
      if (handle !== undefined) {
        if (signal.kind === 'effect.done') turn.replyTo(handle, signal.output);
        else turn.failTo(handle, signal.error);
      }
      return { waiting };
    },
    effects: { errand: { kind: 'call', run } },
  },
});
