/**
 * A host on a thread of its own, as the fleet sees it.
 *
 * Owns: the worker, its watchdog, and saying how it ended.
 *
 * Invariants:
 * HT1. A thread that ends, or whose loop stands still for `hangAfterMs`, is lost: told once.
 * HT2. `terminate` is safe at any moment: nothing on the thread writes to the store.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Clock, Wait } from '../kernel/clock.ts';
import { HostLostError } from '../kernel/errors.ts';
import { CONTROL_TIMEOUT_MS, LOAD_TIMEOUT_MS } from '../kernel/limits.ts';
import { ControlClient } from '../host/control-plane.ts';
import type { HostStats } from '../host/host-ports.ts';
import type { HostThreadData } from '../host/host-entry.ts';
import type { Beginning, HostConfig } from '../host/host-shell.ts';
import { newWatchMemory, WatchReader } from '../host/watch.ts';
import type { FramePort } from '../transport/frame-port.ts';
import { createPortFramePort } from '../transport/port-frame-port.ts';
import { encodeValue } from '../wire/value-codec.ts';
import type { HostHandle } from './fleet.ts';
import type { HostLoss } from './topology.ts';

const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? '../host/host-entry.ts' : '../host/host-entry.js',
  import.meta.url,
);

/** How often the watchdog looks. */
const LOOK_MS = 250;

export interface HostThreadOptions {
  readonly config: HostConfig;
  readonly clock: Clock;
  readonly journal: MessagePort;
  readonly hangAfterMs: number;
  readonly heapMb: number | undefined;
}

export class HostThread implements HostHandle<MessagePort> {
  readonly slot: number;
  readonly outside: FramePort;
  readonly lost: Promise<HostLoss>;
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #control: ControlClient;
  readonly #watch: WatchReader;
  readonly #hangAfterMs: number;
  readonly #exited: Promise<void>;
  #lose: (loss: HostLoss) => void = () => {};
  #stopping = false;
  #looking: Wait | undefined;

  constructor(options: HostThreadOptions) {
    const { config, clock, journal, heapMb } = options;
    this.slot = config.slot;
    this.#clock = clock;
    this.#hangAfterMs = options.hangAfterMs;
    const outside = new MessageChannel();
    const control = new MessageChannel();
    const memory = newWatchMemory();
    const data: HostThreadData = { config, watch: memory, journal, outside: outside.port2, control: control.port2 };
    this.#worker = new Worker(ENTRY, {
      name: `host ${config.slot}`,
      workerData: data,
      transferList: [journal, outside.port2, control.port2],
      ...(heapMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapMb } }),
    });
    this.outside = createPortFramePort(outside.port1);
    this.#watch = new WatchReader(memory);
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    this.#worker.on('error', (error: Error & { code?: string }) => {
      this.#lose(this.#lossBy(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out_of_memory' : 'error', error.message));
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#looking?.cancel();
        this.#lose(this.#lossBy('exit', `host ${config.slot} ended with code ${code}`));
        resolve();
      });
    });
    const ended = this.lost.then((loss) => {
      throw new HostLostError(`host ${config.slot} died: ${loss.message}`);
    });
    // Calls race with it; without a call under way nobody is to be told.
    ended.catch(() => {});
    this.#control = new ControlClient(control.port1, clock, ended);
    this.#look(this.#watch.beats, clock.monotonicMs());
  }

  /** What it was at, besides. */
  #lossBy(kind: HostLoss['kind'], message: string): HostLoss {
    const { running, sequence, effects, tried } = this.#watch;
    return { kind, message, running, sequence, effects: { running: effects, tried } };
  }

  load(modules: readonly string[]): Promise<void> {
    return this.#control.call('load', [modules], { timeoutMs: LOAD_TIMEOUT_MS });
  }

  // These have no deadline: a host in a long turn answers after it, and one that never will is the watchdog's.

  linkUp(slot: number, port: MessagePort, from: number): Promise<void> {
    return this.#control.call('linkUp', [slot, port, from], { timeoutMs: Number.POSITIVE_INFINITY, transfer: [port] });
  }

  linkDown(slot: number): Promise<void> {
    return this.#control.call('linkDown', [slot], { timeoutMs: Number.POSITIVE_INFINITY });
  }

  begin(beginning: Beginning): Promise<void> {
    return this.#control.call('begin', [encodeValue(beginning)], { timeoutMs: Number.POSITIVE_INFINITY });
  }

  drained(timeoutMs: number): Promise<void> {
    return this.#control.call('drained', [], { timeoutMs });
  }

  stats(): Promise<HostStats> {
    return this.#control.call('stats', [], { timeoutMs: CONTROL_TIMEOUT_MS });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#looking?.cancel();
    try {
      await this.#control.call('stop', [], { timeoutMs: CONTROL_TIMEOUT_MS });
      await this.#exited;
    } catch {
      // It has died, or does not answer: ended all the same.
      await this.terminate();
    }
  }

  async terminate(): Promise<void> {
    this.#stopping = true;
    this.#looking?.cancel();
    await this.#worker.terminate();
    this.outside.close();
  }

  /** Looks again and again whether the loop has turned since `sinceMs`. */
  #look(beats: number, sinceMs: number): void {
    this.#looking = this.#clock.wait(LOOK_MS, () => {
      if (this.#stopping) return;
      const nowMs = this.#clock.monotonicMs();
      const beatsNow = this.#watch.beats;
      // Before the first beat it is starting, which takes its time on a busy machine.
      const hangAfterMs = beatsNow === 0 ? Math.max(this.#hangAfterMs, CONTROL_TIMEOUT_MS) : this.#hangAfterMs;
      // This thread's own loop may have stood still: then nobody is to blame before another look.
      if (beatsNow === beats && nowMs - sinceMs >= hangAfterMs) {
        const { running } = this.#watch;
        const what = running === undefined ? 'outside of any actor' : `while ${running} was handling a message`;
        const message = `host ${this.slot} stood still for ${Math.round(nowMs - sinceMs)} ms, ${what}`;
        this.#lose(this.#lossBy('hung', message));
        return;
      }
      this.#look(beatsNow, beatsNow === beats ? sinceMs : nowMs);
    });
  }
}
