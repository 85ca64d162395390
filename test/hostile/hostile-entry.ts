/** A thread that runs its share of the cases, and says where it is, so that one which hangs is named. */
import { parentPort, workerData } from 'node:worker_threads';
import { type CasesOrder, runCases } from './hostile-cases.ts';

export interface HostileOrder extends CasesOrder {
  /** The case being run, for who watches. */
  readonly at: SharedArrayBuffer;
}

// Most cases end in an error, and writing down its stack is most of its cost.
Error.stackTraceLimit = 6;

const { at, ...order } = workerData as HostileOrder;
const place = new Int32Array(at);
parentPort?.postMessage(await runCases(order, (number) => Atomics.store(place, 0, number)));
