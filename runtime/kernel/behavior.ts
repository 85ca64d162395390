/**
 * The behavior contract: what an actor does with a message. XState machines, supervisors and plain reducers plug in here.
 *
 * Owns: the contract between a cell and what runs in it. Knows nothing of journals, threads or XState.
 *
 * Invariants:
 * H1. `init`, `receive` and `signal` are pure: everything that they want done goes through the `Turn`, and everything they
 *     may not compute alone (time, randomness) comes from it. The same state, message and turn give the same state and intents.
 * H2. They never keep the `Turn` beyond their return.
 * H3. `load(save(state))` behaves as `state` does.
 */
import type { ActorHost } from './actor-host.ts';
import type { CellKey } from './address.ts';
import type { Backoff } from './backoff.ts';
import type { ExitReason } from './exit.ts';
import type { ReplyTo } from './message.ts';

/** What happened to a cell, other than a message from a user. */
export type Signal =
  | { readonly kind: 'timer'; readonly id: string; readonly payload: unknown }
  | { readonly kind: 'effect.done'; readonly id: string; readonly output: unknown }
  | { readonly kind: 'effect.failed'; readonly id: string; readonly error: Error }
  | { readonly kind: 'effect.event'; readonly id: string; readonly event: unknown }
  /** A watched cell or a child has ended. `childId` only for a child. */
  | {
      readonly kind: 'terminated';
      readonly key: CellKey;
      readonly childId?: string | undefined;
      readonly reason: ExitReason;
    }
  | { readonly kind: 'reply'; readonly ask: string; readonly value: unknown }
  | { readonly kind: 'ask.failed'; readonly ask: string; readonly error: Error }
  /** A child with `reportSnapshots` has a new state. */
  | { readonly kind: 'child.snapshot'; readonly childId: string; readonly snapshot: unknown }
  /** A child with `reportEvents` emitted an event. */
  | { readonly kind: 'child.event'; readonly childId: string; readonly event: unknown }
  /** The cell had stopped and lives again, in its last good state: timers run on, effects are taken up, inline children live again. */
  | { readonly kind: 'resumed' }
  /** The cell is being stopped; the last thing that it handles. */
  | { readonly kind: 'stop'; readonly reason: ExitReason };

/** What an outage between an effect's start and its result means. */
export type EffectClass =
  /** Run again, with the same idempotency key. The default. */
  | 'idempotent'
  /** Never run again: the actor gets an `UnknownOutcomeError`. */
  | 'at_most_once'
  /** Free to repeat: it changes nothing. */
  | 'query';

/** What an effect is given. */
export interface EffectContext<TInput = unknown> {
  readonly input: TInput;
  /** Aborts on timeout, on cancel, and when the actor stops. */
  readonly signal: AbortSignal;
  /** The same for every run of this start of the effect, also after a crash. */
  readonly idempotencyKey: string;
  /** 1, 2, … within this process. */
  readonly attempt: number;
  readonly self: CellKey;
  /**
   * The way from here to actors: asks and tells are delivered at most once and are not journaled (an ask may end at its deadline though
   * it was handled, a tell has no receipt), and nobody repeats them after a crash but this effect. What must not be lost is for a turn to
   * send. `changes()` and `events()` are those of a reference. Effects of the pool do not have it.
   */
  readonly actors: ActorHost;
}

/** Runs once per attempt and answers with a promise (or a value). */
export interface CallEffect {
  readonly kind: 'call';
  readonly run: (context: EffectContext) => unknown;
  readonly class?: EffectClass | undefined;
  /** Tries in all, and the waits between them. Default: one try. */
  readonly retry?: (Backoff & { readonly maxAttempts?: number }) | undefined;
  /** Per attempt. Default: none. */
  readonly timeoutMs?: number | undefined;
  /** Run on the pool for CPU-bound work: module and export name of `run`, since a closure cannot cross threads. */
  readonly pool?: { readonly module: string; readonly name: string } | undefined;
}

/** A live source (XState callback or observable logic): started after the commit, started again after a crash. */
export interface SourceEffect {
  readonly kind: 'source';
  /** Returns what ends it. `emit` gives the cell an `effect.event`; `done` and `fail` end the source. */
  readonly start: (context: SourceContext) => (() => void) | undefined;
}

export interface SourceContext {
  readonly input: unknown;
  readonly self: CellKey;
  readonly signal: AbortSignal;
  emit(event: unknown): void;
  done(output: unknown): void;
  fail(error: unknown): void;
  /** Registers for what the cell sends to the source with `turn.sendToEffect`. */
  receive(listener: (message: unknown) => void): void;
}

export type EffectSpec = CallEffect | SourceEffect;

