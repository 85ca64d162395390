/**
 * How often messages were tried and lost: what the server's count of deliveries does not tell.
 *
 * Owns: the records, and what they make of a delivery. One without a record was tried for the first time with its first delivery.
 *
 * Invariants:
 * NT1. Deliveries that no record explains are ones whose process died: they are counted apart, and not as attempts.
 */
import type { Delivery } from './nats-delivery.ts';
import type { Owned } from './nats-lanes.ts';
import type { NatsSession } from './nats-session.ts';

/** `deliveries`: how many are explained. */
interface Kept {
  readonly deliveries: number;
  readonly attempt: number;
  readonly lost: number;
  readonly firstDeliveredMs: number;
}

export type Tries = Pick<Owned, 'attempt' | 'lost' | 'firstDeliveredMs' | 'isRecorded'>;

export const FIRST_TRY: Tries = { attempt: 1, lost: 0, firstDeliveredMs: 0, isRecorded: false };

export class NatsTries {
  readonly #session: NatsSession;
  readonly #subscription: string;
  readonly #failed: (error: Error) => void;

  constructor(session: NatsSession, subscription: string, failed: (error: Error) => void) {
    this.#session = session;
    this.#subscription = subscription;
    this.#failed = failed;
  }

  async of({ deliveries, sequence }: Delivery, lane: 'main' | 'again'): Promise<Tries> {
    if (deliveries === 1) return FIRST_TRY;
    const { names } = this.#session;
    const kept = await this.#session.last(names.table, names.tries(this.#subscription, lane, sequence));
    if (kept === null || kept.data.length === 0) return { ...FIRST_TRY, lost: deliveries - 1 };
    const { deliveries: explained, attempt, lost, firstDeliveredMs } = kept.json<Kept>();
    return { attempt, lost: lost + deliveries - explained - 1, firstDeliveredMs, isRecorded: true };
  }

  /** `in hands`: if its process dies now, it is lost once more; `kept back`: it is not. */
  async keep(owned: Owned, where: 'in hands' | 'kept back'): Promise<void> {
    const { delivery, lane, attempt, lost, firstDeliveredMs } = owned;
    const deliveries = delivery.deliveries - (where === 'in hands' ? 1 : 0);
    const kept: Kept = { deliveries, attempt, lost, firstDeliveredMs };
    const subject = this.#session.names.tries(this.#subscription, lane, delivery.sequence);
    owned.isRecorded = true;
    await this.#session.again(() => this.#session.client.publish(subject, JSON.stringify(kept)));
  }

  /** It has ended: nobody needs its record any more. */
  forget({ isRecorded, lane, delivery }: Owned): void {
    if (!isRecorded || !this.#session.isUp) return;
    const { names, manager } = this.#session;
    const filter = names.tries(this.#subscription, lane, delivery.sequence);
    manager.streams.purge(names.table, { filter }).catch((error: unknown) => this.#failed(error as Error));
  }
}
