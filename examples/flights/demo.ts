/**
 * The demo: `npm run demo`.
 *
 * Flies the flights of a real file as sagas in another process (`run.ts`), takes away one of its threads when a quarter has
 * landed and the whole process when half has, lets it go on from the journal, and checks the books of every airport against the file.
 * Meanwhile the ground service of one airport, another system, goes on strike (`strike.ts`).
 *
 * Owns: the order of events, and the verdict: exit code 0 when everything is equal, 1 when not, 2 for wrong options.
 */
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { checkBooks, checkCalledOff, checkGround, type CheckLine, checkStatistics } from './check.ts';
import { count, Display, seconds } from './display.ts';
import { fateOf } from './fate.ts';
import { airportsOf, type Flight, flightsFile, readFlights } from './flight-log.ts';
import { GroundService } from './ground-service.ts';
import { type DemoOptions, HELP, parseOptions } from './options.ts';
import type { Progress, RunMessage, RunOptions } from './run-messages.ts';
import { RunProcess } from './run-process.ts';
import { Strike } from './strike.ts';
import { HUB } from './systems.ts';

const HOST_DIES_AT = 1 / 4;
const PROCESS_DIES_AT = 1 / 2;

/** What is planned and what has come of it. */
type Outage =
  | { readonly kind: 'planned' }
  | { readonly kind: 'under_way'; readonly atMs: number }
  | { readonly kind: 'over'; readonly recoveryMs: number }
  | { readonly kind: 'left_out' };

class Demo {
  readonly #options: DemoOptions;
  readonly #flights: readonly Flight[];
  /** How many of them are to land. */
  readonly #landing: number;
  readonly #display: Display;
  readonly #troubles: string[] = [];
  #host: Outage;
  #process: Outage;
  #run: RunProcess | undefined;
  #landedBefore: number | undefined;
  #last: Progress | undefined;
  readonly #ground: GroundService;
  readonly #strike: Strike;
  #finished: Extract<RunMessage, { kind: 'finished' }> | undefined;
  #failure: string | undefined;
  /** How long the journal was read after the kill. */
  #openMs = Number.NaN;

  constructor(options: DemoOptions) {
    this.#options = options;
    this.#flights = readFlights(options.flights);
    const landing = this.#flights.filter((flight) => fateOf(flight) === 'lands');
    this.#landing = landing.length;
    this.#display = new Display(process.stdout, options.flights);
    this.#ground = new GroundService(groundFile(options), (serviced) => this.#strike.serviced(serviced));
    const commands = landing.filter(({ origin }) => origin === HUB).length;
    this.#strike = new Strike(this.#ground, commands, (style, text) => this.#display.event(style, text));
    this.#host = { kind: options.kill && options.threads !== 0 ? 'planned' : 'left_out' };
    this.#process = { kind: options.kill ? 'planned' : 'left_out' };
  }

  async run(): Promise<number> {
    const { dataDir, fresh } = this.#options;
    if (fresh) {
      await rm(dataDir, { recursive: true, force: true });
      await rm(groundFile(this.#options), { force: true });
    }
    const groundUrl = await this.#ground.start();
    this.#strike.begin();
    try {
      return await this.#fly({ ...this.#options, groundUrl });
    } finally {
      this.#ground.stop();
    }
  }

  async #fly(options: RunOptions): Promise<number> {
    this.#introduce();
    const startedMs = performance.now();
    do {
      const run = new RunProcess(options, (message) => this.#hear(message));
      this.#run = run;
      const end = await run.ended;
      if (end === 'died') {
        this.#display.clear();
        process.stderr.write(
          `${this.#failure ?? 'The process has died of itself: run the demo again, and it goes on.'}\n`,
        );
        return 1;
      }
    } while (this.#finished === undefined);
    return this.#conclude(this.#finished, performance.now() - startedMs);
  }

  /** Takes away what is being redrawn, for whoever else has something to say. */
  interrupt(): void {
    this.#display.clear();
  }

  #introduce(): void {
    const { flights, threads, dataDir } = this.#options;
    const airports = airportsOf(this.#flights);
    const gates = airports.reduce((sum, airport) => sum + airport.gates, 0);
    const hosts = threads === 'auto' ? availableParallelism() : threads;
    const where = hosts === 0 ? 'one thread' : `${hosts} host thread${hosts === 1 ? '' : 's'}`;
    this.#display.line(
      `${count(flights)} flights of ${flightsFile(flights)} between ${airports.length} airports with ${count(gates)} gates: ` +
        'each flight a saga, each airport a statechart',
    );
    this.#display.line(`on ${where}; every turn on disk before anybody hears of it, in ${dataDir}`);
    this.#display.line();
  }

  #hear(message: RunMessage): void {
    switch (message.kind) {
      case 'started':
        return this.#started(message);
      case 'progress':
        return this.#progress(message.progress);
      case 'host_lost':
        return this.#display.event('yellow', `host thread ${message.slot} is dead: ${message.message}`);
      case 'host_replaced':
        this.#host = { kind: 'over', recoveryMs: message.afterMs };
        return this.#display.event('green', `host thread ${message.slot} is back, ${seconds(message.afterMs)} later`);
      case 'ground':
        return this.#strike.hear(message);
      case 'trouble':
        this.#troubles.push(message.message);
        return this.#display.event('red', message.message);
      case 'failed':
        this.#failure = message.message;
        return;
      case 'finished':
        this.#finished = message;
    }
  }

  #started({ startMs, turns, tailTurns }: Extract<RunMessage, { kind: 'started' }>): void {
    const isNew = turns <= 1;
    if (isNew) return;
    if (this.#process.kind === 'under_way') this.#openMs = startMs;
    const tail = `${count(tailTurns)} of ${count(turns)} turns read`;
    this.#display.event('green', `started from the journal within ${seconds(startMs)}: ${tail}`);
  }

  #progress(progress: Progress): void {
    const { landed } = progress;
    this.#last = progress;
    this.#landedBefore ??= landed;
    if (this.#process.kind === 'under_way') {
      const recoveryMs = performance.now() - this.#process.atMs;
      this.#process = { kind: 'over', recoveryMs };
      this.#display.event(
        'green',
        `every airport answers again, ${seconds(recoveryMs)} after the kill; ${count(landed)} have landed`,
      );
    }
    this.#display.progress(progress);
    this.#strike.landed(landed === this.#landing);
    if (landed < this.#landing) this.#sabotage(landed);
  }

