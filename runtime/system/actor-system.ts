/**
 * The actor system: what an application starts, and everything that it does with actors from outside.
 *
 * Owns: the life of the system and the public verbs. Calls under way are `calls.ts`, what is looked at `observations.ts`, threads
 * `topology.ts`, the past `history.ts`, dead letters `dead-letters.ts`.
 *
 * Invariants:
 * Y1. After `stop`, no thread, port, timer or lock of the system is left.
 * Y2. A call made before `stop` settles: it is finished within the drain time, or rejected with `SystemStoppedError`.
 */
import { availableParallelism } from 'node:os';
import { assertCellId, type CellKey, keyOf, placementOf } from '../kernel/address.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { type Definition, isDefinition } from '../kernel/definition.ts';
import {
  type BlocksError,
  decodeError,
  InvalidDefinitionError,
  InvalidOptionsError,
  StorageFullError,
  SystemStoppedError,
  UnknownDefinitionError,
} from '../kernel/errors.ts';
import type { Envelope } from '../kernel/message.ts';
import { assertKnown } from '../kernel/option-faults.ts';
import { outsideStreamOf } from '../cell/image.ts';
import { DefinitionTable } from '../host/definition-table.ts';
import type { HostStats } from '../host/host-ports.ts';
import { Observations } from '../host/observations.ts';
import type { CellReport, Inbound, Notice, Outbound } from '../host/items.ts';
import type { JournalStats, OpenReport, Recovery } from '../journal/journal-control.ts';
import { ActorRef, type RefPorts } from './actor-ref.ts';
import { BlockedActors } from './blocked-actors.ts';
import { Calls } from './calls.ts';
import { DeadLetters } from './dead-letters.ts';
import type { InputFor, InputGiven, RefOf, SpawnOptions } from './definition-inference.ts';
import { History } from './history.ts';
import { type ResolvedOptions, resolveOptions, type SystemOptions } from './options.ts';
import type { SystemEvents } from './system-events.ts';
import type { Topology } from './topology.ts';

const SPAWN_OPTIONS: ReadonlySet<string> = new Set<keyof SpawnOptions>(['id', 'input', 'ifExists', 'timeoutMs']);

export interface SystemStats {
  readonly hosts: readonly HostStats[];
  readonly journal: JournalStats;
  readonly callsUnderWay: number;
  /** Messages of `ref.send` that were refused or had no room until their deadline, since the start: nobody was told. */
  readonly sendsLost: number;
}

/** What a test may put in place of the machine's own. */
export interface SystemSeams {
  readonly clock?: Clock;
  readonly topology?: Topology;
}

type Life = { readonly kind: 'starting' | 'started' } | { readonly kind: 'failed'; readonly error: Error };
type Listener<K extends keyof SystemEvents> = (event: SystemEvents[K]) => void;

export class ActorSystem implements AsyncDisposable {
  readonly #options: ResolvedOptions;
  readonly #clock: Clock;
  readonly #topology: Topology;
  readonly #definitions = new DefinitionTable();
  readonly #listeners = new Map<string, Set<(event: never) => void>>();
  readonly #blocked: BlockedActors;
  /** Every host has them. */
  readonly #known = new WeakSet<Definition>();
  /** Hosts that have been told that the disk is full. */
  readonly #fullSlots = new Set<number>();
  readonly #refPorts: RefPorts;
  #calls!: Calls;
  readonly #observations: Observations;
  #stopping: Promise<void> | undefined;
  #life: Life = { kind: 'starting' };
  /** What the journal found when it was opened. */
  #opened!: OpenReport;

  /** Messages that were set aside: list, redrive, purge. */
  readonly deadLetters: DeadLetters;

