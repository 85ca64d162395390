/**
 * The embedded broker: `BrokerAdapter` on actors of one system, and on nothing else.
 *
 * Owns: the port's verbs. Routes and listeners are shared in `embedded-hub.ts`, what is durable is in the actors (`embedded-queue.ts`).
 *
 * Acceptance is one commit a subscription: a message for several is with each of them or not; `accept` resolves when all have it, and
 * one that failed is repeated with the same id.
 */
import type { ActorHost } from '../../kernel/actor-host.ts';
import type { CellKey } from '../../kernel/address.ts';
import type { Clock } from '../../kernel/clock.ts';
import { BrokerClosedError, SystemStoppedError } from '../../kernel/errors.ts';
import type {
  Accepted,
  AdapterConsumer,
  AdapterEvents,
  AdapterRecords,
  BrokerAdapter,
  CarriedMessage,
  DeadLetterQuery,
  DeadLetterRecord,
  HandOut,
  SubscriptionSpec,
} from '../broker-adapter.ts';
import type { RetainedPositions } from '../contract/broker-contract.ts';
import type { DeliveryStatus, ReceiptState } from '../contract/receipt.ts';
import { decodeValue } from '../../wire/value-codec.ts';
import { encodePayload } from '../message-codec.ts';
import { matchesSubject } from '../subjects.ts';
import { Acceptance } from './embedded-acceptance.ts';
import { EmbeddedConsumer } from './embedded-consumer.ts';
import { readsDrafts, tellActor, type TellingPorts } from './embedded-actor-routes.ts';
import type { BatchBuilder } from './embedded-batch.ts';
import { unpackMessage } from './embedded-frame.ts';
import { type ReadHandOut, readsMessages } from './embedded-hand-out.ts';
import { EmbeddedHub, type HubLimits } from './embedded-hub.ts';
import {
  type LetterMessage,
  letterKey,
  type LettersMessage,
  type LettersPage,
  type RetentionLimits,
  type WireLetter,
} from './embedded-protocol.ts';
import type { QueueView } from './embedded-queue-state.ts';
import { MessageEnd, Waiting } from './embedded-message-end.ts';
import type { Route } from './embedded-route.ts';
import { receiptStateOf } from '../receipt-state.ts';

export interface EmbeddedPorts extends HubLimits {
  readonly system: ActorHost;
  readonly broker: string;
  readonly clock: Clock;
  readonly newInstance: () => string;
}

interface SharedHub {
  readonly hub: EmbeddedHub;
  readonly opened: Promise<void>;
  users: number;
}

/** By system and broker name. A system that is gone takes its hubs with it. */
const hubs = new WeakMap<ActorHost, Map<string, SharedHub>>();

const LETTERS_A_PAGE = 64;
const CALL_TIMEOUT_MS = 30_000;

type Header = CarriedMessage['header'];

export class EmbeddedAdapter implements BrokerAdapter {
  readonly kind = 'embedded';
  readonly #ports: EmbeddedPorts;
  #shared: SharedHub | undefined;
  #untell: (() => void) | undefined;
  #events: AdapterEvents | undefined;
  /** Those who wait for the end of a message. */
  readonly #waiting = new Waiting();
  readonly #telling: TellingPorts;

  constructor(ports: EmbeddedPorts) {
    this.#ports = ports;
    const { system, clock } = ports;
    this.#telling = { system, clock, failed: (error) => this.#failed(error) };
  }

