/** Actors that are asked for far more than they can do, and actors that ask it of them. */
import { defineActor } from '../../../runtime/index.ts';

/** `lane`: whoever counts the messages, with numbers that grow. `spin`: how hard the work is. */
export interface Work {
  readonly type: 'WORK';
  readonly lane: string;
  readonly n: number;
  readonly spin: number;
  readonly poison?: true;
  readonly ballast?: string;
}

export type SinkMessage = Work | { readonly type: 'COUNTS' };

export interface Counts {
  readonly handled: Readonly<Record<string, number>>;
  readonly last: Readonly<Record<string, number>>;
  /** Messages whose number was not above the last one of their lane: doubled, or overtaken. */
  readonly disorder: number;
}

const spinning = (rounds: number): number => {
  let value = 1;
  for (let i = 0; i < rounds; i++) value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) + i;
  return value;
};

const sinkReducer = {
  init: (): Counts => ({ handled: {}, last: {}, disorder: 0 }),
  receive(state: Counts, message: SinkMessage, turn: { reply(value: unknown): void }): Counts {
    if (message.type === 'COUNTS') {
      turn.reply(state);
      return state;
    }
    const { lane, n, spin, poison } = message;
    if (poison === true) throw new Error('poison');
    const handled = (state.handled[lane] ?? 0) + 1;
    turn.reply(spinning(spin));
    return {
      handled: { ...state.handled, [lane]: handled },
      last: { ...state.last, [lane]: n },
      disorder: state.disorder + (n <= (state.last[lane] ?? 0) ? 1 : 0),
    };
  },
};

const SINK = { failure: { maxAttempts: 1 }, reducer: sinkReducer } as const;

export const sink = defineActor(import.meta.url, 'flooded-sink', { ...SINK, mailboxLimit: 256 });
export const sinkInMemory = defineActor(import.meta.url, 'flooded-sink-in-memory', {
  ...SINK,
  mailboxLimit: 256,
  durability: 'none',
});
/** No limit: what a mailbox would be without back-pressure. */
export const bottomless = defineActor(import.meta.url, 'flooded-bottomless', {
  ...SINK,
  mailboxLimit: 1e9,
  durability: 'none',
});

export type PumpMessage = { readonly type: 'PUMP' } | { readonly type: 'STOP' } | { readonly type: 'SENT' };

interface PumpState {
  readonly to: string;
  readonly lane: string;
  readonly spin: number;
  readonly ballast: string;
  readonly sent: number;
  readonly running: boolean;
}

/** Messages that a pump sends in one turn. */
const PUMPED = 20;

const pumpReducer = {
  init: (input: Omit<PumpState, 'sent' | 'running'>): PumpState => ({
    ...input,
    sent: 0,
    running: true,
  }),
  receive(
    state: PumpState,
    message: PumpMessage,
    turn: { readonly self: string; send(to: string, message: unknown): void; reply(value: unknown): void },
  ): PumpState {
    if (message.type === 'SENT') {
      turn.reply(state.sent);
      return state;
    }
    if (message.type === 'STOP') return { ...state, running: false };
    if (!state.running) return state;
    const { to, lane, spin, ballast } = state;
    for (let i = 1; i <= PUMPED; i++)
      turn.send(to, { type: 'WORK', lane, n: state.sent + i, spin, ballast } satisfies Work);
    turn.send(turn.self, { type: 'PUMP' });
    return { ...state, sent: state.sent + PUMPED };
  },
};

export const pump = defineActor(import.meta.url, 'flooded-pump', { reducer: pumpReducer });
export const pumpInMemory = defineActor(import.meta.url, 'flooded-pump-in-memory', {
  reducer: pumpReducer,
  durability: 'none',
});
