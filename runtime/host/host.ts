/**
 * A host: the cells of one thread, and the loop that runs them.
 *
 * Owns: delivery into mailboxes, fair order among cells with work, failed messages, and the rhythm of slice, commit, flush.
 * Knows nothing of threads: clock, journal and links are handed in, so that the same host runs on a worker, on the calling
 * thread and in simulation.
 *
 * Invariants:
 * X3. One slice runs at a time, and ends with everything that it recorded handed to the journal and everything that it sent
 *     handed to the links.
 * X4. Every cell with work gets its slice before any cell gets a second one.
 * X5. A fenced host runs nothing more.
 */
import type { CellKey } from '../kernel/address.ts';
import { definitionOf, keyOf, parseKey, rootOf } from '../kernel/address.ts';
import { delayMs } from '../kernel/backoff.ts';
import type { Clock } from '../kernel/clock.ts';
import {
  ActorNotFoundError,
  type BlocksError,
  encodeError,
  HandlerError,
  HostLostError,
  UnknownDefinitionError,
  UnserializableValueError,
} from '../kernel/errors.ts';
import { CELL_SLICE_TURNS } from '../kernel/limits.ts';
import type { Envelope, SelfMessage } from '../kernel/message.ts';
import type { Random } from '../kernel/random.ts';
import type { Cell } from '../cell/cell.ts';
import { CellTurn } from '../cell/cell-turn.ts';
import { OUTSIDE_STREAM_BASE } from '../cell/image.ts';
import { park, type Recorder, step } from '../cell/step.ts';
import type { HostJournal, HostJournalEvents } from '../journal/host-journal.ts';
import type { DeadLetter } from '../journal/turn-record.ts';
import { CommitQueue, type PendingTurn } from './commit-queue.ts';
import type { DefinitionTable } from './definition-table.ts';
import { EffectRunner, type PoolRun } from './effect-runner.ts';
import type { CellReport, HostLink, Inbound, Notice, Outbound } from './items.ts';
import { Releaser } from './release.ts';
import { Residence } from './residence.ts';
import { TimerQueue } from './timer-queue.ts';
import type { Watch } from './watch.ts';

export interface HostPorts {
  readonly slot: number;
  readonly hosts: number;
  readonly run: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly definitions: DefinitionTable;
  readonly pool: PoolRun;
  readonly residentCellsLimit: number;
  readonly sliceMs: number;
  /** Told what the loop is doing, for a watchdog on another thread. */
  readonly watch: Watch;
  /** The link to another host. */
  link(slot: number): HostLink;
  outside(): HostLink;
  links(): Iterable<HostLink>;
}

export interface HostStats {
  readonly slot: number;
  readonly cells: number;
  readonly ready: number;
  readonly effects: number;
  readonly timers: number;
  readonly turns: number;
  readonly blocked: number;
}

/** Turns between two looks at the clock within a slice. */
const CLOCK_EVERY_TURNS = 64;

export class Host implements HostJournalEvents {
  readonly #ports: HostPorts;
  readonly #outsideStream: number;
  readonly #turn: CellTurn;
  readonly #effects: EffectRunner;
  readonly #timers: TimerQueue;
  readonly #releaser: Releaser;
  #commits!: CommitQueue;
  #residence!: Residence;
  #ready: Cell[] = [];
  #scheduled = false;
  #stopped = false;
  #storageFull = false;
  #turns = 0;
  readonly #observed = new Map<CellKey, number>();
  readonly #refusing = new Set<Cell>();
  readonly #paused = new Map<Cell, number>();
  readonly #onDrained = new Map<Cell, (() => void)[]>();
  #idleWaiters: (() => void)[] = [];
  /** Actors that may have killed a host: how often. Their messages are run and committed one by one. */
  readonly #suspects = new Map<CellKey, number>();

