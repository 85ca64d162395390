/**
 * `SystemConnector`: one system's way to all others.
 *
 * Owns: the public verbs, and putting the parts together: the chart and where it runs, what goes out, what comes in, figures and events.
 * What each part does is its own file.
 *
 * Invariants:
 * SC1. A connector that is used before it was connected connects first.
 * SC2. After `disconnect` and after disposal nothing goes out and nothing comes in: calls end with `ConnectorUnavailableError`.
 */
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';
import type { Message } from '../../runtime/broker/contract/message.ts';
import type { Receipt } from '../../runtime/broker/contract/receipt.ts';
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import { type Clock, systemClock } from '../../runtime/kernel/clock.ts';
import { ConnectorUnavailableError, InvalidOptionsError } from '../../runtime/kernel/errors.ts';
import { type Random, systemRandom } from '../../runtime/kernel/random.ts';
import { probeBroker } from './broker-probe.ts';
import { type ConnectorDirectory, type DirectoryEntry, directoryOf } from './connector-directory.ts';
import { type ConnectorEvent, ConnectorFeed } from './connector-feed.ts';
import type { ConnectorHealth } from './connector-health.ts';
import { ConnectorLife } from './connector-life.ts';
import type { ConnectorState } from './connector-machine.ts';
import { type CheckedOptions, checkOptions, type ConnectorOptions } from './connector-options.ts';
import { hostedSeat, localSeat } from './connector-seat.ts';
import { Deliveries, type EventOptions, type Registration } from './deliveries.ts';
import { GuardSet } from './guard-set.ts';
import { assertHandler, type ConnectorHandler, type HandlerOptions } from './handler-table.ts';
import { type CommandOptions, OutgoingCalls, type OutgoingOptions, type PublishOptions } from './outgoing-calls.ts';
import { timedCall } from './timed-call.ts';

export interface StartOptions extends ConnectorOptions {
  readonly broker: Broker;
  /** The actor system that the connector's chart lives in, durably. Without one it lives here, and is new at every start. */
  readonly system?: ActorHost;
  /** Default true: connect at once, unless it was stopped by `disconnect` in an earlier life. */
  readonly connect?: boolean;
}

/** What a connector and its parts read of the world: for tests. */
export interface ConnectorSeams {
  readonly clock?: Clock;
  readonly random?: Random;
}

export class SystemConnector implements AsyncDisposable {
  readonly id: string;
  readonly broker: Broker;
  readonly #options: CheckedOptions;
  readonly #host: ActorHost | undefined;
  readonly #clock: Clock;
  readonly #directory: ConnectorDirectory;
  readonly #entry: DirectoryEntry;
  readonly #guards: GuardSet;
  readonly #feed = new ConnectorFeed();
  readonly #life: ConnectorLife;
  readonly #deliveries: Deliveries;
  readonly #outgoing: OutgoingCalls;
  #seated: Promise<void> | undefined;
  #isFaulty = false;
  #passed = 0;
  #failed = 0;
  #connections = 0;
  #sinceMs: number;
  #following: Promise<void> = Promise.resolve();
  #disposed: Promise<void> | undefined;

