/**
 * The live side of a connector's chart: does the work that the chart asks for, and tells it what came of that.
 *
 * Owns: opening, checking and closing by way of `LifePorts`; what state the connector is in as far as is known here. Decides nothing:
 * that is `connector-machine.ts`.
 *
 * Invariants:
 * CL1. One piece of work at a time, and each round's once. An open that ends after its round is over is closed again.
 * CL2. `state` and the listener's last word agree.
 */
import { ActorStoppedError, BlocksError, ConnectorUnavailableError } from '../../runtime/kernel/errors.ts';
import { retryAfterOf } from './call-guard.ts';
import {
  type ConnectorMachineEvent,
  type ConnectorState,
  type ConnectorView,
  stateOf,
  workOf,
} from './connector-machine.ts';
import type { ConnectorSeat, SeatListener } from './connector-seat.ts';

export interface LifePorts {
  open(signal: AbortSignal): Promise<void>;
  check(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
  /** It is in another state than before. */
  entered(state: ConnectorState, before: ConnectorState, reason: string): void;
  checked(error: Error | undefined): void;
  trouble(error: Error): void;
}

interface Waiting {
  readonly settles: (state: ConnectorState) => boolean;
  readonly resolve: (state: ConnectorState) => void;
}

export class ConnectorLife implements SeatListener {
  readonly #id: string;
  readonly #ports: LifePorts;
  readonly #waiting = new Set<Waiting>();
  #seat: ConnectorSeat | undefined;
  #state: ConnectorState = 'disconnected';
  #view: ConnectorView | undefined;
  #roundDone = 0;
  #working: AbortController | undefined;
  #isOpen = false;
  #closing: Promise<void> = Promise.resolve();
  #released = false;
  #isStale = false;

  constructor(id: string, ports: LifePorts) {
    this.#id = id;
    this.#ports = ports;
  }

  get state(): ConnectorState {
    return this.#state;
  }

  get reason(): string {
    return this.#view?.context.reason ?? '';
  }

  get isOnline(): boolean {
    return this.#state === 'connected' || this.#state === 'degraded';
  }

  get isEnded(): boolean {
    return this.#state === 'stopped' || this.#state === 'disconnected';
  }

  /** How long until the next try to connect, at most, ms. */
  get retryAfterMs(): number {
    return this.#view?.context.waitMs ?? 0;
  }

  sitDown(seat: ConnectorSeat): void {
    this.#seat = seat;
    this.changed(seat.view);
  }

  async connect(): Promise<void> {
    if (this.isOnline) return;
    await this.#tell({ type: 'CONNECT' });
  }

  /** On purpose: it stays stopped, also over a restart. */
  async stop(): Promise<void> {
    await this.#tell({ type: 'STOP' });
    await this.settled((state) => state === 'stopped');
    await this.#closing;
  }

  /** Lets go of the chart, which is `disconnected` from here on, unless it was stopped. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await this.#tell({ type: 'RELEASE' }).catch(() => {});
    await this.#seat?.close();
    this.#follow(this.#state === 'stopped' ? 'stopped' : 'disconnected', '');
    await this.#closing;
  }

  /** Resolves once the chart knows. */
  async lost(error: Error): Promise<void> {
    if (!this.isOnline || this.#released) return;
    await this.#tell({ type: 'LOST', reason: messageOf(error), ...retryAfter(error) }).catch((failure: Error) =>
      this.#ports.trouble(failure),
    );
  }

  faulty(reason: string): void {
    this.#say({ type: 'FAULTY', reason });
  }

  calm(): void {
    this.#say({ type: 'CALM' });
  }

