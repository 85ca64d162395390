/**
 * The journal's thread, seen from the system: start it, call it, hand its ports to hosts, let it end.
 *
 * Owns: the worker and the lock of the data folder, which must outlive a crash of the thread and not the process.
 *
 * Invariants:
 * TM1. Every call settles: with an answer, or with an error when the thread ends or the deadline passes.
 * TM2. The thread is never terminated. It ends after `close`, or by its own crash.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Clock } from '../kernel/clock.ts';
import { ControlTimeoutError, decodeError, StorageError, SystemStoppedError } from '../kernel/errors.ts';
import { CONTROL_TIMEOUT_MS } from '../kernel/limits.ts';
import { type DataFolder, openDataFolder } from './data-folder.ts';
import type { JournalOptions, OpenReport } from './journal-control.ts';
import { JournalControlClient, type RawCall } from './journal-control-client.ts';
import type { ThreadAnswer, ThreadData, ThreadRequest } from './journal-messages.ts';
import type { RawJournalControl } from './journal-service.ts';

export interface JournalThreadOptions extends JournalOptions {
  readonly clock: Clock;
  /** The store failed, or the thread died: nothing more is written. */
  readonly onFailure: (error: Error) => void;
}

/** Calls that do not wait for hosts, for the disk to be read through, or for a copy: they have a deadline. */
const QUICK: ReadonlySet<keyof RawJournalControl> = new Set(['fence', 'image', 'keys', 'letters', 'stats']);

interface Call {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
  readonly settle: () => void;
}

type State = 'new' | 'running' | 'closing' | 'ended';

export class JournalThread extends JournalControlClient {
  readonly #options: JournalThreadOptions;
  readonly #calls = new Map<number, Call>();
  #worker: Worker | undefined;
  #ended: Promise<void> = Promise.resolve();
  #folder: DataFolder | undefined;
  #state: State = 'new';
  #nextCall = 0;

  constructor(options: JournalThreadOptions) {
    const call: RawCall = (method, ...args) => this.#call(method, args);
    super(call);
    this.#options = options;
  }

  override async open(): Promise<OpenReport> {
    const { clock, onFailure: _, ...options } = this.#options;
    if (this.#state !== 'new') throw new StorageError('a journal is opened once');
    if (options.dataDir !== undefined) this.#folder = openDataFolder(options.dataDir, clock);
    this.#start({ ...options, dataDir: this.#folder?.path });
    try {
      return await super.open();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** A port for the host that gets `slot`, to be transferred to its thread and given to `connectHostJournal`. */
  async connect(slot: number): Promise<MessagePort> {
    if (this.#state !== 'running') throw new SystemStoppedError('the journal is not open');
    const { port1, port2 } = new MessageChannel();
    this.#post({ kind: 'connect', slot, port: port2 }, [port2]);
    return port1;
  }

  override async close(): Promise<void> {
    if (this.#state === 'running') {
      this.#state = 'closing';
      try {
        await super.close();
      } finally {
        await this.#ended;
      }
    }
    await this.#ended;
  }

  #start(options: JournalOptions): void {
    const file = import.meta.url.endsWith('.ts') ? './journal-entry.ts' : './journal-entry.js';
    const data: ThreadData = { options };
    const worker = new Worker(new URL(file, import.meta.url), { name: 'journal', workerData: data });
    this.#worker = worker;
    this.#state = 'running';
    let crash: Error | undefined;
    worker.on('message', (answer: ThreadAnswer) => this.#onAnswer(answer));
    worker.on('error', (error) => {
      crash = error;
    });
    this.#ended = new Promise((resolve) => {
      worker.once('exit', (code) => {
        this.#onExit(crash, code);
        resolve();
      });
    });
  }

  #call<K extends keyof RawJournalControl>(
    method: K,
    args: readonly unknown[],
  ): Promise<Awaited<ReturnType<RawJournalControl[K]>>> {
    if (this.#state === 'new' || this.#state === 'ended' || (this.#state === 'closing' && method !== 'close'))
      return Promise.reject(new SystemStoppedError('the journal is not open'));
    const id = this.#nextCall++;
    return new Promise((resolve, reject) => {
      const wait = QUICK.has(method)
        ? this.#options.clock.wait(CONTROL_TIMEOUT_MS, () => {
            this.#calls.delete(id);
            reject(new ControlTimeoutError(`the journal did not answer "${method}" within ${CONTROL_TIMEOUT_MS} ms`));
          })
        : undefined;
      this.#calls.set(id, { resolve, reject, settle: () => wait?.cancel() });
      this.#post({ kind: 'call', id, method, args });
    });
  }

  #post(request: ThreadRequest, transfer: MessagePort[] = []): void {
    this.#worker?.postMessage(request, transfer);
  }

  #onAnswer(answer: ThreadAnswer): void {
    if (answer.kind === 'failed') {
      this.#options.onFailure(decodeError(answer.error));
      return;
    }
    const call = this.#calls.get(answer.id);
    if (call === undefined) return;
    this.#calls.delete(answer.id);
    call.settle();
    if (answer.kind === 'answer') call.resolve(answer.value as never);
    else call.reject(decodeError(answer.error));
  }

  #onExit(crash: Error | undefined, code: number): void {
    const expected = this.#state === 'closing' && crash === undefined;
    this.#state = 'ended';
    this.#folder?.release();
    const error = new StorageError(`the journal's thread ended${expected ? '' : ` with code ${code}`}`, {
      cause: crash,
    });
    for (const call of this.#calls.values()) {
      call.settle();
      call.reject(error);
    }
    this.#calls.clear();
    if (!expected) this.#options.onFailure(error);
  }
}
