/**
 * The process that runs the actors; `demo.ts` starts it, kills it, and starts it again.
 *
 * Owns: the actor system, filing the flights of the file with the schedule, and saying how far it is. It keeps nothing that a restart
 * would need: what was filed and who is where is in the journal.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ActorRef, ActorSystem } from '../../runtime/index.ts';
import { airport, type AirportView } from './airport.ts';
import { flight } from './flight.ts';
import { airportsOf, type Flight, flightsFile, readFlights } from './flight-log.ts';
import type { Progress, RunMessage, RunOptions, RunOrder } from './run-messages.ts';
import { saboteur } from './saboteur.ts';
import { schedule, type ScheduleView } from './schedule.ts';

/** How often the airports are looked at. */
const LOOK_MS = 100;
/** Flights filed with one message. */
const BATCH_FLIGHTS = 250;
/** Of all flights, how many may be filed and not landed: the rest of the file waits outside. */
const UNDER_WAY_SHARE = 1 / 4;

class Run {
  readonly #system: ActorSystem;
  readonly #flights: readonly Flight[];
  readonly #airports: readonly ActorRef<unknown, AirportView>[];
  readonly #schedule: ActorRef<unknown, ScheduleView>;
  #filed: number;
  #landed = 0;

  static async start({ flights: count, dataDir, threads }: RunOptions): Promise<Run> {
    const startedMs = performance.now();
    const modules = [airport, flight, schedule, saboteur].map(({ module }) => module);
    const system = await ActorSystem.start({ dataDir, threads, actors: modules });
    const lost = new Map<number, number>();
    system.on('host_lost', ({ slot, message }) => {
      lost.set(slot, performance.now());
      say({ kind: 'host_lost', slot, message });
    });
    system.on('host_replaced', ({ slot }) => {
      say({ kind: 'host_replaced', slot, afterMs: performance.now() - (lost.get(slot) ?? Number.NaN) });
    });
    system.on('dead_letter', ({ key, error }) => say({ kind: 'trouble', message: `dead letter of ${key}: ${error.message}` }));
    system.on('blocked', ({ key, error }) => say({ kind: 'trouble', message: `${key} is blocked: ${error.message}` }));
    system.on('failed', ({ error }) => say({ kind: 'trouble', message: `the journal failed: ${error.message}` }));
    const startMs = performance.now() - startedMs;
    const { hosts } = await system.stats();
    const { end, tailTurns } = system.opened;
    say({ kind: 'started', startMs, hosts: threads === 0 ? 0 : hosts.length, turns: end, tailTurns });

    const flights = readFlights(count);
    const airports = await Promise.all(
      airportsOf(flights).map((plan) => system.spawn(airport, { id: plan.name, input: plan, ifExists: 'attach' })),
    );
    const input = { total: count, file: flightsFile(count) };
    const desk = await system.spawn(schedule, { id: 'schedule', input, ifExists: 'attach' });
    const { total, filed } = (await (desk as ActorRef<unknown, ScheduleView>).snapshot()).view.context;
    if (total !== count) throw new Error(`${dataDir} is under way with ${total} flights, not ${count}: use --fresh, or another --data`);
    return new Run(system, flights, airports as ActorRef<unknown, AirportView>[], desk as ActorRef<unknown, ScheduleView>, filed);
  }

  private constructor(
    system: ActorSystem,
    flights: readonly Flight[],
    airports: readonly ActorRef<unknown, AirportView>[],
    desk: ActorRef<unknown, ScheduleView>,
    filed: number,
  ) {
    this.#system = system;
    this.#flights = flights;
    this.#airports = airports;
    this.#schedule = desk;
    this.#filed = filed;
  }

  /** Until every flight has landed and its origin knows. */
  async toTheEnd(): Promise<void> {
    const filing = this.#fileFlights();
    await Promise.race([filing, this.#watch()]);
    await filing;
    await this.#watch();
    const books = (await this.#look()).map(({ name, departures, arrivals, completed, delay, departed, arrived, safe }) => {
      return { name, departures, arrivals, completed, delay, departed, arrived, safe };
    });
    const deadLetters = await this.#system.deadLetters.list();
    say({ kind: 'finished', books, deadLetters: deadLetters.length });
    await this.#system.stop();
  }

  /** Ends one host thread, by the bug of an actor on it. */
  async crashHost(): Promise<void> {
    const culprit = await this.#system.spawn(saboteur, { id: 'saboteur', ifExists: 'attach' });
    culprit.send({ type: 'CRASH' });
  }

  async #fileFlights(): Promise<void> {
    const underWay = Math.ceil(this.#flights.length * UNDER_WAY_SHARE);
    while (this.#filed < this.#flights.length) {
      const room = Math.min(BATCH_FLIGHTS, underWay - (this.#filed - this.#landed));
      if (room <= 0) {
        await sleep(LOOK_MS / 4);
        continue;
      }
      const flights = this.#flights.slice(this.#filed, this.#filed + room);
      // Resolved: on disk. Rejected or killed: the schedule knows by its own count whether it has this batch.
      await this.#schedule.tell({ type: 'FILE', flights });
      this.#filed += flights.length;
    }
  }

  async #watch(): Promise<void> {
    for (;;) {
      const airports = await this.#look();
      const { journal, hosts } = await this.#system.stats();
      const sum = (count: (context: AirportView['context']) => number): number =>
        airports.reduce((total, context) => total + count(context), 0);
      this.#landed = sum(({ arrivals }) => arrivals);
      const progress: Progress = {
        filed: this.#filed,
        waiting: sum(({ waiting }) => waiting.length),
        atGate: sum(({ busyGates }) => busyGates),
        inTheAir: sum(({ departures }) => departures) - this.#landed,
        landed: this.#landed,
        turns: journal.end,
        hosts: hosts.map(({ slot, cells, turns }) => ({ slot, actors: cells, turns })),
      };
      say({ kind: 'progress', progress });
      if (sum(({ completed }) => completed) === this.#flights.length && this.#landed === this.#flights.length) return;
      await sleep(LOOK_MS);
    }
  }

  async #look(): Promise<AirportView['context'][]> {
    const snapshots = await Promise.all(this.#airports.map((ref) => ref.snapshot()));
    return snapshots.map(({ view }) => view.context);
  }
}

function say(message: RunMessage): void {
  process.send?.(message);
}

// Whoever started this process is gone: so is the reason to go on.
process.once('disconnect', () => process.exit(1));

const run = await Run.start(JSON.parse(process.argv[2] ?? '{}') as RunOptions);
process.on('message', ({ kind }: RunOrder) => {
  switch (kind) {
    case 'crash_host':
      void run.crashHost();
  }
});
await run.toTheEnd();
process.removeAllListeners('disconnect');
process.disconnect?.();
