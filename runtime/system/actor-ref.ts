/**
 * References to actors, as users hold them: tell, ask, send, observe, stop.
 *
 * Owns: the public verbs of one actor. A reference is a value: it can sit in a state, travel in a message (it arrives as a
 * reference), and be compared by its key. It does not keep the actor alive, nor does it know whether it exists.
 */
import type { CellKey } from '../kernel/address.ts';
import { Reference } from '../kernel/reference.ts';
import { IDEMPOTENCY_KEY_LENGTH_LIMIT } from '../kernel/limits.ts';
import { InvalidOptionsError } from '../kernel/errors.ts';
import type { Envelope } from '../kernel/message.ts';
import { assertKnown } from '../kernel/option-faults.ts';
import type { CellReport } from '../host/items.ts';
import type { Observations, Sight } from '../host/observations.ts';
import type { CallOptions } from './calls.ts';

/** How one message is to be delivered. */
export interface MessageOptions {
  /** Default: the system's `tellTimeoutMs` or `askTimeoutMs`. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /**
   * Makes the call repeatable, also after a crash: the actor handles the first message of a key, and later ones get the same
   * answer. An actor remembers its last 1,000 keys. At most 256 characters.
   */
  readonly idempotencyKey?: string;
  /** The message is refused when it was not handled within this time. */
  readonly ttlMs?: number;
  /** W3C trace context. */
  readonly traceparent?: string;
}

const MESSAGE_OPTIONS: ReadonlySet<string> = new Set<keyof MessageOptions>([
  'timeoutMs',
  'signal',
  'idempotencyKey',
  'ttlMs',
  'traceparent',
]);

/** What an observer sees of an actor. `view` is the state in its public form. */
export interface ActorSnapshot<TView = unknown> {
  /** `absent`: never spawned. `waiting`: a failed message is about to be tried again. `blocked`: see `system.blocked()`. */
  readonly status: CellReport['status'];
  /** Number of the actor's last turn. */
  readonly sequence: number;
  /** The state of a reducer; of a machine `value`, `context`, `tags`, `output`, and XState's `matches()` and `hasTag()`. */
  readonly view: TView;
}

/** What references need of their system. */
export interface RefPorts {
  readonly tellTimeoutMs: number;
  readonly askTimeoutMs: number;
  deliver(envelope: Omit<Envelope, 'id' | 'replyTo'>, ask: boolean, options: CallOptions): void;
  report(key: CellKey, timeoutMs: number): Promise<CellReport>;
  present(key: CellKey, view: unknown): unknown;
  readonly observations: Observations;
  nowMs(): number;
}

/** A reference to the actor `key`. */
export class ActorRef<TMessage = unknown, TView = unknown> extends Reference {
  readonly #ports: RefPorts;

  constructor(key: CellKey, ports: RefPorts) {
    super(key);
    this.#ports = ports;
  }

  /**
   * Sends a message and resolves with its durable receipt: the turn that handled it is on disk (`sync: 'group'`) or survives a
   * killed process (`'relaxed'`). For an actor with `durability: 'none'`: it was handled. Messages of one sender to one actor are
   * handled in the order in which they were sent. Waits while the mailbox is full.
   *
   * @throws MailboxFullError, TellTimeoutError, ActorNotFoundError, ActorStoppedError, ActorBlockedError, StorageFullError,
   *   UnserializableValueError, MessageTooLargeError
   * @example await ref.tell({ type: 'PLACE', items })
   */
  tell(message: TMessage, options: MessageOptions = {}): Promise<void> {
    return this.#call(message, false, options, this.#ports.tellTimeoutMs) as Promise<void>;
  }

  /**
   * Sends a request and resolves with what its handler replied, once that reply is on disk. With an `idempotencyKey`, the same
   * call after a crash of the process gets the same reply and the request is not handled twice.
   *
   * @throws AskTimeoutError (the request may still be handled), NoReplyError, HandlerError, and what `tell` throws
   * @example const receipt = await ref.ask({ type: 'PAY' }, { timeoutMs: 5_000, idempotencyKey: 'pay-o-42' })
   */
  ask<TReply = unknown>(message: TMessage, options: MessageOptions = {}): Promise<TReply> {
    return this.#call(message, true, options, this.#ports.askTimeoutMs) as Promise<TReply>;
  }

