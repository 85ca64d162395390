/**
 * Which systems have connected to a broker in this process.
 *
 * Owns: the list, a broker each, so that a sender can be told at once that there is no such system or no such handler. What other
 * processes have is not here: the broker's subscriptions speak for them.
 *
 * Invariants:
 * CD1. An id that was connected once stays known as long as the broker lives.
 */
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';

/** What is to be known of a system that lives here. */
export interface DirectoryEntry {
  /** Whether a command of this action finds a handler; a transport takes everything. */
  takesCommand(action: string): boolean;
}

export class ConnectorDirectory {
  readonly #systems = new Map<string, Set<DirectoryEntry>>();

  enter(id: string, entry: DirectoryEntry): void {
    const entries = this.#systems.get(id) ?? new Set();
    this.#systems.set(id, entries);
    entries.add(entry);
  }

  leave(id: string, entry: DirectoryEntry): void {
    this.#systems.get(id)?.delete(entry);
  }

  isKnown(id: string): boolean {
    return this.#systems.has(id);
  }

  /** Those that live here now. */
  living(id: string): readonly DirectoryEntry[] {
    return [...(this.#systems.get(id) ?? [])];
  }
}

const DIRECTORIES = new WeakMap<Broker, ConnectorDirectory>();

export function directoryOf(broker: Broker): ConnectorDirectory {
  const known = DIRECTORIES.get(broker);
  if (known !== undefined) return known;
  const made = new ConnectorDirectory();
  DIRECTORIES.set(broker, made);
  return made;
}
