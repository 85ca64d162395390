/**
 * A host: the cells of one thread, and the loop that runs them.
 *
 * Owns: delivery into mailboxes, fair order among cells with work, and the rhythm of slice, commit, flush. What becomes of a
 * message is `handler.ts`. Knows nothing of threads: clock, journal and links are handed in, so that the same host runs on a
 * worker, on the calling thread and in simulation.
 *
 * Invariants:
 * X3. One slice runs at a time, and ends with everything that it recorded handed to the journal and everything that it sent
 *     handed to the links.
 * X4. Every cell with work gets its slice before any cell gets a second one.
 * X5. A fenced host runs nothing more.
 */
import type { CellKey } from '../kernel/address.ts';
import { type BlocksError, encodeError } from '../kernel/errors.ts';
import { CELL_SLICE_TURNS } from '../kernel/limits.ts';
import type { Envelope, SelfMessage } from '../kernel/message.ts';
import type { Cell } from '../cell/cell.ts';
import { CellTurn } from '../cell/cell-turn.ts';
import { outsideStreamOf } from '../cell/image.ts';
import type { HostJournal, HostJournalEvents } from '../journal/host-journal.ts';
import { type Command, Commands } from './commands.ts';
import { CommitQueue } from './commit-queue.ts';
import { EffectRunner } from './effect-runner.ts';
import type { EffectSuspect } from './effect-trials.ts';
import { Bereavements } from './bereavements.ts';
import { Handler, type Suspect } from './handler.ts';
import { Inspection } from './inspection.ts';
import type { HostPorts, HostStats } from './host-ports.ts';
import { type Inbound, oldestMark, type Outbound } from './items.ts';
import { Pressure } from './pressure.ts';
import { Releaser } from './release.ts';
import { Residence } from './residence.ts';
import { Standstill } from './standstill.ts';
import { TimerQueue } from './timer-queue.ts';
import { CLOCK_EVERY_TURNS, isTimeToLook } from './slice-clock.ts';
import { Upkeep } from './upkeep.ts';

