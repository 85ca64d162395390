/**
 * The topology of a simulation: the real fleet over hosts, links and a journal on simulated threads.
 *
 * Owns: one process' worth of threads, killing hosts, and the end of the whole process. The disk is handed in: it outlives this.
 *
 * Invariants:
 * ST1. After `crash` nothing of this process runs, writes or answers any more.
 * ST2. A frame that comes twice breaks its link, and the fleet heals it alone. One that is lost or overtaken is noticed with the next
 *      one; since no other may come, one of its hosts dies of it in the end, as a broken thread would.
 */
import { HOST_SLICE_MS } from '../kernel/limits.ts';
import { SystemStoppedError } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import type { HostStats } from '../host/host-ports.ts';
import type { HostLink, Inbound, Outbound } from '../host/items.ts';
import type { JournalControl, JournalOptions, OpenReport } from '../journal/journal-control.ts';
import type { Store } from '../journal/store.ts';
import { Fleet } from '../system/fleet.ts';
import type { HostLoss, Topology, TopologyEvents } from '../system/topology.ts';
import type { FaultDice } from './fault-plan.ts';
import type { OutsideEvent } from './history.ts';
import { SimulatedHost } from './simulated-host.ts';
import { SimulatedJournal } from './simulated-journal.ts';
import {
  createSimulatedFramePorts,
  type FrameFate,
  type FramePortRules,
  type SimulatedFramePort,
} from './simulated-ports.ts';
import type { VirtualClock, VirtualThread } from './virtual-clock.ts';

/** Longest ordinary way of a frame between two threads. */
const ORDINARY_DELAY_MS = 0.3;
/** A commit that hosts know of is mostly over soon, and sometimes takes as long as several turns of theirs. */
const LONGEST_WRITE_MS = 5;
/** How long a host that lost a frame may still live. */
const BROKEN_LIFE_MS = 1_000;

/** Thrown to unwind a thread that dies in the middle of something. */
export class SimulatedDeath extends Error {}

export interface SimulationTopologyPorts {
  readonly hosts: number;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly dice: FaultDice;
  readonly journal: Omit<JournalOptions, 'dataDir' | 'hosts'>;
  readonly residentCellsLimit: number;
  readonly linkCreditBytes: number | undefined;
  openStore(thread: VirtualThread): Store;
  /** The journal is open. */
  opened(report: OpenReport): void;
  /** The process is to die; called in the middle of something, which is then unwound. */
  crash(where: string): void;
  /** Something that must not happen. */
  readonly violated: (what: string) => void;
  record(event: OutsideEvent): void;
  readonly note: (line: string) => void;
  /** Where planted bugs go. */
  readonly seams?: SimulationSeams | undefined;
}

/** Where tests plant bugs. */
export interface SimulationSeams {
  /** Every block on every link, as it is posted on `way` (`host0.1>host1.1`): what is posted instead. */
  readonly rewriteFrame?:
    | ((bytes: Uint8Array<ArrayBuffer>, way: string) => readonly Uint8Array<ArrayBuffer>[])
    | undefined;
  readonly wrapStore?: ((store: Store) => Store) | undefined;
  /** A crash takes so many commits that were acknowledged. */
  readonly lyingDisk?: number | undefined;
}

export class SimulationTopology implements Topology {
  readonly hosts: number;
  readonly system: VirtualThread;
  readonly #ports: SimulationTopologyPorts;
  readonly #journalThread: VirtualThread;
  readonly #journal: SimulatedJournal;
  readonly #hosts: (SimulatedHost | undefined)[] = [];
  readonly #rules: FramePortRules;
  #fleet: Fleet<SimulatedFramePort> | undefined;
  #events: TopologyEvents | undefined;
  #run = 0;
  #crashed = false;

