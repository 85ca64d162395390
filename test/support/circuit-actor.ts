/**
 * The actor of a circuit breaker, with threads between it and its mirrors that the test moves: what is asked waits until it is delivered,
 * and what is committed is seen when it is shown.
 */
import type { CircuitContext, CircuitEvent } from '../../actors/circuit-breaker/circuit-breaker-machine.ts';
import { circuitBreakerMachine } from '../../actors/circuit-breaker/circuit-breaker-machine.ts';
import { BreakerMirror } from '../../actors/circuit-breaker/breaker-mirror.ts';
import { type CircuitBreakerOptions, resolveBreaker } from '../../actors/circuit-breaker/breaker-settings.ts';
import { machineBehavior } from '../../actors/machine/machine-behavior.ts';
import type { ActorHandle, ActorSight } from '../../runtime/kernel/actor-host.ts';
import { AskTimeoutError } from '../../runtime/kernel/errors.ts';
import { Reference } from '../../runtime/kernel/reference.ts';
import { ManualClock } from '../../runtime/testing/manual-clock.ts';
import { TurnHarness } from './turn-harness.ts';

interface Asked {
  readonly event: CircuitEvent;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

const NOT_HERE = (): never => {
  throw new Error('not used by a mirror');
};

export class CircuitActor {
  readonly clock = new ManualClock();
  readonly #harness = new TurnHarness();
  readonly #key: string;

  constructor() {
    this.#harness.nowMs = this.clock.now();
    this.#key = this.#harness.spawn(machineBehavior(circuitBreakerMachine) as never);
  }

  get view(): { readonly value: string; readonly context: CircuitContext } {
    return this.#harness.view(this.#key);
  }

  /** One event through the actor; answers what it answers. */
  take(event: CircuitEvent): unknown {
    const call = this.#harness.ask(this.#key, event);
    return this.#harness.replies.find((reply) => reply.call === call)?.value;
  }

  sight(): ActorSight {
    // Answered with the number of its turn, and otherwise without effect.
    const sequence = this.take({ type: 'PROBED', ticket: -1, outcome: 'unused' }) as number;
    return { status: 'running', sequence, view: this.view };
  }

  /** Time for all. */
  async advance(ms: number): Promise<void> {
    this.#harness.advance(ms);
    await this.clock.advance(ms);
  }

  async mirror(options: CircuitBreakerOptions): Promise<MirrorThread> {
    const thread = new MirrorThread(this);
    const breaker = resolveBreaker('test', options, {});
    const opening = BreakerMirror.open({ handle: thread, clock: this.clock, breaker }, true);
    await thread.show();
    await thread.deliverAll();
    thread.mirror = await opening;
    thread.sent.splice(0);
    return thread;
  }
}

/** A thread with a mirror, as its handle. */
export class MirrorThread extends Reference implements ActorHandle {
  mirror!: BreakerMirror;
  /** Everything that was asked, also what was not delivered. */
  readonly sent: CircuitEvent[] = [];
  readonly waiting: Asked[] = [];
  readonly #actor: CircuitActor;
  readonly #sights: ActorSight[] = [];
  #wake: () => void = () => {};

  constructor(actor: CircuitActor) {
    super('def/1');
    this.#actor = actor;
  }

  ask<TReply>(message: unknown): Promise<TReply> {
    const event = message as CircuitEvent;
    this.sent.push(event);
    return new Promise<unknown>((resolve, reject) => {
      this.waiting.push({ event, resolve, reject });
    }) as Promise<TReply>;
  }

  async *changes(): AsyncIterableIterator<ActorSight> {
    for (;;) {
      for (let next = this.#sights.shift(); next !== undefined; next = this.#sights.shift()) yield next;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The next request reaches the actor, and its answer comes back; the state that came of it is shown, unless it is late. */
  async deliver(late = false): Promise<void> {
    const asked = this.waiting.shift();
    if (asked === undefined) return;
    asked.resolve(this.#actor.take(asked.event));
    if (!late) await this.show();
    else await this.#actor.clock.settle();
  }

  async deliverAll(): Promise<void> {
    while (this.waiting.length > 0) await this.deliver();
  }

  /** The next request never arrives. */
  async lose(): Promise<void> {
    this.waiting.shift()?.reject(new AskTimeoutError('no reply'));
    await this.#actor.clock.settle();
  }

  /** The actor's present state arrives, or one that was. */
  async show(sight = this.#actor.sight()): Promise<void> {
    this.#sights.push(sight);
    this.#wake();
    await this.#actor.clock.settle();
  }

  /** Whether a call would pass; as `check`. */
  get passes(): boolean {
    try {
      this.mirror.check();
      return true;
    } catch {
      return false;
    }
  }

  tell = NOT_HERE;
  send = NOT_HERE;
  snapshot = NOT_HERE;
  events = NOT_HERE;
  stop = NOT_HERE;
}
