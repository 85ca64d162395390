/** A thread that answers at once and does nothing else. A file, since code that is given as text gets nothing of `--import`. */
import { parentPort } from 'node:worker_threads';

parentPort?.on('message', (message) => parentPort?.postMessage(message));