  /** Resolves with the first state, the present one included, for which `settles` holds. */
  settled(settles: (state: ConnectorState) => boolean, signal?: AbortSignal): Promise<ConnectorState> {
    if (settles(this.#state)) return Promise.resolve(this.#state);
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiting.delete(waiting);
        reject(signal?.reason as Error);
      };
      const waiting: Waiting = {
        settles,
        resolve: (state) => {
          signal?.removeEventListener('abort', abort);
          resolve(state);
        },
      };
      this.#waiting.add(waiting);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  changed(view: ConnectorView): void {
    if (this.#released || this.#isStale) return;
    this.#view = view;
    this.#follow(stateOf(view), view.context.reason);
    this.#work(view);
  }

  gone(error: Error | undefined): void {
    if (this.#released) return;
    this.#ports.trouble(
      error ??
        new ActorStoppedError(`the actor of the connector "${this.#id}" has stopped: its supervisor starts it again`),
    );
    this.#follow('disconnected', 'its actor has stopped');
  }

  returned(): void {
    if (this.#view === undefined || this.#released) return;
    const { settings } = this.#view.context;
    // What its chart says is of its earlier life, until it knows who holds the transport now.
    this.#isStale = true;
    this.#tell({ type: 'ATTACH', settings }).then(
      () => {
        this.#isStale = false;
        this.#say({ type: 'CONNECT' });
      },
      (error: Error) => this.#ports.trouble(error),
    );
  }

  #follow(state: ConnectorState, reason: string): void {
    const before = this.#state;
    if (state === before) return;
    this.#state = state;
    if (state !== 'connecting' && !this.isOnline) this.#close();
    this.#ports.entered(state, before, reason);
    for (const waiting of [...this.#waiting]) {
      if (!waiting.settles(state)) continue;
      this.#waiting.delete(waiting);
      waiting.resolve(state);
    }
  }

  #work(view: ConnectorView): void {
    const work = workOf(view);
    if (work.kind === 'none') {
      // The chart has gone on without an answer.
      this.#working?.abort(new ConnectorUnavailableError(`${this.#id}: given up`));
      this.#working = undefined;
      return;
    }
    if (work.round === this.#roundDone) return;
    this.#roundDone = work.round;
    this.#working?.abort(new ConnectorUnavailableError(`${this.#id}: given up`));
    const working = new AbortController();
    this.#working = working;
    const done =
      work.kind === 'open' ? this.#open(work.round, working.signal) : this.#check(work.round, working.signal);
    void done.finally(() => {
      if (this.#working === working) this.#working = undefined;
    });
  }

  async #open(round: number, signal: AbortSignal): Promise<void> {
    await this.#closing;
    try {
      if (signal.aborted) return;
      this.#isOpen = true;
      await this.#ports.open(signal);
    } catch (error) {
      this.#close();
      if (!signal.aborted) this.#say({ type: 'FAILED', round, reason: messageOf(error), ...retryAfter(error) });
      return;
    }
    if (signal.aborted) this.#close();
    else this.#say({ type: 'OPENED', round });
  }

  async #check(round: number, signal: AbortSignal): Promise<void> {
    let failure: Error | undefined;
    try {
      await this.#ports.check(signal);
    } catch (error) {
      failure = error as Error;
    }
    if (signal.aborted) {
      this.#ports.checked(signal.reason as Error);
      return;
    }
    this.#ports.checked(failure);
    this.#say(
      failure === undefined
        ? { type: 'HEALTHY', round }
        : { type: 'UNHEALTHY', round, reason: messageOf(failure), ...retryAfter(failure) },
    );
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#closing = this.#closing.then(() => this.#ports.close()).catch((error: Error) => this.#ports.trouble(error));
  }

  #say(event: ConnectorMachineEvent): void {
    if (this.#released && event.type !== 'RELEASE') return;
    this.#tell(event).catch((error: Error) => {
      if (!this.#released) this.#ports.trouble(error);
    });
  }

  #tell(event: ConnectorMachineEvent): Promise<void> {
    return this.#seat === undefined ? Promise.resolve() : this.#seat.tell(event);
  }
}

function messageOf(error: unknown): string {
  if (error instanceof BlocksError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

function retryAfter(error: unknown): { readonly retryAfterMs?: number } {
  const retryAfterMs = retryAfterOf(error);
  return retryAfterMs === undefined ? {} : { retryAfterMs };
}
