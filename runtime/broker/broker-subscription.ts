/** What `subscribe` resolves with. Owns: ending once. */
import type { Subscription } from './contract/broker-contract.ts';

export class BrokerSubscription implements Subscription {
  readonly name: string;
  readonly pattern: string;
  readonly #ports: { readonly close: () => Promise<void>; readonly delete: () => Promise<void> };
  #closed: Promise<void> | undefined;

  constructor(name: string, pattern: string, ports: { close: () => Promise<void>; delete: () => Promise<void> }) {
    this.name = name;
    this.pattern = pattern;
    this.#ports = ports;
  }

  close(): Promise<void> {
    this.#closed ??= this.#ports.close();
    return this.#closed;
  }

  async delete(): Promise<void> {
    await this.close();
    await this.#ports.delete();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
