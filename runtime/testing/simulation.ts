/**
 * Simulation: the real runtime in one thread on virtual time, with every choice and every fault drawn from one seed.
 *
 * Owns: the driver of the virtual clock, what a script can do, how everything comes to rest, and the report. The processes that come
 * and go are `simulated-processes.ts`; what is judged is in `invariants.ts`; what can go wrong in `fault-plan.ts`.
 *
 * Invariants:
 * SI1. The same seed, plan, actors and script give the same trace, byte for byte.
 * SI2. Nothing real decides anything: between two virtual tasks all promises settle, and while code is being loaded nothing runs.
 * SI3. A crash keeps what the disk keeps, and drops everything else.
 */
import { systemClock } from '../kernel/clock.ts';
import { type Random, seededRandom } from '../kernel/random.ts';
import { DefinitionTable } from '../host/definition-table.ts';
import { installTurnGlobals } from '../host/turn-globals.ts';
import type { ActorSystem } from '../system/actor-system.ts';
import { FaultDice } from './fault-plan.ts';
import { type FoldEra, foldActors } from './fold.ts';
import { type FinalActor, type History, lettersIn, type OutsideEvent, turnsIn } from './history.ts';
import { checkHistory, checkRecovered, type Violation } from './invariants.ts';
import { enterOutside, SimulatedOutside } from './simulated-outside.ts';
import { describe, noSystem, SimulatedProcesses } from './simulated-processes.ts';
import { SimulatedDisk } from './simulated-store.ts';
import { SimulatedDeath } from './simulation-topology.ts';
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
/** How long a date that was set back goes unnoticed. */
const WRONG_DATE_NOTICED_MS = 10_000;
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
  readonly #processes: SimulatedProcesses;
  #idles: (() => void)[] = [];
  readonly #looks: ((system: ActorSystem) => Promise<void>)[] = [];
  /** How far the wall clock is off, and the furthest that it was ahead. */
  #jumpedMs = 0;
  #aheadMs = 0;
  #clients = 0;
  #steps = 0;
  #ended = false;
  #settled = false;
  #actors: readonly FinalActor[] = [];
  #giveUp: (error: Error) => void = () => {};

  /** @internal */
  constructor(options: SimulateOptions) {
    const { seed, faults = {}, onTrace } = options;
    this.seed = seed;
    this.#options = options;
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
      folder: options.folder,
      crash: (where) => {
        this.#processes.crash(where);
        throw new SimulatedDeath();
      },
      clockJump: (ms) => this.#jump(ms),
      wrongDate: (ms) => {
        this.#jump(ms);
        if (ms < 0) this.#script.wait(this.#dice.next() * WRONG_DATE_NOTICED_MS, () => this.#jump(-ms));
      },
      violated: (rule, what) => this.violated(rule, what),
      note: (line) => this.#note(line),
    });
    this.outside = new SimulatedOutside(this.#clock, this.#dice, (line) => this.#note(line));
    this.#processes = new SimulatedProcesses({
      options,
      clock: this.#clock,
      script: this.#script,
      scheduling: this.#scheduling,
      dice: this.#dice,
      disk: this.#disk,
      note: (line) => this.#note(line),
      record: (event) => this.#events.push(event),
      violated: (rule, what) => this.violated(rule, what),
      giveUp: (error) => this.#giveUp(error),
    });
  }

  /** The system of the present process. After a crash use `up` to wait for the next one. */
  get system(): ActorSystem {
    const { system } = this.#processes;
    if (system === undefined) throw noSystem();
    return system;
  }

  /** Resolves with the system as soon as there is one. */
  up(): Promise<ActorSystem> {
    return this.#processes.up();
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
    return this.#processes.topology?.killHost(slot, 'killed by the script') ?? false;
  }

  /**
   * Ends the process, and resolves with the system of the next one, of these modules if some are given. Calls under way are rejected
   * with `SystemStoppedError`.
   */
  async crash(modules?: readonly (string | URL)[]): Promise<ActorSystem> {
    this.#processes.crash('by the script', modules);
    return this.up();
  }

  /**
   * Stops the process in good order and starts the next one, of these modules if some are given: a new version. Faults may strike
   * meanwhile; the new code runs all the same.
   */
  restart(modules?: readonly (string | URL)[]): Promise<ActorSystem> {
    return this.#processes.restart(modules);
  }

  /** No fault strikes from now on. The wall clock is set to the latest time that it has shown: nothing is due later than that. */
  heal(): void {
    this.#dice.heal();
    if (this.#jumpedMs < this.#aheadMs) this.#jump(this.#aheadMs - this.#jumpedMs);
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
    const definitions = new Map<string, DefinitionTable>();
    for (const modules of [this.#options.actors, ...(this.#options.upgrades ?? [])]) {
      const table = new DefinitionTable();
      for (const module of modules) await table.load(String(module));
      definitions.set(modules.map(String).join(), table);
    }
    if (this.#options.stacks !== true) Error.stackTraceLimit = 0;
    const restoreGlobals = installVirtualGlobals(this.#clock, this.#script);
    const restoreTurns = installTurnGlobals();
    enterOutside(this.outside);
    try {
      const played = this.#play();
      await this.#drive();
      await played;
      return this.#report(this.#history(definitions));
    } finally {
      restoreTurns();
      restoreGlobals();
      this.#disk.close();
    }
  }

  async #play(): Promise<void> {
    const givenUp = new Promise<never>((_resolve, reject) => {
      this.#giveUp = reject;
    });
    try {
      this.#processes.boot();
      await Promise.race([this.#script$(), givenUp]);
      await Promise.race([this.#settle(), givenUp]);
      this.#settled = true;
      await Promise.race([this.system.stop(), givenUp]);
    } catch (error) {
      this.violated('script_failed', describe(error));
    }
    this.#ended = true;
  }

  #history(definitions: ReadonlyMap<string, DefinitionTable>): History {
    const content = this.#disk.content();
    const turns = turnsIn(content, this.#disk.trimmed);
    const eras = this.#processes.eras.map(({ from, modules }): FoldEra => {
      return { from, definitions: definitions.get(modules.join()) as DefinitionTable };
    });
    const now = eras.at(-1)?.definitions;
    return {
      outside: this.#events,
      turns,
      actors: this.#actors,
      folded: foldActors(turns, eras),
      deadLetters: lettersIn(content),
      settled: this.#settled,
      endMs: this.#script.now(),
      isDurable: (key) => now?.isDurable(key) ?? true,
      isCall: (key, source) => now?.of(key)?.behavior.effect?.(source)?.kind === 'call',
    };
  }

  async #script$(): Promise<void> {
    await this.up();
    await this.#options.run(this);
    while (this.#clients > 0) await this.advance(100);
  }

  /** No more faults; everything must come to rest. Then every actor is asked for its state, and again after a last crash. */
  async #settle(): Promise<void> {
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
    const before = await this.#askAll(system);
    // Half of the time from images, half of the time from turns.
    if (this.random.next() < 0.5) await system.checkpoint();
    const next = await this.crash();
    await this.#askAll(next);
    await this.runUntilIdle();
    this.#actors = await this.#askAll(next);
    this.#violations.push(...checkRecovered(before, this.#actors));
  }

  /** Asks every actor in the journal for its state. */
  async #askAll(system: ActorSystem): Promise<FinalActor[]> {
    const content = this.#disk.content();
    const keys = [...new Set(turnsIn(content, this.#disk.trimmed).map((turn) => turn.key))].toSorted();
    const actors: FinalActor[] = [];
    for (let i = 0; i < keys.length; i += REPORTS_AT_ONCE) {
      actors.push(...(await Promise.all(keys.slice(i, i + REPORTS_AT_ONCE).map((key) => system.inspect(key)))));
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
      if (this.#processes.isDown) {
        this.#processes.boot();
        continue;
      }
      if (this.#steps > stepsLimit || this.#clock.elapsedMs > virtualMsLimit) {
        this.#giveUp(new Error(`given up after ${this.#steps} steps and ${this.#clock.elapsedMs} virtual ms`));
        continue;
      }
      this.#strikeBetweenTasks();
      if (this.#processes.isDown) continue;
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
    const { topology } = this.#processes;
    if (topology === undefined) return;
    if (this.#dice.strikes('crashAnytime')) this.#processes.crash('between two tasks');
    else if (this.#dice.strikes('hostDeath')) {
      topology.killHost(Math.floor(this.#dice.next() * topology.hosts), 'between two tasks');
    } else if (this.#dice.strikes('stall')) this.#clock.current?.stall(this.#dice.spanMs('stallMs'));
  }

  #jump(ms: number): void {
    this.#clock.jump(ms);
    this.#jumpedMs += ms;
    this.#aheadMs = Math.max(this.#aheadMs, this.#jumpedMs);
    this.#events.push({ kind: 'clock_jumped', ms, atMs: this.#clock.elapsedMs });
    this.#note(`clock jumps by ${ms}`);
  }

  #threw(thread: VirtualThread, error: unknown): void {
    if (error instanceof SimulatedDeath) return;
    this.violated('uncaught', `${thread.name}: ${describe(error)}`);
    const { topology } = this.#processes;
    const slot = topology?.slotOf(thread);
    if (slot !== undefined) topology?.killHost(slot, `uncaught: ${describe(error)}`);
  }

  #note(line: string): void {
    this.#trace.note(`${this.#clock.elapsedMs.toFixed(3)} ${line}`);
  }
}

/** A turn of the real loop: every promise that can settle has settled after it. */
function realTurn(): Promise<void> {
  return new Promise((resolve) => {
    systemClock.defer(resolve);
  });
}
