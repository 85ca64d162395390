/** How far a message has come everywhere, from how far it has come at each subscription (RC1). */
import type { DeliveryStatus, ReceiptState } from './contract/receipt.ts';

const RANK: Readonly<Record<DeliveryStatus['status'], number>> = { accepted: 0, delivered: 1, handled: 2, dead: 3 };

export function receiptStateOf(id: string, subscriptions: Readonly<Record<string, DeliveryStatus>>): ReceiptState {
  let least: DeliveryStatus['status'] | undefined;
  for (const name in subscriptions) {
    const { status } = subscriptions[name] as DeliveryStatus;
    if (status === 'dead') {
      least = 'dead';
      break;
    }
    if (least === undefined || RANK[status] < RANK[least]) least = status;
  }
  return { id, status: least ?? 'accepted', subscriptions };
}