  constructor(ports: SimulationTopologyPorts) {
    this.hosts = ports.hosts;
    this.#ports = ports;
    this.system = ports.clock.thread('system');
    this.#journalThread = ports.clock.thread('journal');
    const store = ports.openStore(this.#journalThread);
    this.#journal = new SimulatedJournal(
      { ...ports.journal, dataDir: undefined, hosts: ports.hosts },
      {
        thread: this.#journalThread,
        system: this.system,
        store: ports.seams?.wrapStore?.(store) ?? store,
        delayMs: () => this.#delayMs(),
        writeMs: () => ports.random.next() ** 3 * LONGEST_WRITE_MS,
        failed: (error) => {
          if (!this.#crashed) this.#events?.failed(error instanceof Error ? error : new Error(String(error)));
        },
      },
    );
    this.#rules = {
      delayMs: () => this.#delayMs(),
      fate: () => 'delivered',
      hit: () => {},
      undetected: ports.violated,
      beforePost: (thread) => this.#beforePost(thread),
      note: ports.note,
      rewrite: ports.seams?.rewriteFrame,
    };
  }

  get journal(): JournalControl {
    return this.#journal.control;
  }

  async start(events: TopologyEvents, modules: readonly string[], opened: (run: number) => void): Promise<OpenReport> {
    this.#events = this.#recorded(events);
    const report = await this.journal.open();
    this.#run = report.run;
    this.#ports.opened(report);
    opened(report.run);
    const { clock, random, residentCellsLimit, linkCreditBytes } = this.#ports;
    this.#fleet = new Fleet<SimulatedFramePort>({
      clock: this.system,
      hosts: this.hosts,
      journal: this.journal,
      checkpointAtStop: true,
      linkCreditBytes,
      events: this.#events,
      channel: (a, b) => this.#channel(a, b),
      start: async (slot, epoch) => {
        const host = new SimulatedHost({
          config: {
            slot,
            hosts: this.hosts,
            run: report.run,
            epoch,
            residentCellsLimit,
            sliceMs: HOST_SLICE_MS,
            linkCreditBytes,
          },
          clock,
          system: this.system,
          random,
          journal: this.#journal,
          rules: this.#rulesOf([slot]),
          delayMs: () => this.#delayMs(),
          beforeStep: (dying, key, sequence) => this.#beforeStep(dying, key, sequence),
          survivors: (length) => Math.floor(this.#ports.dice.next() * (length + 1)),
        });
        this.#hosts[slot] = host;
        return host;
      },
    });
    await this.#fleet.start(modules);
    return report;
  }

  link(slot: number): HostLink | undefined {
    const link = this.#fleet?.link(slot);
    if (link === undefined) return undefined;
    return {
      push: (item, mark) => {
        this.#sent(item as Inbound);
        link.push(item, mark);
      },
      flush: () => link.flush(),
      get writable() {
        return link.writable;
      },
      onceWritable: (resume) => link.onceWritable(resume),
      oldestUnacknowledgedMark: () => link.oldestUnacknowledgedMark(),
    };
  }

  async load(module: string): Promise<void> {
    await this.#fleet?.load(module);
  }

  async stats(): Promise<readonly HostStats[]> {
    return this.#fleet === undefined ? [] : this.#fleet.stats();
  }

  async stop(drainTimeoutMs: number): Promise<void> {
    if (this.#crashed) return;
    await this.#fleet?.stop(drainTimeoutMs);
    await this.journal.close();
  }

  /** Ends a host's thread between two tasks. False: there was none. */
  killHost(slot: number, message: string, running?: { readonly key: string; readonly sequence: number }): boolean {
    const host = this.#hosts[slot];
    if (host === undefined || host.isDead || this.#crashed) return false;
    this.#ports.record({ kind: 'host_died', slot, atMs: this.system.now() });
    this.#ports.note(`host ${slot} dies: ${message}`);
    host.die({ kind: 'error', message, running: running?.key, sequence: running?.sequence });
    return true;
  }

  /** Ends everything, in no order at all. */
  crash(): void {
    this.#crashed = true;
    this.#journalThread.end();
    this.system.end();
    // Whoever waits, outside or in what is left of this process, is told; nothing that they do now has any effect.
    const error = new SystemStoppedError('the simulated process has crashed');
    for (const host of this.#hosts) host?.abandon(error);
    this.#journal.abandon(error);
  }

  /** The slot of a host's thread. */
  slotOf(thread: VirtualThread): number | undefined {
    const slot = this.#hosts.findIndex((host) => host?.thread === thread);
    return slot === -1 ? undefined : slot;
  }

  #channel(a: number, b: number): readonly [SimulatedFramePort, SimulatedFramePort] {
    const [hostA, hostB] = [this.#hosts[a], this.#hosts[b]] as [SimulatedHost, SimulatedHost];
    return createSimulatedFramePorts(hostA.thread, hostB.thread, this.#rulesOf([a, b]));
  }

  #rulesOf(slots: readonly number[]): FramePortRules {
    const { dice } = this.#ports;
    return {
      ...this.#rules,
      fate: (): FrameFate => {
        if (dice.strikes('lostFrame')) return 'lost';
        if (dice.strikes('doubledFrame')) return 'doubled';
        return dice.strikes('overtakenFrame') ? 'overtaken' : 'delivered';
      },
      hit: (fate) => {
        if (fate === 'doubled') return;
        const slot = slots[Math.floor(dice.next() * slots.length)] as number;
        const host = this.#hosts[slot];
        this.system.wait(dice.next() * BROKEN_LIFE_MS, () => {
          if (this.#hosts[slot] === host) this.killHost(slot, `a frame was ${fate}`);
        });
      },
    };
  }

  #delayMs(): number {
    const { dice, random } = this.#ports;
    if (dice.strikes('lateFrame')) return dice.spanMs('lateMs');
    return random.next() * ORDINARY_DELAY_MS;
  }

  #beforePost(thread: VirtualThread): void {
    const slot = this.slotOf(thread);
    if (slot === undefined || this.#crashed) return;
    const { dice } = this.#ports;
    if (dice.strikes('crashDuringRelease')) {
      this.#ports.crash('during a release');
      throw new SimulatedDeath();
    }
    if (dice.strikes('hostDeathDuringRelease')) {
      this.killHost(slot, 'during a release');
      throw new SimulatedDeath();
    }
  }

  #beforeStep(slot: number, key: string, sequence: number): void {
    if (this.#ports.dice.strikes('hostDeathDuringStep') && this.killHost(slot, 'during a step', { key, sequence })) {
      throw new SimulatedDeath();
    }
  }

  #sent(item: Inbound): void {
    if (Array.isArray(item) || this.#crashed) return;
    const { id, to, replyTo, control, idempotencyKey } = item as Exclude<Inbound, readonly unknown[]>;
    if (id === undefined) return;
    this.#ports.record({
      kind: 'sent',
      run: this.#run,
      call: id.position,
      atMs: this.system.now(),
      to,
      ask: replyTo !== undefined,
      control: control?.kind,
      idempotencyKey,
    });
  }

  #recorded(events: TopologyEvents): TopologyEvents {
    return {
      refused: (slot, item, error) => events.refused(slot, item, error),
      failed: (error) => {
        if (!this.#crashed) events.failed(error);
      },
      items: (slot, items) => {
        for (const item of items as readonly Outbound[]) this.#heard(item);
        events.items(slot, items);
      },
      replaced: (slot, recovery) => {
        for (const { to, value, error } of recovery.answers) {
          if (to.kind === 'outside')
            this.#heard(error === undefined ? ['reply', to.call, value] : ['fail', to.call, error]);
        }
        events.replaced(slot, recovery);
      },
      lost: (slot: number, loss: HostLoss) => {
        this.#ports.note(`host ${slot} lost: ${loss.message}`);
        events.lost(slot, loss);
      },
    };
  }

  #heard(item: Outbound): void {
    const run = this.#run;
    const atMs = this.system.now();
    switch (item[0]) {
      case 'receipts':
        for (const call of item[1]) this.#ports.record({ kind: 'receipt', run, call, atMs });
        break;
      case 'reply':
        this.#ports.record({ kind: 'reply', run, call: item[1], atMs, value: item[2] });
        break;
      case 'fail':
        this.#ports.record({ kind: 'fail', run, call: item[1], atMs, error: item[2] });
        break;
      default:
        break;
    }
  }
}
