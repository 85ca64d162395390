/**
 * Takes commands of runs out of the outbox, publishes them, and tells each run what became of its own.
 *
 * Owns: the way from the outbox to the broker and back. Runs where the broker is: beside the application.
 *
 * Invariants:
 * CD1. A command is published under the key `<run>/<step>/<attempt>`, as often as it takes; the broker drops what it has seen.
 * CD2. A command leaves the outbox after its run has been told, and not before.
 */
import type { Broker, Subscription } from '../../runtime/broker/contract/broker-contract.ts';
import { failureOf } from '../../runtime/broker/contract/message.ts';
import type { ReceiptState } from '../../runtime/broker/contract/receipt.ts';
import type { ActorHandle, ActorHost } from '../../runtime/kernel/actor-host.ts';
import { delayMs } from '../../runtime/kernel/backoff.ts';
import type { Clock } from '../../runtime/kernel/clock.ts';
import { AskTimeoutError, decodeError, encodeError, RequestTimeoutError } from '../../runtime/kernel/errors.ts';
import type { Random } from '../../runtime/kernel/random.ts';
import { heartbeat } from './heartbeat.ts';
import { HEARTBEAT_SUBJECT, heartbeatExtension, type HeartbeatPayload } from './heartbeat-message.ts';
import { OUTBOX_KEY, type OutboxEntry, type PublishCommand, type Taker, type TakeRequest } from './outbox.ts';
import { isUnknownOutcome } from './run-behavior.ts';
import { withoutStack } from './run-commands.ts';
import type { RunEvent } from './run-state.ts';
import type { TargetMeter } from './target-meter.ts';
import { assertFits } from './value-size.ts';

export interface DispatcherPorts {
  readonly host: ActorHost;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: TargetMeter;
}

/** Lives of actor systems, and how many dispatchers each has had. */
const systems = new WeakMap<ActorHost, { readonly name: string; dispatchers: number }>();

function takerOf(host: ActorHost, random: Random): Taker {
  const part = (): string => random.next().toString(36).slice(2);
  const system = systems.get(host) ?? { name: `${part()}${part()}`, dispatchers: 0 };
  systems.set(host, system);
  return { system: system.name, number: ++system.dispatchers };
}

/** How long one take waits for commands. */
const TAKE_TIMEOUT_MS = 10_000;
/** Commands under way at a time. */
const UNDER_WAY_LIMIT = 1_024;
/** Waits after an actor could not be reached. */
const PATIENCE = { initialMs: 50, maxMs: 5_000 };

export class CommandDispatcher {
  readonly #ports: DispatcherPorts;
  readonly #outbox: ActorHandle;
  readonly #taker: Taker;
  readonly #heartbeats: Promise<Subscription | undefined>;
  readonly #closing = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  readonly #loop: Promise<void>;

  constructor(ports: DispatcherPorts) {
    this.#ports = ports;
    this.#outbox = ports.host.refOf(OUTBOX_KEY);
    this.#taker = takerOf(ports.host, ports.random);
    this.#heartbeats = this.#hear();
    this.#loop = this.#run();
  }