  /** Sends a message without waiting: nobody is told whether it was accepted. In order with tells and asks. */
  send(message: TMessage): void {
    this.#ports.deliver({ to: this.key, message }, false, { timeoutMs: this.#ports.tellTimeoutMs });
  }

  /** The actor's present state, as of its last committed turn. Brings an unloaded actor into memory. */
  async snapshot(options: { readonly timeoutMs?: number } = {}): Promise<ActorSnapshot<TView>> {
    const report = await this.#ports.report(this.key, options.timeoutMs ?? this.#ports.askTimeoutMs);
    const view = this.#ports.present(this.key, report.view) as TView;
    return { status: report.status, sequence: report.sequence, view };
  }

  /**
   * The actor's state now and after every committed turn, until the loop is left or `signal` aborts. Slow readers miss
   * states in between, never the last one.
   */
  changes(options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<ActorSnapshot<TView>> {
    return this.#ports.observations.changes(this.key, options.signal) as AsyncIterableIterator<ActorSnapshot<TView>>;
  }

  /** Events that the actor emits after this call, each once it is committed. Events while nobody listens are not kept. */
  events(options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<unknown> {
    return this.#ports.observations.events(this.key, options.signal);
  }

  /**
   * Resolves with the first state that satisfies `predicate`.
   *
   * @throws AskTimeoutError
   * @example await ref.waitFor((s) => s.view.hasTag('settled'), { timeoutMs: 60_000 })
   */
  waitFor(
    predicate: (snapshot: ActorSnapshot<TView>) => boolean,
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<ActorSnapshot<TView>> {
    const timeoutMs = options.timeoutMs ?? this.#ports.askTimeoutMs;
    return this.#ports.observations.waitFor(
      this.key,
      predicate as (snapshot: Sight) => boolean,
      timeoutMs,
      options.signal,
    ) as Promise<ActorSnapshot<TView>>;
  }

  /** Stops the actor after what is already in its mailbox's signal lane; resolves when that is on disk. */
  async stop(options: { readonly timeoutMs?: number; readonly kill?: boolean } = {}): Promise<void> {
    const control = { kind: 'stop', reason: { kind: options.kill === true ? 'killed' : 'shutdown' } } as const;
    const timeoutMs = options.timeoutMs ?? this.#ports.askTimeoutMs;
    await new Promise((resolve, reject) => {
      this.#ports.deliver({ to: this.key, message: undefined, control }, true, {
        timeoutMs,
        settle: { resolve, reject },
      });
    });
  }

  #call(message: TMessage, ask: boolean, options: MessageOptions, defaultMs: number): Promise<unknown> {
    const { idempotencyKey, ttlMs, traceparent, signal } = options;
    const timeoutMs = options.timeoutMs ?? defaultMs;
    return new Promise((resolve, reject) => {
      assertKnown(ask ? 'ask' : 'tell', options, MESSAGE_OPTIONS);
      if (idempotencyKey !== undefined) assertKey(idempotencyKey);
      if (ttlMs !== undefined) assertTtl(ttlMs);
      if (signal !== undefined) assertSignal(signal);
      this.#ports.deliver(
        {
          to: this.key,
          message,
          idempotencyKey,
          expiresAtMs: ttlMs === undefined ? undefined : this.#ports.nowMs() + ttlMs,
          traceparent,
        },
        ask,
        { timeoutMs, signal, settle: { resolve, reject } },
      );
    });
  }
}

function assertTtl(ttlMs: unknown): void {
  if (typeof ttlMs !== 'number' || !(ttlMs > 0)) {
    throw new InvalidOptionsError(`ttlMs: ${JSON.stringify(ttlMs)} is not a number above 0`);
  }
}

function assertSignal(signal: unknown): void {
  if (!(signal instanceof AbortSignal)) throw new InvalidOptionsError('signal: not an AbortSignal');
}

function assertKey(key: unknown): void {
  if (typeof key !== 'string' || key === '' || key.length > IDEMPOTENCY_KEY_LENGTH_LIMIT) {
    throw new InvalidOptionsError(
      `idempotencyKey: ${JSON.stringify(key)} is not a string of 1 to ${IDEMPOTENCY_KEY_LENGTH_LIMIT} characters`,
    );
  }
}
