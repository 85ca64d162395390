/** A thread that hands every block on from one port to the other, so that what the tests send has really changed threads. */
import { type MessagePort, workerData } from 'node:worker_threads';

const { left, right } = workerData as { left: MessagePort; right: MessagePort };
const relay = (from: MessagePort, to: MessagePort): void => {
  from.on('message', (bytes: Uint8Array<ArrayBuffer>) => to.postMessage(bytes, [bytes.buffer]));
  from.on('close', () => to.close());
};
relay(left, right);
relay(right, left);
