/**
 * The process that runs the actors; `demo.ts` starts it, kills it, and starts it again.
 *
 * Owns: the actor system, filing the flights of the file with the schedule, and saying how far it is. It keeps nothing that a restart
 * would need: what was filed and who is where is in the journal.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ActorRef, ActorSystem, brokerActors } from '../../runtime/index.ts';
import {
  connector,
  type MessageOf,
  type ViewOf,
  workflowActors,
  type WorkflowCoordinationEngine,
} from '../../actors/index.ts';
import { airport, type AirportContext } from './airport.ts';
import { FLIGHT } from './flight.ts';
import { airportsOf, type Flight, flightsFile, readFlights } from './flight-log.ts';
import { Operations } from './operations.ts';
import type { RunMessage, RunOptions, RunOrder } from './run-messages.ts';
import { RunSystems } from './run-systems.ts';
import { saboteur } from './saboteur.ts';
import { schedule } from './schedule.ts';
import { statistics } from './statistics.ts';
import { runIdOf } from './systems.ts';

/** How often the airports are looked at, more seldom while looking takes long: long queues make long answers. */
const LOOK_MS = 100;
const LOOK_LIMIT_MS = 400;
const LOOK_SHARE = 1 / 5;
/** Flights that are started together. */
const BATCH_FLIGHTS = 250;
/** On a busy machine, an airport may have to wait for its host to be replaced and its turns to be read. */
const ANSWER_WITHIN_MS = 30_000;
/** How much of the journal a start has to read at most, about. The default of 500,000 turns suits smaller actors and longer lives. */
const CHECKPOINT_EVERY_TURNS = 20_000;
/** Flights that may be filed and not over, of all and at most: the rest of the file waits outside. */
const UNDER_WAY_SHARE = 1 / 4;
const UNDER_WAY_LIMIT = 10_000;

type AirportRef = ActorRef<MessageOf<typeof airport>, ViewOf<typeof airport>>;
type ScheduleRef = ActorRef<MessageOf<typeof schedule>, ViewOf<typeof schedule>>;

interface Run {
  readonly system: ActorSystem;
  readonly engine: WorkflowCoordinationEngine;
  readonly operations: Operations;
  readonly flights: readonly Flight[];
  readonly airports: readonly AirportRef[];
  readonly schedule: ScheduleRef;
  filed: number;
  landed: number;
}

/** Opens the journal. Everything that was under way goes on by itself from here. */
async function openSystem({ dataDir, threads }: RunOptions): Promise<ActorSystem> {
  const startedMs = performance.now();
  const actors = [airport, schedule, saboteur, statistics, connector].map(({ module }) => module);
  const system = await ActorSystem.start({
    dataDir,
    threads,
    actors: [...actors, brokerActors, workflowActors],
    checkpointEveryTurns: CHECKPOINT_EVERY_TURNS,
    askTimeoutMs: ANSWER_WITHIN_MS,
  });
  const startMs = performance.now() - startedMs;
  const { hosts } = await system.stats();
  const { end, tailTurns } = system.opened;
  say({ kind: 'started', startMs, hosts: hosts.length, turns: end, tailTurns });
  return system;
}

function reportEvents(system: ActorSystem): void {
  const lostMs = new Map<number, number>();
  system.on('host_lost', ({ slot, message }) => {
    lostMs.set(slot, performance.now());
    say({ kind: 'host_lost', slot, message });
  });
  system.on('host_replaced', ({ slot }) => {
    say({ kind: 'host_replaced', slot, afterMs: performance.now() - (lostMs.get(slot) ?? Number.NaN) });
  });
  system.on('dead_letter', ({ key, error }) => trouble(`dead letter of ${key}: ${error.message}`));
  system.on('blocked', ({ key, error }) => trouble(`${key} is blocked: ${error.message}`));
  system.on('failed', ({ error }) => trouble(`the journal failed: ${error.message}`));
}

/** The airports and the schedule: new ones, or those of the journal. */
async function openAirports(
  system: ActorSystem,
  engine: WorkflowCoordinationEngine,
  { flights: total, dataDir }: RunOptions,
): Promise<Run> {
  const flights = readFlights(total);
  const airports = await Promise.all(
    airportsOf(flights).map((plan) => system.spawn(airport, { id: plan.name, input: plan, ifExists: 'attach' })),
  );
  const input = { total, file: flightsFile(total) };
  const desk = await system.spawn(schedule, { id: 'schedule', input, ifExists: 'attach' });
  const { context } = (await desk.snapshot()).view;
  if (context.total !== total) {
    throw new Error(
      `${dataDir} is under way with ${context.total} flights, not ${total}: use --fresh, or another --data`,
    );
  }
  const operations = new Operations(engine);
  return { system, engine, operations, flights, airports, schedule: desk, filed: context.filed, landed: 0 };
}

