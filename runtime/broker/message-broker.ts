/**
 * `MessageBroker`: what systems publish to and subscribe at.
 *
 * Owns: the public verbs, and the way of a message from draft to adapter and from adapter to handler. Defaults are `message-maker.ts`,
 * what a subscription does with its messages `subscription-runner.ts`, answers `requests.ts`, keeping messages the adapters'.
 *
 * Invariants:
 * MB1. All of a `publish` up to the adapter happens in the call: messages leave in the order of the calls.
 * MB2. After `close` no handler runs, nothing is open, and every call made before has settled.
 */
import { type Clock, systemClock } from '../kernel/clock.ts';
import { BrokerClosedError, BrokerUnavailableError, decodeError, InvalidMessageError } from '../kernel/errors.ts';
import { type Random, systemRandom } from '../kernel/random.ts';
import { Reference } from '../kernel/reference.ts';
import { inProcessSpan, isObserved } from '../telemetry/messaging.ts';
import { currentTrace } from '../telemetry/trace-carrier.ts';
import { decodeValue, encodeValue } from '../wire/value-codec.ts';
import { adapterOf } from './adapter-choice.ts';
import type { BrokerAdapter, CarriedMessage } from './broker-adapter.ts';
import { BrokerSchedules, type ScheduleTime, type StoredSchedule } from './broker-schedules.ts';
import { BrokerDeadLetters } from './broker-dead-letters.ts';
import { type BrokerEvents, BrokerEventHub } from './broker-events.ts';
import {
  type BrokerSeams,
  type MessageBrokerOptions,
  type ResolvedBrokerOptions,
  resolveBrokerOptions,
} from './broker-options.ts';
import type {
  Broker,
  MessageHandler,
  RequestOptions,
  RetainedPositions,
  SubscribeOptions,
  Subscription,
} from './contract/broker-contract.ts';
import type { Message, MessageDraft } from './contract/message.ts';
import type { Receipt, ReceiptState } from './contract/receipt.ts';
import { actorHandler } from './actor-handler.ts';
import type { Checked } from './contracts/contract-registry.ts';
import { callAlone, callWithin, messageInHands } from './handling-context.ts';
import { LocalSource } from './local-source.ts';
import { messageIds } from './message-id.ts';
import { assertName, isPlainObject, show } from '../kernel/option-faults.ts';
import { publishOutgoing } from './outgoing-drafts.ts';
import { type Header, MessageMaker } from './message-maker.ts';
import { Delivery } from './delivery.ts';
import { MessagePublisher } from './message-publisher.ts';
import { receiptsAnswer, REQUEST_TIMEOUT_MS, Requests, type ResponsePayload } from './requests.ts';
import type { BrokerStats } from './broker-stats.ts';
import { BrokerSubscription } from './broker-subscription.ts';
import { assertRetention, resolveSubscribeOptions } from './subscribe-options.ts';
import type { Attempt, Ending } from './runner-ports.ts';
import { SubscriptionRunner } from './subscription-runner.ts';
import { assertPattern, replySubject } from './subjects.ts';

