/**
 * What comes for a system from its broker: to its handlers, or over its transport.
 *
 * Owns: the subscriptions (commands: one durable queue, named by the system; queries: live, shared; events: durable unless said
 * otherwise), when they are open, and what a failure means for the message.
 *
 * Invariants:
 * DL1. One queue holds all commands of a system, so that those of one sender are handled in their order, whatever their actions.
 * DL2. While a transport is not connected its queues are closed: commands wait in the broker and lose no tries. Before it was connected
 *      for the first time they are open for as long as one hand-out lasts, since an unknown queue takes nothing. A query is refused at once.
 * DL3. A command that meets a lost connection, an open breaker or a rate limit waits for its end as long as its hand-out lasts, and
 *      only then loses a try.
 */
import {
  type Broker,
  type DeliveryContext,
  SUBSCRIBE_OPTIONS,
  type SubscribeOptions,
} from '../../runtime/broker/contract/broker-contract.ts';
import type { Message } from '../../runtime/broker/contract/message.ts';
import type { Clock } from '../../runtime/kernel/clock.ts';
import { ConnectorUnavailableError, InvalidOptionsError, NoSubscriberError } from '../../runtime/kernel/errors.ts';
import type { ConnectorLife } from './connector-life.ts';
import type { CheckedOptions } from './connector-options.ts';
import type { GuardSet } from './guard-set.ts';
import {
  assertHandlerOptions,
  type ConnectorHandler,
  type HandlerOptions,
  HandlerTable,
  runHandler,
} from './handler-table.ts';
import { Intake } from './intake.ts';
import { pause } from './timed-call.ts';
import type { ConnectorTransport } from './transport.ts';

/** What is left of a hand-out for the call itself when waiting has taken its share, where no deadline of a try says so. */
const CALL_SHARE_MS = 5_000;
/** A lost connection that the chart does not know of yet is not tried again at once. */
const LOST_PAUSE_MS = 50;

export interface EventOptions extends HandlerOptions, Omit<SubscribeOptions, 'queue'> {
  /** Whether events are kept for this system while it does not listen. Default true. */
  readonly durable?: boolean;
}

/** Beside the handler's own; what they may be, the broker says. */
const EVENT_OPTIONS = ['durable', ...SUBSCRIBE_OPTIONS.filter((name) => name !== 'queue')];

/** A handler's registration. Closing it ends handling once what is under way is finished. */
export interface Registration extends AsyncDisposable {
  readonly word: string;
  close(): Promise<void>;
}

export interface DeliveryFigures {
  readonly handled: number;
  readonly failed: number;
  readonly underWay: number;
}

export interface DeliveryPorts {
  readonly id: string;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly options: CheckedOptions;
  readonly life: ConnectorLife;
  /** That of `id` is around what goes over the transport. */
  readonly guards: GuardSet;
  failed(message: Message, attempt: number, error: Error): void;
  /** A call over the transport has ended. */
  judged(): void;
  trouble(error: Error): void;
}

export class Deliveries {
  readonly commands = new HandlerTable('action');
  readonly queries = new HandlerTable('query');
  readonly #ports: DeliveryPorts;
  /** By what they take: the queue of commands, each query, each pattern of events. */
  readonly #intakes = new Map<string, Intake>();
  #handled = 0;
  #failed = 0;
  #underWay = 0;
  #isOpen = false;
  /** Not connected yet: the queues are there from the start, so that commands find them. */
  #expects = true;