export class Host implements HostJournalEvents {
  readonly #ports: HostPorts;
  readonly #outsideStream: number;
  readonly #turn: CellTurn;
  readonly #effects: EffectRunner;
  readonly #timers: TimerQueue;
  readonly #releaser: Releaser;
  readonly #commits: CommitQueue;
  readonly #residence: Residence;
  readonly #upkeep: Upkeep;
  readonly #inspection: Inspection;
  readonly #handler: Handler;
  readonly #pressure = new Pressure(
    (cell) => this.#schedule(cell),
    () => this.#standstill.news(),
  );
  readonly #standstill: Standstill;
  #ready: Cell[] = [];
  #scheduled = false;
  #stopped = false;
  #storageFull = false;
  #turns = 0;
  #idleWaiters: (() => void)[] = [];
  readonly #bereavements: Bereavements;
  readonly #commands: Commands;

  constructor(ports: HostPorts, connectJournal: (events: HostJournalEvents) => HostJournal) {
    this.#ports = ports;
    this.#outsideStream = outsideStreamOf(ports.run);
    const { clock, random, pool, slot, hosts, run, definitions, residentCellsLimit } = ports;
    this.#turn = new CellTurn({
      isDurable: (key) => definitions.isDurable(key),
      log: (key, values) => this.#out(['notice', { kind: 'log', key, values }]),
    });
    this.#timers = new TimerQueue(
      clock,
      (key) => this.#residence.get(key)?.book,
      (key, id, armed) => this.#self(key, { kind: 'timer', id, armed }),
    );
    this.#effects = new EffectRunner({
      clock,
      watch: ports.watch,
      random,
      pool,
      actors: ports.actors,
      deliver: (cell, message) => this.#self(cell.key, message),
    });
    this.#releaser = new Releaser({
      slot,
      hosts,
      outsideStream: this.#outsideStream,
      effects: this.#effects,
      timers: this.#timers,
      deliver: (envelope) => this.deliver(envelope),
      isJournaled: (key) => (definitions.of(key)?.durability ?? 'none') !== 'none',
      link: (to) => ports.link(to),
      outside: () => ports.outside(),
      pause: (sender, until) => this.#pressure.pauseUntil(sender, until),
      audience: (key) => this.#inspection.audienceOf(key),
    });
    this.#standstill = new Standstill({
      slot,
      hosts,
      clock,
      pressure: this.#pressure,
      fill: (to) => ports.link(to).fill,
      tell: (to, word) => ports.link(to).tell(word),
      report: (state, keys) => this.#out(['notice', { kind: 'standstill', state, keys }]),
    });
    const journal = connectJournal(this);
    this.#commits = new CommitQueue(journal, this.#releaser);
    this.#residence = new Residence({
      clock,
      journal,
      commits: this.#commits,
      turn: this.#turn,
      run,
      residentCellsLimit,
      definitions,
      arrived: (cell) => this.#arrived(cell),
      replaced: (old, cell) => this.#pressure.replaced(old, cell),
      oldestUnaccepted: () => oldestMark(ports.links()),
    });
    this.#bereavements = new Bereavements({
      hosts,
      isDurable: (key) => definitions.isDurable(key),
      link: (to) => ports.link(to),
      route: (message) => this.#releaser.route(message, -1, undefined),
    });
    this.#upkeep = new Upkeep(clock, this.#residence, () => this.#wake());
    this.#inspection = new Inspection({
      resident: (key) => this.#resident(key),
      definitionOf: (key) => definitions.forKey(key),
      residence: this.#residence,
      commits: this.#commits,
      answer: (call, report) => this.#out(['reply', call, report]),
      route: (message) => this.#releaser.route(message, -1, undefined),
    });
    this.#commands = new Commands({
      pressure: this.#pressure,
      residence: this.#residence,
      inspection: this.#inspection,
      bereavements: this.#bereavements,
      resident: (key) => this.#resident(key),
      out: (item) => this.#out(item),
    });
    this.#handler = new Handler({
      clock,
      random,
      outsideStream: this.#outsideStream,
      turn: this.#turn,
      commits: this.#commits,
      residence: this.#residence,
      releaser: this.#releaser,
      inspection: this.#inspection,
      rearm: (cell) => this.#rearm(cell),
      schedule: (cell) => this.#schedule(cell),
      out: (item) => this.#out(item),
    });
  }

  /** Takes a frame's items from a slot, or from outside. `accept` is called when there is room for more. */
  receive(items: readonly unknown[], accept: () => void, from: number | undefined): void {
    let waits = 1;
    const settle = (): void => {
      if (--waits === 0) accept();
    };
    for (const item of items as readonly Inbound[]) {
      if (Array.isArray(item)) {
        this.#commands.obey(item as Command);
        this.#wake();
        continue;
      }
      const cell = this.deliver(item as Envelope);
      if (cell?.full === true && (item as Envelope).id?.stream !== this.#outsideStream) {
        waits += 1;
        this.#pressure.whenDrained(cell, settle, from);
      }
    }
    settle();
  }

  /** What another host says without waiting for credit. Throws `FrameError` for what is none of ours. */
  heard(slot: number, word: unknown): void {
    this.#standstill.heard(slot, word);
  }

  /** The link to a slot is up, to the same host or its successor. */
  linked(slot: number): void {
    this.#standstill.linked(slot);
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

  /** Names actors that were running when a host died: their messages run one at a time, until the one that kills is known and parked. */
  suspect(suspects: readonly Suspect[], effects: readonly EffectSuspect[]): void {
    this.#handler.suspect(suspects);
    this.#effects.suspect(effects);
  }

  /** Cells in memory only of these slots died before this host began. */
  diedBefore(slots: Iterable<number>): void {
    this.#bereavements.diedBefore(slots);
  }

  /** The host of `slot` died, and with it its cells in memory. */
  hostLost(slot: number): void {
    this.#standstill.linked(slot);
    this.#bereavements.hostLost(slot, this.#residence.values());
  }

  /** Sends again, with the ids that they had, what a dead predecessor committed and may not have sent. */
  resend(envelopes: readonly Envelope[]): void {
    for (const envelope of envelopes) this.#releaser.route(envelope, envelope.id?.position ?? -1, undefined);
  }

  /** A message that a link could not carry. */
  refuse(envelope: Envelope, error: BlocksError): void {
    this.#handler.refused(envelope, error);
    this.#wake();
  }

  accepted(number: number, position: number): void {
    if (!this.#stopped) this.#commits.accepted(number, position);
    this.#wake();
  }

  committed(number: number, position: number): void {
    if (!this.#stopped) this.#commits.committed(number, position);
    this.#wake();
  }

  fenced(): void {
    this.#stopped = true;
    this.#timers.close();
    this.#effects.close();
    this.#upkeep.close();
    this.#standstill.close();
  }

  wake(keys: readonly CellKey[]): void {
    for (const key of keys) this.#resident(key);
    this.#wake();
  }

  storage(state: 'full' | 'ok'): void {
    this.#storageFull = state === 'full';
    this.#out(['notice', { kind: 'storage', state }]);
    if (!this.#storageFull) this.#wake();
  }

  checkpoint(round: number, target: number): void {
    this.#residence.checkpoint(round, target);
    this.#wake();
  }

  /** Resolves when nothing is left to run, to commit or to load. */
  async drained(): Promise<void> {
    while (!this.#isIdle()) {
      await new Promise<void>((resolve) => {
        this.#idleWaiters.push(resolve);
        this.#wake();
      });
    }
  }

  stats(): HostStats {
    return {
      slot: this.#ports.slot,
      cells: this.#residence.size,
      ready: this.#ready.length,
      effects: this.#effects.size,
      timers: this.#timers.size,
      turns: this.#turns,
      blocked: this.#residence.blocked,
    };
  }

  /** The cell of a key. Without a definition it is loaded all the same, and blocked if there is anything of it. */
  #resident(key: CellKey): Cell {
    return this.#residence.activate(key, this.#ports.definitions.forKey(key));
  }

  #activate(envelope: Envelope): Cell | undefined {
    if (this.#ports.actors.takes(envelope)) return undefined;
    const definition = this.#ports.definitions.of(envelope.to);
    if (definition !== undefined) return this.#residence.activate(envelope.to, definition);
    // A message that is in the journal waits with its actor until there is a definition again.
    if (envelope.id !== undefined && envelope.id.stream !== this.#outsideStream) return this.#resident(envelope.to);
    this.#handler.undefinedReceiver(envelope);
    this.#wake();
    return undefined;
  }

  #admit(cell: Cell, envelope: Envelope): boolean {
    const call = envelope.id?.position ?? 0;
    if (cell.phase.kind === 'blocked') {
      this.#out(['fail', call, encodeError(cell.phase.error)]);
      return false;
    }
    if (envelope.control === undefined && this.#pressure.refuses(cell)) {
      this.#out(['busy', call, cell.key]);
      return false;
    }
    return true;
  }

  #arrived(cell: Cell): void {
    if (cell.phase.kind === 'blocked') {
      const error = encodeError(cell.phase.error);
      this.#out(['notice', { kind: 'blocked', key: cell.key, error }]);
      for (const { id } of cell.mailbox.waiting()) {
        if (id?.stream === this.#outsideStream) this.#out(['fail', id.position, error]);
      }
    } else if (cell.book.status.kind === 'running') {
      this.#rearm(cell);
      this.#bereavements.arrived(cell);
    }
    this.#inspection.arrived(cell);
    this.#schedule(cell);
    this.#wake();
  }

  #rearm(cell: Cell): void {
    this.#timers.addAll(cell.key, cell.book);
    this.#effects.resume(cell);
  }

  #schedule(cell: Cell): void {
    if (!cell.queued && cell.runnable && !this.#pressure.isPaused(cell)) {
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
    this.#ports.watch.beat();
    const held = this.#runReady();
    this.#ports.watch.leave();
    if (this.#residence.continueCheckpoint()) this.#wake();
    else if (this.#residence.checkpointing) this.#upkeep.checkpointLater();
    if (this.#residence.sweep()) this.#wake();
    this.#commits.seal();
    if (this.#residence.hasLoads) this.#residence.flushLoads();
    this.#releaser.flushReceipts();
    for (const link of this.#ports.links()) link.flush();
    if (this.#ready.length > 0) this.#wake();
    if (held !== undefined) this.#ready = held.concat(this.#ready); // until a commit wakes the host
    this.#upkeep.sweepLater();
    if (this.#idleWaiters.length > 0 && this.#isIdle()) {
      for (const resolve of this.#idleWaiters.splice(0)) resolve();
    }
  }

  /** Runs cells in turn until there is no work or the slice is over. Returns durable cells that must wait for the disk. */
  #runReady(): Cell[] | undefined {
    const { clock, sliceMs, watch } = this.#ports;
    const nowMs = clock.now();
    const endMs = clock.monotonicMs() + sliceMs;
    let turns = 0;
    let held: Cell[] | undefined;
    while (this.#ready.length > 0) {
      const round = this.#ready;
      this.#ready = [];
      for (let at = 0; at < round.length; at++) {
        const cell = round[at] as Cell;
        if (cell.durable && (this.#commits.congested || this.#storageFull)) {
          held ??= [];
          held.push(cell);
          continue;
        }
        cell.queued = false;
        watch.enter(cell.key);
        const ran = this.#runCell(cell, nowMs, endMs);
        turns += ran;
        this.#turns += ran;
        if (cell.runnable && !this.#pressure.isPaused(cell)) {
          cell.queued = true;
          this.#ready.push(cell);
        }
        if (this.#commits.full) this.#commits.seal();
        if (turns < CLOCK_EVERY_TURNS && ran < 2) continue;
        turns = 0;
        if (clock.monotonicMs() >= endMs) {
          this.#ready = round.slice(at + 1).concat(this.#ready);
          return held;
        }
      }
    }
    return held;
  }

  /** Runs messages of one cell; returns how many. Slow ones end when the slice does, after a few. */
  #runCell(cell: Cell, nowMs: number, endMs: number): number {
    cell.touched = true;
    cell.lastActiveMs = nowMs;
    const record = cell.durable ? this.#commits.recorderOf(cell, nowMs) : undefined;
    const { watch, clock } = this.#ports;
    const suspect = this.#handler.isSuspect(cell);
    const limit = suspect ? 1 : CELL_SLICE_TURNS;
    let turns = 0;
    while (turns < limit && cell.phase.kind === 'running' && !this.#pressure.isPaused(cell)) {
      const envelope = cell.next();
      if (envelope === undefined) break;
      turns += 1;
      watch.turn(cell.sequence);
      this.#handler.handle(cell, envelope, nowMs, record);
      if (isTimeToLook(turns) && clock.monotonicMs() >= endMs) break;
    }
    // No other message of a suspect before this one is committed.
    if (suspect && this.#handler.mustWait(cell)) this.#commits.after(this.#pressure.pause(cell));
    this.#pressure.worked(cell);
    if (cell.book.status.kind !== 'running' && cell.mailbox.length === 0) this.#residence.settle(cell);
    else if (cell.durable) this.#residence.imageIfDue(cell);
    return turns;
  }

  #self(key: CellKey, control: SelfMessage): void {
    if (this.#stopped) return;
    // What runs here for a cell keeps it in memory.
    if (this.#residence.get(key) === undefined) return;
    this.deliver({ to: key, message: undefined, control });
  }

  #isIdle(): boolean {
    if (this.#stopped) return true;
    const { loading, checkpointing } = this.#residence;
    return this.#ready.length === 0 && this.#commits.idle && loading === 0 && !checkpointing;
  }

  #out(item: Outbound): void {
    this.#ports.outside().push(item);
  }
}
