/**
 * A host with its links and its definitions: everything that the system commands, on whatever thread it is.
 *
 * Owns: building a host from its configuration, its links to the other hosts and to the outside, and the order of its start:
 * definitions, journal, links, then what the journal says is unfinished.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Clock } from '../kernel/clock.ts';
import { type BlocksError, encodeError } from '../kernel/errors.ts';
import type { Envelope } from '../kernel/message.ts';
import type { Random } from '../kernel/random.ts';
import type { HostJournal, HostJournalEvents } from '../journal/host-journal.ts';
import type { FramePort } from '../transport/frame-port.ts';
import { ActorPort } from './actor-port.ts';
import { DefinitionTable } from './definition-table.ts';
import type { PoolRun } from './effect-runner.ts';
import type { EffectSuspect } from './effect-trials.ts';
import type { Suspect } from './handler.ts';
import { Host } from './host.ts';
import type { HostStats } from './host-ports.ts';
import { PeerLink } from './peer-link.ts';
import type { Watch } from './watch.ts';

export interface HostConfig {
  readonly slot: number;
  readonly hosts: number;
  readonly run: number;
  readonly epoch: number;
  readonly residentCellsLimit: number;
  readonly sliceMs: number;
  /** Bytes in flight on a link before its senders wait. Default `LINK_CREDIT_BYTES`. */
  readonly linkCreditBytes?: number | undefined;
}

export interface HostShellPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly watch: Watch;
  readonly pool: PoolRun;
  /** The journal took a successor of this host for its slot. */
  readonly onFenced: () => void;
  /** A link brought something that cannot be right. Its peer lives, so that nobody else would open a new one: this host must die. */
  readonly onBroken: (error: Error) => void;
  connectJournal(events: HostJournalEvents): HostJournal;
}

/** What the journal found for a host to begin with. */
export interface Beginning {
  readonly wake: readonly CellKey[];
  readonly resend: readonly Envelope[];
  /** Actors that were running when hosts died: to be run with care. */
  readonly suspects: readonly Suspect[];
  /** Effects that were under way when hosts died: to be begun with care. */
  readonly effectSuspects: readonly EffectSuspect[];
  /** Slots whose cells in memory died before this host began: its own, or all after a start of the process. */
  readonly diedSlots: readonly number[];
}

export class HostShell {
  readonly #ports: HostShellPorts;
  readonly #definitions = new DefinitionTable();
  readonly #host: Host;
  /** How effects reach actors. */
  readonly #actors: ActorPort;
  readonly #outside: PeerLink;
  readonly #peers: PeerLink[] = [];
  #journal: HostJournal | undefined;
  /** What the journal asked for before `begin`: the code is not loaded yet, and what is to be sent again is not known. */
  #early: (() => void)[] | undefined = [];

  constructor(config: HostConfig, ports: HostShellPorts) {
    this.#ports = ports;
    this.#outside = this.#newLink(config.linkCreditBytes, undefined);
    for (let slot = 0; slot < config.hosts; slot++) this.#peers.push(this.#newLink(config.linkCreditBytes, slot));
    const { slot, hosts, run, epoch } = config;
    this.#actors = new ActorPort({
      slot,
      hosts,
      incarnation: `${run}.${epoch}`,
      clock: ports.clock,
      load: (module) => this.#definitions.load(module),
      present: (key, view) => this.#definitions.present(key, view),
      send: (envelope) => {
        this.#host.resend([envelope]);
        this.#host.wake([]);
      },
      command: (to, command) => {
        if (to === slot) this.#host.receive([command], () => {}, slot);
        else this.#peers[to]?.push(command);
        this.#host.wake([]);
      },
    });
    this.#host = new Host(
      {
        ...config,
        ...ports,
        definitions: this.#definitions,
        actors: this.#actors,
        link: (slot) => this.#peers[slot] as PeerLink,
        outside: () => this.#outside,
        links: () => this.#links(),
      },
      (events) => this.#connectJournal(events),
    );
  }

  async load(modules: readonly string[]): Promise<void> {
    for (const module of modules) await this.#definitions.load(module);
    // Cells that lacked one are to be loaded.
    this.#host.wake([]);
  }

  /** Opens the link to the outside. */
  connect(outside: FramePort): void {
    this.#outside.up(outside, 0);
  }

  linkUp(slot: number, port: FramePort, from: number): void {
    this.#peers[slot]?.up(port, from);
    this.#host.linked(slot);
    this.#actors.linked(slot);
  }

  /** The host of `slot` has died; what is sent to it from now on is kept for its successor. */
  linkDown(slot: number): void {
    this.#peers[slot]?.down();
    this.#host.hostLost(slot);
  }

  /** Takes up what is unfinished: messages that a dead predecessor may not have sent, then the cells with work. */
  begin(beginning: Beginning): void {
    this.#host.suspect(beginning.suspects, beginning.effectSuspects);
    this.#host.diedBefore(beginning.diedSlots);
    this.#host.resend(beginning.resend);
    this.#host.wake(beginning.wake);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const run of early) run();
  }

  drained(): Promise<void> {
    return this.#host.drained();
  }

  stop(): void {
    this.#host.fenced();
    this.#actors.close();
    for (const link of this.#links()) link.flush();
    this.#outside.down();
    for (const peer of this.#peers) peer.down();
    this.#journal?.close();
  }

  /** Ends it as a thread's death would: nothing more is sent, committed or answered. */
  kill(): void {
    this.#host.fenced();
    this.#actors.close();
    this.#outside.abandon();
    for (const peer of this.#peers) peer.abandon();
  }

  stats(): HostStats {
    return this.#host.stats();
  }

  #connectJournal(events: HostJournalEvents): HostJournal {
    const { onFenced } = this.#ports;
    this.#journal = this.#ports.connectJournal({
      accepted: (number, position) => events.accepted(number, position),
      committed: (number, position) => events.committed(number, position),
      fenced: () => {
        events.fenced();
        onFenced();
      },
      wake: (keys) => this.#onceBegun(() => events.wake(keys)),
      storage: (state) => events.storage(state),
      checkpoint: (round, target) => this.#onceBegun(() => events.checkpoint(round, target)),
    });
    return this.#journal;
  }

  #onceBegun(run: () => void): void {
    if (this.#early === undefined) run();
    else this.#early.push(run);
  }

  /** Those that are down too: what they keep has been accepted by nobody. */
  *#links(): Generator<PeerLink> {
    yield this.#outside;
    yield* this.#peers;
  }

  /** The link to a slot, or to the outside. */
  #newLink(creditBytes: number | undefined, slot: number | undefined): PeerLink {
    return new PeerLink({
      clock: this.#ports.clock,
      creditBytes,
      onFrame: (items, accept) => this.#host.receive(items, accept, slot),
      onWord: (word) => {
        if (slot !== undefined) this.#host.heard(slot, word);
      },
      onLost: (loss) => {
        // The end of a peer is its supervisor's to tell: down, then up with its successor. What this side refused is told by this side.
        if (loss.kind === 'broken' && loss.by === 'here') this.#ports.onBroken(loss.error);
      },
      onRefused: (item, error) => this.#refused(item, error),
    });
  }

  /** A message or answer of an actor in memory that cannot be carried. */
  #refused(item: unknown, error: BlocksError): void {
    if (Array.isArray(item)) {
      if (item[0] === 'reply') this.#outside.push(['fail', item[1], encodeError(error)]);
      return;
    }
    const envelope = item as Envelope;
    if (!this.#actors.refused(envelope, error)) this.#host.refuse(envelope, error);
  }
}