  constructor(ports: DeliveryPorts) {
    this.#ports = ports;
    const { transport, forward } = ports.options;
    if (transport === undefined) return;
    this.#intakes.set('commands', this.#commandQueue());
    this.#intakes.set('query >', this.#querySubscription('>'));
    for (const pattern of forward) {
      this.#intakes.set(
        `event ${pattern}`,
        this.#eventSubscription(pattern, {}, (m, c) => this.#carry(transport, m, c)),
      );
    }
  }

  get figures(): DeliveryFigures {
    return { handled: this.#handled, failed: this.#failed, underWay: this.#underWay };
  }

  async onCommand(action: string, handler: ConnectorHandler, options: HandlerOptions): Promise<Registration> {
    assertHandlerOptions('onCommand', options);
    this.#assertHandles(`command "${action}"`);
    this.commands.add(action, handler, options);
    if (!this.#intakes.has('commands')) this.#intakes.set('commands', this.#commandQueue());
    await this.#set('commands', this.#isOpen);
    return registration(action, async () => {
      this.commands.delete(action);
      if (this.commands.words.length > 0) return;
      await this.#set('commands', false);
      this.#intakes.delete('commands');
    });
  }

  async onQuery(query: string, handler: ConnectorHandler, options: HandlerOptions): Promise<Registration> {
    assertHandlerOptions('onQuery', options);
    this.#assertHandles(`query "${query}"`);
    this.queries.add(query, handler, options);
    return this.#register(`query ${query}`, query, this.#querySubscription(query), () => this.queries.delete(query));
  }

  onEvent(pattern: string, handler: ConnectorHandler, options: EventOptions): Promise<Registration> {
    assertHandlerOptions('onEvent', options, EVENT_OPTIONS);
    const { timeoutMs, ...subscribe } = options;
    if (subscribe.durable === false && subscribe.name !== undefined)
      throw new InvalidOptionsError(
        'onEvent: name: events that are kept have one: leave out `durable: false`, or the name',
      );
    const intake = this.#eventSubscription(pattern, subscribe, (message, context) =>
      runHandler(handler, message, context, { clock: this.#ports.clock, timeoutMs }),
    );
    const word = `event ${subscribe.name ?? pattern}`;
    if (this.#intakes.has(word)) {
      throw new InvalidOptionsError(`events "${subscribe.name ?? pattern}" have a handler already: give another name`);
    }
    return this.#register(word, pattern, intake, () => {});
  }

  /** Opens or closes everything by the state of the connection. */
  async follow(isOnline: boolean, isEnded: boolean): Promise<void> {
    const carries = this.#ports.options.transport !== undefined;
    if (isOnline) this.#expects = false;
    this.#isOpen = !isEnded && (!carries || isOnline || this.#expects);
    await Promise.all(
      [...this.#intakes.keys()].map((word) => this.#set(word, word === 'query >' ? !isEnded : this.#isOpen)),
    );
  }

  #assertHandles(what: string): void {
    const { id, options } = this.#ports;
    const { transport } = options;
    if (transport === undefined) return;
    throw new InvalidOptionsError(
      `${what}: "${id}" is reached over its transport (${transport.kind}), which takes all commands and queries: ` +
        'give the handler to a connector without one',
    );
  }

  async #register(word: string, name: string, intake: Intake, remove: () => void): Promise<Registration> {
    this.#intakes.set(word, intake);
    try {
      await this.#set(word, this.#isOpen);
    } catch (error) {
      this.#intakes.delete(word);
      remove();
      throw error;
    }
    return registration(name, async () => {
      remove();
      await this.#set(word, false);
      this.#intakes.delete(word);
    });
  }

  async #set(word: string, wanted: boolean): Promise<void> {
    await this.#intakes.get(word)?.set(wanted);
  }

  #commandQueue(): Intake {
    const { id, broker, options } = this.#ports;
    const { concurrency, ackTimeoutMs, ...rest } = options.commands;
    return new Intake(() =>
      broker.subscribe(`$command.${id}.>`, (message, context) => this.#handle(message, context), {
        name: id,
        concurrency,
        ackTimeoutMs,
        ...rest,
      }),
    );
  }

  #querySubscription(query: string): Intake {
    const { id, broker, options } = this.#ports;
    return new Intake(() =>
      broker.subscribe(`$query.${id}.${query}`, (message, context) => this.#handle(message, context), {
        queue: id,
        concurrency: options.commands.concurrency,
        // What a handler of queries throws is the caller's, who may ask again by a policy of its own.
        retry: { maxAttempts: 1 },
      }),
    );
  }

  #eventSubscription(
    pattern: string,
    options: Omit<EventOptions, 'timeoutMs'>,
    run: (message: Message, context: DeliveryContext) => Promise<unknown>,
  ): Intake {
    const { id, broker } = this.#ports;
    const { durable = true, name, ...rest } = options;
    const named = durable ? { name: name ?? `${id}:${pattern}` } : {};
    return new Intake(() =>
      broker.subscribe(pattern, (message, context) => this.#counted(message, context, () => run(message, context)), {
        ...rest,
        ...named,
      }),
    );
  }

  #handle(message: Message, context: DeliveryContext): Promise<unknown> {
    return this.#counted(message, context, () => this.#dispatch(message, context));
  }

  #dispatch(message: Message, context: DeliveryContext): Promise<unknown> {
    const { id, clock, options } = this.#ports;
    if (options.transport !== undefined) return this.#carry(options.transport, message, context);
    if (message.kind === 'QUERY') return this.queries.run(message, context, clock);
    if (this.commands.has(message.type)) return this.commands.run(message, context, clock);
    const details = { target: id, action: message.type, known: this.commands.words };
    return Promise.reject(
      new NoSubscriberError(
        `"${id}" has no handler for the command "${message.type}" (it has: ${this.commands.words.join(', ')}): ` +
          'register it with onCommand, then redrive',
        { details },
      ),
    );
  }

  async #counted(message: Message, context: DeliveryContext, run: () => Promise<unknown>): Promise<unknown> {
    this.#underWay += 1;
    try {
      const reply = await run();
      this.#handled += 1;
      return reply;
    } catch (error) {
      this.#failed += 1;
      this.#ports.failed(message, context.attempt, error as Error);
      throw error;
    } finally {
      this.#underWay -= 1;
    }
  }

  /** Hands a message over the transport. */
  async #carry(transport: ConnectorTransport, message: Message, context: DeliveryContext): Promise<unknown> {
    const { id, clock, options, life, guards } = this.#ports;
    const { ackTimeoutMs } = options.commands;
    const mayWait = message.kind !== 'QUERY' && message.delivery !== 'AT_MOST_ONCE';
    const patienceMs = mayWait
      ? Math.max(ackTimeoutMs - (options.policies.tryTimeoutMs ?? CALL_SHARE_MS), ackTimeoutMs / 2)
      : 0;
    const untilMs = clock.monotonicMs() + patienceMs;
    const left = (): number => Math.max(0, untilMs - clock.monotonicMs());
    for (;;) {
      await this.#online(left(), context.signal);
      try {
        return await guards
          .of(id)
          .run((signal) => transport.deliver(message, { signal, replyWithinMs: this.#replyWithin(message) }), {
            repeatable: message.kind === 'QUERY' || message.idempotencyKey !== undefined,
            signal: context.signal,
            patienceMs: left(),
          });
      } catch (error) {
        if (!(error instanceof ConnectorUnavailableError)) throw error;
        await life.lost(error);
        if (left() === 0) throw error;
        await pause(Math.min(LOST_PAUSE_MS, left()), clock, context.signal);
      } finally {
        this.#ports.judged();
      }
    }
  }

  /** Resolves once the transport is connected. */
  async #online(patienceMs: number, signal: AbortSignal): Promise<void> {
    const { life, clock } = this.#ports;
    if (life.isOnline) return;
    if (patienceMs <= 0) throw this.#unreachable();
    const giveUp = new AbortController();
    const wait = clock.wait(patienceMs, () => {
      giveUp.abort(this.#unreachable());
      this.#expectNoMore();
    });
    try {
      await life.settled(() => life.isOnline, AbortSignal.any([giveUp.signal, signal]));
    } finally {
      wait.cancel();
    }
  }

  /** The other side was not there in time: what waits for it waits in the broker from here on. */
  #expectNoMore(): void {
    const { life } = this.#ports;
    if (!this.#expects) return;
    this.#expects = false;
    this.follow(life.isOnline, life.isEnded).catch((error: Error) => this.#ports.trouble(error));
  }

  #unreachable(): ConnectorUnavailableError {
    const { life, id } = this.#ports;
    const { state, reason, retryAfterMs } = life;
    return new ConnectorUnavailableError(`"${id}" cannot be reached: it is ${state} (${reason})`, {
      details: { system: id, state, reason, retryAfterMs },
    });
  }

  #replyWithin({ kind, replyTo, expiresAtMs }: Message): number | undefined {
    if (kind === 'EVENT' || (kind === 'COMMAND' && replyTo === undefined)) return undefined;
    return expiresAtMs === undefined ? CALL_SHARE_MS : Math.max(1, expiresAtMs - this.#ports.clock.now());
  }
}

function registration(word: string, close: () => Promise<void>): Registration {
  let closed: Promise<void> | undefined;
  const once = (): Promise<void> => (closed ??= close());
  return { word, close: once, [Symbol.asyncDispose]: once };
}