  async open(events: AdapterEvents): Promise<void> {
    const { system, broker, newInstance } = this.#ports;
    const ofSystem = hubs.get(system) ?? new Map<string, SharedHub>();
    hubs.set(system, ofSystem);
    let shared = ofSystem.get(broker);
    if (shared === undefined) {
      const hub = new EmbeddedHub(system, broker, newInstance(), this.#ports);
      shared = { hub, opened: hub.open(), users: 0 };
      ofSystem.set(broker, shared);
    }
    shared.users += 1;
    this.#shared = shared;
    this.#events = events;
    await shared.opened.catch((error: unknown) => {
      this.#leave();
      throw error;
    });
    this.#untell = shared.hub.tell({
      dead: (subscription, letter) => events.dead({ ...letter, id: `${subscription}/${letter.id}`, subscription }),
      failed: (error) => this.#failed(error),
    });
  }

  accept({ header, payload }: CarriedMessage): Promise<Accepted> {
    return this.#offer(header, payload, true, (_, accepted) => accepted);
  }

  acceptValue<T>(header: Header, payload: unknown, done: (header: Header, accepted: Accepted) => T): Promise<T> {
    return this.#offer(header, payload, false, done);
  }

  /** `isBytes`: the payload is what was made of a value. */
  #offer<T>(
    header: Header,
    payload: unknown,
    isBytes: boolean,
    done: (header: Header, accepted: Accepted) => T,
  ): Promise<T> {
    const hub = this.#hub;
    const routes = hub.routesOf(header.subject);
    const streams = hub.streamsOf(header.subject);
    const targets = streams.length === 0 ? routes : [...routes, ...streams];
    return new Promise((resolve, reject) => {
      if (targets.length === 0) {
        const bytes = isBytes ? (payload as Uint8Array) : encodePayload(payload);
        const listeners = hub.broadcast({ header, payload: bytes });
        resolve(done(header, { duplicate: false, subscriptions: [], listeners }));
        return;
      }
      const acceptance = new Acceptance(header, routes, targets.length, hub.told, { done, resolve, reject });
      const isLater = (header.notBeforeMs ?? 0) > this.#ports.clock.now();
      let packed: BatchBuilder | undefined;
      let copied: { readonly value: unknown } | undefined;
      for (const route of targets) {
        // What has to wait waits in the queue, whoever handles it.
        if (route.actor === undefined || isLater) {
          if (packed !== undefined) {
            route.offerPacked(packed, acceptance);
            continue;
          }
          packed = route.offer(hub.packer, header, payload, isBytes, acceptance);
          acceptance.packedIn(packed);
        } else {
          if (copied === undefined) {
            copied = { value: isBytes ? decodeValue(payload as Uint8Array) : copyOf(payload) };
            acceptance.copiedAs(copied.value);
          }
          void tellActor(route, route.actor, header, copied.value, acceptance as Acceptance, this.#telling);
        }
      }
    });
  }

  broadcast(message: CarriedMessage): Promise<number | undefined> {
    return Promise.resolve(this.#hub.broadcast(message));
  }

  listen(
    pattern: string,
    queue: string | undefined,
    hear: (message: CarriedMessage) => void,
    isOfKept = true,
  ): Promise<() => Promise<void>> {
    const unlisten = this.#hub.listen({ pattern, queue, hear, isOfKept });
    return Promise.resolve(() => Promise.resolve(unlisten()));
  }

  async subscribe(spec: SubscriptionSpec, deliver: (handOuts: readonly HandOut[]) => void): Promise<AdapterConsumer> {
    return this.#consumer(await this.#hub.join(spec), deliver, readsMessages());
  }

  unsubscribe(name: string): Promise<void> {
    return this.#hub.leave(name);
  }

  async subscriptions(): Promise<
    ReadonlyMap<string, { readonly pattern: string; readonly waiting: number; readonly dead: number }>
  > {
    const rows = [...this.#hub.routes.values()].map(async ({ name, pattern, queue }) => {
      const view = (await queue.snapshot()).view as QueueView | undefined;
      return [name, { pattern, waiting: (view?.waiting ?? 0) + (view?.leased ?? 0), dead: view?.dead ?? 0 }] as const;
    });
    return new Map(await Promise.all(rows));
  }

  async receipt(id: string): Promise<ReceiptState | undefined> {
    const statuses = await this.#statuses([...this.#hub.routes.values()], id);
    return statuses.size === 0 ? undefined : receiptStateOf(id, Object.fromEntries(statuses));
  }

  settled(id: string, signal: AbortSignal | undefined, token?: unknown): Promise<ReceiptState> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    if (this.#shared === undefined) return Promise.reject(new BrokerClosedError('the broker is closed'));
    return new Promise((resolve, reject) => {
      const end = new MessageEnd(id, resolve, reject, this.#waiting, signal);
      if (token instanceof Acceptance) end.waitFor(token);
      else end.waitAnywhere(this.#hub.routes.values());
    });
  }

  async deadLetters(query: DeadLetterQuery): Promise<readonly DeadLetterRecord[]> {
    const found: DeadLetterRecord[] = [];
    const [afterName, afterId] = query.after === undefined ? [undefined, null] : splitLetterId(query.after);
    const routes = [...this.#hub.routes.values(), this.#hub.exchange].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const route of routes) {
      if (query.subscription !== undefined && route.name !== query.subscription) continue;
      if (afterName !== undefined && route.name < afterName) continue;
      let after = route.name === afterName ? afterId : null;
      for (let more = true; more && found.length < query.limit; ) {
        const page = await this.#lettersOf<LettersPage>(route, { type: 'LIST', after, count: LETTERS_A_PAGE });
        more = page.more;
        for (const letter of await this.#read(route, page)) {
          after = letter.id;
          const record = recordOf(route.name, letter);
          if (found.length < query.limit && matchesQuery(record, query)) found.push(record);
        }
      }
    }
    return found;
  }

  redrive(ids: readonly string[], redrivesLimit: number): Promise<number> {
    return this.#perRoute(ids, (route, own) => {
      route.reopened();
      return this.#lettersOf<number>(route, { type: 'REDRIVE', ids: own, redrivesLimit });
    });
  }

  purge(ids: readonly string[]): Promise<number> {
    return this.#perRoute(ids, (route, own) => this.#lettersOf<number>(route, { type: 'PURGE', ids: own }));
  }

  retain(pattern: string, limits: RetentionLimits): Promise<void> {
    return this.#hub.retain(pattern, limits);
  }

  retained(): Promise<ReadonlyMap<string, RetainedPositions>> {
    return this.#hub.retained();
  }

  /** Hands a subscription's messages to an actor from now on, or (undefined) to functions again. */
  async direct(name: string, actor: CellKey | undefined): Promise<void> {
    const route = this.#hub.routes.get(name);
    if (route === undefined) return;
    await (actor === undefined ? this.#hub.undirect(route) : this.#hub.direct(route, actor));
  }

  /** What actors have sent to the exchange. */
  outgoing(deliver: (handOuts: readonly HandOut[]) => void): AdapterConsumer {
    return this.#consumer(this.#hub.exchange, deliver, readsDrafts);
  }

  readonly records: AdapterRecords = {
    put: (kind, name, value) => this.#hub.put(kind, name, value),
    list: (kind) => this.#hub.list(kind),
    delete: (kind, name) => this.#hub.remove(kind, name),
  };

  close(): Promise<void> {
    this.#giveUp(new BrokerClosedError('the broker was closed before the message had ended'));
    this.#untell?.();
    this.#leave();
    return Promise.resolve();
  }

  get #hub(): EmbeddedHub {
    if (this.#shared === undefined) throw new BrokerClosedError('the broker is closed');
    return this.#shared.hub;
  }

  #leave(): void {
    const shared = this.#shared;
    this.#shared = undefined;
    if (shared === undefined) return;
    shared.users -= 1;
    if (shared.users > 0) return;
    shared.hub.close();
    hubs.get(this.#ports.system)?.delete(this.#ports.broker);
  }

  #consumer(route: Route, deliver: (handOuts: readonly HandOut[]) => void, read: ReadHandOut): EmbeddedConsumer {
    return new EmbeddedConsumer({
      route,
      name: this.#hub.consumerName(),
      deliver,
      read,
      clock: this.#ports.clock,
      failed: (error) => this.#failed(error),
    });
  }

  /** Without its system nothing ends any more. */
  #failed(error: Error): void {
    if (error instanceof SystemStoppedError) this.#giveUp(error);
    this.#events?.failed(error);
  }

  #giveUp(error: Error): void {
    this.#waiting.giveUp(error);
  }

  async #statuses(routes: readonly Route[], id: string): Promise<Map<string, DeliveryStatus>> {
    const statuses = new Map<string, DeliveryStatus>();
    await Promise.all(
      routes.map(async (route) => {
        const status = await route.status(id);
        if (status !== undefined) statuses.set(route.name, status);
      }),
    );
    return statuses;
  }

  #lettersOf<TReply>(route: Route, message: LettersMessage): Promise<TReply> {
    return this.#hub.lettersOf(route).ask<TReply>(message, { timeoutMs: CALL_TIMEOUT_MS });
  }

  async #read(route: Route, page: LettersPage): Promise<WireLetter[]> {
    const letters = this.#hub.lettersOf(route).key;
    const read = page.slots.map((slot) =>
      this.#hub
        .refOf(letterKey(letters, slot))
        .ask<WireLetter | null>({ type: 'GET' } satisfies LetterMessage, { timeoutMs: CALL_TIMEOUT_MS }),
    );
    return (await Promise.all(read)).filter((letter) => letter !== null);
  }

  async #perRoute(ids: readonly string[], act: (route: Route, own: string[]) => Promise<number>): Promise<number> {
    const byRoute = new Map<Route, string[]>();
    for (const id of ids) {
      const [name, own] = splitLetterId(id);
      const route = this.#hub.route(name);
      if (route === undefined) continue;
      const list = byRoute.get(route);
      if (list === undefined) byRoute.set(route, [own]);
      else list.push(own);
    }
    const counts = await Promise.all([...byRoute].map(([route, own]) => act(route, own)));
    return counts.reduce((sum, count) => sum + count, 0);
  }
}

