/** The worker threads that this process starts, by name: for tests that end one from outside. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Worker } from 'node:worker_threads';

export interface WorkerWatch extends Disposable {
  /** The latest living one of this name. */
  named(name: string): Worker | undefined;
}

export const watchWorkers = (): WorkerWatch => {
  const workers: Worker[] = [];
  const started = (message: unknown): void => void workers.push((message as { worker: Worker }).worker);
  subscribe('worker_threads', started);
  return {
    named: (name) => workers.findLast((worker) => worker.threadId > 0 && worker.threadName === name),
    [Symbol.dispose]: () => void unsubscribe('worker_threads', started),
  };
};
