/**
 * A cell: one living actor in the memory of one host.
 *
 * Owns: the actor's state, books and mailbox, and which phase of life it is in. What runs it is `step.ts`, what brings it back
 * `replay.ts`, what stores it `image.ts`; when, decides the host.
 *
 * Invariants:
 * C3. A cell handles one message at a time.
 * C4. `state` is meaningful only while `phase` is running or waiting.
 * C5. Messages that arrive while it is loading, waiting or blocked stay in the mailbox, in order.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Behavior } from '../kernel/behavior.ts';
import type { Definition } from '../kernel/definition.ts';
import type { BlocksError } from '../kernel/errors.ts';
import type { Envelope } from '../kernel/message.ts';
import { Book } from './book.ts';
import type { CarriedCell } from './carry.ts';
import { Mailbox } from './mailbox.ts';

export type Phase =
  /** The journal was asked for it. */
  | { readonly kind: 'loading' }
  | { readonly kind: 'running' }
  /** The message at the head of the mailbox failed and is tried again after a while. */
  | { readonly kind: 'waiting'; readonly attempts: number }
  /** Its past cannot be repeated; visible, retried by command, never guessed. */
  | { readonly kind: 'blocked'; readonly error: BlocksError };

const LOADING: Phase = { kind: 'loading' };
const RUNNING: Phase = { kind: 'running' };

export class Cell {
  readonly key: CellKey;
  readonly definition: Definition;
  /** The definition; while turns of an older version are repeated, that version of it. */
  edition: Definition;
  readonly durable: boolean;
  readonly mailbox = new Mailbox();
  readonly book = new Book();
  /** The edition's, or that of inline logic below it. Known once spawned or loaded. */
  behavior: Behavior | undefined;
  state: unknown;
  phase: Phase = LOADING;
  /** Sequence of the last turn. */
  sequence = 0;
  /** Sequence of the last image that was handed to the journal. */
  imagedSequence = 0;
  /** No turn that is not in an image has a position below this; -1 when there is none. */
  dirtyFrom = -1;
  /** Tries of the message at the head of the mailbox that have failed. */
  failedAttempts = 0;
  /** Blocked only: what it was loaded with, to be kept for the mended code. */
  carried: CarriedCell | undefined;
  /** In the host's queue of cells with work. */
  queued = false;
  /** Worked since the sweeper last came by. */
  touched = true;
  lastActiveMs = 0;
  /** Turns that wait for their commit, effects and sources that run in this process, observers: a cell with any stays in memory. */
  holds = 0;

  constructor(key: CellKey, definition: Definition) {
    this.key = key;
    this.definition = definition;
    this.edition = definition;
    this.durable = definition.durability !== 'none';
  }

  run(): void {
    this.phase = RUNNING;
  }

  get runnable(): boolean {
    return this.phase === RUNNING && (this.mailbox.length > 0 || this.book.unstashed !== undefined);
  }

  get full(): boolean {
    return this.mailbox.userLength >= this.definition.mailboxLimit;
  }

  /** Takes the next message. One from the stash stays in the books until its turn is applied. */
  next(): Envelope | undefined {
    const unstashed = this.book.unstashed;
    if (unstashed !== undefined) {
      const first = unstashed[0];
      if (first !== undefined) return first;
      this.book.unstashed = undefined;
    }
    return this.mailbox.shift();
  }

  /** Puts back what `next` gave, to be tried again. */
  putBack(envelope: Envelope): void {
    if (envelope.unstashed !== true) this.mailbox.putBack(envelope);
  }

  /** Resolves inline logic; undefined when the edition does not have it. */
  resolveBehavior(): Behavior | undefined {
    let behavior: Behavior | undefined = this.edition.behavior;
    for (const name of this.book.logic) behavior = behavior?.child?.(name);
    this.behavior = behavior;
    return behavior;
  }
}
