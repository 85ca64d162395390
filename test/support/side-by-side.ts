/**
 * A machine in XState's own actor and in ours, given the same events at the same times, compared after each.
 *
 * XState's promises never settle by themselves here: both sides are told their outcome by `settle`, so that no test waits.
 */
import {
  type AnyActorRef,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EventObject,
  SimulatedClock,
} from 'xstate';
import { machineBehavior } from '../../actors/machine/machine-behavior.ts';
import type { MachineState } from '../../actors/machine/machine-state.ts';
import type { Behavior } from '../../runtime/kernel/behavior.ts';
import { Reference } from '../../runtime/kernel/reference.ts';
import { decodeValue, encodeValue } from '../../runtime/wire/value-codec.ts';
import { TurnHarness } from './turn-harness.ts';

export type Step =
  | EventObject
  | { readonly advance: number }
  /** Ends the promise of a child, or of a child's child by path, with a value or an Error. */
  | { readonly settle: string | readonly string[]; readonly result: unknown }
  | { readonly act: () => void };

/** What both sides must agree on. */
export interface Seen {
  readonly status: string;
  readonly value: unknown;
  readonly context: unknown;
  readonly tags: readonly string[];
  readonly output: unknown;
  readonly error: string | undefined;
  readonly children: readonly string[];
  readonly emitted: readonly unknown[];
  readonly logged: readonly unknown[];
}

/** Through bytes and back, as between threads and in the journal. */
export const carried = (value: unknown): unknown => decodeValue(encodeValue(value).slice());

/** A value in which nothing depends on which side it is from: references by the id that their machine knows them by. */
function neutral(value: unknown): unknown {
  // The comparison is by JSON, which has no words for these.
  if (value === undefined) return '(undefined)';
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return { date: value.getTime() };
  if (value instanceof Map || value instanceof Set) return { [value.constructor.name]: [...value].map(neutral) };
  if (value instanceof Error) return { error: value.message };
  if (value instanceof Reference) return { ref: neutralId((value as Reference & { id?: string }).id ?? value.key) };
  if ('sessionId' in value && 'send' in value) return { ref: neutralId((value as AnyActorRef).id) };
  if (Array.isArray(value)) return value.map(neutral);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, neutral(item)]));
}

const neutralId = (id: string): string => id.replace(/^x:\d+$/, 'unnamed').replace(/^1$/, 'root');

function seenOf(snapshot: AnyMachineSnapshot): Omit<Seen, 'emitted' | 'logged'> {
  return {
    status: snapshot.status,
    value: structuredClone(snapshot.value),
    context: neutral(snapshot.context),
    tags: [...snapshot.tags].sort(),
    output: neutral(snapshot.output),
    error: snapshot.error === undefined ? undefined : String((snapshot.error as Error).message ?? snapshot.error),
    // What XState still lists after the end is stopped.
    children:
      snapshot.status === 'active'
        ? Object.keys(snapshot.children as object)
            .map(neutralId)
            .sort()
        : [],
  };
}

export interface SideBySideOptions {
  readonly input?: unknown;
  /** Save, carry and load between any two turns. */
  readonly carry?: boolean;
  /** Stands in for ours, to plant faults. */
  readonly behavior?: Behavior<never>;
  /** What to do with a step of ours that throws. Default `throw`. */
  readonly failures?: 'throw' | 'keep';
}

export class SideBySide {
  readonly harness: TurnHarness;
  readonly key: string;
  readonly #clock = new SimulatedClock();
  readonly #actor: AnyActorRef;
  readonly #emitted: unknown[] = [];
  readonly #logged: unknown[] = [];

  constructor(machine: AnyStateMachine, { input, carry, behavior, failures }: SideBySideOptions = {}) {
    this.#actor = createActor(machine, {
      id: '1',
      input,
      clock: this.#clock,
      logger: (...values: unknown[]) => this.#logged.push(neutral(values)),
    } as Parameters<typeof createActor>[1]) as AnyActorRef;
    this.#actor.subscribe({ error: () => {} });
    this.#actor.on('*', (event) => this.#emitted.push(neutral(event)));
    this.#actor.start();
    this.harness = new TurnHarness({ failures: failures ?? 'throw', ...(carry === true ? { carry: carried } : {}) });
    this.key = this.harness.spawn(behavior ?? (machineBehavior(machine) as unknown as Behavior<never>), { input });
  }

  do(step: Step): void {
    if ('advance' in step) {
      // XState's simulated clock jumps: what a firing timer sets counts from the end of the jump. Hence small ones.
      for (let left = step.advance; left > 0; left--) {
        this.#clock.increment(1);
        this.harness.advance(1);
      }
    } else if ('settle' in step) {
      this.#settle(typeof step.settle === 'string' ? [step.settle] : step.settle, step.result);
    } else if ('act' in step) {
      step.act();
    } else {
      // XState warns of events after the end.
      if (this.isActive) this.#actor.send(step);
      this.harness.tell(this.key, step);
    }
  }

  /** Whether they have not ended yet. */
  get isActive(): boolean {
    return this.#actor.getSnapshot().status === 'active';
  }

  get differ(): boolean {
    return JSON.stringify(this.theirs()) !== JSON.stringify(this.ours());
  }

  theirs(): Seen {
    return { ...seenOf(this.#actor.getSnapshot()), emitted: this.#emitted, logged: this.#logged };
  }

  ours(): Seen {
    const mine = <TEntry extends { readonly key: string }>(entries: readonly TEntry[]): TEntry[] =>
      entries.filter(({ key }) => key === this.key);
    return {
      ...seenOf(this.harness.state<MachineState>(this.key).snapshot),
      emitted: mine(this.harness.emitted).map(({ event }) => neutral(event)),
      logged: mine(this.harness.logged).map(({ values }) => neutral(values)),
    };
  }

  #settle(path: readonly string[], result: unknown): void {
    let parent = this.#actor;
    for (const id of path.slice(0, -1)) parent = childOf(parent, id);
    const child = childOf(parent, path.at(-1) as string) as AnyActorRef & { _send(event: EventObject): void };
    const type = result instanceof Error ? 'xstate.promise.reject' : 'xstate.promise.resolve';
    child._send({ type, data: result } as EventObject);
    const ourKey = [this.key, ...path.slice(0, -1)].join('~');
    this.harness.settle(ourKey, path.at(-1) as string, result);
  }
}

function childOf(parent: AnyActorRef, id: string): AnyActorRef {
  const child = (parent.getSnapshot() as AnyMachineSnapshot).children[id] as AnyActorRef | undefined;
  if (child === undefined) throw new Error(`XState has no child "${id}"`);
  return child;
}

/** Where the sides differ first, or undefined. */
export function firstDifference(
  machine: AnyStateMachine,
  steps: readonly Step[],
  options: SideBySideOptions = {},
): { readonly at: number; readonly step: Step | 'start'; readonly theirs: Seen; readonly ours: Seen } | undefined {
  const sides = new SideBySide(machine, options);
  if (sides.differ) return { at: 0, step: 'start', theirs: sides.theirs(), ours: sides.ours() };
  for (const [index, step] of steps.entries()) {
    sides.do(step);
    if (sides.differ) return { at: index + 1, step, theirs: sides.theirs(), ours: sides.ours() };
  }
  return undefined;
}