  constructor(ports: HostPorts) {
    this.#ports = ports;
    this.#outsideStream = OUTSIDE_STREAM_BASE + ports.run;
    const { clock, random, pool, slot, hosts } = ports;
    this.#turn = new CellTurn({
      isDurable: (key) => ports.definitions.isDurable(key),
      log: (key, values) => this.#notice({ kind: 'log', key, values }),
    });
    this.#timers = new TimerQueue(clock, (key, id, armed) => this.#self(key, { kind: 'timer', id, armed }));
    this.#effects = new EffectRunner({ clock, random, pool, deliver: (cell, message) => this.#self(cell.key, message) });
    this.#releaser = new Releaser({
      slot,
      hosts,
      outsideStream: this.#outsideStream,
      effects: this.#effects,
      timers: this.#timers,
      deliver: (envelope) => this.deliver(envelope),
      link: (to) => ports.link(to),
      outside: () => ports.outside(),
      pause: (sender, until) => this.#pause(sender, until),
      observed: (key) => this.#observed.has(key),
    });
  }

  /** Binds the journal; before anything is delivered. */
  start(journal: HostJournal): void {
    const { clock, run, residentCellsLimit } = this.#ports;
    this.#commits = new CommitQueue(journal, (turn, position) => this.#releaser.release(turn, position));
    this.#residence = new Residence({
      clock,
      journal,
      commits: this.#commits,
      turn: this.#turn,
      run,
      residentCellsLimit,
      arrived: (cell) => this.#arrived(cell),
      oldestUnaccepted: () => this.#oldestUnaccepted(),
    });
  }

  /** Takes a frame's items. `accept` is called when there is room for more. */
  receive(items: readonly unknown[], accept: () => void): void {
    let waits = 1;
    const settle = (): void => {
      waits -= 1;
      if (waits === 0) accept();
    };
    for (const item of items as readonly Inbound[]) {
      if (Array.isArray(item)) {
        this.#command(item as Exclude<Inbound, Envelope>);
        continue;
      }
      const cell = this.deliver(item as Envelope);
      if (cell !== undefined && cell.full && (item as Envelope).id?.stream !== this.#outsideStream) {
        waits += 1;
        this.#whenDrained(cell, settle);
      }
    }
    settle();
  }

  /** Puts a message into its cell's mailbox. Returns the cell, if it took the message. */
  deliver(envelope: Envelope): Cell | undefined {
    const cell = this.#residence.get(envelope.to) ?? this.#activate(envelope);
    if (cell === undefined) return undefined;
    const fromOutside = envelope.id !== undefined && envelope.id.stream === this.#outsideStream;
    if (fromOutside && !this.#admit(cell, envelope)) return undefined;
    cell.mailbox.push(envelope);
    this.#schedule(cell);
    return cell;
  }

  /**
   * Names actors that were running when a host died. Their messages are run one at a time, each committed before the next, so
   * that the one that kills is known; it is parked when it has killed as often as a failing one may fail.
   */
  suspect(suspects: readonly (readonly [CellKey, number])[]): void {
    for (const [key, deaths] of suspects) this.#suspects.set(key, deaths);
  }

  /** A message that a link could not carry. */
  refuse(envelope: Envelope, error: Error): void {
    this.#deadLetter(envelope.from ?? envelope.to, { ...envelope, message: undefined }, 'undeliverable', error, 0, this.#ports.clock.now());
  }

  committed(number: number, position: number): void {
    if (this.#stopped) return;
    this.#commits.committed(number, position);
    this.#wake();
  }

  fenced(): void {
    this.#stopped = true;
    this.#timers.close();
    this.#effects.close();
  }

  wake(keys: readonly CellKey[]): void {
    for (const key of keys) {
      const definition = this.#ports.definitions.of(key);
      if (definition !== undefined) this.#residence.activate(key, definition);
    }
    this.#wake();
  }

  storage(state: 'full' | 'ok'): void {
    this.#storageFull = state === 'full';
    this.#notice({ kind: 'storage', state });
    if (!this.#storageFull) this.#wake();
  }

  checkpoint(round: number, target: number): void {
    this.#residence.checkpoint(round, target);
    this.#wake();
  }

  /** Resolves when nothing is left to run, to commit or to send. */
  async drained(): Promise<void> {
    while (!this.#isIdle()) {
      await new Promise<void>((resolve) => {
        this.#idleWaiters.push(resolve);
        this.#wake();
      });
    }
  }

  stop(): void {
    this.fenced();
  }

  stats(): HostStats {
    let blocked = 0;
    for (const cell of this.#residence.values()) if (cell.phase.kind === 'blocked') blocked += 1;
    return {
      slot: this.#ports.slot,
      cells: this.#residence.size,
      ready: this.#ready.length,
      effects: this.#effects.size,
      timers: this.#timers.size,
      turns: this.#turns,
      blocked,
    };
  }

  #command(item: Exclude<Inbound, Envelope>): void {
    const key = item[1];
    switch (item[0]) {
      case 'resume': {
        const cell = this.#residence.get(key);
        if (cell !== undefined) this.#refusing.delete(cell);
        break;
      }
      case 'observe': {
        this.#observed.set(key, item[2]);
        const cell = this.#resident(key);
        if (cell !== undefined) cell.holds += 1;
        this.#whenArrived(key, () => this.#report(key, item[2]));
        break;
      }
      case 'unobserve': {
        const cell = this.#residence.get(key);
        if (this.#observed.delete(key) && cell !== undefined) cell.holds -= 1;
        break;
      }
      case 'inspect':
        this.#resident(key);
        this.#whenArrived(key, () => this.#report(key, item[2]));
        break;
      case 'unblock': {
        const cell = this.#resident(key);
        if (cell?.phase.kind === 'blocked') this.#residence.reload(cell);
        this.#whenArrived(key, () => this.#report(key, item[2]));
        break;
      }
    }
    this.#wake();
  }

  readonly #arrivals = new Map<CellKey, (() => void)[]>();

  #whenArrived(key: CellKey, run: () => void): void {
    const cell = this.#residence.get(key);
    if (cell === undefined || cell.phase.kind !== 'loading') {
      run();
      return;
    }
    const waiting = this.#arrivals.get(key);
    if (waiting === undefined) this.#arrivals.set(key, [run]);
    else waiting.push(run);
  }

  #report(key: CellKey, call: number): void {
    const cell = this.#residence.get(key);
    const report = cell === undefined ? { key, sequence: 0, status: 'absent' as const, view: undefined, mailbox: 0 } : reportOf(cell);
    // Seen from outside only once it is on disk: after everything written so far.
    this.#commits.after(() => this.#out(['reply', call, report]));
  }

  #resident(key: CellKey): Cell | undefined {
    const definition = this.#ports.definitions.of(key);
    return definition === undefined ? undefined : this.#residence.activate(key, definition);
  }

  #activate(envelope: Envelope): Cell | undefined {
    const definition = this.#ports.definitions.of(envelope.to);
    if (definition !== undefined) return this.#residence.activate(envelope.to, definition);
    const error = new UnknownDefinitionError(
      `no definition is named "${definitionOf(envelope.to)}" on host ${this.#ports.slot}: list its module in the \`actors\` option`,
    );
    this.#undeliverable(envelope, 'undeliverable', error);
    return undefined;
  }

  #admit(cell: Cell, envelope: Envelope): boolean {
    const call = envelope.id?.position ?? 0;
    if (cell.phase.kind === 'blocked') {
      this.#out(['fail', call, encodeError(cell.phase.error)]);
      return false;
    }
    if (envelope.control === undefined && (cell.full || this.#refusing.has(cell))) {
      if (!this.#refusing.has(cell)) {
        this.#refusing.add(cell);
        this.#whenDrained(cell, () => this.#out(['ready', cell.key]));
      }
      this.#out(['busy', call, cell.key]);
      return false;
    }
    return true;
  }

  #arrived(cell: Cell): void {
    if (cell.phase.kind === 'blocked') {
      this.#notice({ kind: 'blocked', key: cell.key, error: encodeError(cell.phase.error) });
      for (const envelope of cell.mailbox.waiting()) {
        if (envelope.id?.stream === this.#outsideStream) this.#out(['fail', envelope.id.position, encodeError(cell.phase.error)]);
      }
    } else if (cell.book.status.kind === 'running') {
      for (const [id, timer] of cell.book.timers ?? []) this.#timers.add(cell.key, id, timer.dueMs, timer.armed);
      this.#effects.resume(cell);
    }
    const waiting = this.#arrivals.get(cell.key);
    if (waiting !== undefined) {
      this.#arrivals.delete(cell.key);
      for (const run of waiting) run();
    }
    if (this.#observed.has(cell.key)) cell.holds += 1;
    this.#schedule(cell);
    this.#wake();
  }

  #schedule(cell: Cell): void {
    if (!cell.queued && cell.runnable && !this.#paused.has(cell)) {
      cell.queued = true;
      this.#ready.push(cell);
    }
    if (!this.#scheduled) this.#wake();
  }

  #wake(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#ports.clock.defer(() => this.#slice());
  }

  #slice(): void {
    this.#scheduled = false;
    if (this.#stopped) return;
    const { clock, sliceMs, watch } = this.#ports;
    watch.beat();
    const nowMs = clock.now();
    const endMs = clock.monotonicMs() + sliceMs;
    let turns = 0;
    let held: Cell[] | undefined;
    while (this.#ready.length > 0) {
      const batch = this.#ready;
      this.#ready = [];
      let at = 0;
      for (; at < batch.length; at++) {
        const cell = batch[at] as Cell;
        if (cell.durable && (this.#commits.congested || this.#storageFull)) {
          held ??= [];
          held.push(cell);
          continue;
        }
        cell.queued = false;
        watch.enter(cell.key);
        turns += this.#runCell(cell, nowMs);
        if (cell.runnable && !this.#paused.has(cell)) {
          cell.queued = true;
          this.#ready.push(cell);
        }
        if (this.#commits.full) this.#commits.seal();
        if (turns >= CLOCK_EVERY_TURNS) {
          this.#turns += turns;
          turns = 0;
          if (clock.monotonicMs() >= endMs) {
            at += 1;
            break;
          }
        }
      }
      if (at < batch.length) {
        this.#ready = batch.slice(at).concat(this.#ready);
        break;
      }
    }
    this.#turns += turns;
    watch.leave();
    if (this.#residence.continueCheckpoint()) this.#wake();
    this.#residence.sweep();
    this.#commits.seal();
    if (this.#residence.hasLoads) this.#residence.flushLoads();
    this.#releaser.flushReceipts();
    for (const link of this.#ports.links()) link.flush();
    if (this.#ready.length > 0) this.#wake();
    if (held !== undefined) this.#ready = held.concat(this.#ready);
    if (this.#idleWaiters.length > 0 && this.#isIdle()) {
      const waiters = this.#idleWaiters;
      this.#idleWaiters = [];
      for (const resolve of waiters) resolve();
    }
  }

  /** Runs messages of one cell; returns how many. */
  #runCell(cell: Cell, nowMs: number): number {
    cell.touched = true;
    cell.lastActiveMs = nowMs;
    const record = cell.durable ? this.#recorderOf(cell, nowMs) : undefined;
    let turns = 0;
    const careful = this.#suspects.size > 0 && this.#suspects.has(cell.key);
    const limit = careful ? 1 : CELL_SLICE_TURNS;
    while (turns < limit && cell.phase.kind === 'running' && !this.#paused.has(cell)) {
      const envelope = cell.next();
      if (envelope === undefined) break;
      turns += 1;
      this.#handle(cell, envelope, nowMs, record);
    }
    if (careful) this.#beCareful(cell);
    if (this.#onDrained.size > 0 && cell.mailbox.userLength * 2 <= cell.definition.mailboxLimit) this.#drain(cell);
    if (cell.book.status.kind !== 'running' && cell.mailbox.length === 0) this.#settle(cell);
    else if (cell.durable) this.#residence.imageIfDue(cell);
    return turns;
  }

  #handle(cell: Cell, envelope: Envelope, nowMs: number, record: Recorder | undefined): void {
    const { status } = cell.book;
    if (status.kind === 'absent' && envelope.control?.kind !== 'spawn' && !this.#spawnVirtual(cell, envelope, nowMs, record)) {
      this.#absent(envelope);
      return;
    }
    if (envelope.idempotencyKey !== undefined && this.#answerAgain(cell, envelope)) return;
    const deaths = this.#suspects.size === 0 ? undefined : this.#suspects.get(cell.key);
    if (deaths !== undefined && deaths >= cell.definition.failure.maxAttempts) {
      this.#suspects.delete(cell.key);
      cell.failedAttempts = deaths - 1;
      const error = new HostLostError(`${describe(envelope)} was being handled by ${cell.key} when its host died, ${deaths} times`);
      this.#failed(cell, envelope, error, nowMs, record);
      return;
    }
    const outcome = step(cell, envelope, this.#turn, nowMs, record);
    switch (outcome.kind) {
      case 'handled':
        this.#done({ cell, envelope, intents: outcome.intents, sequence: cell.sequence, view: this.#viewOf(cell), refused: false, error: undefined });
        break;
      case 'refused':
        this.#done({ cell, envelope, intents: outcome.intents, sequence: cell.sequence, view: undefined, refused: true, error: outcome.error });
        if (envelope.control === undefined && envelope.replyTo === undefined && envelope.id?.stream !== this.#outsideStream) {
          const expired = cell.book.status.kind === 'running';
          this.#deadLetter(cell.key, envelope, expired ? 'expired' : 'actor_stopped', outcome.error, 0, nowMs);
        }
        break;
      case 'dropped':
        if (envelope.id?.stream === this.#outsideStream && envelope.replyTo === undefined) {
          const call = envelope.id.position;
          this.#commits.after(() => this.#releaser.receipt(call));
        }
        break;
      case 'failed':
        this.#failed(cell, envelope, outcome.error, nowMs, record);
        break;
    }
  }

  /** After one message of a suspect: no other before it is committed. */
  #beCareful(cell: Cell): void {
    if (cell.mailbox.length === 0) {
      this.#suspects.delete(cell.key);
      return;
    }
    this.#paused.set(cell, (this.#paused.get(cell) ?? 0) + 1);
    this.#commits.after(() => this.#resume(cell));
  }

  #done(turn: PendingTurn): void {
    if (turn.cell.durable) {
      this.#residence.dirty(turn.cell);
      this.#commits.push(turn);
    } else if (turn.intents.length > 0 || turn.envelope.id !== undefined || turn.view !== undefined) {
      this.#releaser.release(turn, -1);
    }
  }

  #failed(cell: Cell, envelope: Envelope, error: unknown, nowMs: number, record: Recorder | undefined): void {
    const { clock, random } = this.#ports;
    const control = envelope.control;
    if (error instanceof UnserializableValueError && control?.kind === 'effect.done') {
      cell.putBack({ ...envelope, control: { kind: 'effect.failed', id: control.id, error: encodeError(error) } });
      return;
    }
    const { maxAttempts, backoff } = cell.definition.failure;
    cell.failedAttempts += 1;
    if (cell.failedAttempts < maxAttempts) {
      cell.putBack(envelope);
      cell.phase = { kind: 'waiting', attempts: cell.failedAttempts };
      clock.wait(delayMs(backoff, cell.failedAttempts, random.next()), () => {
        if (cell.phase.kind !== 'waiting') return;
        cell.run();
        this.#schedule(cell);
      });
      return;
    }
    const attempts = cell.failedAttempts;
    const cause = error instanceof Error ? error : new Error(String(error));
    const failure = new HandlerError(
      `${cell.key} failed ${attempts} times on ${describe(envelope)}, which is parked as a dead letter: ${cause.message}`,
      { cause, details: { key: cell.key, attempts } },
    );
    const intents = park(cell, envelope, this.#turn, nowMs, failure, record);
    this.#done({ cell, envelope, intents, sequence: cell.sequence, view: this.#viewOf(cell), refused: false, error: failure });
    this.#deadLetter(cell.key, envelope, 'handler_failed', failure, attempts, nowMs);
  }

  #spawnVirtual(cell: Cell, envelope: Envelope, nowMs: number, record: Recorder | undefined): boolean {
    if (!cell.definition.virtual || envelope.control !== undefined || rootOf(cell.key) !== cell.key) return false;
    const { id } = parseKey(cell.key);
    this.#handle(cell, { to: cell.key, message: undefined, control: { kind: 'spawn', logic: [], input: { id }, ifExists: 'attach' } }, nowMs, record);
    return true;
  }

  /** A message to an actor that never was. */
  #absent(envelope: Envelope): void {
    const control = envelope.control;
    const { to } = envelope;
    const error = new ActorNotFoundError(
      `actor ${to} does not exist: spawn it first, or give its definition virtual: true`,
      { details: { key: to } },
    );
    if (control?.kind === 'watch') {
      const terminated = { kind: 'terminated', key: to, reason: { kind: 'error', error: encodeError(error) } } as const;
      this.#releaser.route({ to: control.watcher, message: undefined, control: terminated, from: to }, -1, undefined);
    } else if (control === undefined) {
      this.#undeliverable(envelope, 'actor_not_found', error);
    } else if (envelope.replyTo?.kind === 'outside') {
      this.#out(['fail', envelope.replyTo.call, encodeError(error)]);
    }
  }

  #undeliverable(envelope: Envelope, reason: DeadLetter['reason'], error: BlocksError): void {
    const { replyTo, id } = envelope;
    if (replyTo?.kind === 'outside') this.#out(['fail', replyTo.call, encodeError(error)]);
    else if (id !== undefined && id.stream === this.#outsideStream) this.#out(['fail', id.position, encodeError(error)]);
    else if (replyTo?.kind === 'cell') {
      const failed = { kind: 'ask.failed', ask: replyTo.ask, error: encodeError(error) } as const;
      this.#releaser.route({ to: replyTo.key, message: undefined, control: failed, from: envelope.to }, -1, undefined);
    } else {
      this.#deadLetter(envelope.to, envelope, reason, error, 0, this.#ports.clock.now());
    }
  }

  #answerAgain(cell: Cell, envelope: Envelope): boolean {
    const key = envelope.idempotencyKey as string;
    const answer = cell.book.keys?.get(key);
    if (answer === undefined) return false;
    const call = envelope.id?.position;
    if (envelope.replyTo?.kind !== 'outside') {
      if (call !== undefined) this.#commits.after(() => this.#releaser.receipt(call));
    } else if (answer.kind === 'open') {
      this.#releaser.attach(cell.key, key, envelope.replyTo.call);
    } else {
      const { call: asked } = envelope.replyTo;
      this.#commits.after(() =>
        this.#out(answer.kind === 'value' ? ['reply', asked, answer.value] : ['fail', asked, answer.error]),
      );
    }
    return true;
  }

  #recorderOf(cell: Cell, nowMs: number): Recorder {
    return (outcome, envelope, intents, state) => {
      const record = { key: cell.key, sequence: cell.sequence + 1, timeMs: nowMs, envelope, outcome, intents };
      const obliged = cell.book.obliged || intents.some(obliges);
      if (cell.definition.durability === 'snapshot' && outcome === 'handled' && cell.behavior !== undefined) {
        this.#commits.write({ ...record, obliged, state: cell.behavior.save(state) });
      } else {
        this.#commits.write({ ...record, obliged });
      }
    };
  }

  #viewOf(cell: Cell): PendingTurn['view'] {
    if (this.#observed.size === 0 || !this.#observed.has(cell.key) || cell.behavior === undefined) return undefined;
    return { status: cell.book.status.kind, view: cell.behavior.view(cell.state) };
  }

  #self(key: CellKey, control: SelfMessage): void {
    if (this.#stopped) return;
    const cell = this.#residence.get(key);
    if (cell === undefined && control.kind !== 'timer') return;
    this.deliver({ to: key, message: undefined, control });
  }

  #deadLetter(key: CellKey, envelope: Envelope, reason: DeadLetter['reason'], error: Error, attempts: number, timeMs: number): void {
    const { id } = envelope;
    const sequence = this.#residence.get(key)?.sequence ?? 0;
    const name = id === undefined ? `${key}#${sequence}` : `${id.stream}/${id.position}/${id.index}`;
    const encoded = encodeError(error);
    this.#commits.deadLetter({ id: name, timeMs, reason, error: encoded, attempts, envelope });
    this.#notice({ kind: 'dead_letter', id: name, key, error: encoded });
    this.#wake();
  }

  /** A cell that has stopped, or never was, with nothing left to refuse. */
  #settle(cell: Cell): void {
    if (cell.durable && cell.book.status.kind === 'stopped') {
      if (cell.dirtyFrom >= 0) this.#residence.image(cell);
    } else if (!cell.durable || cell.sequence === 0) {
      if (cell.holds <= 0) this.#residence.forget(cell);
    }
  }

  #pause(sender: Cell, until: { readonly drained: Cell } | { readonly writable: HostLink }): void {
    this.#paused.set(sender, (this.#paused.get(sender) ?? 0) + 1);
    if ('drained' in until) this.#whenDrained(until.drained, () => this.#resume(sender));
    else until.writable.onceWritable(() => this.#resume(sender));
  }

  #resume(cell: Cell): void {
    const left = (this.#paused.get(cell) ?? 1) - 1;
    if (left > 0) {
      this.#paused.set(cell, left);
      return;
    }
    this.#paused.delete(cell);
    this.#schedule(cell);
  }

  #whenDrained(cell: Cell, run: () => void): void {
    const waiting = this.#onDrained.get(cell);
    if (waiting === undefined) this.#onDrained.set(cell, [run]);
    else waiting.push(run);
  }

  #drain(cell: Cell): void {
    const waiting = this.#onDrained.get(cell);
    if (waiting === undefined) return;
    this.#onDrained.delete(cell);
    for (const run of waiting) run();
  }

  #oldestUnaccepted(): number | undefined {
    let oldest: number | undefined;
    for (const link of this.#ports.links()) {
      const mark = link.oldestUnacknowledgedMark();
      if (mark !== undefined && (oldest === undefined || mark < oldest)) oldest = mark;
    }
    return oldest;
  }

  #isIdle(): boolean {
    return (
      this.#stopped ||
      (this.#ready.length === 0 && this.#commits.idle && this.#residence.loading === 0 && !this.#residence.checkpointing)
    );
  }

  #notice(notice: Notice): void {
    this.#out(['notice', notice]);
  }

  #out(item: Outbound): void {
    this.#ports.outside().push(item);
  }
}

function obliges(intent: { readonly kind: string }): boolean {
  return intent.kind === 'timer.set' || intent.kind === 'effect.start' || intent.kind === 'unstash';
}

function reportOf(cell: Cell): CellReport {
  const { phase, book } = cell;
  const status = phase.kind === 'blocked' || phase.kind === 'waiting' ? phase.kind : book.status.kind;
  return {
    key: cell.key,
    sequence: cell.sequence,
    status,
    view: cell.behavior === undefined || phase.kind === 'blocked' ? undefined : cell.behavior.view(cell.state),
    mailbox: cell.mailbox.length,
    error: phase.kind === 'blocked' ? encodeError(phase.error) : undefined,
  };
}

function describe(envelope: Envelope): string {
  if (envelope.control !== undefined) return `"${envelope.control.kind}"`;
  const type: unknown = (envelope.message as { type?: unknown } | undefined)?.type;
  return typeof type === 'string' ? `"${type}"` : 'a message';
}
