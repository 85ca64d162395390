/**
 * What the process does until it dies: calls of every kind to actors of every kind, each said before and after.
 *
 * Owns: the actors, the loops that keep them busy, and waiting until everything that was begun has come to its end.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { ActorRef, ActorSystem } from '../../runtime/index.ts';
import { journey, type JourneyState } from '../support/actors/journey.ts';
import { ledger, type LedgerState } from '../support/actors/ledger.ts';
import { foreman, type ToilerState } from '../support/actors/toilers.ts';
import { vault, type VaultState } from '../support/actors/vault.ts';
import { type Census, controlOf, endsOf, type World } from './world.ts';

export interface WorkloadOrder {
  readonly sink: string;
  readonly census: Census;
  readonly broken: readonly number[];
}

export type Say = (word: string, value: unknown) => void;

/** Tells under way to one ledger. */
const WINDOW = 4;
/** Deadline of every call: longer than any recovery takes on a busy machine. */
const PATIENT = { timeoutMs: 60_000 } as const;
/** A trip takes about as long: asked for faster, they would pile up, and who waits for the end would wait for the pile. */
const TRIP_EVERY_MS = 20;
const RESTART_TRIES = 5_000;
/** Looks in a row that show nothing new: what is missing then does not come any more. */
const STILL_LOOKS = 60;
const SETTLE_EVERY_MS = 25;

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

export class Workload {
  /** What there was at the start. */
  found!: World;
  readonly #system: ActorSystem;
  readonly #order: WorkloadOrder;
  readonly #say: Say;
  readonly #ledgers: readonly ActorRef[];
  readonly #vaults: readonly ActorRef[];
  readonly #journeys: readonly ActorRef[];
  readonly #toilers: readonly ActorRef[];
  /** Per loop, how often it has come round. */
  readonly #rounds = new Map<string, number>();
  #ending = false;
  #mayStop = false;

  private constructor(system: ActorSystem, order: WorkloadOrder, say: Say) {
    const { census } = order;
    this.#system = system;
    this.#order = order;
    this.#say = say;
    const refs = (count: number, prefix: string): ActorRef[] =>
      numbers(count).map((i) => system.refOf(`${prefix}${i}`));
    this.#ledgers = refs(census.ledgers, 'ledger/l');
    this.#vaults = refs(census.vaults, 'vault/v');
    this.#journeys = refs(census.journeys, 'journey/j');
    this.#toilers = refs(census.toilers, 'toiler/t');
  }

  static async create(system: ActorSystem, order: WorkloadOrder, say: Say): Promise<Workload> {
    const { census, sink } = order;
    const attach = { ifExists: 'attach', ...PATIENT } as const;
    await Promise.all([
      ...numbers(census.ledgers).map((i) => system.spawn(ledger, { id: `l${i}`, ...attach })),
      ...numbers(census.vaults).map((i) => system.spawn(vault, { id: `v${i}`, input: { sink }, ...attach })),
      ...numbers(census.journeys).map((i) =>
        system.spawn(journey, { id: `j${i}`, input: { sink, name: `journey/j${i}` }, ...attach }),
      ),
      system.spawn(foreman, { id: 'f', input: { toilers: census.toilers }, ...attach }),
    ]);
    const workload = new Workload(system, order, say);
    workload.found = await workload.look();
    return workload;
  }

