/**
 * What all brokers of one name share in one process: where a message goes, and who listens.
 *
 * Owns: routes, listeners and records of one broker name on one actor system. A data folder belongs to one process, so that this is the
 * whole of the broker.
 *
 * Invariants:
 * EH1. Routes are as the registry has them: they are there before anybody listens again after a restart.
 * EH2. A listener that throws harms nobody but itself.
 */
import type { ActorHandle, ActorHost } from '../../kernel/actor-host.ts';
import { InvalidOptionsError } from '../../kernel/errors.ts';
import type { CarriedMessage, SubscriptionSpec } from '../broker-adapter.ts';
import type { RetainedPositions } from '../contract/broker-contract.ts';
import { SubjectTrie } from '../subject-trie.ts';
import { brokerRegistry } from './embedded-actors.ts';
import {
  EXCHANGE_QUEUE,
  lettersKey,
  queueKey,
  type QueueSpec,
  type RegistryMessage,
  type RetentionLimits,
  segmentKey,
  streamKey,
  type StreamMessage,
} from './embedded-protocol.ts';
import { patternsMeet, seed, type Seeding, seedingOf } from './embedded-seeding.ts';
import type { Tell } from './embedded-acceptance.ts';
import { MessagePacker } from './embedded-frame.ts';
import type { LetterEvent } from './embedded-letters.ts';
import { Route } from './embedded-route.ts';

export interface Listener {
  readonly pattern: string;
  readonly queue: string | undefined;
  /** Whether it hears of messages that are kept, too. */
  readonly isOfKept: boolean;
  readonly hear: (message: CarriedMessage) => void;
}

/** What the registry keeps of a durable subscription. */
interface StoredSubscription {
  readonly pattern: string;
  readonly order: 'hold' | 'pass';
  readonly waitingLimit: number;
  /** Key of the actor that handles its messages. */
  readonly actor?: string;
  /** What it has yet to be given of the past. */
  readonly seeding?: Seeding;
}

export interface HubLimits {
  readonly rememberedLimit: number;
  readonly lettersLimit: number;
}

export interface HubEvents {
  dead(subscription: string, letter: LetterEvent): void;
  failed(error: Error): void;
}

const SUBSCRIPTIONS = 'subscriptions';
const RETAINED = 'retained';
const CALL_TIMEOUT_MS = 30_000;
/** Drafts of actors that may wait for a broker. */
const EXCHANGE_WAITING = 1_000_000;
const NONE: readonly Route[] = [];
const NOBODY: readonly Listener[] = [];

export class EmbeddedHub {
  readonly #system: ActorHost;
  readonly #broker: string;
  readonly #instance: string;
  readonly #limits: HubLimits;
  #registry!: ActorHandle;
  readonly #routes = new Map<string, Route>();
  readonly #trie = new SubjectTrie<Route>();
  /** Retained subjects, by pattern. */
  readonly #streams = new Map<string, Route>();
  readonly #streamTrie = new SubjectTrie<Route>();
  /** Where actors publish: no subscription, but handed out as one. */
  #exchange!: Route;
  readonly #joining = new Map<string, Promise<Route>>();
  readonly #listeners = new SubjectTrie<Listener>();
  /** Those that hear of nothing that is kept. */
  readonly #unkeptListeners = new SubjectTrie<Listener>();
  readonly packer = new MessagePacker();
  /** Which of a group hears the next message. */
  readonly #turns = new Map<string, number>();
  readonly #subscribers = new Set<HubEvents>();
  readonly #observing = new AbortController();
  #consumers = 0;

  /** `instance` is one of this run of the process. */
  constructor(system: ActorHost, broker: string, instance: string, limits: HubLimits) {
    this.#system = system;
    this.#broker = broker;
    this.#instance = instance;
    this.#limits = limits;
  }

