/** What a broker tells of by itself: names and shapes. */
import type { BlocksError } from '../kernel/errors.ts';
import type { DeadReason } from './broker-adapter.ts';
import type { Message } from './contract/message.ts';
import { OptionFaults } from '../kernel/option-faults.ts';

export interface BrokerEvents {
  /** An answer that nobody waits for any more. */
  late_reply: { readonly message: Message };
  /** A message was set aside. `letterId`: where the adapter says it at once. */
  dead_letter: {
    readonly messageId: string;
    readonly subscription: string;
    readonly reason: DeadReason;
    readonly attempts: number;
    readonly error: BlocksError;
  };
  /** A message AT_MOST_ONCE had no room at a slow subscriber, or its handler threw. */
  dropped: { readonly messageId: string; readonly subscription: string; readonly error?: Error };
  /** The server is gone (`error`: as far as is known, why), or there again. */
  connection: { readonly state: 'up' } | { readonly state: 'down'; readonly error: Error };
  /** Something that nobody waits for has failed. */
  failed: { readonly error: Error };
}

const KINDS: ReadonlySet<string> = new Set<keyof BrokerEvents>([
  'late_reply',
  'dead_letter',
  'dropped',
  'connection',
  'failed',
]);

type Listener<K extends keyof BrokerEvents> = (event: BrokerEvents[K]) => void;

export class BrokerEventHub {
  readonly #listeners = new Map<string, Set<(event: never) => void>>();

  on<K extends keyof BrokerEvents>(kind: K, listener: Listener<K>): () => void {
    const faults = new OptionFaults();
    if (!KINDS.has(kind)) faults.add('kind', kind, `one of ${[...KINDS].join(', ')}`);
    if (typeof listener !== 'function') faults.add('listener', listener, 'a function');
    faults.throwIfAny('on');
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  emit<K extends keyof BrokerEvents>(kind: K, event: BrokerEvents[K]): void {
    for (const listener of [...(this.#listeners.get(kind) ?? [])]) (listener as Listener<K>)(event);
  }
}
