/**
 * Takes commands of runs out of the outbox, publishes them, and tells each run what became of its own.
 *
 * Owns: the way from the outbox to the broker and back. Runs where the broker is: beside the application.
 *
 * Invariants:
 * CD1. A command is published under the key `<run>/<step>/<attempt>`, as often as it takes; the broker drops what it has seen.
 * CD2. A command leaves the outbox after its run has been told, and not before.
 */
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';
import type { ReceiptState } from '../../runtime/broker/contract/receipt.ts';
import type { ActorHandle, ActorHost } from '../../runtime/kernel/actor-host.ts';
import { delayMs } from '../../runtime/kernel/backoff.ts';
import type { Clock } from '../../runtime/kernel/clock.ts';
import { AskTimeoutError, decodeError, encodeError, RequestTimeoutError } from '../../runtime/kernel/errors.ts';
import type { Random } from '../../runtime/kernel/random.ts';
import { OUTBOX_KEY, type OutboxEntry, type PublishCommand } from './outbox.ts';
import { isUnknownOutcome } from './run-behavior.ts';
import type { RunEvent } from './run-state.ts';
import type { TargetMeter } from './target-meter.ts';

export interface DispatcherPorts {
  readonly host: ActorHost;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: TargetMeter;
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
  readonly #closing = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  readonly #loop: Promise<void>;

  constructor(ports: DispatcherPorts) {
    this.#ports = ports;
    this.#outbox = ports.host.refOf(OUTBOX_KEY);
    this.#loop = this.#run();
  }

  /** Takes no more. What is under way is left in the outbox, for the next one. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let after = 0;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const entries = await this.#outbox.ask<readonly OutboxEntry[]>(
          { type: 'take', after },
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
        retry: { maxAttempts: 1 },
        extensions: { workflowrun: run, workflowstep: step, workflowattempt: attempt },
      });
      const state = await receipt.settled({ timeoutMs, signal: this.#closing.signal });
      const result = replyOf(state, idempotencyKey);
      measured?.('done');
      return { type: 'done', id, result };
    } catch (thrown) {
      const { name, code, message, details } = encodeError(thrown);
      const error = { name, code, message, ...(details === undefined ? {} : { details }) };
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

/** What the system has answered. Throws its error when the message is dead. */
function replyOf({ subscriptions, status }: ReceiptState, id: string): unknown {
  const outcomes = Object.values(subscriptions);
  const dead = outcomes.find((one) => one.status === 'dead');
  if (dead !== undefined) throw decodeError(dead.error);
  const handled = outcomes.find((one) => one.status === 'handled');
  if (handled !== undefined) return handled.reply ?? null;
  throw new RequestTimeoutError(`command "${id}" is ${status}, and nobody has handled it`);
}
