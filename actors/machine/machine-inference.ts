/**
 * What the compiler can tell of an actor from its machine or logic: its events, its input, what observers see.
 */
import type { EventFromLogic, InputFrom, SnapshotFrom } from 'xstate';
import type { MachineView, PresentedMachine } from './machine-state.ts';
import type { Logic, Machine } from './xstate-internals.ts';

export type MachineEvent<TMachine extends Machine> = EventFromLogic<TMachine>;
export type MachineInput<TMachine extends Machine> = InputFrom<TMachine>;
export type LogicEvent<TLogic extends Logic> = EventFromLogic<TLogic>;
export type LogicInput<TLogic extends Logic> = InputFrom<TLogic>;

/** The view of a machine, with its own states, context, tags and output. */
export type MachineViewOf<TMachine extends Machine> =
  SnapshotFrom<TMachine> extends {
    readonly value: infer TValue;
    readonly context: infer TContext;
    readonly hasTag: (tag: infer TTag) => boolean;
    readonly matches: infer TMatches;
  }
    ? Omit<MachineView, 'value' | 'context' | 'tags'> & {
        readonly value: TValue;
        readonly context: TContext;
        readonly tags: readonly TTag[];
        readonly hasTag: (tag: TTag) => boolean;
        readonly matches: TMatches;
      }
    : PresentedMachine;
