/**
 * The systems of one run: the statistics, the way to the ground service with its breaker, and the engine of the flights.
 *
 * Owns: their connectors, saying what the breaker does and what becomes of commands that failed too often, and sending those again once
 * the breaker is closed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CircuitBreaker, httpTransport, SystemConnector, WorkflowCoordinationEngine } from '../../actors/index.ts';
import { type ActorRef, type ActorSystem, MessageBroker } from '../../runtime/index.ts';
import { flight } from './flight.ts';
import type { RunMessage } from './run-messages.ts';
import { statistics, type StatisticsState } from './statistics.ts';
import { GROUND, type Landing, STATISTICS } from './systems.ts';

/** Failures in a row that open the breaker, and for how long. */
const BREAKER = { policy: { kind: 'consecutive', failures: 5 }, openMs: 500, openFactor: 1 } as const;
const RETRY = { maxAttempts: 2, initialMs: 20, maxMs: 100 };
/** Events that are counted beside each other. */
const EVENTS_AT_ONCE = 256;
/** Commands to the ground service that are under way at a time. */
const COMMANDS_AT_ONCE = 8;
const LOOK_MS = 100;
const DELIVERED_WITHIN_MS = 60_000;

export class RunSystems {
  /** Runs of the flights go on by themselves; commands of theirs to other systems go through it. */
  readonly engine: WorkflowCoordinationEngine;
  readonly #broker: MessageBroker;
  readonly #breaker: CircuitBreaker;
  readonly #connectors: SystemConnector[] = [];
  readonly #statistics: ActorRef<Landing, StatisticsState>;
  readonly #say: (message: RunMessage) => void;
  readonly #ended = new AbortController();
  #watched: Promise<unknown> = Promise.resolve();

  private constructor(
    engine: WorkflowCoordinationEngine,
    broker: MessageBroker,
    breaker: CircuitBreaker,
    books: ActorRef<Landing, StatisticsState>,
    say: (message: RunMessage) => void,
  ) {
    this.engine = engine;
    this.#broker = broker;
    this.#breaker = breaker;
    this.#statistics = books;
    this.#say = say;
  }

  static async start(system: ActorSystem, groundUrl: string, say: (message: RunMessage) => void): Promise<RunSystems> {
    const broker = await MessageBroker.start({ system });
    const breaker = await CircuitBreaker.of(system, GROUND, BREAKER);
    const books = await system.spawn(statistics, { id: 'flights', ifExists: 'attach' });
    const engine = new WorkflowCoordinationEngine(system, { broker }).defineWorkflow(flight);
    const systems = new RunSystems(engine, broker, breaker, books, say);
    await systems.#connect(system, groundUrl);
    systems.#watched = Promise.all([systems.#watchBreaker(), systems.#redrive()]);
    return systems;
  }

  async #connect(system: ActorSystem, groundUrl: string): Promise<void> {
    this.#broker.on('dead_letter', ({ messageId, subscription }) => {
      if (subscription === GROUND) this.#say({ kind: 'ground', what: 'dead', messageId });
      else this.#say({ kind: 'trouble', message: `dead letter of ${subscription}: ${messageId}` });
    });
    const counting = await SystemConnector.start(STATISTICS, { broker: this.#broker, system });
    const options = { concurrency: EVENTS_AT_ONCE, from: 'beginning' } as const;
    await counting.onEvent<Landing>(
      'flights.landed.*',
      (landing, { message }) =>
        this.#statistics.tell(landing, { idempotencyKey: message.id, timeoutMs: DELIVERED_WITHIN_MS }),
      options,
    );
    const ground = await SystemConnector.start(GROUND, {
      broker: this.#broker,
      system,
      transport: httpTransport({ url: groundUrl }),
      policies: { breaker: this.#breaker, bulkhead: { concurrency: COMMANDS_AT_ONCE } },
      commands: { retry: RETRY },
    });
    this.#connectors.push(counting, ground);
  }

  async #watchBreaker(): Promise<void> {
    for await (const { to } of this.#breaker.events({ signal: this.#ended.signal })) {
      if (to !== 'isolated') this.#say({ kind: 'ground', what: to });
    }
  }

  /** What is dead is sent again while the breaker is closed. */
  async #redrive(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await sleep(LOOK_MS);
      if (this.#breaker.state !== 'closed' || !(await this.#hasDead())) continue;
      const redriven = await this.#broker.deadLetters.redrive({ subscription: GROUND });
      if (redriven > 0) this.#say({ kind: 'ground', what: 'redriven', count: redriven });
    }
  }

  /** Resolves when every landing was counted and every command was handled, with the statistics. */
  async finish(landed: number): Promise<StatisticsState> {
    for (;;) {
      const { view } = await this.#statistics.snapshot();
      const waiting = (await this.#broker.subscriptions()).get(GROUND)?.waiting ?? 0;
      if (view.landed >= landed && waiting === 0 && !(await this.#hasDead())) return view;
      await sleep(LOOK_MS);
    }
  }

  async #hasDead(): Promise<boolean> {
    const { letters } = await this.#broker.deadLetters.list({ subscription: GROUND, limit: 1 });
    return letters.length > 0;
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#watched;
    await this.engine.close();
    for (const connector of this.#connectors) await connector[Symbol.asyncDispose]();
    await this.#broker.close();
  }
}
