/**
 * Where actors publish messages.
 *
 * Owns: the address of a broker's exchange, as machines and other actors send to it. What is done there is the embedded broker's.
 */
import type { AnyActorRef } from 'xstate';
import { keyOf } from '../../runtime/kernel/address.ts';
import type { Reference } from '../../runtime/kernel/reference.ts';
import { MachineRef } from './machine-ref.ts';

/**
 * Where actors publish, of the embedded broker of this name: what is sent there, a `MessageDraft`, is published once the turn is committed,
 * in order, once. While no broker of the name runs, it waits.
 *
 * @example entry: sendTo(exchangeOf(), { type: 'orders.placed', payload })
 */
export function exchangeOf(broker = 'main'): Reference & AnyActorRef {
  return new MachineRef(keyOf('broker-exchange', broker)) as unknown as Reference & AnyActorRef;
}