  async look(): Promise<World> {
    const get = <T>(refs: readonly ActorRef[]): Promise<T[]> =>
      Promise.all(refs.map((ref) => insist<T>(ref, { type: 'GET' })));
    return {
      ledgers: await get<LedgerState>(this.#ledgers),
      vaults: await get<VaultState>(this.#vaults),
      journeys: await get<JourneyState>(this.#journeys),
      toilers: await get<ToilerState>(this.#toilers),
      letters: (await this.#system.deadLetters.list({ limit: 100_000 })).map(({ to, message }) => ({ to, message })),
    };
  }

  /** Requests that were answered, or perhaps handled, by a process before this one: asked again under the same key. */
  async askAgain(): Promise<void> {
    const again = async (last: number, ask: (n: number) => Promise<void>): Promise<void> => {
      for (let n = Math.max(1, last - 2); n <= last; n++) await ask(n);
    };
    await Promise.all([
      ...this.#vaults.map((_, i) => again(this.found.vaults[i]?.served ?? 0, (n) => this.#serve(i, n))),
      ...this.#journeys.map((_, i) => again(this.found.journeys[i]?.asked ?? 0, (n) => this.#travel(i, n))),
    ]);
  }

  /** Works until `end`; then every call has settled. */
  async run(): Promise<void> {
    const { code } = await this.askAgain().then(
      () => ({ code: undefined }),
      (error: unknown) => this.#complain(error),
    );
    if (code !== undefined) return;
    const loops = [
      ...this.#ledgers.map((_, i) => this.#write(i)),
      ...this.#vaults.map((_, i) => this.#keep(i)),
      ...this.#journeys.map((_, i) => this.#roam(i)),
      ...this.#toilers.map((_, i) => this.#toil(i)),
    ];
    await Promise.all(loops.map((loop) => loop.catch((error: unknown) => this.#complain(error))));
  }

  #complain(error: unknown): { readonly code: string } {
    const { code = 'UNKNOWN', message } = error as { code?: string; message?: string };
    if (!((this.#ending || this.#mayStop) && code === 'SYSTEM_STOPPED')) this.#say('TROUBLE', { code, message });
    return { code };
  }

  /** Nothing new is begun. */
  end(): void {
    this.#ending = true;
  }

  /** A check of whether every loop has gone on since this call. */
  watchProgress(): () => boolean {
    const before = new Map(this.#rounds);
    return () => [...this.#rounds].every(([loop, rounds]) => rounds > (before.get(loop) ?? 0));
  }

  #goesOn(loop: string): void {
    this.#rounds.set(loop, (this.#rounds.get(loop) ?? 0) + 1);
  }

  /** The system may stop by itself from now on. */
  expectStop(): void {
    this.#mayStop = true;
  }

  /** What there is when everything that was begun is finished, or when nothing moves any more. */
  async settle(): Promise<World> {
    let last = await this.look();
    for (let still = 0; !this.#isSettled(last) && still < STILL_LOOKS; ) {
      await pause(SETTLE_EVERY_MS);
      const next = await this.look();
      still = JSON.stringify(next) === JSON.stringify(last) ? still + 1 : 0;
      last = next;
    }
    if (!this.#isSettled(last)) await this.#explain(last);
    return last;
  }

  /** What each toiler that was not started again after an end has been through: of its turns those that began or ended it. */
  async #explain(world: World): Promise<void> {
    for (const [i, { resumed }] of world.toilers.entries()) {
      const ref = this.#toilers[i] as ActorRef;
      if (resumed >= endsOf(world, ref.key)) continue;
      const turns = await this.#system.history(ref).turns();
      const lives = turns
        .filter(({ outcome, message }) => outcome !== 'handled' || controlOf(message) !== undefined)
        .map(
          ({ sequence, outcome, message }) => `${sequence} ${outcome} ${controlOf(message) ?? JSON.stringify(message)}`,
        );
      this.#say('UNSETTLED', { key: ref.key, lives });
    }
  }

  async #serve(i: number, n: number): Promise<void> {
    const message = { type: 'SERVE', n };
    const reply = await this.#vaults[i]?.ask(message, { idempotencyKey: `serve-${n}`, ...PATIENT });
    this.#say('SERVED', { i, n, reply });
  }

  async #travel(i: number, n: number): Promise<void> {
    const reply = await this.#journeys[i]?.ask({ type: 'TRIP' }, { idempotencyKey: `trip-${n}`, ...PATIENT });
    this.#say('TRAVELLED', { i, n, reply });
  }

  async #write(i: number): Promise<void> {
    let n = this.found.ledgers[i]?.n ?? 0;
    const to = `ledger/l${(i + 1) % this.#ledgers.length}`;
    const under: Promise<void>[] = [];
    while (!this.#ending) {
      n += 1;
      const mine = n;
      this.#say('WRITES', { i, n: mine });
      const tell = this.#ledgers[i]?.tell({ type: 'ADD', n: mine, to }, PATIENT) ?? Promise.resolve();
      const told = tell.then(() => this.#say('WRITTEN', { i, n: mine }));
      // Awaited in its turn; one that the end of the system refuses may never come to that.
      told.catch(() => {});
      under.push(told);
      if (under.length >= WINDOW) await under.shift();
      this.#goesOn(`ledger ${i}`);
    }
    await Promise.all(under);
  }

  async #keep(i: number): Promise<void> {
    const ref = this.#vaults[i] as ActorRef;
    const other = `vault/v${(i + 1) % this.#vaults.length}`;
    for (let n = (this.found.vaults[i]?.served ?? 0) + 1; !this.#ending; n++) {
      await Promise.all([
        this.#serve(i, n),
        ref.tell({ type: 'TIMER', delayMs: (n * 37) % 200 }, PATIENT),
        ref.tell({ type: n % 2 === 0 ? 'MOVE' : 'COPY' }, PATIENT),
        ref.tell({ type: 'CONSULT', other }, PATIENT),
        ref.tell({ type: 'WHISPER', to: `gossip/g${n % 3}` }, PATIENT),
      ]);
      this.#goesOn(`vault ${i}`);
    }
  }

  async #roam(i: number): Promise<void> {
    for (let n = (this.found.journeys[i]?.asked ?? 0) + 1; !this.#ending; n++) {
      await this.#travel(i, n);
      this.#goesOn(`journey ${i}`);
      await pause(TRIP_EVERY_MS);
    }
  }

  async #toil(i: number): Promise<void> {
    const ref = this.#toilers[i] as ActorRef;
    let n = this.found.toilers[i]?.n ?? 0;
    for (let broken = this.#order.broken[i] ?? 0; !this.#ending; ) {
      for (let more = 0; more < 3; more++) {
        n += 1;
        await insist(ref, { type: 'COUNT', n });
        this.#say('COUNTED', { i, n });
      }
      broken += 1;
      this.#say('BREAKS', { i, n: broken });
      const error = await insist(ref, { type: 'BREAK', n: broken }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if ((error as { code?: string } | undefined)?.code !== 'HANDLER_FAILED') throw error;
      this.#say('BROKEN', { i, n: broken });
      this.#goesOn(`toiler ${i}`);
    }
  }

  #isSettled(world: World): boolean {
    const { ledgers, vaults, journeys, toilers } = world;
    return (
      toilers.every(({ resumed }, i) => resumed >= endsOf(world, `toiler/t${i}`)) &&
      ledgers.every((state, i) => state.peer >= (ledgers[(i + ledgers.length - 1) % ledgers.length]?.n ?? 0)) &&
      journeys.every(({ asked, done }) => done >= asked) &&
      vaults.every(
        ({ timers, moves, copies, advice }) =>
          Object.keys(timers.due).length === 0 &&
          moves.done + moves.unknown.length + moves.failed.length >= moves.started &&
          copies.done + copies.unknown.length + copies.failed.length >= copies.started &&
          advice.got + advice.failed.length >= advice.sought,
      )
    );
  }
}

/** Asks one that may just be about to be started again. */
async function insist<T>(ref: ActorRef, message: unknown): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await ref.ask<T>(message, PATIENT);
    } catch (error) {
      const { code } = error as { code?: string };
      if ((code !== 'ACTOR_STOPPED' && code !== 'ACTOR_NOT_FOUND') || tries > RESTART_TRIES) throw error;
      await pause(1);
    }
  }
}