/** What to start as a child. */
export interface SpawnSpec {
  /** Name among the children of this cell. A second spawn of a living child id is an error of the behavior. */
  readonly childId: string;
  /** Another definition's actor, with an address of its own, on any host … */
  readonly actor?: { readonly definition: string; readonly id: string } | undefined;
  /** … or inline logic of this behavior, resolved by `Behavior.child`; lives on this host, at `<self>~<childId>`. */
  readonly logic?: string | undefined;
  readonly input?: unknown;
  /** For an actor that exists already. Default `refuse`: the parent gets `terminated` with the error. */
  readonly ifExists?: 'refuse' | 'attach' | 'resume' | 'reset' | undefined;
  /** Inline logic only: tell this cell about every new state (`child.snapshot`). */
  readonly reportSnapshots?: boolean | undefined;
  /** Inline logic only: tell this cell about every event that the child emits (`child.event`). */
  readonly reportEvents?: boolean | undefined;
}

/** Everything that a step may ask for. Nothing happens before the turn is committed. */
export interface Turn {
  readonly self: CellKey;
  readonly parent: CellKey | undefined;
  /** Recorded with the turn: the same at every replay. */
  readonly nowMs: number;
  /** 1 for the first turn of a cell. */
  readonly sequence: number;
  /** Who sent the message, when a cell did. */
  readonly from: CellKey | undefined;
  /** Whether this is a replay: nothing asked for will happen. For diagnosis; a behavior must not decide by it. */
  readonly replaying: boolean;
  /** In [0, 1); the same at every replay. */
  random(): number;

  send(to: CellKey, message: unknown): void;
  /** Answers the request being handled; without effect when the message was not a request. */
  reply(value: unknown): void;
  /** Fails the request being handled. */
  fail(error: unknown): void;
  /** Keeps the right to answer the request being handled in a later turn: plain data for the state; undefined for a tell. */
  takeReplyTo(): ReplyTo | undefined;
  /** Answers a request whose handle was taken earlier. */
  replyTo(handle: ReplyTo, value: unknown): void;
  failTo(handle: ReplyTo, error: unknown): void;
  /** A request to another cell: the answer is a `reply` or `ask.failed` signal with this `ask` name. */
  ask(to: CellKey, message: unknown, options: { ask: string; timeoutMs?: number | undefined }): void;

  /** Starts a child and returns its key. */
  spawn(spec: SpawnSpec): CellKey;
  /** Stops a child or any other cell. Its end comes back as `terminated` if it is a child or watched. */
  stop(key: CellKey, reason?: ExitReason): void;
  /**
   * Asks to be told of the end of a cell (`terminated`). As with Erlang's monitors, one that does not exist is told of at once, with
   * `ActorNotFoundError`: also one that somebody else is only about to spawn. What this cell has spawned before is there by then.
   */
  watch(key: CellKey): void;
  unwatch(key: CellKey): void;
  /** Ends this cell when the turn is committed. */
  exit(reason: ExitReason): void;

  /** Starts the effect `Behavior.effect(source)`. A second start of a pending id replaces it. */
  startEffect(effect: { readonly id: string; readonly source: string; readonly input?: unknown }): void;
  cancelEffect(id: string): void;
  /** A message to a running `source` effect. */
  sendToEffect(id: string, message: unknown): void;

  /** A durable timer; setting an id again replaces it. Comes back as a `timer` signal with `payload`. */
  setTimer(timer: { readonly id: string; readonly delayMs: number; readonly payload: unknown }): void;
  cancelTimer(id: string): void;

  /** Publishes an event to subscribers of this actor (and to a parent that asked for it). */
  emit(event: unknown): void;
  log(...values: readonly unknown[]): void;
  /** Keeps the message being handled for later. */
  stash(): void;
  /** Puts everything stashed back in front of the mailbox, in its old order. */
  unstashAll(): void;
}

/** What `load` may use. */
export interface LoadContext {
  readonly self: CellKey;
  readonly parent: CellKey | undefined;
}

export interface Behavior<TState = unknown> {
  /**
   * Whether a `stop` signal only asks: the cell lives on and handles what comes until the behavior calls `turn.exit()`. For a
   * behavior that must see others end before it, as a supervisor must. A stop whose reason is `killed` ends the cell at once,
   * lingering or not, and the behavior hears nothing. Default false: `stop` is the last thing that a cell handles.
   */
  readonly lingers?: boolean | undefined;
  /** The state before the first message: the cell's first turn. */
  init(input: unknown, turn: Turn): TState;
  /** One message from a user. */
  receive(state: TState, message: unknown, turn: Turn): TState;
  /** Anything else. Without it: timers' payloads are received as messages, everything else is ignored. */
  signal?(state: TState, signal: Signal, turn: Turn): TState;
  /** State as plain data that msgpack can carry. Must not share anything mutable with the state. */
  save(state: TState): unknown;
  load(saved: unknown, context: LoadContext): TState;
  /** What observers see (`ref.changes`, `ref.snapshot`, `waitFor`): plain data. */
  view(state: TState): unknown;
  /** What an observer is handed for such a view, made where the observer is: it may have methods. Default: the view itself. */
  present?(view: unknown): unknown;
  /** The effect named by `turn.startEffect`. */
  effect?(source: string): EffectSpec | undefined;
  /** The logic named by `turn.spawn({ logic })`. */
  child?(logic: string): Behavior | undefined;
}