  /** Takes no more. What is under way is left in the outbox, for the next one. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
    await (await this.#heartbeats)?.close();
    try {
      await this.#outbox.tell({ type: 'leave', taker: this.#taker });
    } catch {
      // The system is being stopped: its next life has another name.
    }
  }

  /** Heartbeats of handlers, from any process. Those of other systems' runs are none of ours. */
  async #hear(): Promise<Subscription | undefined> {
    const { broker, host } = this.#ports;
    for (let failures = 0; !this.#closing.signal.aborted; ) {
      try {
        return await broker.subscribe<HeartbeatPayload>(HEARTBEAT_SUBJECT, async ({ payload }) => {
          const { run, step, attempt, details } = payload;
          // A try that is over hears of it by its answer, and needs none here.
          await heartbeat(host, { run, step, attempt, idempotencyKey: '' }, details).catch(() => {});
        });
      } catch {
        await this.#wait(++failures);
      }
    }
    return undefined;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let after = 0;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const entries = await this.#outbox.ask<readonly OutboxEntry[]>(
          { type: 'take', after, taker: this.#taker } satisfies TakeRequest,
          { timeoutMs: TAKE_TIMEOUT_MS, signal },
        );
        failures = 0;
        for (const entry of entries) {
          after = entry.number;
          this.#start(entry);
        }
        if (this.#underWay.size >= UNDER_WAY_LIMIT) await Promise.race(this.#underWay);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof AskTimeoutError)) await this.#wait(++failures);
      }
    }
  }

  #start(entry: OutboxEntry): void {
    const work = this.#dispatch(entry).finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  async #dispatch({ number, command }: OutboxEntry): Promise<void> {
    const event = await this.#outcomeOf(command);
    const run = this.#ports.host.refOf(command.run);
    for (let failures = 0; !this.#closing.signal.aborted; ) {
      try {
        await run.tell(event, { idempotencyKey: `answer ${command.id}` });
        this.#outbox.send({ type: 'settled', numbers: [number] });
        return;
      } catch (error) {
        const { code } = encodeError(error);
        // A run that is gone needs no answer.
        if (code === 'ACTOR_NOT_FOUND' || code === 'ACTOR_STOPPED') {
          this.#outbox.send({ type: 'settled', numbers: [number] });
          return;
        }
        await this.#wait(++failures);
      }
    }
  }

  async #outcomeOf(command: PublishCommand): Promise<RunEvent> {
    const { id, target, action, parameters, timeoutMs, about, trace } = command;
    const { run, step, attempt, idempotencyKey } = about;
    const measured = this.#ports.meter.began(target, action);
    try {
      // Nobody is to speak before he can be heard.
      if (command.listens === true) await this.#heartbeats;
      const receipt = await this.#ports.broker.publish({
        id: idempotencyKey,
        idempotencyKey,
        kind: 'COMMAND',
        type: action,
        target,
        payload: parameters,
        ttlMs: timeoutMs,
        delivery: 'EXACTLY_ONCE',
        // Commands of one run do not wait for each other.
        key: idempotencyKey,
        correlationId: run,
        ...(trace === undefined ? {} : { traceparent: trace.traceparent }),
        ...(trace?.tracestate === undefined ? {} : { tracestate: trace.tracestate }),
        // The run tries again by its own policy.
        retry: { maxAttempts: 1, whenExhausted: 'answer' },
        extensions: {
          workflowrun: run,
          workflowstep: step,
          workflowattempt: attempt,
          ...heartbeatExtension(about.heartbeat),
        },
      });
      const settled = await receipt.settled({ timeoutMs, signal: this.#closing.signal });
      const result = replyOf(settled, idempotencyKey);
      measured?.('done');
      return resultEvent(id, result);
    } catch (thrown) {
      const error = withoutStack(encodeError(thrown));
      const unknown = isUnknownOutcome(error);
      measured?.(unknown ? 'unknown' : 'failed');
      return { type: 'failed', id, error, unknown };
    }
  }

  #wait(failures: number): Promise<void> {
    const { clock, random } = this.#ports;
    const { signal } = this.#closing;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wait = clock.wait(delayMs(PATIENCE, failures, random.next()), end);
      function end(): void {
        wait.cancel();
        signal.removeEventListener('abort', end);
        resolve();
      }
      signal.addEventListener('abort', end);
    });
  }
}

/** A result that no message holds fails its step, which was done: it is undone as one of which nobody knows. */
function resultEvent(id: string, result: unknown): RunEvent {
  try {
    assertFits(result, `the result of "${id}"`);
    return { type: 'done', id, result };
  } catch (thrown) {
    return { type: 'failed', id, error: withoutStack(encodeError(thrown)), unknown: true };
  }
}

/** What the system has answered. Throws its error when the message is dead. */
function replyOf({ subscriptions, status }: ReceiptState, id: string): unknown {
  const outcomes = Object.values(subscriptions);
  const dead = outcomes.find((one) => one.status === 'dead');
  if (dead !== undefined) throw decodeError(dead.error);
  const handled = outcomes.find((one) => one.status === 'handled');
  if (handled !== undefined) {
    const failure = failureOf(handled.reply);
    if (failure !== undefined) throw decodeError(failure);
    return handled.reply ?? null;
  }
  throw new RequestTimeoutError(`command "${id}" is ${status}, and nobody has handled it`);
}