export class MessageBroker implements Broker, AsyncDisposable {
  readonly name: string;
  /** Messages that were set aside: list, redrive, purge. */
  readonly deadLetters: BrokerDeadLetters;
  readonly #options: ResolvedBrokerOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #adapter: BrokerAdapter;
  readonly #publisher: MessagePublisher;
  readonly #events = new BrokerEventHub();
  readonly #requests: Requests;
  readonly #instance: string;
  readonly #open = new Set<BrokerSubscription>();
  #unlistenReplies: (() => Promise<void>) | undefined;
  readonly #schedules: BrokerSchedules;
  #outgoing: SubscriptionRunner | undefined;
  #anonymous = 0;
  /** Why the server cannot be reached, as long as it cannot. */
  #down: Error | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: ResolvedBrokerOptions, adapter: BrokerAdapter, clock: Clock, random: Random) {
    this.name = options.name;
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#adapter = adapter;
    const nowMs = (): number => clock.now();
    const newId = messageIds(nowMs, random);
    this.deadLetters = new BrokerDeadLetters(adapter, options.redrivesLimit, nowMs);
    this.#instance = newId();
    this.#requests = new Requests(clock, () => this.#down);
    this.#publisher = new MessagePublisher({
      adapter,
      clock,
      contracts: options.contracts,
      isTracing: options.tracing,
      maker: new MessageMaker({
        source: options.name,
        ttlMs: options.ttlMs,
        nowMs,
        newId,
        trace: options.tracing ? currentTrace : () => undefined,
      }),
      failed: (error) => this.#failed(error),
    });
    this.#schedules = new BrokerSchedules({
      clock,
      records: adapter.records,
      publish: (draft) => this.#publish(draft, undefined),
      failed: (error) => this.#failed(error),
    });
  }

  /**
   * Starts a broker. Durable subscriptions made earlier take messages as soon as this resolves, whoever listens.
   *
   * @throws InvalidOptionsError with all faults, BrokerConfigurationError, BrokerUnavailableError, MissingPackageError
   * @example await using broker = await MessageBroker.start({ system })
   */
  static start(options: MessageBrokerOptions = {}): Promise<MessageBroker> {
    return MessageBroker.startWith(options, {});
  }

  /** `start` with another clock or randomness: for tests and simulation. @internal */
  static async startWith(options: MessageBrokerOptions, seams: BrokerSeams): Promise<MessageBroker> {
    const resolved = resolveBrokerOptions(options);
    const clock = seams.clock ?? systemClock;
    const random = seams.random ?? systemRandom;
    const adapter = await adapterOf(resolved, clock, random);
    const broker = new MessageBroker(resolved, adapter, clock, random);
    await broker.#start();
    return broker;
  }

  /** Publishes a message: `Broker.publish`. */
  publish(draft: MessageDraft): Promise<Receipt> {
    return this.#publish(draft, messageInHands());
  }

  /** Asks and waits for the answer: `Broker.request`. */
  async request<TReply = unknown>(draft: MessageDraft, options: RequestOptions = {}): Promise<TReply> {
    this.#assertOpen();
    if (!isPlainObject(draft))
      throw new InvalidMessageError(`request: ${show(draft)} is not a message: give { type, payload }`);
    const cause = messageInHands();
    const what = `"${String(draft.type)}"`;
    const ttlMs = draft.ttlMs ?? this.#options.ttlMs ?? Number.POSITIVE_INFINITY;
    const answer = this.#requests.run(what, options, async (number, reply, signal) => {
      const asking: MessageDraft = {
        kind: draft.target === undefined && draft.kind === undefined ? 'QUERY' : (draft.kind ?? 'COMMAND'),
        ...draft,
        replyTo: replySubject(this.#instance, number),
      };
      const receipt = await this.#publish(asking, cause);
      const known = await receiptsAnswer(receipt, ttlMs < (options.timeoutMs ?? REQUEST_TIMEOUT_MS), signal);
      if (known !== undefined) reply(known);
    });
    return (await answer) as TReply;
  }

  /**
   * Subscribes a handler: `Broker.subscribe`. Instead of a function it may be a reference to an actor, which gets the whole message as
   * its event and answers by its reply.
   */
  async subscribe<TPayload = unknown>(
    pattern: string,
    handler: MessageHandler<TPayload> | Reference,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    this.#assertOpen();
    assertPattern(pattern);
    const resolved = resolveSubscribeOptions(options, handler, this.#options.retry);
    const handle = (
      handler instanceof Reference ? actorHandler(this.#options.system, handler) : handler
    ) as MessageHandler;
    this.#anonymous += 1;
    const name = resolved.name ?? `$local.${this.#instance}.${this.#anonymous}`;
    const runner = new SubscriptionRunner({
      clock: this.#clock,
      random: this.#random,
      concurrency: resolved.concurrency,
      order: resolved.order,
      ackTimeoutMs: resolved.ackTimeoutMs,
      retry: resolved.retry,
      invoke: (message, attempt) => this.#invoke(handle, message, name, attempt),
      check: (message) => this.#check(message),
      ended: (ending) => this.#ended(name, ending),
      failed: (error) => this.#failed(error),
    });
    const isDurable = resolved.name !== undefined;
    const local = new LocalSource({
      clock: this.#clock,
      limit: resolved.waitingLimit,
      order: resolved.order,
      deliver: isDurable ? runner.deliverUnasked : runner.deliver,
      dropped: ({ header }) => this.#events.emit('dropped', { messageId: header.id, subscription: name }),
      unlisten: () => unlisten(),
    });
    // What is kept comes by way of the queue; what is kept nowhere is heard, by one of those that share a name.
    const hear = isDurable
      ? (message: CarriedMessage) => message.header.delivery === 'AT_MOST_ONCE' && local.hear(message)
      : local.hear;
    const group = isDurable ? `$durable.${name}` : resolved.queue;
    let unlisten = (): Promise<void> => Promise.resolve();
    if (isDurable) {
      const { from, waitingLimit, order, ackTimeoutMs } = resolved;
      const spec = { name, pattern, from, waitingLimit, order, ackTimeoutMs };
      const consumer = await this.#adapter.subscribe(spec, runner.deliver);
      await this.#adapter.direct?.(name, handler instanceof Reference ? handler.key : undefined);
      local.request(Number.POSITIVE_INFINITY);
      runner.begin({
        request: (count) => consumer.request(count),
        settle: (handOut, outcome) =>
          handOut.message.header.delivery === 'AT_MOST_ONCE'
            ? local.settle(handOut, outcome)
            : consumer.settle(handOut, outcome),
        close: async () => {
          await local.close();
          await consumer.close();
        },
      });
    } else {
      runner.begin(local);
    }
    unlisten = await this.#adapter.listen(pattern, group, hear, !isDurable);
    const subscription = new BrokerSubscription(name, pattern, {
      close: async () => {
        this.#open.delete(subscription);
        await runner.close(this.#options.drainTimeoutMs);
      },
      delete: async () => {
        if (isDurable) await this.#adapter.unsubscribe(name);
      },
    });
    this.#open.add(subscription);
    return subscription;
  }

  /** How far a message has come: `Broker.receipt`. */
  async receipt(id: string): Promise<ReceiptState | undefined> {
    this.#assertOpen();
    assertName('receipt', 'id', id);
    return this.#adapter.receipt(id);
  }

  /** Durable subscriptions by name, with their pattern, how many messages wait and how many were set aside. */
  async subscriptions(): ReturnType<BrokerAdapter['subscriptions']> {
    this.#assertOpen();
    return this.#adapter.subscriptions();
  }

  /**
   * Keeps messages of these subjects, durably, for subscriptions that begin in the past: `from: 'beginning'` and the like. Without
   * limits, all of them. Asked again, the limits are the new ones.
   */
  async retain(pattern: string, limits: { readonly messages?: number; readonly ageMs?: number } = {}): Promise<void> {
    this.#assertOpen();
    assertPattern(pattern);
    assertRetention(limits);
    return this.#adapter.retain(pattern, limits);
  }

  /**
   * What is kept, by pattern: the position of the first message that is there (or would be, if there is none), and of the next one.
   *
   * @example const next = (await broker.retained()).get('prices.>')?.nextPosition // later: subscribe with from: { position: next }
   */
  async retained(): Promise<ReadonlyMap<string, RetainedPositions>> {
    this.#assertOpen();
    return this.#adapter.retained();
  }

  /**
   * Publishes a message by the clock: `{ cron }`, `{ everyMs }` or `{ at }`. Durable; each time once, over all processes with a broker of
   * this name. Asked again under a name, it takes the place of the old one. What was missed while no broker ran is made up for by the
   * last time alone.
   *
   * @throws InvalidScheduleError, InvalidMessageError
   * @example await broker.schedule('report', { cron: '0 9 * * MON-FRI', timeZone: 'Europe/Berlin' }, { type: 'report.due' })
   */
  async schedule(name: string, time: ScheduleTime, draft: MessageDraft): Promise<void> {
    this.#assertOpen();
    this.#publisher.assertDraft(draft);
    encodeValue(draft);
    await this.#schedules.put(name, time, draft);
  }

  /** Ends a schedule; whether there was one. */
  async unschedule(name: string): Promise<boolean> {
    this.#assertOpen();
    return this.#schedules.remove(name);
  }

  /** Schedules by name. */
  async schedules(): Promise<ReadonlyMap<string, StoredSchedule>> {
    this.#assertOpen();
    return this.#schedules.list();
  }

  /** Figures, as of now: of durable subscriptions, and of what is under way here. */
  async stats(): Promise<BrokerStats> {
    const subscriptions = await this.subscriptions();
    let waiting = 0;
    let dead = 0;
    for (const row of subscriptions.values()) {
      waiting += row.waiting;
      dead += row.dead;
    }
    return {
      adapter: this.#adapter.kind,
      subscriptions: subscriptions.size,
      listening: this.#open.size,
      waiting,
      dead,
      requests: this.#requests.size,
    };
  }

  /** Listens; the returned function stops. */
  on<K extends keyof BrokerEvents>(kind: K, listener: (event: BrokerEvents[K]) => void): () => void {
    return this.#events.on(kind, listener);
  }

  /** Ends all subscriptions once what is being handled is finished (`drainTimeoutMs`), then the broker. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(): Promise<void> {
    await this.#adapter.open({
      dead: ({ messageId, subscription, reason, error, attempts }) =>
        this.#events.emit('dead_letter', { messageId, subscription, reason, attempts, error: decodeError(error) }),
      connection: (state, error) => {
        this.#down = state === 'up' ? undefined : (error ?? this.#lost());
        this.#events.emit(
          'connection',
          this.#down === undefined ? { state: 'up' } : { state: 'down', error: this.#down },
        );
      },
      failed: (error) => this.#failed(error),
    });
    this.#unlistenReplies = await this.#adapter.listen(`${replySubject(this.#instance)}.*`, undefined, (message) =>
      this.#replied(message),
    );
    this.#outgoing = publishOutgoing({
      adapter: this.#adapter,
      clock: this.#clock,
      random: this.#random,
      retry: this.#options.retry,
      publish: (draft) => this.#publish(draft, undefined),
      ended: (ending) => this.#ended('$exchange', ending),
      failed: (error) => this.#failed(error),
    });
    await this.#schedules.open();
  }

  async #close(): Promise<void> {
    this.#schedules.close();
    const outgoing = this.#outgoing?.close(this.#options.drainTimeoutMs);
    await Promise.all([outgoing, ...[...this.#open].map((subscription) => subscription.close())]);
    this.#requests.close(new BrokerClosedError('the broker was closed before the answer came'));
    await this.#unlistenReplies?.();
    await this.#adapter.close();
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new BrokerClosedError('the broker is closed');
  }

  #publish(draft: MessageDraft, cause: Header | undefined): Promise<Receipt> {
    if (this.#closing !== undefined) return Promise.reject(new BrokerClosedError('the broker is closed'));
    return this.#publisher.publish(draft, cause);
  }

  #invoke(handle: MessageHandler, message: Message, subscription: string, attempt: Attempt): unknown {
    const context = new Delivery(attempt, subscription, message, this.#publisher);
    if (!this.#options.tracing || !isObserved()) return callAlone(handle, message, context);
    return this.#invokeObserved(handle, message, context);
  }

  #invokeObserved(handle: MessageHandler, message: Message, context: Delivery): unknown {
    const run = (): unknown => callWithin(handle, message, context);
    const { id, subject, correlationId, traceparent, tracestate } = message;
    return inProcessSpan(
      {
        system: this.#adapter.kind,
        destination: subject,
        id,
        conversationId: correlationId,
        group: context.subscription,
        parent: traceparent === undefined ? undefined : { traceparent, tracestate },
      },
      run,
    );
  }

  #check(message: Message): Message | Promise<Message> {
    const { contracts } = this.#options;
    if (contracts === undefined) return message;
    const read = ({ payload, version }: Checked): Message => ({
      ...message,
      payload,
      ...(version === undefined ? {} : { contractVersion: version }),
    });
    const checked = contracts.checkReceived(message.type, message.payload, message.contractVersion);
    return checked instanceof Promise ? checked.then(read) : read(checked);
  }

  #ended(subscription: string, { header, attempt, outcome, value, error }: Ending): void {
    if (outcome.kind === 'dead') {
      const { reason } = outcome;
      const cause = decodeError(outcome.error);
      if (header.delivery === 'AT_MOST_ONCE') {
        this.#events.emit('dropped', { messageId: header.id, subscription, error: error ?? cause });
      } else {
        this.#events.emit('dead_letter', {
          messageId: header.id,
          subscription,
          reason,
          attempts: attempt,
          error: cause,
        });
      }
    }
    if (header.replyTo === undefined) return;
    const payload: ResponsePayload =
      outcome.kind === 'dead' ? { error: outcome.error } : value === undefined ? {} : { value };
    this.#publish(
      { type: header.type, kind: 'RESPONSE', subject: header.replyTo, payload, target: header.source },
      header,
    ).catch((failure) => this.#failed(failure));
  }

  #replied({ header, payload }: CarriedMessage): void {
    const number = header.subject.slice(header.subject.lastIndexOf('.') + 1);
    const response = decodeValue(payload) as ResponsePayload;
    if (this.#requests.answer(number, response)) return;
    this.#events.emit('late_reply', { message: { ...header, payload: response } });
  }

  #lost(): BrokerUnavailableError {
    return new BrokerUnavailableError(`the connection to the broker's server (${this.#adapter.kind}) is lost`);
  }

  #failed(error: unknown): void {
    this.#events.emit('failed', { error: error instanceof Error ? error : new Error(String(error)) });
  }
}
