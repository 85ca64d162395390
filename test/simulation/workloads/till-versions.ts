/** What the versions of the till have in common: the actors, made for a version. Every newer one repeats what the older ones did. */
import { assign, setup } from 'xstate';
import { defineActor, effect } from '../../../actors/index.ts';
import type { Definition } from '../../../runtime/kernel/definition.ts';
import { simulatedOutside } from '../../../runtime/testing/simulated-outside.ts';

export interface TillState {
  readonly names: readonly string[];
  readonly amounts: readonly number[];
  /** Timers that have fired. */
  readonly rung: number;
  /** From version 2 on. */
  readonly largest?: number;
}

export interface TillMessage {
  readonly type: 'ADD';
  readonly name: string;
  readonly amount: number;
}

export type Migrate = (saved: unknown, fromVersion: number) => unknown;

/** The till of a version; a newer one that has no `migrate` cannot read what older ones stored. */
export function tillOf(module: string, version: number, migrate?: Migrate): Definition {
  const withLargest = (state: TillState): TillState =>
    version === 1 ? state : { ...state, largest: Math.max(0, ...state.amounts) };
  return defineActor(module, 'till', {
    reducer: {
      init: (): TillState => withLargest({ names: [], amounts: [], rung: 0 }),
      receive(state: TillState, message: TillMessage, turn): TillState {
        const { name, amount } = message;
        turn.setTimer({ id: name, delayMs: 150, payload: name });
        turn.send(`parcel/${name}`, { type: 'SEND' });
        turn.reply(state.names.length + 1);
        return withLargest({ ...state, names: [...state.names, name], amounts: [...state.amounts, amount] });
      },
      signal: (state: TillState, signal): TillState =>
        signal.kind === 'timer' ? { ...state, rung: state.rung + 1 } : state,
    },
    virtual: true,
    version,
    migrate,
    snapshotEveryTurns: 6,
    passivateAfterMs: 200,
  });
}

export const migrateTill: Migrate = (saved) => {
  const state = saved as TillState;
  return { ...state, largest: Math.max(0, ...state.amounts) } satisfies TillState;
};

interface ParcelContext {
  readonly log: readonly string[];
  /** From version 2 on. */
  readonly length?: number;
}

/** Waits, calls, waits, and is done. */
export function parcelOf(module: string, version: number, migrate?: Migrate): Definition {
  const logged = ({ log }: ParcelContext, what: string): ParcelContext =>
    version === 1 ? { log: [...log, what] } : { log: [...log, what], length: log.length + 1 };
  const machine = setup({
    types: { context: {} as ParcelContext, events: {} as { type: 'SEND' } },
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
        entry: assign(({ context }) => logged(context, 'waits')),
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
    migrate,
    snapshotEveryTurns: 3,
    passivateAfterMs: 100,
  });
}

export const migrateParcel: Migrate = (saved) => {
  const snapshot = saved as { readonly context: ParcelContext };
  const { log } = snapshot.context;
  return { ...snapshot, context: { log, length: log.length } };
};
