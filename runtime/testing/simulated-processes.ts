/**
 * The processes of a simulation: one after the other on one simulated disk, each a real system over simulated threads.
 *
 * Owns: starting the next process after a crash, a failed disk or a restart; who waits for it; which code it runs, and from which
 * position of the journal on.
 *
 * Invariants:
 * PR1. At most one process lives. What an ended one still does has no effect.
 * PR2. A start that fails for a while is tried again; one that can never succeed gives the simulation up.
 */
import { BlocksError, SystemStoppedError } from '../kernel/errors.ts';
import { RESIDENT_CELLS_LIMIT } from '../kernel/limits.ts';
import type { Random } from '../kernel/random.ts';
import { ActorSystem } from '../system/actor-system.ts';
import type { FaultDice } from './fault-plan.ts';
import type { OutsideEvent } from './history.ts';
import type { SimulatedDisk } from './simulated-store.ts';
import type { SimulateOptions } from './simulation-options.ts';
import { SimulationTopology } from './simulation-topology.ts';
import type { VirtualClock, VirtualThread } from './virtual-clock.ts';

/** How long after a start that failed the process is started again. */
const RESTART_AFTER_MS = 500;

/** The code from a position of the journal on. */
export interface Era {
  readonly from: number;
  readonly modules: readonly string[];
}

export interface ProcessPorts {
  readonly options: SimulateOptions;
  readonly clock: VirtualClock;
  readonly script: VirtualThread;
  readonly scheduling: Random;
  readonly dice: FaultDice;
  readonly disk: SimulatedDisk;
  readonly note: (line: string) => void;
  readonly record: (event: OutsideEvent) => void;
  readonly violated: (rule: string, what: string) => void;
  readonly giveUp: (error: Error) => void;
}

export class SimulatedProcesses {
  readonly #ports: ProcessPorts;
  readonly #eras: Era[] = [];
  #modules: readonly string[];
  #topology: SimulationTopology | undefined;
  #system: ActorSystem | undefined;
  #ups: ((system: ActorSystem) => void)[] = [];
  #isDown = false;

  constructor(ports: ProcessPorts) {
    this.#ports = ports;
    this.#modules = ports.options.actors.map(hrefOf);
  }

  /** The system of the living process; undefined while there is none. */
  get system(): ActorSystem | undefined {
    return this.#system;
  }

  /** The threads of the living process, which may still be starting. */
  get topology(): SimulationTopology | undefined {
    return this.#topology;
  }

  /** Which code ran from where on. */
  get eras(): readonly Era[] {
    return this.#eras;
  }

  /** Whether a process has ended, and the next is to be started. */
  get isDown(): boolean {
    return this.#isDown;
  }