  private constructor(options: ResolvedOptions, clock: Clock, topology: Topology) {
    this.#options = options;
    this.#clock = clock;
    this.#topology = topology;
    this.#observations = new Observations({
      clock: this.#clock,
      observe: (key) => this.#command(key, (call) => ['observe', key, call], Number.POSITIVE_INFINITY),
      present: (key, view) => this.#definitions.present(key, view),
      unobserve: (key) => this.#topology.link(placementOf(key, this.#topology.hosts))?.push(['unobserve', key]),
    });
    this.#blocked = new BlockedActors({
      clock: this.#clock,
      isDefined: (key) => this.#definitions.of(key) !== undefined,
      unblock: (key) => this.unblock({ key }),
      tell: (key, error) => this.#emit('blocked', { key, error }),
    });
    this.#refPorts = {
      tellTimeoutMs: options.tellTimeoutMs,
      askTimeoutMs: options.askTimeoutMs,
      deliver: (envelope, ask, callOptions) => this.#calls.deliver(envelope, ask, callOptions),
      present: (key, view) => this.#definitions.present(key, view),
      report: (key, timeoutMs) => this.#command(key, (call) => ['inspect', key, call], timeoutMs),
      observations: this.#observations,
      nowMs: () => this.#clock.now(),
    };
    this.deadLetters = new DeadLetters(this.#topology.journal, (envelope, timeoutMs) =>
      this.#redeliver(envelope, timeoutMs),
    );
  }

  /**
   * Starts a system: opens the journal, recovers what it holds, starts the hosts.
   *
   * @throws InvalidOptionsError with all faults, DefinitionModuleError, InvalidDefinitionError, DataFolderLockedError,
   *   DataFolderReadOnlyError, DataFormatError, DataDamagedError, StorageError
   * @example await using system = await ActorSystem.start({ dataDir: './data', actors: [new URL('./account.ts', import.meta.url)] })
   */
  static start(options: SystemOptions = {}): Promise<ActorSystem> {
    return ActorSystem.startWith(options, {});
  }

  /** `start` with another clock or other threads: for tests and simulation. @internal */
  static async startWith(options: SystemOptions, seams: SystemSeams): Promise<ActorSystem> {
    const resolved = resolveOptions(options, availableParallelism());
    const clock = seams.clock ?? systemClock;
    const system = new ActorSystem(resolved, clock, seams.topology ?? (await topologyOf(resolved, clock)));
    await system.#start();
    return system;
  }

  /** What the journal found at the start: run number, turns read, damage. */
  get opened(): OpenReport {
    return this.#opened;
  }

  /**
   * Creates an actor and resolves with its reference once its first turn is on disk. But for the first one of a definition it is
   * sent before this returns: messages sent to the actor afterwards come after it, even those that do not wait for it.
   *
   * @throws ActorAlreadyExistsError, InvalidDefinitionError, InvalidAddressError, HandlerError (its initial state threw)
   * @example const ref = await system.spawn(order, { id: 'o-42', input: { customer: 'c-7' } })
   */
  async spawn<D extends Definition>(
    definition: D,
    options: SpawnOptions<InputFor<D>> & InputGiven<D>,
  ): Promise<RefOf<D>> {
    if (!this.#known.has(definition)) await this.#know(definition);
    if (typeof options !== 'object' || options === null) throw new InvalidOptionsError('spawn: give it { id }');
    assertKnown('spawn', options, SPAWN_OPTIONS);
    const ref = this.ref(definition, options.id);
    const ifExists = options.ifExists ?? 'refuse';
    if (ifExists !== 'refuse' && ifExists !== 'attach') {
      throw new InvalidOptionsError(`spawn: ifExists: ${JSON.stringify(ifExists)} is not 'refuse' or 'attach'`);
    }
    const control = { kind: 'spawn', logic: [], input: options.input, ifExists } as const;
    const timeoutMs = options.timeoutMs ?? this.#options.askTimeoutMs;
    await new Promise((resolve, reject) => {
      this.#calls.deliver({ to: ref.key, message: undefined, control }, true, {
        timeoutMs,
        settle: { resolve, reject },
      });
    });
    return ref;
  }

  /** A reference to the actor `id` of `definition` (or of the definition of that name), which need not exist. */
  ref<D extends Definition>(definition: D | string, id: string): RefOf<D> {
    const name = typeof definition === 'string' ? this.#definitions.require(definition).name : definition.name;
    assertCellId(id);
    return new ActorRef(keyOf(name, id), this.#refPorts) as RefOf<D>;
  }

  /** A reference by its key (`definition/id`), as references write themselves. */
  refOf(key: CellKey): ActorRef {
    return new ActorRef(key, this.#refPorts);
  }

  /** The turns of an actor, its state at any of them, and a fork from there. */
  history(ref: { readonly key: CellKey }): History {
    return new History(ref.key, {
      journal: this.#topology.journal,
      definitions: this.#definitions,
      run: this.#opened.run,
      report: (key) => this.inspect(key),
      refOf: (key) => this.refOf(key),
    });
  }

  /** Actors known to be blocked, with why. An actor is found blocked when it is loaded. */
  blocked(): ReadonlyMap<CellKey, BlocksError> {
    return this.#blocked.all;
  }

  /** Tries to bring a blocked actor back. Resolves with whether it could be. */
  async unblock(ref: { readonly key: CellKey }): Promise<boolean> {
    const report = await this.#command(ref.key, (call) => ['unblock', ref.key, call], this.#options.askTimeoutMs);
    if (report.status !== 'blocked') this.#blocked.back(ref.key);
    return report.status !== 'blocked';
  }

  /** What a host says of an actor, which it brings into memory: for tests and simulation. @internal */
  inspect(key: CellKey): Promise<CellReport> {
    return this.#command(key, (call) => ['inspect', key, call], this.#options.askTimeoutMs);
  }

  /** Listens; the returned function stops. */
  on<K extends keyof SystemEvents>(kind: K, listener: Listener<K>): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Figures of hosts and journal, as of now. */
  async stats(): Promise<SystemStats> {
    const [hosts, journal] = await Promise.all([this.#topology.stats(), this.#topology.journal.stats()]);
    return { hosts, journal, callsUnderWay: this.#calls.size, sendsLost: this.#calls.sendsLost };
  }

  /** Stores every actor's state, so that a restart reads nothing older. Resolves with the position reached. */
  checkpoint(): Promise<number> {
    return this.#topology.journal.checkpoint();
  }

  /** A consistent copy of the data folder, made while the system runs. Never copy the files of a running system. */
  backup(targetDir: string): Promise<void> {
    return this.#topology.journal.backup(targetDir);
  }

  /** Finishes what is under way, within `drainTimeoutMs`, then ends every thread. Idempotent. */
  stop(options: { readonly drainTimeoutMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#stop(options.drainTimeoutMs ?? this.#options.drainTimeoutMs);
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #start(): Promise<void> {
    for (const module of this.#options.actors) await this.#definitions.load(module);
    this.#opened = await this.#topology.start(
      {
        items: (slot, items) => this.#items(slot, items),
        refused: (_slot, item, error) => this.#refused(item, error),
        replaced: (slot, recovery) => this.#replaced(slot, recovery),
        lost: (slot, loss) => {
          this.#storage(slot, 'ok');
          this.#emit('host_lost', { slot, ...loss });
        },
        failed: (error) => this.#failed(error),
      },
      this.#definitions.modules,
      (run) => {
        this.#calls = new Calls({
          clock: this.#clock,
          run,
          hosts: this.#topology.hosts,
          outsideStream: outsideStreamOf(run),
          limit: this.#options.callsLimit,
          link: (slot) => this.#topology.link(slot),
        });
      },
    );
    if (this.#life.kind === 'failed') {
      await this.stop({ drainTimeoutMs: 0 }).catch(() => {});
      throw this.#life.error;
    }
    this.#life = { kind: 'started' };
  }

  async #stop(drainTimeoutMs: number): Promise<void> {
    const reason = this.#life.kind === 'failed' ? { cause: this.#life.error } : {};
    this.#calls.refuse(new SystemStoppedError('the actor system is stopping', reason));
    this.#blocked.close();
    try {
      await this.#topology.stop(drainTimeoutMs);
    } finally {
      this.#calls.stop(new SystemStoppedError('the actor system has stopped before this call was finished', reason));
      this.#observations.close();
    }
  }

  async #know(definition: Definition): Promise<void> {
    if (!isDefinition(definition)) {
      const what = typeof definition === 'function' ? 'a function' : definition === null ? 'null' : typeof definition;
      throw new InvalidDefinitionError(
        `spawn needs a definition, got ${what}: export const order = defineActor(import.meta.url, 'order', { machine }), ` +
          'and pass order. A closure or a machine alone cannot be loaded by another thread',
      );
    }
    if (this.#definitions.get(definition.name) !== definition) await this.#definitions.load(definition.module);
    if (this.#definitions.get(definition.name)?.module !== definition.module) {
      throw new UnknownDefinitionError(
        `module ${definition.module} does not export the definition "${definition.name}": export it, so that every thread finds it`,
        { details: { name: definition.name, module: definition.module } },
      );
    }
    await this.#topology.load(definition.module);
    await this.#blocked.defined();
    this.#known.add(definition);
  }

  #command(key: CellKey, make: (call: number) => Exclude<Inbound, Envelope>, timeoutMs: number): Promise<CellReport> {
    return new Promise((resolve, reject) => {
      this.#calls.command(key, make, {
        timeoutMs,
        settle: { resolve: (report) => resolve(report as CellReport), reject },
      });
    });
  }

  #redeliver(envelope: Envelope, timeoutMs: number): Promise<void> {
    const { to, message, traceparent } = envelope;
    return new Promise((resolve, reject) => {
      this.#calls.deliver({ to, message, traceparent }, false, {
        timeoutMs,
        settle: { resolve: () => resolve(), reject },
      });
    });
  }

  #items(slot: number, items: readonly unknown[]): void {
    for (const item of items as readonly Outbound[]) {
      switch (item[0]) {
        case 'receipts':
          this.#calls.receipts(item[1]);
          break;
        case 'reply':
          this.#calls.reply(item[1], item[2]);
          break;
        case 'fail':
          this.#calls.fail(item[1], item[2]);
          break;
        case 'busy':
          this.#calls.busy(item[1], item[2]);
          break;
        case 'ready':
          this.#calls.ready(item[1], item[2], item[3]);
          break;
        case 'view':
          this.#observations.view(item[1], item[2], item[3] as CellReport['status'], item[4]);
          break;
        case 'event':
          this.#observations.event(item[1], item[2]);
          break;
        case 'notice':
          this.#notice(slot, item[1]);
          break;
      }
    }
  }

  #notice(slot: number, notice: Notice): void {
    switch (notice.kind) {
      case 'blocked':
        this.#blocked.found(notice.key, decodeError(notice.error));
        break;
      case 'dead_letter':
        this.#emit('dead_letter', { id: notice.id, key: notice.key, error: decodeError(notice.error) });
        break;
      case 'log':
        this.#options.onLog(notice.key, notice.values);
        break;
      case 'standstill':
        this.#emit('standstill', { state: notice.state, keys: notice.keys });
        break;
      case 'storage':
        this.#storage(slot, notice.state);
        break;
    }
  }

  /** Each host says what the journal told it; one that died took its last word with it, and its successor speaks for itself. */
  #storage(slot: number, state: 'full' | 'ok'): void {
    const wasFull = this.#fullSlots.size > 0;
    if (state === 'full') this.#fullSlots.add(slot);
    else this.#fullSlots.delete(slot);
    const isFull = this.#fullSlots.size > 0;
    if (isFull === wasFull) return;
    if (isFull) {
      this.#calls.refuse(
        new StorageFullError(
          'the disk of the data folder is full: nothing acknowledged is lost; make room and it resumes by itself',
        ),
      );
    } else if (this.#stopping === undefined) {
      this.#calls.accept();
    }
    this.#emit('storage', { state });
  }

  #refused(item: unknown, error: Error): void {
    const call = Array.isArray(item) ? undefined : (item as Envelope).id?.position;
    if (call !== undefined) this.#calls.reject(call, error);
  }

  #replaced(slot: number, recovery: Recovery): void {
    for (const answer of recovery.answers) {
      if (answer.to.kind !== 'outside') continue;
      if (answer.error === undefined) this.#calls.reply(answer.to.call, answer.value);
      else this.#calls.fail(answer.to.call, answer.error);
    }
    this.#calls.resend(slot);
    for (const key of this.#observations.keys) {
      if (placementOf(key, this.#topology.hosts) === slot) this.#observations.renew(key);
    }
    this.#emit('host_replaced', { slot });
  }

  #failed(error: Error): void {
    const isStarting = this.#life.kind === 'starting';
    if (this.#life.kind !== 'failed') this.#life = { kind: 'failed', error };
    this.#emit('failed', { error });
    // Nobody can listen yet to one that is being started: its start fails. A stop that fails too is told to whoever calls it.
    if (!isStarting) this.stop({ drainTimeoutMs: 0 }).catch(() => {});
  }

  #emit<K extends keyof SystemEvents>(kind: K, event: SystemEvents[K]): void {
    for (const listener of [...(this.#listeners.get(kind) ?? [])]) (listener as Listener<K>)(event);
  }
}

/** Loaded when needed: a system on the calling thread starts no thread, and needs none of the code for it. */
async function topologyOf(options: ResolvedOptions, clock: Clock): Promise<Topology> {
  if (options.threads === 0) {
    const { InlineTopology } = await import('./inline-topology.ts');
    return new InlineTopology(options, clock);
  }
  const { ThreadTopology } = await import('./thread-topology.ts');
  return new ThreadTopology(options, clock);
}
