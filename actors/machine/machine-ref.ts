/**
 * References as a machine sees them: `self`, its children, its parent.
 *
 * Owns: the shape of XState's `ActorRef` around a cell's key, and turning the `Actor` that XState makes for a child into such a
 * reference. Sends nothing: sending is an intent of a step.
 *
 * Invariants:
 * MR1. A reference is a value: key and id are all it has. It may sit in context, travel in events, and come back from the journal.
 * MR2. What would reach another actor now, outside of a turn, throws and says what to use.
 */
import type { AnyActorRef } from 'xstate';
import { type CellKey, keyOf } from '../../runtime/kernel/address.ts';
import { UnsupportedLogicError } from '../../runtime/kernel/errors.ts';
import { Reference } from '../../runtime/kernel/reference.ts';
import { type HostedSystem, hostedSystem, type MadeActor } from './hosted-system.ts';

const INERT_SNAPSHOT = Object.freeze({ status: 'active', output: undefined, error: undefined });

/** The name of a cell among its siblings, or of a root below its definition. */
export function idOfKey(key: CellKey): string {
  const child = key.lastIndexOf('~');
  return child === -1 ? key.slice(key.indexOf('/') + 1) : key.slice(child + 1);
}

export class MachineRef extends Reference {
  readonly id: string;

  constructor(key: CellKey, id: string = idOfKey(key)) {
    super(key);
    this.id = id;
  }

  /** XState tells actors apart by it. Ours survives threads and restarts. */
  get sessionId(): CellKey {
    return this.key;
  }

  get system(): HostedSystem {
    return hostedSystem;
  }

  send(): never {
    return refuse(this, 'send', 'use the action sendTo(ref, event)');
  }

  getSnapshot(): never {
    return refuse(this, 'getSnapshot', 'invoke it with onSnapshot, or ask it');
  }

  getPersistedSnapshot(): never {
    return refuse(this, 'getPersistedSnapshot', 'its state is in its own journal');
  }

  subscribe(): never {
    return refuse(this, 'subscribe', 'invoke it with onSnapshot, or use ref.changes() of the system');
  }

  on(): never {
    return refuse(this, 'on', 'let it send an event with sendParent or sendTo');
  }

  start(): never {
    return refuse(this, 'start', 'the runtime starts it after the commit');
  }

  stop(): never {
    return refuse(this, 'stop', 'use the action stopChild(ref)');
  }

  // The rest of XState's constructor, which runs on after `adopt`, comes here.
  _initState(): void {}

  get _snapshot(): typeof INERT_SNAPSHOT {
    return INERT_SNAPSHOT;
  }

  get systemId(): undefined {
    return undefined;
  }

  set systemId(_: string | undefined) {
    // Kept in the machine's book of children.
  }
}

// A function: adopted actors have no private methods.
function refuse(ref: Reference, what: string, remedy: string): never {
  throw new UnsupportedLogicError(
    `${what}() on a reference to ${ref.key} does not work inside a durable actor: ${remedy}`,
  );
}

/** `self` of a machine: knows its parent, which `sendParent` asks for. */
export class SelfRef extends MachineRef {
  readonly #parent: MachineRef | undefined;

  constructor(key: CellKey, parent: CellKey | undefined) {
    super(key);
    this.#parent = parent === undefined ? undefined : new MachineRef(parent);
  }

  get _parent(): MachineRef | undefined {
    return this.#parent;
  }
}

/**
 * Makes `actor` the reference to `key`, in place: XState has it in hand already, for `children`, context and the caller of `spawn`.
 * Its logic is thereby never asked for a first state: the child does that in a turn of its own.
 */
export function adopt(actor: MadeActor, key: CellKey): MachineRef {
  const { id } = actor;
  const own = actor as unknown as Record<string, unknown>;
  for (const name of Object.keys(own)) delete own[name];
  Object.setPrototypeOf(own, MachineRef.prototype);
  own['key'] = key;
  own['id'] = id;
  return own as unknown as MachineRef;
}

/** The address that a root of `definition` named `id` has, as a target for `sendTo`: XState's type, so that the compiler takes it. */
export function refTo(definition: string, id: string): AnyActorRef {
  return new MachineRef(keyOf(definition, id)) as unknown as AnyActorRef;
}
