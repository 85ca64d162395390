/**
 * What runs on the journal's thread: the core between its ports.
 *
 * Owns: the drain. A commit takes as long as the disk does; what arrives meanwhile waits in the ports, and all of it is taken
 * before the next commit, so that the group grows with the load and a lone batch waits for nobody.
 *
 * Invariants:
 * TH1. Between two commits every port is emptied once.
 * TH2. The thread ends by itself, after the store is closed. It is never terminated from outside: that can abort the process.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from '../kernel/clock.ts';
import { encodeError } from '../kernel/errors.ts';
import type { HostLink } from './host-sessions.ts';
import type { HostSession } from './journal-ports.ts';
import {
  ACCEPTED,
  APPEND,
  CHECKPOINT,
  CLEAN,
  CLOSE,
  COMMITTED,
  FENCED,
  HELLO,
  type HostMessage,
  type JournalMessage,
  LOAD,
  LOADED,
  STORAGE,
  type ThreadAnswer,
  type ThreadData,
  type ThreadRequest,
  WAKE,
} from './journal-messages.ts';
import { JournalService } from './journal-service.ts';

const system = parentPort as MessagePort;
const { options } = workerData as ThreadData;

const ports = new Map<MessagePort, HostPort>();
let scheduled = false;

const service = new JournalService(options, {
  clock: systemClock,
  // Most reasons to pump come with a message, and `drain` pumps after it; the rest come from timers.
  schedule: () => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(drain);
  },
  failed: (error) => tell({ kind: 'failed', error: encodeError(error) }),
});

/** One host's port: its session once it has said hello, and what a commit has to tell it. */
class HostPort implements HostLink {
  readonly #slot: number;
  readonly #port: MessagePort;
  #session: HostSession | undefined;
  #committed: [typeof COMMITTED, ...number[]] = [COMMITTED];

  constructor(slot: number, port: MessagePort) {
    this.#slot = slot;
    this.#port = port;
  }

  receive(message: HostMessage): void {
    switch (message[0]) {
      case HELLO:
        this.#hello(message[1]);
        break;
      case APPEND:
        this.#session?.append(message[1], message[2], message[3]);
        break;
      case LOAD:
        this.#session?.load(message[1], message[2]);
        break;
      case CLEAN:
        this.#session?.clean(message[1]);
        break;
      case CLOSE:
        this.close();
        break;
    }
  }

  #hello(epoch: number): void {
    try {
      this.#session = service.connect(this.#slot, epoch, this);
    } catch {
      // The journal has failed or is closed, and the system knows it: this host will commit nothing.
      this.fenced();
    }
  }

  close(): void {
    this.#session?.close();
    this.#session = undefined;
  }

  /** At once: the host is to go on while the disk is waited for. */
  accepted(pairs: readonly number[]): void {
    this.#post([ACCEPTED, pairs]);
  }

  committed(number: number, position: number): void {
    this.#committed.push(number, position);
  }

  loaded(request: number, parcels: Uint8Array): void {
    this.#post([LOADED, request, parcels], [parcels.buffer as ArrayBuffer]);
  }

  fenced(): void {
    this.#post([FENCED]);
  }

  wake(keys: readonly string[]): void {
    this.#post([WAKE, keys]);
  }

  storage(state: 'full' | 'ok'): void {
    this.#post([STORAGE, state]);
  }

  checkpoint(round: number, target: number): void {
    this.#post([CHECKPOINT, round, target]);
  }

  /** Sends what commits have gathered. */
  flush(): void {
    if (this.#committed.length === 1) return;
    this.#port.postMessage(this.#committed);
    this.#committed = [COMMITTED];
  }

  #post(message: JournalMessage, transfer?: ArrayBuffer[]): void {
    this.flush();
    this.#port.postMessage(message, transfer);
  }
}

function tell(answer: ThreadAnswer): void {
  system.postMessage(answer);
}

async function answer(id: number, method: string, args: readonly unknown[]): Promise<void> {
  try {
    // A method of the table, with the arguments of its own signature: they were typed where the call was made.
    const value: unknown = await (service as unknown as Record<string, (...args: readonly unknown[]) => unknown>)[
      method
    ]?.(...args);
    tell({ kind: 'answer', id, value });
  } catch (error) {
    tell({ kind: 'refusal', id, error: encodeError(error) });
  }
  if (method === 'close') end();
}

function onRequest(request: ThreadRequest): void {
  if (request.kind === 'call') {
    void answer(request.id, request.method, request.args);
    return;
  }
  const { slot } = request;
  const port = request.port as MessagePort;
  const host = new HostPort(slot, port);
  ports.set(port, host);
  port.on('message', (message: HostMessage) => {
    host.receive(message);
    drain();
  });
  port.on('close', () => {
    // Its thread may have died without a word.
    host.close();
    ports.delete(port);
  });
}

/** Empties every port, commits, answers. */
function drain(): void {
  scheduled = false;
  for (const [port, host] of ports) {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      host.receive(next.message as HostMessage);
    }
  }
  service.pump();
  for (const host of ports.values()) host.flush();
}

function end(): void {
  for (const port of ports.keys()) port.close();
  system.close();
}

system.on('message', onRequest);