  #sabotage(landed: number): void {
    const share = landed / this.#landing;
    const before = (this.#landedBefore ?? 0) / this.#landing;
    if (this.#host.kind === 'planned' && share >= HOST_DIES_AT) {
      this.#host = before >= HOST_DIES_AT ? { kind: 'left_out' } : { kind: 'under_way', atMs: performance.now() };
      if (this.#host.kind === 'left_out') return;
      this.#display.event('yellow', `${count(landed)} have landed: a bug in an actor ends one host thread`);
      this.#run?.order({ kind: 'crash_host' });
    } else if (this.#process.kind === 'planned' && this.#host.kind !== 'under_way' && share >= PROCESS_DIES_AT) {
      this.#process = before >= PROCESS_DIES_AT ? { kind: 'left_out' } : { kind: 'under_way', atMs: performance.now() };
      if (this.#process.kind === 'left_out') return;
      this.#run?.kill();
      this.#display.event('yellow', `${count(landed)} have landed: SIGKILL to the whole process`);
      this.#display.forgetRate();
    }
  }

  #conclude(finished: Extract<RunMessage, { kind: 'finished' }>, elapsedMs: number): number {
    const { books, calledOff, statistics, deadLetters } = finished;
    const display = this.#display;
    const total = this.#flights.length;
    const landed = this.#landing - (this.#landedBefore ?? 0);
    if (landed === 0)
      display.line(`All ${count(total)} flights were over already: nothing to do (--fresh starts over).`);
    display.line();
    display.line(`Checked against a count of ${flightsFile(total)}, line by line:`);
    const letters: CheckLine = {
      what: 'no dead letters, nothing blocked',
      differences: [...(deadLetters === 0 ? [] : [`${deadLetters} dead letters`]), ...this.#troubles],
    };
    const lines = [
      ...checkBooks(this.#flights, books),
      checkCalledOff(this.#flights, books, calledOff),
      checkStatistics(this.#flights, statistics),
      checkGround(this.#flights, HUB, this.#ground.serviced),
      letters,
    ];
    for (const { what, differences } of lines) {
      display.line(
        differences.length === 0
          ? `  ${display.style('green', '✓')} ${what}`
          : `  ${display.style('red', '✗')} not so: ${what}`,
      );
      for (const difference of differences) display.line(`      ${difference}`);
    }
    const faults = lines.reduce((sum, { differences }) => sum + differences.length, 0);
    display.line();
    if (landed > 0) this.#summarise(landed, elapsedMs);
    display.line(
      faults === 0
        ? display.style('green', 'All equal: none lost, none double.')
        : display.style('red', `${count(faults)} differences.`),
    );
    return faults === 0 ? 0 : 1;
  }

  #summarise(landed: number, elapsedMs: number): void {
    const outages = [this.#host, this.#process].filter(({ kind }) => kind === 'over').length;
    const including = ['', ', the outage included', ', both outages included'][outages];
    const turns = this.#last?.turns ?? 0;
    this.#display.line(
      `${count(landed)} flights in ${seconds(elapsedMs)}${including}: ${count((landed / elapsedMs) * 1_000)} flights a second ` +
        `(${count(turns)} turns in the journal).`,
    );
    if (this.#host.kind === 'over') this.#display.line(`Recovery of a host thread: ${seconds(this.#host.recoveryMs)}.`);
    if (this.#process.kind === 'over') {
      this.#display.line(
        `Recovery of the process: ${seconds(this.#process.recoveryMs)} from SIGKILL until every airport answered again, ` +
          `of which ${seconds(this.#openMs)} to read the journal and start the hosts.`,
      );
    }
    const strike = this.#strike.summary();
    if (strike !== undefined) this.#display.line(strike);
  }
}

/** Beside the data folder, which is the journal's alone. */
function groundFile({ dataDir }: DemoOptions): string {
  return `${dataDir.replace(/[/\\]+$/, '')}.ground`;
}

const parsed = parseOptions(process.argv.slice(2));
switch (parsed.kind) {
  case 'help':
    process.stdout.write(HELP);
    break;
  case 'faults':
    process.stderr.write(`${parsed.faults.join('\n')}\n\n${HELP}`);
    process.exitCode = 2;
    break;
  case 'options': {
    const demo = new Demo(parsed.options);
    process.once('SIGINT', () => {
      demo.interrupt();
      process.stderr.write('Interrupted. Run it again, and it goes on from here.\n');
      process.exit(130);
    });
    process.exitCode = await demo.run();
  }
}
