/**
 * The fleet: one host a slot, their links, and what happens when one dies.
 *
 * Owns: starting hosts in order, replacing a dead one, and how often that may happen. How a host is made (a thread, an object
 * in this one) is handed in.
 *
 * Replacing, step by step, and why nothing is lost or doubled:
 *   1. The slot's epoch is raised in the journal: whatever the dead host may still have in a port is refused.
 *   2. Every other host closes its link to the slot and keeps what it has for it. When all have said so, whatever they sent on
 *      the old link was committed below some position; the journal is read up to `end`, which is above it.
 *   3. The successor gets from the journal every message to its cells below `end`, and sends again what the dead one had
 *      committed and may not have sent: first of all, since to its receivers anything newer would make it look like a duplicate.
 *   4. The others open their link to it and send what they kept from `end` on. What is below is in the journal.
 *   5. Calls from outside are sent again; the cells' watermarks drop those that were handled. Until then the slot has no link for
 *      the outside: a call that went ahead of an older one would make the older one look like a duplicate.
 *
 * Invariants:
 * FL1. One replacement at a time; a second death waits its turn. A successor that dies before it is ready is replaced like any other.
 * FL2. More than `RESTARTS_LIMIT` replacements in `RESTARTS_PERIOD_MS` end the system: a host that cannot live is no use trying.
 */
import type { Clock } from '../kernel/clock.ts';
import type { CellKey } from '../kernel/address.ts';
import { ControlTimeoutError, HostLostError } from '../kernel/errors.ts';
import { EffectTrials } from '../host/effect-trials.ts';
import type { Suspect } from '../host/handler.ts';
import type { HostStats } from '../host/host-ports.ts';
import type { Beginning } from '../host/host-shell.ts';
import type { HostLink } from '../host/items.ts';
import { PeerLink } from '../host/peer-link.ts';
import type { JournalControl, Recovery } from '../journal/journal-control.ts';
import type { FramePort } from '../transport/frame-port.ts';
import type { HostLoss, TopologyEvents } from './topology.ts';

/** A living host, however it lives. `TPort` is what one end of a link between hosts is made of. */
export interface HostHandle<TPort> {
  readonly slot: number;
  /** This side's end of the link between the host and the outside. */
  readonly outside: FramePort;
  /** Settles when the host dies without having been asked to. */
  readonly lost: Promise<HostLoss>;
  load(modules: readonly string[]): Promise<void>;
  linkUp(slot: number, port: TPort, from: number): Promise<void>;
  linkDown(slot: number): Promise<void>;
  begin(beginning: Beginning): Promise<void>;
  drained(timeoutMs: number): Promise<void>;
  stats(): Promise<HostStats>;
  /** Ends it in good order. */
  stop(): Promise<void>;
  /** Ends it at once. Safe: a host never writes to the store. */
  terminate(): Promise<void>;
}

export interface FleetPorts<TPort> {
  readonly clock: Clock;
  readonly hosts: number;
  readonly journal: JournalControl;
  readonly events: TopologyEvents;
  /** Whether `stop` stores every actor's state: where there is somebody to read it. */
  readonly checkpointAtStop?: boolean;
  /** As `HostConfig` has it, for the links between the hosts and the outside. */
  readonly linkCreditBytes?: number | undefined;
  start(slot: number, epoch: number): Promise<HostHandle<TPort>>;
  /** Two connected ends for the link between the hosts of two slots, in this order. */
  channel(a: number, b: number): readonly [TPort, TPort];
}

const RESTARTS_LIMIT = 20;
const RESTARTS_PERIOD_MS = 60_000;
const SUSPECTS_LIMIT = 100;

export class Fleet<TPort> {
  readonly #ports: FleetPorts<TPort>;
  readonly #handles: (HostHandle<TPort> | undefined)[] = [];
  readonly #outside: PeerLink[] = [];
  readonly #epochs: number[] = [];
  readonly #modules: string[] = [];
  /** Under way or done: who comes second waits for the same. */
  readonly #loads = new Map<string, Promise<void>>();
  /** Actors that were running when their host died. */
  readonly #suspects = new Map<CellKey, Suspect>();
  readonly #trials = new EffectTrials();
  /** Per slot, answers that recoveries found and that no successor has lived to stand for: the next recovery does not find them again. */
  readonly #answers = new Map<number, Recovery['answers']>();
  /** Slots between a death and the resending of calls. */
  readonly #vacant = new Set<number>();
  #restarts: number[] = [];
  /** Slots of which a host has begun with its work. */
  readonly #begun = new Set<number>();
  #work: Promise<void> = Promise.resolve();
  #stopping = false;
  readonly #stopped = Promise.withResolvers<undefined>();

  constructor(ports: FleetPorts<TPort>) {
    this.#ports = ports;
    for (let slot = 0; slot < ports.hosts; slot++) this.#outside.push(this.#newLink(slot));
  }

