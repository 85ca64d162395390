/**
 * A host on the calling thread, as the fleet sees it. With `threads: 0` there is one; simulation has several.
 *
 * Owns: wiring a host shell without a thread. `die` is how a simulation kills it.
 */
import type { Clock } from '../kernel/clock.ts';
import { HostLostError } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import { CpuPool } from '../host/cpu-pool.ts';
import type { HostStats } from '../host/host-ports.ts';
import { type Beginning, type HostConfig, HostShell } from '../host/host-shell.ts';
import { unwatched, type Watch } from '../host/watch.ts';
import type { HostJournal, HostJournalEvents } from '../journal/host-journal.ts';
import type { FramePort } from '../transport/frame-port.ts';
import type { HostHandle } from './fleet.ts';
import type { HostLoss } from './topology.ts';

export interface InlineHostPorts {
  readonly config: HostConfig;
  readonly clock: Clock;
  readonly random: Random;
  /** Both ends of the link between the host and the outside. */
  readonly outside: readonly [system: FramePort, host: FramePort];
  /** Default: nobody watches. */
  readonly watch?: Watch | undefined;
  connectJournal(events: HostJournalEvents): HostJournal;
}

export class InlineHost implements HostHandle<FramePort> {
  readonly slot: number;
  readonly outside: FramePort;
  readonly lost: Promise<HostLoss>;
  readonly #clock: Clock;
  readonly #shell: HostShell;
  readonly #pool = new CpuPool();
  #lose: (loss: HostLoss) => void = () => {};
  #dead = false;

  constructor(ports: InlineHostPorts) {
    this.slot = ports.config.slot;
    this.outside = ports.outside[0];
    this.#clock = ports.clock;
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    this.#shell = new HostShell(ports.config, {
      clock: ports.clock,
      random: ports.random,
      watch: ports.watch ?? unwatched,
      pool: this.#pool.run,
      onFenced: () => this.die({ kind: 'exit', message: `host ${this.slot} was fenced` }),
      onBroken: (error) => this.die({ kind: 'error', message: error.message }),
      connectJournal: (events) => ports.connectJournal(events),
    });
    this.#shell.connect(ports.outside[1]);
  }

  async load(modules: readonly string[]): Promise<void> {
    this.#assertAlive();
    await this.#shell.load(modules);
  }

  async linkUp(slot: number, port: FramePort, from: number): Promise<void> {
    this.#assertAlive();
    this.#shell.linkUp(slot, port, from);
  }

  async linkDown(slot: number): Promise<void> {
    this.#assertAlive();
    this.#shell.linkDown(slot);
  }

  async begin(beginning: Beginning): Promise<void> {
    this.#assertAlive();
    this.#shell.begin(beginning);
  }

  async drained(timeoutMs: number): Promise<void> {
    this.#assertAlive();
    let expire: () => void = () => {};
    const deadline = new Promise<void>((resolve) => {
      expire = resolve;
    });
    const wait = this.#clock.wait(timeoutMs, () => expire());
    await Promise.race([this.#shell.drained(), deadline]);
    wait.cancel();
  }

  async stats(): Promise<HostStats> {
    this.#assertAlive();
    return this.#shell.stats();
  }

  async stop(): Promise<void> {
    if (!this.#dead) this.#shell.stop();
    this.#dead = true;
    await this.#pool.close();
  }

  async terminate(): Promise<void> {
    await this.stop();
  }

  /** Ends it between two of its steps, as a thread's death would: what it had not committed is gone. */
  die(loss: HostLoss): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#shell.kill();
    this.#lose(loss);
  }

  #assertAlive(): void {
    if (this.#dead) throw new HostLostError(`host ${this.slot} is gone`);
  }
}
