/** Whether a broker answers: asked for a receipt that nobody has, its server says so, or the call fails. */
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';

/** No message can have this id. */
const PROBE_ID = '$connector.check';

/** @throws BrokerUnavailableError, BrokerClosedError */
export async function probeBroker(broker: Broker): Promise<void> {
  await broker.receipt(PROBE_ID);
}