  async open(): Promise<void> {
    this.#registry = await this.#system.spawn(brokerRegistry, { id: this.#broker, ifExists: 'attach' });
    const [subscriptions, retained] = await Promise.all([this.list(SUBSCRIPTIONS), this.list(RETAINED)]);
    await Promise.all([...retained].map(([pattern, limits]) => this.#addStream(pattern, limits as RetentionLimits)));
    this.#exchange = await this.#open(EXCHANGE_QUEUE, { pattern: '', order: 'hold', waitingLimit: EXCHANGE_WAITING });
    await Promise.all([...subscriptions].map(([name, value]) => this.#addRoute(name, value as StoredSubscription)));
  }

  close(): void {
    this.#observing.abort();
  }

  tell(events: HubEvents): () => void {
    this.#subscribers.add(events);
    return () => void this.#subscribers.delete(events);
  }

  get routes(): ReadonlyMap<string, Route> {
    return this.#routes;
  }

  routesOf(subject: string): readonly Route[] {
    return this.#trie.match(subject);
  }

  streamsOf(subject: string): readonly Route[] {
    return this.#streams.size === 0 ? NONE : this.#streamTrie.match(subject);
  }

  /** A durable subscription by its name, or what brokers publish from. */
  route(name: string): Route | undefined {
    return name === EXCHANGE_QUEUE ? this.#exchange : this.#routes.get(name);
  }

  get exchange(): Route {
    return this.#exchange;
  }

  /** From now on what a durable subscription takes goes to an actor, in one turn of that actor. */
  async direct(route: Route, actor: string): Promise<void> {
    const stored = (await this.list(SUBSCRIPTIONS)).get(route.name) as StoredSubscription | undefined;
    if (stored === undefined) return;
    if (stored.actor !== actor) await this.put(SUBSCRIPTIONS, route.name, { ...stored, actor });
    route.actor = this.#system.refOf(actor);
  }

  /** From now on what it takes is handed out to functions. */
  async undirect(route: Route): Promise<void> {
    if (route.actor === undefined) return;
    const { actor, ...stored } = (await this.list(SUBSCRIPTIONS)).get(route.name) as StoredSubscription;
    await this.put(SUBSCRIPTIONS, route.name, stored);
    if (actor !== undefined) route.actor = undefined;
  }

  async retain(pattern: string, limits: RetentionLimits): Promise<void> {
    await this.put(RETAINED, pattern, limits);
    await this.#addStream(pattern, limits);
  }

  async retained(): Promise<ReadonlyMap<string, RetainedPositions>> {
    const asked = [...this.#streams].map(async ([pattern, { queue }]) => {
      const message: StreamMessage = { type: 'POSITIONS' };
      return [pattern, await queue.ask<RetainedPositions>(message, { timeoutMs: CALL_TIMEOUT_MS })] as const;
    });
    return new Map(await Promise.all(asked));
  }

  consumerName(): string {
    this.#consumers += 1;
    return `${this.#instance}.${this.#consumers}`;
  }

  /** The route of a durable subscription, which is made if it is new. */
  async join(spec: SubscriptionSpec): Promise<Route> {
    const { name, pattern } = spec;
    let joining = this.#joining.get(name);
    if (joining === undefined) {
      joining = this.#join(spec).finally(() => this.#joining.delete(name));
      this.#joining.set(name, joining);
    }
    const route = await joining;
    if (route.pattern !== pattern) {
      throw new InvalidOptionsError(
        `subscription "${name}" exists with the pattern "${route.pattern}", and "${pattern}" is another: ` +
          'delete it first, or give the new one a name of its own',
        { details: { name, pattern, existing: route.pattern } },
      );
    }
    return route;
  }

  async leave(name: string): Promise<void> {
    const route = this.#routes.get(name);
    if (route === undefined) return;
    this.#routes.delete(name);
    this.#trie.remove(route.pattern, route);
    await this.remove(SUBSCRIPTIONS, name);
    await route.say({ type: 'DELETE' });
    route.deleted();
  }

  listen(listener: Listener): () => void {
    const trie = listener.isOfKept ? this.#listeners : this.#unkeptListeners;
    trie.add(listener.pattern, listener);
    return () => void trie.remove(listener.pattern, listener);
  }

  /** Tells who listens; how many those are. */
  broadcast(message: CarriedMessage): number {
    const { subject, delivery } = message.header;
    const all = this.#listeners.match(subject);
    const unkept = delivery === 'AT_MOST_ONCE' ? this.#unkeptListeners.match(subject) : NOBODY;
    let groups: Map<string, Listener[]> | undefined;
    let heard = 0;
    for (const listener of unkept.length === 0 ? all : [...all, ...unkept]) {
      if (listener.queue === undefined) {
        this.#hear(listener, message);
        heard += 1;
        continue;
      }
      groups ??= new Map();
      const group = groups.get(listener.queue);
      if (group === undefined) groups.set(listener.queue, [listener]);
      else group.push(listener);
    }
    for (const [queue, group] of groups ?? []) {
      const turn = (this.#turns.get(queue) ?? -1) + 1;
      this.#turns.set(queue, turn);
      this.#hear(group[turn % group.length] as Listener, message);
      heard += 1;
    }
    return heard;
  }

  /** `broadcast` of a message that is kept: mostly nobody listens, and then nobody needs its payload. */
  readonly told: Tell = (header, payload) =>
    this.#listeners.size === 0 || this.#listeners.match(header.subject).length === 0
      ? 0
      : this.broadcast({ header, payload: payload() });

  async list(kind: string): Promise<ReadonlyMap<string, unknown>> {
    return new Map(await this.#record<[string, unknown][]>({ type: 'LIST', kind }));
  }

  async put(kind: string, name: string, value: unknown): Promise<void> {
    await this.#record({ type: 'PUT', kind, name, value });
  }

  remove(kind: string, name: string): Promise<boolean> {
    return this.#record<boolean>({ type: 'DELETE', kind, name });
  }

  lettersOf(route: Route): ActorHandle {
    return this.#system.refOf(lettersKey(route.queue.key));
  }

  refOf(key: string): ActorHandle {
    return this.#system.refOf(key);
  }

  async #join(spec: SubscriptionSpec): Promise<Route> {
    const known = this.#routes.get(spec.name);
    if (known !== undefined) return known;
    const { name, pattern, order, waitingLimit, from } = spec;
    const streams = [...this.#streams.values()].filter((stream) => patternsMeet(stream.pattern, pattern));
    const seeding = from === 'now' ? undefined : seedingOf(name, from, streams);
    const stored: StoredSubscription = {
      pattern,
      order,
      waitingLimit,
      ...(seeding === undefined ? {} : { seeding }),
    };
    await this.put(SUBSCRIPTIONS, name, stored);
    return this.#addRoute(name, stored);
  }

  async #addStream(pattern: string, limits: RetentionLimits): Promise<void> {
    let stream = this.#streams.get(pattern);
    stream ??= new Route(pattern, pattern, this.#system.refOf(streamKey(this.#broker, pattern)));
    const { queue } = stream;
    await queue.ask({ type: 'OPEN', limits } satisfies StreamMessage, { timeoutMs: CALL_TIMEOUT_MS });
    this.#streams.set(pattern, stream);
    this.#streamTrie.add(pattern, stream);
  }

  async #open(name: string, stored: StoredSubscription): Promise<Route> {
    const { order, waitingLimit, pattern, actor } = stored;
    const { rememberedLimit, lettersLimit } = this.#limits;
    const spec: QueueSpec = { order, waitingLimit, rememberedLimit, lettersLimit };
    const route = new Route(name, pattern, this.#system.refOf(queueKey(this.#broker, name)));
    if (actor !== undefined) route.actor = this.#system.refOf(actor);
    await route.say({ type: 'OPEN', instance: this.#instance, spec });
    void this.#observe(route);
    return route;
  }

  async #addRoute(name: string, stored: StoredSubscription): Promise<Route> {
    const route = await this.#open(name, stored);
    const { seeding } = stored;
    if (seeding !== undefined) route.hold();
    this.#routes.set(name, route);
    this.#trie.add(route.pattern, route);
    if (seeding === undefined) return route;
    await seed(route, seeding, {
      stream: (pattern) => this.#streams.get(pattern),
      segment: (stream, number) => this.#system.refOf(segmentKey(stream.queue.key, number)),
      progress: (left) =>
        this.put(SUBSCRIPTIONS, name, left === undefined ? withoutSeeding(stored) : { ...stored, seeding: left }),
    });
    route.release();
    return route;
  }

  /** Hears of letters that no consumer has brought about. */
  async #observe(route: Route): Promise<void> {
    try {
      for await (const event of this.lettersOf(route).events({ signal: this.#observing.signal })) {
        const letter = event as LetterEvent;
        const { id, messageId, error, attempts, deadMs } = letter;
        route.ended(Number(id), messageId, { status: 'dead', atMs: deadMs, attempt: attempts, error });
        for (const events of this.#subscribers) events.dead(route.name, letter);
      }
    } catch (error) {
      if (!this.#observing.signal.aborted) this.#failed(error);
    }
  }

  #record<TReply>(message: RegistryMessage): Promise<TReply> {
    return this.#registry.ask<TReply>(message, { timeoutMs: CALL_TIMEOUT_MS });
  }

  #hear({ hear }: Listener, message: CarriedMessage): void {
    try {
      hear(message);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const cause = error instanceof Error ? error : new Error(String(error));
    for (const events of this.#subscribers) events.failed(cause);
  }
}

function withoutSeeding({ seeding: _, ...stored }: StoredSubscription): StoredSubscription {
  return stored;
}