  up(): Promise<ActorSystem> {
    if (this.#system !== undefined) return Promise.resolve(this.#system);
    return new Promise((resolve) => {
      this.#ups.push(resolve);
    });
  }

  /** Starts the next process, on what the disk holds. */
  boot(): void {
    this.#isDown = false;
    const { options, clock } = this.#ports;
    const topology = this.#newTopology();
    this.#topology = topology;
    const release = clock.hold();
    const start = ActorSystem.startWith(
      { onLog: () => {}, ...options.system, threads: options.hosts ?? 2, actors: this.#modules },
      { clock: topology.system, topology: held(topology, release) },
    );
    start.then(
      (system) => {
        if (this.#topology !== topology) return;
        this.#system = system;
        system.on('failed', ({ error }) => this.#failed(topology, error));
        const ups = this.#ups;
        this.#ups = [];
        for (const resume of ups) resume(system);
      },
      (error: unknown) => {
        release();
        if (this.#topology === topology) this.#notStarted(topology, error);
      },
    );
  }

  /** The process dies here and now; the next is of these modules if some are given. */
  crash(where: string, modules?: readonly (string | URL)[]): void {
    const { dice, disk, options, clock, note, record } = this.#ports;
    if (modules !== undefined) this.#modules = modules.map(hrefOf);
    if (this.#topology === undefined) return;
    const lostCommits = dice.strikes('powerFailure') ? disk.loseUnflushed() : 0;
    const { lyingDisk = 0 } = options.seams ?? {};
    if (lyingDisk > 0) disk.lose(lyingDisk);
    note(`crash ${where}, ${lostCommits} commits lost`);
    record({ kind: 'crashed', where, lostCommits, atMs: clock.elapsedMs });
    this.#end();
  }

  /** Stops the process in good order, and starts the next, of these modules if some are given. */
  async restart(modules?: readonly (string | URL)[]): Promise<ActorSystem> {
    await this.up();
    if (modules !== undefined) this.#modules = modules.map(hrefOf);
    const topology = this.#topology;
    this.#ports.note(`restart of ${this.#modules.length} modules`);
    // A crash meanwhile ends it too; what it is told then is no news.
    await this.#system?.stop().catch(() => {});
    // It may have crashed instead; then the next one is starting already, with the new code.
    if (this.#topology === topology) this.#end();
    return this.up();
  }

  #end(): void {
    const system = this.#system;
    this.#topology?.crash();
    this.#topology = undefined;
    this.#system = undefined;
    this.#isDown = true;
    // Whoever waits for a call outside is told that the system is gone; the system itself does nothing any more.
    void system?.stop({ drainTimeoutMs: 0 });
  }

  #failed(topology: SimulationTopology, error: Error): void {
    if (this.#topology !== topology) return;
    if (this.#ports.disk.takeFailure()) this.crash('by a failed disk');
    else this.#ports.violated('system_failed', describe(error));
  }

  #notStarted(topology: SimulationTopology, error: unknown): void {
    const { disk, script, note, giveUp } = this.#ports;
    const isForNow = disk.takeFailure() || (error instanceof BlocksError && error.retryable);
    if (!isForNow) {
      giveUp(new Error(`the system does not start: ${describe(error)}`));
      return;
    }
    // What a supervisor of the process would do: try again after a while.
    note(`the system does not start: ${describe(error)}`);
    topology.crash();
    this.#topology = undefined;
    script.wait(RESTART_AFTER_MS, () => this.boot());
  }

  #newTopology(): SimulationTopology {
    const { options, clock, scheduling, dice, disk, violated, record, note } = this.#ports;
    const { hosts = 2, system = {}, seams } = options;
    const modules = this.#modules;
    return new SimulationTopology({
      hosts,
      clock,
      random: scheduling,
      dice,
      journal: {
        sync: system.sync ?? 'group',
        retention: system.retention ?? 'keep',
        checkpointEveryTurns: system.checkpointEveryTurns ?? Number.POSITIVE_INFINITY,
        checkpointEveryBytes: system.checkpointEveryBytes ?? Number.POSITIVE_INFINITY,
      },
      residentCellsLimit: system.residentCellsLimit ?? RESIDENT_CELLS_LIMIT,
      linkCreditBytes: options.linkCreditBytes,
      openStore: (thread) => disk.open(thread),
      opened: ({ end }) => {
        if (this.#eras.at(-1)?.modules !== modules) this.#eras.push({ from: end, modules });
      },
      crash: (where) => this.crash(where),
      violated: (what) => violated('undetected_fault', what),
      record,
      note,
      seams,
    });
  }
}

/** What a script gets that asks for a system when there is none. */
export function noSystem(): SystemStoppedError {
  return new SystemStoppedError('the simulated process is down: await sim.up()');
}

export function describe(error: unknown): string {
  if (error instanceof BlocksError) return `${error.code} ${error.message}`;
  return error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : String(error);
}

function hrefOf(module: string | URL): string {
  return module instanceof URL ? module.href : module;
}

/** Ends the hold as soon as the system's own loading of modules is over. */
function held(topology: SimulationTopology, release: () => void): SimulationTopology {
  const start = topology.start.bind(topology);
  topology.start = (...args) => {
    release();
    return start(...args);
  };
  return topology;
}
