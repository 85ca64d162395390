/**
 * How code on a host's thread that is no turn (an effect) talks to actors: asks them, tells them, and follows their states.
 *
 * Owns: this host's requests under way, and what it follows. A port has an address, so that actors anywhere answer it as they answer
 * each other; no cell lives there. What comes for it is handed to `takes`.
 *
 * Invariants:
 * AP1. Nothing here is journaled. A request is delivered at most once; when its actor's host dies meanwhile, it ends at its deadline.
 * AP2. Every request settles once: with its answer, an error, at its deadline, or when this host ends.
 * AP3. An answer to an earlier incarnation of this host is dropped: the names of requests say whose they are.
 * AP4. What is seen of a followed actor is committed, in the order of its turns; of states that a reader is too slow for, the last.
 *      When its host is replaced, it is followed anew.
 */
import type { ActorCallOptions, ActorHandle, ActorHost } from '../kernel/actor-host.ts';
import { assertCellId, type CellKey, keyOf, placementOf } from '../kernel/address.ts';
import type { Clock, Wait } from '../kernel/clock.ts';
import type { Definition } from '../kernel/definition.ts';
import { AskTimeoutError, decodeError, SystemStoppedError } from '../kernel/errors.ts';
import { ASK_TIMEOUT_MS } from '../kernel/limits.ts';
import type { ControlMessage, Envelope } from '../kernel/message.ts';
import { Reference } from '../kernel/reference.ts';
import { ACTOR_PORTS } from './definition-table.ts';
import type { CellReport, Inbound } from './items.ts';
import { Observations, type Sight } from './observations.ts';

export interface ActorPortPorts {
  readonly slot: number;
  readonly hosts: number;
  /** No other host has it, nor has one before in this slot. */
  readonly incarnation: string;
  readonly clock: Clock;
  /** Loads a module of definitions on this host. */
  load(module: string): Promise<void>;
  /** What observers are handed for a view. */
  present(key: CellKey, view: unknown): unknown;
  /** Takes a message of nobody's turn to wherever its cell lives. */
  send(envelope: Envelope): void;
  /** Says something to the host of a slot. */
  command(slot: number, command: Exclude<Inbound, Envelope>): void;
}

interface Request {
  readonly to: CellKey;
  resolve(value: unknown): void;
  reject(error: unknown): void;
  readonly wait: Wait;
  readonly unlisten: (() => void) | undefined;
}

/** What a followed actor's host sends to a port. */
type News =
  | readonly ['sight', key: CellKey, sequence: number, status: CellReport['status'], view: unknown]
  | readonly ['event', key: CellKey, event: unknown];

function isNews(message: unknown): message is News {
  if (!Array.isArray(message) || typeof message[1] !== 'string') return false;
  return message[0] === 'event' || (message[0] === 'sight' && typeof message[2] === 'number');
}

/** A committed state, for a follower. */
export function sightFor(follower: CellKey, { key, sequence, status, view }: Omit<CellReport, 'mailbox'>): Envelope {
  return newsFor(follower, ['sight', key, sequence, status, view]);
}

/** An emitted event, for a follower. */
export function eventFor(follower: CellKey, key: CellKey, event: unknown): Envelope {
  return newsFor(follower, ['event', key, event]);
}

const newsFor = (to: CellKey, message: News): Envelope => ({ to, message });

export class ActorPort implements ActorHost {
  /** Where answers and news for this host's port are sent. */
  readonly key: CellKey;
  readonly #ports: ActorPortPorts;
  readonly #requests = new Map<string, Request>();
  /** Who waits for the first sight of an actor. */
  readonly #awaited = new Map<CellKey, ((report: CellReport) => void)[]>();
  readonly #observations: Observations;
  #next = 1;
  #closed = false;

