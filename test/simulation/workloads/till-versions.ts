/**
 * What the versions of the till have in common: the actors, made for a version. Each computes and asks for something else than the
 * others: no version can repeat what another did.
 */
import { assign, emit, setup } from 'xstate';
import { defineActor, effect } from '../../../actors/index.ts';
import type { Definition } from '../../../runtime/kernel/definition.ts';
import { simulatedOutside } from '../../../runtime/testing/simulated-outside.ts';

export interface TillState {
  readonly names: readonly string[];
  readonly amounts: readonly number[];
  /** Timers that have fired. */
  readonly rung: number;
  /** Each version values a sale by itself. */
  readonly worth: number;
  /** From version 2 on. */
  readonly largest?: number;
}

export interface TillMessage {
  readonly type: 'ADD';
  readonly name: string;
  readonly amount: number;
}

type Migrate = (saved: unknown, fromVersion: number) => unknown;

/** What a version knows of those before it; one that knows nothing cannot read what they stored, nor repeat what they did. */
export interface Known {
  readonly migrate: Migrate;
  readonly previous: readonly Definition[];
}

/** The till of a version. */
export function tillOf(module: string, version: number, known?: Known): Definition {
  const withLargest = (state: TillState): TillState =>
    version === 1 ? state : { ...state, largest: Math.max(0, ...state.amounts) };
  return defineActor(module, 'till', {
    reducer: {
      init: (): TillState => withLargest({ names: [], amounts: [], rung: 0, worth: version }),
      receive(state: TillState, message: TillMessage, turn): TillState {
        const { name, amount } = message;
        turn.setTimer({ id: name, delayMs: 150 + version, payload: `${name} of version ${version}` });
        turn.send(`parcel/${name}`, { type: 'SEND', by: version });
        turn.reply(state.names.length + version);
        const worth = state.worth * 2 + amount * version;
        return withLargest({
          ...state,
          names: [...state.names, name],
          amounts: [...state.amounts, amount],
          worth: worth % 1_000_003,
        });
      },
      signal: (state: TillState, signal): TillState =>
        signal.kind === 'timer' ? { ...state, rung: state.rung + 1, worth: state.worth + version } : state,
    },
    virtual: true,
    version,
    ...known,
    snapshotEveryTurns: 6,
    passivateAfterMs: 200,
  });
}

/** To `version`, through all between: which of them an actor has met on its way makes no difference. */
export const migrateTillTo =
  (version: number): Migrate =>
  (saved, fromVersion) => {
    let state = saved as TillState;
    for (let to = fromVersion + 1; to <= version; to++) state = { ...state, worth: state.worth * 3 + to };
    return { ...state, largest: Math.max(0, ...state.amounts) } satisfies TillState;
  };

interface ParcelContext {
  readonly log: readonly string[];
  /** From version 2 on. */
  readonly length?: number;
}

/** Waits, calls, waits, and is done. */
export function parcelOf(module: string, version: number, known?: Known): Definition {
  const logged = ({ log }: ParcelContext, what: string): ParcelContext => {
    const longer = [...log, `${what} ${version}`];
    return version === 1 ? { log: longer } : { log: longer, length: longer.length };
  };
  const machine = setup({
    types: { context: {} as ParcelContext, events: {} as { type: 'SEND' }, emitted: {} as { type: 'WAITS' } },
    actions: { tell: emit({ type: 'WAITS' }) },
    actors: {
      post: effect(async (argument) =>
        simulatedOutside().call('post', { ...argument, self: argument.self.key, attempt: 1 }),
      ),
    },
  }).createMachine({
    context: version === 1 ? { log: [] } : { log: [], length: 0 },
    initial: 'packed',
    states: {
      packed: { on: { SEND: 'waiting' } },
      waiting: {
        entry: [
          assign(({ context }) => logged(context, 'waits')),
          ...Array.from({ length: version }, () => 'tell' as const),
        ],
        after: { 250: 'posting' },
      },
      posting: {
        invoke: {
          src: 'post',
          onDone: { target: 'posted', actions: assign(({ context }) => logged(context, 'posted')) },
          onError: { target: 'waiting', actions: assign(({ context }) => logged(context, 'failed')) },
        },
      },
      posted: {},
    },
  });
  return defineActor(module, 'parcel', {
    machine,
    virtual: true,
    version,
    ...known,
    snapshotEveryTurns: 3,
    passivateAfterMs: 100,
  });
}

export const migrateParcel: Migrate = (saved) => {
  const snapshot = saved as { readonly context: ParcelContext };
  const { log } = snapshot.context;
  return { ...snapshot, context: { log, length: log.length } };
};
