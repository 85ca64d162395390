/**
 * A broker in memory for tests of what stands on one: durable and live subscriptions, tries, order by key, receipts, requests. It can be
 * taken down and brought up again, and counts what it does.
 */
import { randomUUID } from 'node:crypto';
import type {
  Broker,
  MessageHandler,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from '../../runtime/broker/contract/broker-contract.ts';
import type { Message, MessageDraft } from '../../runtime/broker/contract/message.ts';
import type { DeliveryStatus, Receipt, ReceiptState } from '../../runtime/broker/contract/receipt.ts';
import { delayMs } from '../../runtime/kernel/backoff.ts';
import { type Clock, systemClock } from '../../runtime/kernel/clock.ts';
import {
  BrokerUnavailableError,
  decodeError,
  encodeError,
  NoHandlerError,
  NoSubscriberError,
  RequestTimeoutError,
} from '../../runtime/kernel/errors.ts';

interface Held {
  readonly message: Message;
  attempt: number;
}

interface Listener {
  readonly handler: MessageHandler;
  readonly concurrency: number;
  readonly closing: AbortController;
  running: number;
}

interface Queue {
  readonly name: string;
  readonly pattern: string;
  readonly durable: boolean;
  readonly options: SubscribeOptions;
  readonly waiting: Held[];
  readonly busyKeys: Set<string>;
  readonly listeners: Listener[];
}

const matches = (pattern: string, subject: string): boolean => {
  const wanted = pattern.split('.');
  const given = subject.split('.');
  for (const [i, token] of wanted.entries()) {
    if (token === '>') return given.length > i;
    if (given[i] === undefined || (token !== '*' && token !== given[i])) return false;
  }
  return wanted.length === given.length;
};

/** How long a subscription's end waits for its handlers. */
const DRAIN_MS = 500;

export class MemoryBroker implements Broker {
  readonly name = 'memory';
  /** Everything that was accepted, in order. */
  readonly accepted: Message[] = [];
  readonly dead: { readonly queue: string; readonly message: Message; readonly error: Error }[] = [];
  down = false;
  readonly #clock: Clock;
  readonly #queues = new Map<string, Queue>();
  readonly #receipts = new Map<string, Map<string, DeliveryStatus>>();
  readonly #keys = new Map<string, string>();
  readonly #settled = new Set<() => void>();
  #live = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  async publish(draft: MessageDraft): Promise<Receipt> {
    this.#assertUp();
    const message = this.#whole(draft);
    const first = this.#keys.get(message.idempotencyKey ?? message.id);
    if (first !== undefined) return this.#receiptOf(first, true);
    const queues = [...this.#queues.values()].filter(({ pattern, listeners, durable }) => {
      return matches(pattern, message.subject) && (durable || listeners.length > 0);
    });
    if (queues.length === 0 && message.kind === 'COMMAND') {
      throw new NoSubscriberError(`nobody takes ${message.subject}`);
    }
    this.accepted.push(message);
    this.#keys.set(message.idempotencyKey ?? message.id, message.id);
    const statuses = new Map<string, DeliveryStatus>();
    this.#receipts.set(message.id, statuses);
    for (const queue of queues) {
      statuses.set(queue.name, { status: 'accepted', atMs: this.#clock.now() });
      queue.waiting.push({ message, attempt: 1 });
      this.#work(queue);
    }
    return this.#receiptOf(message.id, false);
  }

  async request<TReply>(draft: MessageDraft, { timeoutMs = 5_000, signal }: RequestOptions = {}): Promise<TReply> {
    this.#assertUp();
    const isQuery = draft.kind === 'QUERY';
    const subject = this.#whole(draft).subject;
    const takers = [...this.#queues.values()].filter((queue) => {
      return matches(queue.pattern, subject) && (queue.durable || queue.listeners.length > 0);
    });
    if (isQuery && takers.length === 0) throw new NoHandlerError(`nobody answers ${subject}`);
    const receipt = await this.publish({ ...draft, replyTo: '$reply.memory', ttlMs: draft.ttlMs ?? timeoutMs });
    const state = await receipt.settled({ timeoutMs, ...(signal === undefined ? {} : { signal }) });
    for (const status of Object.values(state.subscriptions)) {
      if (status.status === 'dead') throw decodeError(status.error);
      if (status.status === 'handled') return status.reply as TReply;
    }
    throw new NoHandlerError(`nobody answered ${subject}`);
  }

  async subscribe<TPayload>(
    pattern: string,
    handler: MessageHandler<TPayload>,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    this.#assertUp();
    this.#live += 1;
    const name = options.name ?? options.queue ?? `live-${this.#live}`;
    const place = options.name === undefined ? `${name} ${pattern}` : name;
    const queue: Queue = this.#queues.get(place) ?? {
      name,
      pattern,
      durable: options.name !== undefined,
      options,
      waiting: [],
      busyKeys: new Set(),
      listeners: [],
    };
    this.#queues.set(place, queue);
    const listener: Listener = {
      handler: handler as MessageHandler,
      concurrency: options.concurrency ?? 1,
      closing: new AbortController(),
      running: 0,
    };
    queue.listeners.push(listener);
    this.#clock.defer(() => this.#work(queue));
    const close = async (): Promise<void> => {
      const at = queue.listeners.indexOf(listener);
      if (at !== -1) queue.listeners.splice(at, 1);
      const late = AbortSignal.timeout(DRAIN_MS);
      while (listener.running > 0 && !late.aborted) await this.#nextSettled(late);
      listener.closing.abort(new Error('the subscription was closed'));
    };
    return {
      name,
      pattern,
      close,
      delete: async () => {
        await close();
        this.#queues.delete(place);
      },
      [Symbol.asyncDispose]: close,
    };
  }

  async receipt(id: string): Promise<ReceiptState | undefined> {
    this.#assertUp();
    return this.#receipts.has(id) ? this.#stateOf(id) : undefined;
  }

  /** How many messages wait in a durable queue, those being handled not counted. */
  waiting(name: string): number {
    return this.#queues.get(name)?.waiting.length ?? 0;
  }

  #assertUp(): void {
    if (this.down) throw new BrokerUnavailableError('the broker is down');
  }

  #whole(draft: MessageDraft): Message {
    const { ttlMs, delayMs: _delay, ...rest } = draft;
    const id = draft.id ?? randomUUID();
    const kind = draft.kind ?? (draft.target === undefined ? 'EVENT' : 'COMMAND');
    const prefix = kind === 'QUERY' ? '$query' : '$command';
    const now = this.#clock.now();
    return {
      source: this.name,
      delivery: kind === 'QUERY' ? 'AT_MOST_ONCE' : 'AT_LEAST_ONCE',
      subject: kind === 'EVENT' ? draft.type : `${prefix}.${draft.target}.${draft.type}`,
      correlationId: id,
      timeMs: now,
      payload: undefined,
      ...rest,
      id,
      kind,
      ...(ttlMs === undefined ? {} : { expiresAtMs: now + ttlMs }),
    };
  }

  #work(queue: Queue): void {
    for (const listener of queue.listeners) {
      while (listener.running < listener.concurrency) {
        const at = queue.waiting.findIndex(({ message }) => !queue.busyKeys.has(message.key ?? message.source));
        if (at === -1) return;
        const [held] = queue.waiting.splice(at, 1);
        if (held === undefined) return;
        void this.#handle(queue, listener, held);
      }
    }
  }

  async #handle(queue: Queue, listener: Listener, held: Held): Promise<void> {
    const { message, attempt } = held;
    const key = message.key ?? message.source;
    queue.busyKeys.add(key);
    listener.running += 1;
    const statuses = this.#receipts.get(message.id);
    const atMs = this.#clock.now();
    statuses?.set(queue.name, { status: 'delivered', atMs, attempt });
    try {
      const reply = await listener.handler(message, {
        attempt,
        redrives: 0,
        subscription: queue.name,
        signal: listener.closing.signal,
        publish: (draft) => this.publish({ correlationId: message.correlationId, causationId: message.id, ...draft }),
      });
      statuses?.set(queue.name, { status: 'handled', atMs, attempt, reply });
    } catch (error) {
      const policy = message.retry ?? queue.options.retry ?? {};
      if (attempt >= (queue.durable ? (policy.maxAttempts ?? 3) : 1)) {
        statuses?.set(queue.name, { status: 'dead', atMs, attempt, error: encodeError(error) });
        this.dead.push({ queue: queue.name, message, error: error as Error });
      } else {
        await new Promise<void>((resolve) => {
          this.#clock.wait(delayMs({ initialMs: 10, jitter: 'none', ...policy }, attempt, 0.5), resolve);
        });
        queue.waiting.unshift({ message, attempt: attempt + 1 });
      }
    }
    queue.busyKeys.delete(key);
    listener.running -= 1;
    for (const wake of [...this.#settled]) wake();
    this.#work(queue);
  }

  #nextSettled(late: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      late.addEventListener('abort', () => resolve(), { once: true });
      const wake = (): void => {
        this.#settled.delete(wake);
        resolve();
      };
      this.#settled.add(wake);
    });
  }

  #stateOf(id: string): ReceiptState {
    const subscriptions = Object.fromEntries(this.#receipts.get(id) ?? []);
    const all = Object.values(subscriptions).map(({ status }) => status);
    const status = (['dead', 'accepted', 'delivered', 'handled'] as const).find((one) => all.includes(one));
    return { id, status: status ?? 'accepted', subscriptions };
  }

  #receiptOf(id: string, duplicate: boolean): Receipt {
    const isSettled = (): boolean =>
      Object.values(this.#stateOf(id).subscriptions).every(({ status }) => status === 'handled' || status === 'dead');
    return {
      id,
      duplicate,
      subscriptions: this.#receipts.get(id)?.size ?? 0,
      state: async () => this.#stateOf(id),
      settled: ({ timeoutMs = 30_000, signal } = {}) =>
        new Promise((resolve, reject) => {
          const end = (): void => {
            this.#settled.delete(look);
            wait.cancel();
          };
          const look = (): void => {
            if (!isSettled()) return;
            end();
            resolve(this.#stateOf(id));
          };
          const wait = this.#clock.wait(timeoutMs, () => {
            end();
            reject(new RequestTimeoutError(`${id} was not settled within ${timeoutMs} ms`));
          });
          signal?.addEventListener('abort', () => {
            end();
            reject(signal.reason as Error);
          });
          this.#settled.add(look);
          look();
        }),
    };
  }
}