  constructor(ports: ActorPortPorts) {
    this.#ports = ports;
    this.key = addressOn(ports.slot, ports.hosts);
    this.#observations = new Observations({
      clock: ports.clock,
      observe: (key) => this.#follow(key),
      unobserve: (key) => this.#command(key, 'unfollow'),
      present: (key, view) => ports.present(key, view),
    });
  }

  async spawn(definition: Definition, options: Parameters<ActorHost['spawn']>[1]): Promise<ActorHandle> {
    assertCellId(options.id);
    await this.#ports.load(definition.module);
    const { id, input, ifExists = 'refuse', timeoutMs } = options;
    const key = keyOf(definition.name, id);
    const control = { kind: 'spawn', logic: [], input, ifExists } as const;
    await this.request(key, undefined, timeoutMs === undefined ? {} : { timeoutMs }, control);
    return this.refOf(key);
  }

  refOf(key: CellKey): ActorHandle {
    return new PortHandle(key, this, this.#observations);
  }

  /** Sends a message that nobody answers. */
  send(to: CellKey, message: unknown, { idempotencyKey, ttlMs, traceparent }: ActorCallOptions = {}): void {
    if (this.#closed) throw new SystemStoppedError('the host of this effect has ended');
    const expiresAtMs = ttlMs === undefined ? undefined : this.#ports.clock.now() + ttlMs;
    this.#ports.send({ to, message, idempotencyKey, expiresAtMs, traceparent });
  }

  /** Sends a request; resolves with its answer. */
  request(to: CellKey, message: unknown, options: ActorCallOptions, control?: ControlMessage): Promise<unknown> {
    const { timeoutMs = ASK_TIMEOUT_MS, signal, idempotencyKey, ttlMs, traceparent } = options;
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new SystemStoppedError('the host of this effect has ended');
      signal?.throwIfAborted();
      const name = `${this.#ports.incarnation}.${this.#next++}`;
      const abort = (): void => this.#settle(name)?.reject(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      const late = new AskTimeoutError(`no reply from ${to} within ${timeoutMs} ms; it may still be handled`);
      this.#requests.set(name, {
        to,
        resolve,
        reject,
        wait: this.#ports.clock.wait(timeoutMs, () => this.#settle(name)?.reject(late)),
        unlisten: signal === undefined ? undefined : () => signal.removeEventListener('abort', abort),
      });
      const replyTo = { kind: 'cell', key: this.key, ask: name } as const;
      const expiresAtMs = ttlMs === undefined ? undefined : this.#ports.clock.now() + ttlMs;
      this.#ports.send({ to, message, control, replyTo, idempotencyKey, expiresAtMs, traceparent });
    });
  }

  /** Takes the answers and news for this port; returns whether it was one. Anything else for its address is as for an actor that is not there. */
  takes({ to, control, message, id, replyTo }: Envelope): boolean {
    if (to !== this.key) return false;
    if (control?.kind === 'reply') this.#settle(control.ask)?.resolve(control.value);
    else if (control?.kind === 'ask.failed') this.#settle(control.ask)?.reject(decodeError(control.error));
    else if (id === undefined && replyTo === undefined && isNews(message)) this.#hear(message);
    else return false;
    return true;
  }

  /** A link could not carry one of this port's requests. Returns whether it was one. */
  refused({ replyTo }: Envelope, error: Error): boolean {
    const request = replyTo?.kind === 'cell' && replyTo.key === this.key ? this.#settle(replyTo.ask) : undefined;
    request?.reject(error);
    return request !== undefined;
  }

  /** The host of `slot` is there, or there again. */
  linked(slot: number): void {
    for (const key of this.#observations.keys) {
      if (placementOf(key, this.#ports.hosts) === slot) this.#observations.renew(key);
    }
  }

  /** This host ends. */
  close(): void {
    this.#closed = true;
    const error = new SystemStoppedError('the host of this effect has ended');
    for (const name of [...this.#requests.keys()]) this.#settle(name)?.reject(error);
    this.#observations.close();
  }

  #follow(key: CellKey): Promise<CellReport> {
    return new Promise((resolve) => {
      const awaited = this.#awaited.get(key);
      if (awaited === undefined) this.#awaited.set(key, [resolve]);
      else awaited.push(resolve);
      this.#command(key, 'follow');
    });
  }

  #hear(news: News): void {
    if (news[0] === 'event') {
      this.#observations.event(news[1], news[2]);
      return;
    }
    const [, key, sequence, status, view] = news;
    const awaited = this.#awaited.get(key);
    if (awaited !== undefined) {
      this.#awaited.delete(key);
      for (const resolve of awaited) resolve({ key, sequence, status, view, mailbox: 0 });
    } else if (this.#observations.keys.includes(key)) {
      this.#observations.view(key, sequence, status, view);
    } else {
      // Followed by a predecessor of this host.
      this.#command(key, 'unfollow');
    }
  }

  #command(key: CellKey, what: 'follow' | 'unfollow'): void {
    this.#ports.command(placementOf(key, this.#ports.hosts), [what, key, this.key]);
  }

  #settle(name: string): Request | undefined {
    const request = this.#requests.get(name);
    if (request === undefined) return undefined;
    this.#requests.delete(name);
    request.wait.cancel();
    request.unlisten?.();
    return request;
  }
}

/** A reference to an actor, for effects: with an actor's verbs, delivered at most once. */
class PortHandle extends Reference implements ActorHandle {
  readonly #port: ActorPort;
  readonly #observations: Observations;

  constructor(key: CellKey, port: ActorPort, observations: Observations) {
    super(key);
    this.#port = port;
    this.#observations = observations;
  }

  /** Resolves when the message has been handed over: there is no receipt. */
  async tell(message: unknown, options: ActorCallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    this.#port.send(this.key, message, options);
  }

  ask<TReply = unknown>(message: unknown, options: ActorCallOptions = {}): Promise<TReply> {
    return this.#port.request(this.key, message, options) as Promise<TReply>;
  }

  send(message: unknown): void {
    this.#port.send(this.key, message);
  }

  snapshot(options: { readonly timeoutMs?: number } = {}): Promise<Sight> {
    return this.#observations.waitFor(this.key, () => true, options.timeoutMs ?? ASK_TIMEOUT_MS, undefined);
  }

  changes(options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<Sight> {
    return this.#observations.changes(this.key, options.signal);
  }

  events(options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<unknown> {
    return this.#observations.events(this.key, options.signal);
  }

  async stop(options: { readonly timeoutMs?: number; readonly kill?: boolean } = {}): Promise<void> {
    const { timeoutMs, kill } = options;
    const control = { kind: 'stop', reason: { kind: kill === true ? 'killed' : 'shutdown' } } as const;
    await this.#port.request(this.key, undefined, timeoutMs === undefined ? {} : { timeoutMs }, control);
  }
}

/** An address that `placementOf` finds on `slot`. */
function addressOn(slot: number, hosts: number): CellKey {
  for (let n = 0; ; n++) {
    const key = keyOf(ACTOR_PORTS, `${slot}-${n}`);
    if (placementOf(key, hosts) === slot) return key;
  }
}
