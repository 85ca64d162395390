/**
 * A host on a simulated thread, as the fleet sees it: a real host behind pipes, which can die at any moment.
 *
 * Owns: the thread, its ports and its end of the journal, and what is left of them when it dies.
 *
 * Invariants:
 * SH1. A dead host's code never runs again; of what it had sent, a prefix arrives on each way.
 * SH2. Every control call settles: with its result, or with `HostLostError` when the host dies first.
 */
import { HostLostError } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import type { HostStats } from '../host/host-ports.ts';
import type { Beginning, HostConfig } from '../host/host-shell.ts';
import { unwatched, type Watch } from '../host/watch.ts';
import type { HostHandle } from '../system/fleet.ts';
import { InlineHost } from '../system/inline-host.ts';
import type { HostLoss } from '../system/topology.ts';
import type { FramePort } from '../transport/frame-port.ts';
import type { SimulatedConnection, SimulatedJournal } from './simulated-journal.ts';
import { createSimulatedFramePorts, type FramePortRules, Pipe, type SimulatedFramePort } from './simulated-ports.ts';
import type { VirtualClock, VirtualThread } from './virtual-clock.ts';

export interface SimulatedHostPorts {
  readonly config: HostConfig;
  readonly clock: VirtualClock;
  readonly system: VirtualThread;
  readonly random: Random;
  readonly journal: SimulatedJournal;
  readonly rules: FramePortRules;
  readonly delayMs: () => number;
  /** A turn of this cell is about to be run: throwing is a death in the middle of a slice. */
  beforeStep(slot: number, key: string, sequence: number): void;
  /** Of so many things on their way, how many still arrive. */
  survivors(length: number): number;
}

export class SimulatedHost implements HostHandle<SimulatedFramePort> {
  readonly slot: number;
  readonly outside: FramePort;
  readonly lost: Promise<HostLoss>;
  readonly thread: VirtualThread;
  readonly #ports: SimulatedHostPorts;
  readonly #host: InlineHost;
  readonly #connection: SimulatedConnection;
  readonly #framePorts: SimulatedFramePort[] = [];
  readonly #there: Pipe;
  readonly #back: Pipe;
  readonly #pending = new Set<(error: Error) => void>();
  #lose: (loss: HostLoss) => void = () => {};
  #dead = false;
  #gone: Error | undefined;

  constructor(ports: SimulatedHostPorts) {
    const { config, clock, system, journal, rules, random } = ports;
    this.#ports = ports;
    this.slot = config.slot;
    const thread = clock.thread(`host${config.slot}.${config.epoch}`);
    this.thread = thread;
    this.#there = new Pipe(system, thread, ports.delayMs);
    this.#back = new Pipe(thread, system, ports.delayMs);
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    const [outside, inside] = createSimulatedFramePorts(system, thread, rules);
    this.outside = outside;
    this.#framePorts.push(inside);
    let entered = '';
    const watch: Watch = {
      ...unwatched,
      enter: (key) => {
        entered = key;
      },
      turn: (sequence) => ports.beforeStep(config.slot, entered, sequence),
    };
    let connection: SimulatedConnection | undefined;
    this.#host = new InlineHost({
      config,
      clock: thread,
      random,
      outside: [outside, inside],
      watch,
      connectJournal: (events) => {
        const { slot, epoch, run } = config;
        connection = journal.connect(thread, { slot, epoch, run }, events);
        return connection.journal;
      },
    });
    this.#connection = connection as unknown as SimulatedConnection;
    void this.#host.lost.then((loss) => this.die(loss));
  }

  load(modules: readonly string[]): Promise<void> {
    return this.#call(async () => {
      // Loading code is real work: nothing virtual goes on meanwhile.
      const release = this.#ports.clock.hold();
      try {
        await this.#host.load(modules);
      } finally {
        release();
      }
    });
  }

  linkUp(slot: number, port: SimulatedFramePort, from: number): Promise<void> {
    this.#framePorts.push(port);
    return this.#call(() => this.#host.linkUp(slot, port, from));
  }

  linkDown(slot: number): Promise<void> {
    return this.#call(() => this.#host.linkDown(slot));
  }

  begin(beginning: Beginning): Promise<void> {
    return this.#call(() => this.#host.begin(beginning));
  }

  drained(timeoutMs: number): Promise<void> {
    return this.#call(() => this.#host.drained(timeoutMs));
  }

  stats(): Promise<HostStats> {
    return this.#call(() => this.#host.stats());
  }

  stop(): Promise<void> {
    return this.#call(() => this.#host.stop());
  }

  async terminate(): Promise<void> {
    this.die({ kind: 'exit', message: `host ${this.slot} was terminated` });
  }

  /** Ends its thread, wherever it is. */
  die(loss: HostLoss): void {
    if (this.#dead) return;
    this.#dead = true;
    this.thread.end();
    for (const port of this.#framePorts) port.die((length) => this.#ports.survivors(length));
    this.#connection.die((length) => this.#ports.survivors(length));
    this.abandon(new HostLostError(`host ${this.slot} is gone: ${loss.message}`));
    this.#lose(loss);
  }

  /** Nobody will answer what it was asked, or is asked from now on. */
  abandon(error: Error): void {
    this.#gone ??= error;
    this.thread.end();
    for (const reject of this.#pending) reject(error);
    this.#pending.clear();
  }

  get isDead(): boolean {
    return this.#dead;
  }

  #call<T>(run: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) {
        reject(this.#gone);
        return;
      }
      this.#pending.add(reject);
      const settle = (done: () => void): void => {
        this.#back.send(() => {
          if (this.#pending.delete(reject)) done();
        });
      };
      this.#there.send(() => {
        run().then(
          (value) => settle(() => resolve(value)),
          (error: unknown) => settle(() => reject(error instanceof Error ? error : new Error(String(error)))),
        );
      });
    });
  }
}