/** Starts a run for each flight of the file. Resolves when all are over. */
async function fileFlights(run: Run): Promise<void> {
  const { engine, operations, flights } = run;
  const underWay = Math.min(Math.ceil(flights.length * UNDER_WAY_SHARE), UNDER_WAY_LIMIT);
  const followed = flights.slice(0, run.filed).map((flight) => operations.follow(flight));
  while (run.filed < flights.length) {
    const over = run.landed + operations.calledOff.length;
    const room = Math.min(BATCH_FLIGHTS, underWay - (run.filed - over));
    if (room > 0) {
      const batch = flights.slice(run.filed, run.filed + room);
      // Resolved: on disk. Killed before the schedule has counted them, they are started again, and are the same runs.
      await Promise.all(batch.map((flight) => engine.start(FLIGHT, flight, { runId: runIdOf(flight.number) })));
      run.filed += batch.length;
      await run.schedule.tell({ type: 'FILED', filed: run.filed });
      followed.push(...batch.map((flight) => operations.follow(flight)));
    } else {
      await sleep(LOOK_MS / 4);
    }
  }
  await Promise.all(followed);
}

/** Looks at the airports until every flight has landed and its origin knows, or is called off. Returns their books. */
async function watchAirports(run: Run): Promise<readonly AirportContext[]> {
  for (;;) {
    const startedMs = performance.now();
    const calledOff = run.operations.calledOff.length;
    const snapshots = await Promise.all(run.airports.map((ref) => ref.snapshot()));
    const { journal, hosts } = await run.system.stats();
    const airports = snapshots.map(({ view }) => view.context);
    const sum = (count: (airport: AirportContext) => number): number =>
      airports.reduce((total, context) => total + count(context), 0);
    run.landed = sum(({ slots }) => slots.used.flights);
    say({
      kind: 'progress',
      progress: {
        filed: run.filed,
        waiting: sum(({ gates, crews }) => gates.waiting.length + crews.waiting.length),
        atGate: sum(({ gates }) => gates.held.length),
        inTheAir: sum(({ gates }) => gates.used.flights) - run.landed,
        landed: run.landed,
        calledOff,
        turns: journal.end,
        hosts: hosts.map(({ slot, cells, turns }) => ({ slot, actors: cells, turns })),
      },
    });
    if (run.landed + calledOff === run.flights.length && sum(({ crews }) => crews.used.flights) === run.landed)
      return airports;
    const lookMs = performance.now() - startedMs;
    await sleep(Math.min(Math.max(LOOK_MS, lookMs / LOOK_SHARE), LOOK_LIMIT_MS));
  }
}

/** Ends one host thread, by the bug of an actor on it. */
async function crashHost(system: ActorSystem): Promise<void> {
  const culprit = await system.spawn(saboteur, { id: 'saboteur', ifExists: 'attach' });
  culprit.send({ type: 'CRASH' });
}

function say(message: RunMessage): void {
  process.send?.(message);
}

/** Resolves when it is written. The channel is closed next, which would drop what still waits for room in the pipe. */
function sayLast(message: RunMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.send === undefined) resolve();
    else process.send(message, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}

function trouble(message: string): void {
  say({ kind: 'trouble', message });
}

async function flyAll(options: RunOptions): Promise<void> {
  const system = await openSystem(options);
  reportEvents(system);
  process.on('message', ({ kind }: RunOrder) => {
    if (kind === 'crash_host') crashHost(system).catch((error: unknown) => trouble(String(error)));
  });
  // Before the first flight is filed: what it says is then heard.
  const systems = await RunSystems.start(system, options.groundUrl, say);
  const run = await openAirports(system, systems.engine, options);
  const [, books] = await Promise.all([fileFlights(run), watchAirports(run)]);
  const counted = await systems.finish(run.landed);
  const deadLetters = (await system.deadLetters.list()).length;
  await systems.stop();
  await system.stop();
  await sayLast({ kind: 'finished', books, calledOff: run.operations.calledOff, statistics: counted, deadLetters });
}

// Whoever started this process is gone, and with it the reason to go on.
const onDisconnect = (): void => process.exit(1);
process.once('disconnect', onDisconnect);
try {
  await flyAll(JSON.parse(process.argv[2] ?? '{}') as RunOptions);
  process.removeListener('disconnect', onDisconnect);
  process.disconnect?.();
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  // Once that is said, it ends, whatever still runs.
  process.send?.({ kind: 'failed', message } satisfies RunMessage, onDisconnect);
}