  link(slot: number): HostLink | undefined {
    return this.#vacant.has(slot) ? undefined : this.#outside[slot];
  }

  /**
   * Starts all hosts, links them, and lets them begin with what the journal holds for them. One that dies meanwhile is replaced
   * when the others have begun.
   */
  start(modules: readonly string[]): Promise<void> {
    this.#modules.push(...modules);
    for (const module of modules) this.#loads.set(module, Promise.resolve());
    const started = this.#startAll();
    this.#work = started.catch(() => {});
    return started;
  }

  async #startAll(): Promise<void> {
    const { hosts, journal } = this.#ports;
    const slots = this.#slots();
    await Promise.all(
      slots.map(async (slot) => {
        this.#epochs[slot] = 1;
        await journal.fence(slot, 1);
        const handle = await this.#ports.start(slot, 1);
        this.#adopt(handle);
        await handle.load(this.#modules).catch(ignoreLost);
      }),
    );
    for (const slot of slots) {
      for (let other = slot + 1; other < hosts; other++) await this.#connect(slot, other, 0, 0).catch(ignoreLost);
    }
    // All are recovered before any begins: what one sends may make another load its cells.
    const recoveries: Recovery[] = [];
    for (const slot of slots) recoveries.push(await journal.recover(slot));
    for (const [slot, { wake }] of recoveries.entries()) {
      const beginning: Beginning = { wake, resend: [], suspects: [], effectSuspects: [], diedSlots: slots };
      await this.#handles[slot]?.begin(beginning).then(() => void this.#begun.add(slot), ignoreLost);
    }
  }

