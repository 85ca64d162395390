/**
 * Actors that are known to be blocked, and telling of them.
 *
 * Owns: which they are, and when the event is due. One that only lacks its definition is told of when that has not come for a while: a
 * message of an earlier run may wake an actor of the broker, a connector or an engine before that part is started and brings its module.
 *
 * Invariants:
 * BL1. An actor that stays blocked is told of: at once, or after `DEFINITION_GRACE_MS`, or when the system stops.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Clock, Wait } from '../kernel/clock.ts';
import { type BlocksError, UnknownDefinitionError } from '../kernel/errors.ts';
import { DEFINITION_GRACE_MS } from '../kernel/limits.ts';

export interface BlockedPorts {
  readonly clock: Clock;
  readonly isDefined: (key: CellKey) => boolean;
  readonly unblock: (key: CellKey) => Promise<unknown>;
  readonly tell: (key: CellKey, error: BlocksError) => void;
}

export class BlockedActors {
  readonly #ports: BlockedPorts;
  readonly #errors = new Map<CellKey, BlocksError>();
  /** Of those that are not told of yet. */
  readonly #waits = new Map<CellKey, Wait>();

  constructor(ports: BlockedPorts) {
    this.#ports = ports;
  }

  get all(): ReadonlyMap<CellKey, BlocksError> {
    return new Map(this.#errors);
  }

  found(key: CellKey, error: BlocksError): void {
    this.#errors.set(key, error);
    if (!lacksDefinition(error)) {
      this.#forgetWait(key);
      this.#ports.tell(key, error);
    } else if (this.#ports.isDefined(key)) {
      // It has come since. If the actor is still blocked afterwards, its host says why.
      this.#ports.unblock(key).catch(() => this.#wait(key));
    } else {
      this.#wait(key);
    }
  }

  back(key: CellKey): void {
    this.#errors.delete(key);
    this.#forgetWait(key);
  }

  /** A module was loaded: who was waiting for it comes back. */
  async defined(): Promise<void> {
    const back = [...this.#errors].filter(([key, error]) => lacksDefinition(error) && this.#ports.isDefined(key));
    await Promise.all(back.map(([key]) => this.#ports.unblock(key)));
  }

  close(): void {
    for (const key of [...this.#waits.keys()]) this.#tell(key);
  }

  #wait(key: CellKey): void {
    if (this.#waits.has(key)) return;
    this.#waits.set(
      key,
      this.#ports.clock.wait(DEFINITION_GRACE_MS, () => this.#tell(key)),
    );
  }

  #tell(key: CellKey): void {
    this.#forgetWait(key);
    const error = this.#errors.get(key);
    if (error !== undefined) this.#ports.tell(key, error);
  }

  #forgetWait(key: CellKey): void {
    this.#waits.get(key)?.cancel();
    this.#waits.delete(key);
  }
}

function lacksDefinition(error: BlocksError): boolean {
  return error.cause instanceof UnknownDefinitionError;
}
