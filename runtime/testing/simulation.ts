/**
 * Simulation: the real runtime in one thread on virtual time, with every choice and every fault drawn from one seed.
 *
 * Owns: the driver of the virtual clock, the processes that come and go on one simulated disk, and the report. What is judged is in
 * `invariants.ts`; what can go wrong in `fault-plan.ts`.
 *
 * Invariants:
 * SI1. The same seed, plan, actors and script give the same trace, byte for byte.
 * SI2. Nothing real decides anything: between two virtual tasks all promises settle, and while code is being loaded nothing runs.
 * SI3. A crash keeps what the disk keeps, and drops everything else.
 */
import { systemClock } from '../kernel/clock.ts';
import { BlocksError, SystemStoppedError } from '../kernel/errors.ts';
import { RESIDENT_CELLS_LIMIT } from '../kernel/limits.ts';
import { type Random, seededRandom } from '../kernel/random.ts';
import { DefinitionTable } from '../host/definition-table.ts';
import { installTurnGlobals } from '../host/turn-globals.ts';
import { ActorSystem } from '../system/actor-system.ts';
import { FaultDice } from './fault-plan.ts';
import { foldActors } from './fold.ts';
import { type FinalActor, type History, lettersIn, type OutsideEvent, turnsIn } from './history.ts';
import { checkHistory, type Violation } from './invariants.ts';
import { enterOutside, SimulatedOutside } from './simulated-outside.ts';
import { SimulatedDisk } from './simulated-store.ts';
import { SimulatedDeath, SimulationTopology } from './simulation-topology.ts';
import { SimulationTrace } from './simulation-trace.ts';
import {
  SETTLE_MS,
  type SimulateOptions,
  type SimulationReport,
  STEPS_LIMIT,
  VIRTUAL_MS_LIMIT,
} from './simulation-options.ts';
import { VirtualClock, type VirtualThread } from './virtual-clock.ts';
import { installVirtualGlobals } from './virtual-globals.ts';

/** `runUntilIdle`: a wait that is nearer than this is still work. */
const IDLE_HORIZON_MS = 1_000;
/** How long after a start that failed the process is started again. */
const RESTART_AFTER_MS = 500;
/** Asking every actor for its state in the end: at most so many at once. */
const REPORTS_AT_ONCE = 64;

/** A simulation that is running, as its script sees it. */
export class Simulation {
  readonly seed: number;
  /** For the script's own choices. */
  readonly random: Random;
  /** What effects call. */
  readonly outside: SimulatedOutside;
  readonly #options: SimulateOptions;
  readonly #clock: VirtualClock;
  readonly #script: VirtualThread;
  readonly #dice: FaultDice;
  readonly #disk: SimulatedDisk;
  readonly #scheduling: Random;
  readonly #trace: SimulationTrace;
  readonly #events: OutsideEvent[] = [];
  readonly #violations: Violation[] = [];
  readonly #modules: string[];
  #topology: SimulationTopology | undefined;
  #system: ActorSystem | undefined;
  #ups: ((system: ActorSystem) => void)[] = [];
  #idles: (() => void)[] = [];
  readonly #looks: ((system: ActorSystem) => Promise<void>)[] = [];
  #crashed: { readonly where: string } | undefined;
  #clients = 0;
  #steps = 0;
  #ended = false;
  #giveUp: (error: Error) => void = () => {};

