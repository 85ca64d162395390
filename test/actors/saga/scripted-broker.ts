/** A broker for tests: systems are functions, what was published is remembered, and messages of one id are handled once. */
import type { Broker, Subscription } from '../../../runtime/broker/contract/broker-contract.ts';
import type { MessageDraft } from '../../../runtime/broker/contract/message.ts';
import type { Receipt, ReceiptState } from '../../../runtime/broker/contract/receipt.ts';
import { encodeError, NoSubscriberError, RequestTimeoutError } from '../../../runtime/kernel/errors.ts';

type System = (draft: MessageDraft) => unknown;

export class ScriptedBroker implements Broker {
  readonly name = 'scripted';
  readonly published: MessageDraft[] = [];
  /** By id: what has been handled. Kept when a process ends, as a broker's disk is. */
  readonly handled = new Map<string, ReceiptState>();
  /** Publishes that fail before anything happens. */
  refusals = 0;
  readonly #systems: Readonly<Record<string, System>>;

  constructor(systems: Readonly<Record<string, System>>) {
    this.#systems = systems;
  }

  async publish(draft: MessageDraft): Promise<Receipt> {
    this.published.push(draft);
    const { id = '', target = '' } = draft;
    const system = this.#systems[target];
    if (system === undefined || this.refusals-- > 0)
      throw new NoSubscriberError(`nobody takes commands for "${target}"`);
    const before = this.handled.get(id);
    if (before === undefined) void this.#handle(id, draft, system);
    return {
      id,
      duplicate: before !== undefined,
      subscriptions: 1,
      state: async () => this.#stateOf(id),
      settled: async ({ signal, timeoutMs } = {}) => {
        for (let looks = 0; ; looks++) {
          const state = this.handled.get(id);
          if (state !== undefined) return state;
          if (signal?.aborted === true || looks > (timeoutMs ?? 1_000))
            throw new RequestTimeoutError(`"${id}" was not handled`);
          await new Promise(setImmediate);
        }
      },
    };
  }

  async #handle(id: string, draft: MessageDraft, system: System): Promise<void> {
    const about = { atMs: 0, attempt: 1 };
    try {
      const reply = await system(draft);
      this.handled.set(id, { id, status: 'handled', subscriptions: { s: { status: 'handled', ...about, reply } } });
    } catch (error) {
      this.handled.set(id, {
        id,
        status: 'dead',
        subscriptions: { s: { status: 'dead', ...about, error: encodeError(error) } },
      });
    }
  }

  #stateOf(id: string): ReceiptState {
    return this.handled.get(id) ?? { id, status: 'accepted', subscriptions: {} };
  }

  async receipt(id: string): Promise<ReceiptState | undefined> {
    return this.handled.get(id);
  }

  request(): Promise<never> {
    throw new Error('not scripted');
  }

  /** Of heartbeats, which nobody sends here. */
  subscribe(pattern: string): Promise<Subscription> {
    const end = (): Promise<void> => Promise.resolve();
    return Promise.resolve({ name: '', pattern, close: end, delete: end, [Symbol.asyncDispose]: end });
  }
}