  load(module: string): Promise<void> {
    const known = this.#loads.get(module);
    if (known !== undefined) return known;
    const load = this.#load(module);
    this.#loads.set(module, load);
    // Whoever wants it next tries again.
    load.catch(() => this.#loads.delete(module));
    return load;
  }

  async #load(module: string): Promise<void> {
    if (!this.#modules.includes(module)) this.#modules.push(module);
    await this.#work;
    await Promise.all(this.#alive().map((handle) => handle.load([module])));
  }

  /** Of the hosts that live; one that dies meanwhile is left out. */
  async stats(): Promise<readonly HostStats[]> {
    const all = await Promise.all(this.#alive().map((handle) => handle.stats().catch(ignoreLost)));
    return all.filter((stats) => stats !== undefined);
  }

  async stop(drainTimeoutMs: number): Promise<void> {
    this.#stopping = true;
    this.#stopped.resolve(undefined);
    await this.#work;
    if (drainTimeoutMs > 0) {
      // Twice: what one host finishes may be work for another.
      for (let round = 0; round < 2; round++) {
        await Promise.allSettled(this.#alive().map((handle) => handle.drained(drainTimeoutMs)));
      }
      if (this.#ports.checkpointAtStop === true) await this.#checkpoint(drainTimeoutMs);
    }
    await Promise.allSettled(this.#alive().map((handle) => handle.stop()));
    for (const link of this.#outside) link.down();
  }

  /** The next start, perhaps of other code, then reads states and repeats no turn. Does what can be done in time. */
  async #checkpoint(timeoutMs: number): Promise<void> {
    let expire: () => void = () => {};
    const deadline = new Promise<void>((resolve) => {
      expire = resolve;
    });
    const wait = this.#ports.clock.wait(timeoutMs, () => expire());
    await Promise.race([this.#ports.journal.checkpoint().catch(() => {}), deadline]);
    wait.cancel();
  }

  #adopt(handle: HostHandle<TPort>): void {
    this.#handles[handle.slot] = handle;
    this.#outside[handle.slot]?.up(handle.outside, Number.POSITIVE_INFINITY);
    void handle.lost.then((loss) => this.#lose(handle, loss));
  }

  #lose(handle: HostHandle<TPort>, loss: HostLoss): void {
    if (this.#handles[handle.slot] !== handle || this.#stopping) return;
    this.#handles[handle.slot] = undefined;
    this.#vacant.add(handle.slot);
    this.#outside[handle.slot]?.down();
    const { effects, ...told } = loss;
    this.#ports.events.lost(handle.slot, told);
    this.#suspect(told);
    if (effects !== undefined) this.#trials.died(effects, this.#ports.clock.monotonicMs());
    this.#work = this.#work
      .then(() => this.#replace(handle, loss))
      .catch((error: unknown) => {
        this.#ports.events.failed(error instanceof Error ? error : new Error(String(error)));
      });
  }

  async #replace(dead: HostHandle<TPort>, loss: HostLoss): Promise<void> {
    if (this.#stopping) return;
    const { journal, events } = this.#ports;
    const { slot } = dead;
    this.#count(slot, loss);
    await dead.terminate();
    const epoch = (this.#epochs[slot] ?? 0) + 1;
    this.#epochs[slot] = epoch;
    await journal.fence(slot, epoch);
    await Promise.all(this.#alive().map((handle) => handle.linkDown(slot).catch(ignoreLost)));
    // On a full disk it may take until there is room again.
    const recovery = await Promise.race([journal.recover(slot), this.#stopped.promise]);
    if (recovery === undefined) return;
    const answers = [...(this.#answers.get(slot) ?? []), ...recovery.answers];
    this.#answers.set(slot, answers);
    const handle = await this.#ports.start(slot, epoch);
    try {
      await handle.load(this.#modules);
    } catch (error) {
      if (!(error instanceof HostLostError || error instanceof ControlTimeoutError)) throw error;
      await this.#replace(handle, { kind: 'error', message: error.message });
      return;
    }
    this.#adopt(handle);
    // Before any link is open: what is sent again must go ahead of whatever this host sends by itself.
    await handle.begin(this.#beginningOf(slot, recovery)).then(() => void this.#begun.add(slot), ignoreLost);
    for (const other of this.#alive()) {
      if (other !== handle) await this.#connect(slot, other.slot, 0, recovery.end).catch(ignoreLost);
    }
    // Dead already: its own replacement is next.
    if (this.#handles[slot] !== handle) return;
    this.#vacant.delete(slot);
    this.#answers.delete(slot);
    events.replaced(slot, { ...recovery, answers });
  }

  /** Links two hosts; `fromA` is where A begins with what it kept for B. */
  async #connect(a: number, b: number, fromA: number, fromB: number): Promise<void> {
    const [endA, endB] = this.#ports.channel(a, b);
    await this.#living(a).linkUp(b, endA, fromA);
    await this.#living(b).linkUp(a, endB, fromB);
  }

  #beginningOf(slot: number, recovery: Recovery): Beginning {
    // Until the first host of the slot has begun, nobody has told its cells who died with the process before.
    const diedSlots = this.#begun.has(slot) ? [slot] : this.#slots();
    return {
      wake: recovery.wake,
      resend: recovery.resend,
      suspects: [...this.#suspects.values()],
      effectSuspects: this.#trials.suspects(this.#ports.clock.monotonicMs()),
      diedSlots,
    };
  }

  #suspect(loss: HostLoss): void {
    const { running: key, sequence = 0 } = loss;
    if (key === undefined) return;
    const before = this.#suspects.get(key);
    const deaths = before !== undefined && before.sequence === sequence ? before.deaths + 1 : 1;
    this.#suspects.delete(key);
    this.#suspects.set(key, { key, deaths, sequence, deathsInAll: (before?.deathsInAll ?? 0) + 1 });
    if (this.#suspects.size > SUSPECTS_LIMIT) {
      const first = this.#suspects.keys().next();
      if (!first.done) this.#suspects.delete(first.value);
    }
  }

  #count(slot: number, loss: HostLoss): void {
    const nowMs = this.#ports.clock.monotonicMs();
    this.#restarts = this.#restarts.filter((at) => nowMs - at < RESTARTS_PERIOD_MS);
    this.#restarts.push(nowMs);
    if (this.#restarts.length > RESTARTS_LIMIT) {
      throw new HostLostError(
        `hosts died ${this.#restarts.length} times within ${RESTARTS_PERIOD_MS / 1_000} s; the last, slot ${slot}: ${loss.message}`,
      );
    }
  }

  #slots(): number[] {
    return Array.from({ length: this.#ports.hosts }, (_, slot) => slot);
  }

  #alive(): HostHandle<TPort>[] {
    return this.#handles.filter((handle) => handle !== undefined);
  }

  #living(slot: number): HostHandle<TPort> {
    const handle = this.#handles[slot];
    if (handle === undefined) throw new HostLostError(`host ${slot} is gone`);
    return handle;
  }

  #newLink(slot: number): PeerLink {
    return new PeerLink({
      clock: this.#ports.clock,
      creditBytes: this.#ports.linkCreditBytes,
      onFrame: (items, accept) => {
        this.#ports.events.items(slot, items);
        accept();
      },
      onLost: (loss) => {
        // A thread's end says the same, and with a reason. One that lives and sends what cannot be right is ended.
        const handle = this.#handles[slot];
        if (handle === undefined || loss.kind !== 'broken' || loss.by !== 'here') return;
        this.#lose(handle, { kind: 'error', message: `host ${slot}: ${loss.error.message}` });
      },
      onRefused: (item, error) => this.#ports.events.refused(slot, item, error),
    });
  }
}

function ignoreLost(error: unknown): undefined {
  // The peer died meanwhile: its own replacement will link it to everybody.
  if (!(error instanceof HostLostError)) throw error;
  return undefined;
}