  /** @internal */
  constructor(options: SimulateOptions) {
    const { seed, faults = {}, onTrace } = options;
    this.seed = seed;
    this.#options = options;
    this.#modules = options.actors.map((actor) => (actor instanceof URL ? actor.href : actor));
    this.#trace = new SimulationTrace(onTrace);
    const low = seed | 0;
    const high = Math.floor(seed / 4_294_967_296) | 0;
    this.#scheduling = seededRandom(low, high ^ 1);
    this.#dice = new FaultDice(faults, seededRandom(low, high ^ 2));
    this.random = seededRandom(low, high ^ 3);
    this.#clock = new VirtualClock({
      random: this.#scheduling,
      onTask: (thread, kind) => this.#note(`${thread} ${kind}`),
      onError: (thread, error) => this.#threw(thread, error),
    });
    this.#script = this.#clock.thread('script');
    this.#disk = new SimulatedDisk({
      dice: this.#dice,
      sync: options.system?.sync ?? 'group',
      crash: (where) => {
        this.#crash(where);
        throw new SimulatedDeath();
      },
      clockJump: (ms) => {
        this.#clock.jump(ms);
        this.#events.push({ kind: 'clock_jumped', ms, atMs: this.#clock.elapsedMs });
        this.#note(`clock jumps by ${ms}`);
      },
      note: (line) => this.#note(line),
    });
    this.outside = new SimulatedOutside(this.#clock, this.#dice, (line) => this.#note(line));
  }

  /** The system of the present process. After a crash use `up` to wait for the next one. */
  get system(): ActorSystem {
    if (this.#system === undefined) throw new SystemStoppedError('the simulated process is down: await sim.up()');
    return this.#system;
  }

  /** Resolves with the system as soon as there is one. */
  up(): Promise<ActorSystem> {
    if (this.#system !== undefined) return Promise.resolve(this.#system);
    return new Promise((resolve) => {
      this.#ups.push(resolve);
    });
  }

  /** Commits that power failures have taken: with `sync: 'relaxed'`, what was acknowledged before one may be gone. */
  get lostCommits(): number {
    return this.#events.reduce((sum, event) => sum + (event.kind === 'crashed' ? event.lostCommits : 0), 0);
  }

  /** Virtual milliseconds since the start. */
  get elapsedMs(): number {
    return this.#clock.elapsedMs;
  }

  /** Virtual wall clock. */
  now(): number {
    return this.#script.now();
  }

  /** Lets so much virtual time pass, with all that happens in it. */
  advance(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#script.wait(ms, resolve);
    });
  }

  /** Runs until nothing is left to do but to wait for a second or longer. */
  runUntilIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idles.push(resolve);
    });
  }

  /** Ends a host's thread between two of its tasks. False: it is dead already. */
  killHost(slot: number): boolean {
    return this.#topology?.killHost(slot, 'killed by the script') ?? false;
  }

  /** Ends the process, and resolves with the system of the next one. Calls under way are rejected with `SystemStoppedError`. */
  async crash(): Promise<ActorSystem> {
    this.#crash('by the script');
    return this.up();
  }

  /** No fault strikes from now on. */
  heal(): void {
    this.#dice.heal();
  }

  /** Starts something that goes on beside the script; the simulation waits for it in the end. */
  client(work: () => Promise<void>): void {
    this.#clients += 1;
    work().then(
      () => {
        this.#clients -= 1;
      },
      (error: unknown) => {
        this.#clients -= 1;
        this.violated('script_failed', `a client failed: ${describe(error)}`);
      },
    );
  }

  /** Looks at the end: after all clients, when no fault strikes any more and everything has come to rest. */
  atEnd(look: (system: ActorSystem) => Promise<void>): void {
    this.#looks.push(look);
  }

  /** Reports something that the script found wrong. */
  violated(rule: string, what: string): void {
    this.#violations.push({ rule, what });
    this.#note(`violated ${rule}: ${what}`);
  }

  /** @internal */
  async execute(): Promise<SimulationReport> {
    // Loading is real work and must not fall into the simulation: everything is loaded once before it.
    const definitions = new DefinitionTable();
    for (const module of this.#modules) await definitions.load(module);
    if (this.#options.stacks !== true) Error.stackTraceLimit = 0;
    const restoreGlobals = installVirtualGlobals(this.#clock, this.#script);
    const restoreTurns = installTurnGlobals();
    enterOutside(this.outside);
    try {
      const history = this.#play(definitions);
      await this.#drive();
      return this.#report(await history);
    } finally {
      restoreTurns();
      restoreGlobals();
    }
  }

  async #play(definitions: DefinitionTable): Promise<History> {
    const givenUp = new Promise<never>((_resolve, reject) => {
      this.#giveUp = reject;
    });
    let actors: readonly FinalActor[] = [];
    let settled = false;
    try {
      this.#boot();
      await Promise.race([this.#script$(), givenUp]);
      actors = await Promise.race([this.#settle(), givenUp]);
      settled = true;
      await Promise.race([this.system.stop(), givenUp]);
    } catch (error) {
      this.violated('script_failed', describe(error));
    }
    this.#ended = true;
    const content = this.#disk.content();
    const turns = content === undefined ? [] : turnsIn(content);
    return {
      outside: this.#events,
      turns,
      actors,
      folded: foldActors(turns, definitions),
      deadLetters: content === undefined ? [] : lettersIn(content),
      settled,
      endMs: this.#script.now(),
      isDurable: (key) => definitions.isDurable(key),
      isCall: (key, source) => definitions.of(key)?.behavior.effect?.(source)?.kind === 'call',
    };
  }

  async #script$(): Promise<void> {
    await this.up();
    await this.#options.run(this);
    while (this.#clients > 0) await this.advance(100);
  }

  /** No more faults; everything must come to rest. Then every actor is asked for its state. */
  async #settle(): Promise<readonly FinalActor[]> {
    this.heal();
    await this.up();
    await this.advance(this.#options.settleMs ?? SETTLE_MS);
    const system = await this.up();
    for (const look of this.#looks) await look(system);
    await this.runUntilIdle();
    const { callsUnderWay } = await system.stats();
    if (callsUnderWay > 0) this.violated('stranded', `${callsUnderWay} calls have not been settled`);
    await this.#askAll(system);
    // Being loaded, an actor may hear of what happened while it was not: that is work of its own.
    await this.runUntilIdle();
    return this.#askAll(system);
  }

  /** Asks every actor in the journal for its state. */
  async #askAll(system: ActorSystem): Promise<FinalActor[]> {
    const content = this.#disk.content();
    const keys = [...new Set((content === undefined ? [] : turnsIn(content)).map((turn) => turn.key))].toSorted();
    const actors: FinalActor[] = [];
    for (let i = 0; i < keys.length; i += REPORTS_AT_ONCE) {
      const reports = keys.slice(i, i + REPORTS_AT_ONCE).map(async (key): Promise<FinalActor> => {
        const { status, sequence, view } = await system.refOf(key).snapshot();
        return { key, status, sequence, view };
      });
      actors.push(...(await Promise.all(reports)));
    }
    return actors;
  }

  #report(history: History): SimulationReport {
    return {
      seed: this.seed,
      digest: this.#trace.digest(),
      steps: this.#steps,
      virtualMs: this.#clock.elapsedMs,
      turns: history.turns.length,
      faults: this.#dice.counts,
      violations: [...this.#violations, ...checkHistory(history)],
      history,
      tail: this.#trace.tail(2_000),
    };
  }

  async #drive(): Promise<void> {
    const { stepsLimit = STEPS_LIMIT, virtualMsLimit = VIRTUAL_MS_LIMIT } = this.#options;
    let stuck = 0;
    for (;;) {
      await realTurn();
      if (this.#ended) return;
      if (this.#clock.held) {
        await this.#clock.unheld();
        continue;
      }
      if (this.#crashed !== undefined) {
        this.#crashed = undefined;
        this.#boot();
        continue;
      }
      if (this.#steps > stepsLimit || this.#clock.elapsedMs > virtualMsLimit) {
        this.#giveUp(new Error(`given up after ${this.#steps} steps and ${this.#clock.elapsedMs} virtual ms`));
        continue;
      }
      this.#strikeBetweenTasks();
      if (this.#crashed !== undefined) continue;
      if (this.#clock.runOne()) {
        this.#steps += 1;
        stuck = 0;
        continue;
      }
      const nextMs = this.#clock.nextMs();
      if (this.#idles.length > 0 && (nextMs === undefined || nextMs - this.#clock.elapsedMs > IDLE_HORIZON_MS)) {
        const idles = this.#idles;
        this.#idles = [];
        for (const resume of idles) resume();
        continue;
      }
      if (nextMs === undefined) {
        stuck += 1;
        if (stuck > 3) this.#giveUp(new Error('the script waits for something that will never happen'));
        continue;
      }
      this.#clock.moveTo(nextMs);
    }
  }

  #strikeBetweenTasks(): void {
    if (this.#topology === undefined) return;
    if (this.#dice.strikes('crashAnytime')) this.#crash('between two tasks');
    else if (this.#dice.strikes('hostDeath')) {
      this.#topology.killHost(Math.floor(this.#dice.next() * this.#topology.hosts), 'between two tasks');
    } else if (this.#dice.strikes('stall')) this.#clock.current?.stall(this.#dice.spanMs('stallMs'));
  }

  /** A new process on the same disk. */
  #boot(): void {
    const { hosts = 2, system: options = {}, seams } = this.#options;
    const topology: SimulationTopology = new SimulationTopology({
      hosts,
      clock: this.#clock,
      random: this.#scheduling,
      dice: this.#dice,
      journal: {
        sync: options.sync ?? 'group',
        retention: options.retention ?? 'keep',
        checkpointEveryTurns: options.checkpointEveryTurns ?? Number.POSITIVE_INFINITY,
        checkpointEveryBytes: options.checkpointEveryBytes ?? Number.POSITIVE_INFINITY,
      },
      residentCellsLimit: options.residentCellsLimit ?? RESIDENT_CELLS_LIMIT,
      openStore: (thread) => this.#disk.open(thread),
      crash: (where) => this.#crash(where),
      violated: (what) => this.violated('undetected_fault', what),
      record: (event) => this.#events.push(event),
      note: (line) => this.#note(line),
      seams,
    });
    this.#topology = topology;
    const release = this.#clock.hold();
    const start = ActorSystem.startWith(
      { onLog: () => {}, ...options, threads: hosts, actors: this.#modules },
      { clock: topology.system, topology: held(topology, release) },
    );
    start.then(
      (system) => {
        if (this.#topology !== topology) return;
        this.#system = system;
        system.on('failed', ({ error }) => this.violated('system_failed', describe(error)));
        const ups = this.#ups;
        this.#ups = [];
        for (const resume of ups) resume(system);
      },
      (error: unknown) => {
        release();
        if (this.#topology !== topology) return;
        // What a supervisor of the process would do: try again after a while, unless it can never succeed.
        if (error instanceof BlocksError && error.retryable) {
          this.#note(`the system does not start: ${describe(error)}`);
          topology.crash();
          this.#script.wait(RESTART_AFTER_MS, () => this.#boot());
        } else this.#giveUp(new Error(`the system does not start: ${describe(error)}`));
      },
    );
  }

  #crash(where: string): void {
    const topology = this.#topology;
    if (topology === undefined) return;
    const lostCommits = this.#dice.strikes('powerFailure') ? this.#disk.loseUnflushed() : 0;
    const { lyingDisk = 0 } = this.#options.seams ?? {};
    if (lyingDisk > 0) this.#disk.lose(lyingDisk);
    this.#note(`crash ${where}, ${lostCommits} commits lost`);
    this.#events.push({ kind: 'crashed', where, lostCommits, atMs: this.#clock.elapsedMs });
    topology.crash();
    const system = this.#system;
    this.#topology = undefined;
    this.#system = undefined;
    this.#crashed = { where };
    // Whoever waits for a call outside is told that the system is gone; the system itself does nothing any more.
    void system?.stop({ drainTimeoutMs: 0 });
  }

  #threw(thread: VirtualThread, error: unknown): void {
    if (error instanceof SimulatedDeath) return;
    this.violated('uncaught', `${thread.name}: ${describe(error)}`);
    const slot = this.#topology?.slotOf(thread);
    if (slot !== undefined) this.#topology?.killHost(slot, `uncaught: ${describe(error)}`);
  }

  #note(line: string): void {
    this.#trace.note(`${this.#clock.elapsedMs.toFixed(3)} ${line}`);
  }
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

/** A turn of the real loop: every promise that can settle has settled after it. */
function realTurn(): Promise<void> {
  return new Promise((resolve) => {
    systemClock.defer(resolve);
  });
}

function describe(error: unknown): string {
  if (error instanceof BlocksError) return `${error.code} ${error.message}`;
  return error instanceof Error ? (error.stack ?? `${error.name}: ${error.message}`) : String(error);
}