  /**
   * A connector of the system `id`. It connects when it is first used, or by `connect`. Its state is kept in this process alone: for a
   * chart in a system of actors use `SystemConnector.start`.
   *
   * @throws InvalidOptionsError with all faults
   * @example const orders = new SystemConnector('orders', broker)
   */
  constructor(
    id: string,
    broker: Broker,
    options: ConnectorOptions = {},
    seams: ConnectorSeams & { readonly host?: ActorHost } = {},
  ) {
    this.#clock = seams.clock ?? systemClock;
    this.#options = checkOptions(id, options, { host: seams.host, clock: this.#clock });
    if (typeof (broker as Broker | undefined)?.publish !== 'function') {
      throw new InvalidOptionsError(`SystemConnector "${id}": broker is no broker: give a MessageBroker`);
    }
    this.id = id;
    this.broker = broker;
    this.#host = seams.host;
    const { policies, degraded } = this.#options;
    this.#guards = new GuardSet(policies, degraded, { clock: this.#clock, random: seams.random ?? systemRandom });
    this.#sinceMs = this.#clock.now();
    this.#directory = directoryOf(broker);
    this.#entry = {
      takesCommand: (action) => this.#options.transport !== undefined || this.#deliveries.commands.has(action),
    };
    this.#life = new ConnectorLife(id, {
      open: (signal) => this.#open(signal),
      check: (signal) => this.#check(signal),
      close: async () => this.#options.transport?.close(),
      entered: (state, before, reason) => this.#entered(state, before, reason),
      checked: (error) => this.#checked(error),
      trouble: (error) => this.#trouble(error),
    });
    const judged = (): void => this.#judge();
    this.#deliveries = new Deliveries({
      id,
      broker,
      clock: this.#clock,
      options: this.#options,
      life: this.#life,
      guards: this.#guards,
      failed: (message, attempt, error) => this.#deliveryFailed(message, attempt, error),
      judged,
      trouble: (error) => this.#trouble(error),
    });
    this.#outgoing = new OutgoingCalls({
      id,
      broker,
      directory: this.#directory,
      host: this.#host,
      guards: this.#guards,
      judged,
    });
  }

  /**
   * Starts a connector whose chart is an actor of `system`: supervised where a supervisor has it as a child (`connectorChild`), durable in
   * any case. Resolves when the first try to connect has ended, well or not: `state` says which, and it goes on trying.
   *
   * @throws InvalidOptionsError with all faults
   * @example await using billing = await SystemConnector.start('billing', { broker, system, transport: httpTransport({ url }) })
   */
  static start(id: string, options: StartOptions): Promise<SystemConnector> {
    return SystemConnector.startWith(id, options, {});
  }

  /** `start` on another clock: for tests. @internal */
  static async startWith(id: string, options: StartOptions, seams: ConnectorSeams): Promise<SystemConnector> {
    if (typeof options !== 'object' || options === null) {
      throw new InvalidOptionsError(`SystemConnector.start("${id}"): give it options with a broker`);
    }
    const { broker, system, connect = true, ...rest } = options;
    const made = new SystemConnector(id, broker, rest, { ...seams, ...(system === undefined ? {} : { host: system }) });
    try {
      await made.#seat();
      if (connect && made.state !== 'stopped') await made.#tryOnce();
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
    return made;
  }

  get state(): ConnectorState {
    return this.#life.state;
  }

  /**
   * Connects, also one that was stopped. Resolves when it is connected.
   *
   * @throws ConnectorUnavailableError when the first try fails; it goes on trying all the same
   */
  async connect(): Promise<void> {
    this.#assertLives();
    await this.#seat();
    if (this.#life.isOnline) return;
    const state = await this.#tryOnce();
    if (state !== 'connected' && state !== 'degraded') throw this.#unavailable();
  }

  /** Stops it on purpose: it stays stopped, also over a restart of the process, until `connect`. What waits for it stays in the broker. */
  async disconnect(): Promise<void> {
    this.#assertLives();
    await this.#seat();
    await this.#life.stop();
    await this.#following;
  }

  /**
   * Sends a command to another system. Resolves with its receipt once it is accepted (on disk, for AT_LEAST_ONCE and EXACTLY_ONCE);
   * with `reply: true` with what the handler returned. Commands of this system to one target are handled in the order of the calls.
   *
   * @throws UnknownTargetError, NoSubscriberError, InvalidSubjectError, ConnectorUnavailableError, BulkheadFullError, RateLimitedError,
   *   CircuitOpenError, RequestTimeoutError, with `reply` the handler's error, and what the broker's `publish` throws
   * @example await orders.sendCommand('billing', 'charge', { order: 'o-42', cents: 990 }, { idempotencyKey: 'charge-o-42' })
   */
  sendCommand<TReply = unknown>(
    target: string,
    action: string,
    payload: unknown,
    options: CommandOptions & { readonly reply: true },
  ): Promise<TReply>;
  sendCommand(
    target: string,
    action: string,
    payload?: unknown,
    options?: CommandOptions & { readonly reply?: false },
  ): Promise<Receipt>;
  async sendCommand(target: string, action: string, payload?: unknown, options: CommandOptions = {}): Promise<unknown> {
    await this.#ready();
    return this.#outgoing.sendCommand(target, action, payload, options);
  }

  /**
   * Tells everybody who is interested. Resolves with the receipt.
   *
   * @throws InvalidSubjectError, ConnectorUnavailableError, and what the broker's `publish` throws
   * @example await orders.publishEvent('orders.o-42.placed', { total: 990 })
   */
  async publishEvent(type: string, data?: unknown, options: PublishOptions = {}): Promise<Receipt> {
    await this.#ready();
    return this.#outgoing.publishEvent(type, data, options);
  }

  /**
   * Asks another system; resolves with what its handler returned. Changes nothing there, and may therefore be tried again.
   *
   * @throws UnknownTargetError, NoHandlerError, RequestTimeoutError, the handler's error, and the policies' refusals
   * @example const { cents } = await orders.query('billing', 'balance', { customer: 'c-7' }, { timeoutMs: 2_000 })
   */
  async query<TReply = unknown>(
    target: string,
    query: string,
    params?: unknown,
    options: OutgoingOptions = {},
  ): Promise<TReply> {
    await this.#ready();
    return this.#outgoing.query(target, query, params, options) as Promise<TReply>;
  }

  /**
   * Handles commands of one action. All commands of a system are one durable work queue, named by the system: they are kept while nobody
   * listens, those of one sender are handled in order, and all processes with a connector of this id share them.
   *
   * @throws InvalidOptionsError (a second handler), InvalidSubjectError
   * @example await billing.onCommand('charge', async ({ cents }, { message }) => charge(cents, { idempotencyKey: message.id }))
   */
  async onCommand<TPayload = unknown>(
    action: string,
    handler: ConnectorHandler<TPayload>,
    options: HandlerOptions = {},
  ): Promise<Registration> {
    assertHandler('onCommand', 'action', action, handler);
    await this.#ready({ evenOffline: true });
    return this.#deliveries.onCommand(action, handler as ConnectorHandler, options);
  }

  /**
   * Answers queries of one name; the processes with a connector of this id share them.
   *
   * @throws InvalidOptionsError (a second handler), InvalidSubjectError
   */
  async onQuery<TParams = unknown>(
    query: string,
    handler: ConnectorHandler<TParams>,
    options: HandlerOptions = {},
  ): Promise<Registration> {
    assertHandler('onQuery', 'query', query, handler);
    await this.#ready({ evenOffline: true });
    return this.#deliveries.onQuery(query, handler as ConnectorHandler, options);
  }

  /**
   * Hears of events whose type matches `pattern` (`orders.*.paid`, `orders.>`). Durable unless `durable: false`: kept for this system
   * while it does not listen, under a name that its processes share (default: id and pattern).
   *
   * @throws InvalidSubjectError, InvalidOptionsError
   * @example await statistics.onEvent('flights.>', (flight) => count(flight), { from: 'beginning' })
   */
  async onEvent<TData = unknown>(
    pattern: string,
    handler: ConnectorHandler<TData>,
    options: EventOptions = {},
  ): Promise<Registration> {
    assertHandler('onEvent', undefined, pattern, handler);
    await this.#ready({ evenOffline: true });
    return this.#deliveries.onEvent(pattern, handler as ConnectorHandler, options);
  }

  /** Figures, as of now. */
  health(): ConnectorHealth {
    return {
      id: this.id,
      state: this.state,
      sinceMs: this.#sinceMs,
      reason: this.#life.reason,
      transport: this.#options.transport?.kind ?? 'none',
      checks: { passed: this.#passed, failed: this.#failed },
      connections: this.#connections,
      deliveries: this.#deliveries.figures,
      dependencies: this.#guards.figures(),
    };
  }

  /** What happens from now on, until the loop is left, `signal` aborts, or the connector is disposed. */
  events(options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<ConnectorEvent> {
    return this.#feed.read(options.signal);
  }

  /** Finishes what is being handled, lets the transport go, and leaves the chart: `disconnected`, or stopped if it was. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    this.#directory.leave(this.id, this.#entry);
    await this.#seated?.catch(() => {});
    await this.#deliveries.follow(false, true).catch((error: Error) => this.#trouble(error));
    await this.#life.release();
    await this.#following;
    this.#feed.close();
  }

  #seat(): Promise<void> {
    this.#seated ??= this.#sitDown().catch((error: unknown) => {
      this.#seated = undefined;
      throw error;
    });
    return this.#seated;
  }

  async #sitDown(): Promise<void> {
    const { settings } = this.#options;
    const seat =
      this.#host === undefined
        ? localSeat(this.id, settings, this.#clock, this.#life)
        : await hostedSeat(this.#host, this.id, settings, this.#life);
    this.#life.sitDown(seat);
    if (this.state !== 'stopped') this.#directory.enter(this.id, this.#entry);
  }

  /** Resolves with where one try to connect has led. */
  async #tryOnce(): Promise<ConnectorState> {
    const before = this.#connections;
    await this.#life.connect();
    this.#directory.enter(this.id, this.#entry);
    let begun = this.#life.isOnline;
    const state = await this.#life.settled((now) => {
      begun ||= now === 'connecting';
      return begun && now !== 'connecting' && (this.#connections > before || now !== 'disconnected');
    });
    await this.#following;
    return state;
  }

  async #ready({ evenOffline = false } = {}): Promise<void> {
    this.#assertLives();
    await this.#seat();
    if (this.state === 'stopped') throw this.#unavailable();
    if (this.state === 'disconnected' || this.state === 'connecting') await this.#tryOnce();
    // Over a transport comes what is for this system; what it says to others goes to the broker.
    if (this.#life.isOnline || evenOffline || this.#options.transport !== undefined) return;
    throw this.#unavailable();
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { transport, settings } = this.#options;
    if (transport === undefined) return this.#checkBroker(signal);
    await timedCall(
      async (within) =>
        transport.open({
          system: this.id,
          clock: this.#clock,
          signal: within,
          lost: (error) => void this.#life.lost(error),
        }),
      { clock: this.#clock, timeoutMs: settings.connectTimeoutMs, signal, overdue: () => this.#overdue('connect') },
    );
  }

  async #check(signal: AbortSignal): Promise<void> {
    const { transport } = this.#options;
    if (transport === undefined) return this.#checkBroker(signal);
    await transport.check?.(signal);
  }

  #checkBroker(signal: AbortSignal): Promise<void> {
    const overdue = (): Error => this.#overdue('answer');
    return timedCall(() => probeBroker(this.broker), { clock: this.#clock, signal, overdue });
  }

  #checked(error: Error | undefined): void {
    if (error === undefined) this.#passed += 1;
    else {
      this.#failed += 1;
      this.#feed.publish({ kind: 'check_failed', error, atMs: this.#clock.now() });
    }
    this.#judge();
  }

  #entered(state: ConnectorState, before: ConnectorState, reason: string): void {
    const wasOnline = before === 'connected' || before === 'degraded';
    const { isOnline } = this.#life;
    this.#sinceMs = this.#clock.now();
    if (isOnline && !wasOnline) {
      this.#connections += 1;
      this.#isFaulty = false;
    }
    if (state === 'stopped') this.#directory.leave(this.id, this.#entry);
    this.#feed.publish({ kind: 'state', from: before, to: state, reason, atMs: this.#sinceMs });
    const { isEnded } = this.#life;
    this.#following = this.#following
      .then(() => this.#deliveries.follow(isOnline, isEnded))
      .catch((error: Error) => {
        this.#trouble(error);
        void this.#life.lost(error);
      });
  }

  /** Tells the chart when too many calls fail, and when they do no more. */
  #judge(): void {
    const faulty = this.#guards.faulty();
    const isFaulty = faulty.length > 0;
    if (isFaulty === this.#isFaulty) return;
    this.#isFaulty = isFaulty;
    if (isFaulty) this.#life.faulty(`too many of the last calls failed: ${faulty.join(', ')}`);
    else this.#life.calm();
  }

  #deliveryFailed(message: Message, attempt: number, error: Error): void {
    const { id: messageId, type } = message;
    this.#feed.publish({ kind: 'delivery_failed', messageId, type, attempt, error, atMs: this.#clock.now() });
  }

  #trouble(error: Error): void {
    this.#feed.publish({ kind: 'trouble', error, atMs: this.#clock.now() });
  }

  #assertLives(): void {
    if (this.#disposed === undefined) return;
    throw new ConnectorUnavailableError(`the connector "${this.id}" has been disposed: make a new one`);
  }

  #overdue(what: string): ConnectorUnavailableError {
    return new ConnectorUnavailableError(`"${this.id}" did not ${what} in time`);
  }

  #unavailable(): ConnectorUnavailableError {
    const { state, reason, retryAfterMs } = this.#life;
    const remedy = state === 'stopped' ? 'it was stopped on purpose: connect() starts it again' : reason;
    return new ConnectorUnavailableError(`the connector "${this.id}" is ${state}: ${remedy}`, {
      details: { system: this.id, state, reason, ...(state === 'stopped' ? {} : { retryAfterMs }) },
    });
  }
}