/** What a sender may go on changing, as it is now. The link to the actor encodes it; what is no plain record of simple values is encoded here. */
function copyOf(payload: unknown): unknown {
  if (typeof payload !== 'object' || payload === null) {
    return typeof payload === 'function' || typeof payload === 'symbol' ? decodeValue(encodePayload(payload)) : payload;
  }
  return isSimpleRecord(payload) ? { ...payload } : decodeValue(encodePayload(payload));
}

function isSimpleRecord(value: object): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const name in value) {
    const field = (value as Record<string, unknown>)[name];
    if (typeof field !== 'string' && typeof field !== 'number' && typeof field !== 'boolean') return false;
  }
  return true;
}

function splitLetterId(id: string): [subscription: string, own: string] {
  const at = id.lastIndexOf('/');
  return [id.slice(0, at), id.slice(at + 1)];
}

function recordOf(subscription: string, letter: WireLetter): DeadLetterRecord {
  const { id, bytes, reason, error, attempts, firstMs, deadMs, redrives } = letter;
  return {
    id: `${subscription}/${id}`,
    subscription,
    message: unpackMessage(bytes),
    reason,
    error,
    attempts,
    firstDeliveredMs: firstMs,
    deadMs,
    redrives,
  };
}

function matchesQuery(record: DeadLetterRecord, query: DeadLetterQuery): boolean {
  const { header } = record.message;
  if (query.subjectPattern !== undefined && !matchesSubject(query.subjectPattern, header.subject)) return false;
  if (query.type !== undefined && header.type !== query.type) return false;
  if (query.reason !== undefined && record.reason !== query.reason) return false;
  if (query.errorCode !== undefined && record.error.code !== query.errorCode) return false;
  if (query.deadAfterMs !== undefined && record.deadMs <= query.deadAfterMs) return false;
  return query.deadBeforeMs === undefined || record.deadMs < query.deadBeforeMs;
}
