/**
 * Who looks at which actors: live states and emitted events.
 *
 * Owns: one subscription per observed actor at its host, shared by all who look at it, and renewed when the host is replaced.
 *
 * Invariants:
 * U1. An observer sees committed states only, each actor's in the order of its turns; of those that it is too slow for, the last.
 * U2. When the last observer leaves, the host is told.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Clock } from '../kernel/clock.ts';
import { AskTimeoutError, SystemStoppedError } from '../kernel/errors.ts';
import type { CellReport } from './items.ts';

/** A committed state, as an observer is handed it. */
export interface Sight {
  readonly status: CellReport['status'];
  readonly sequence: number;
  readonly view: unknown;
}

export interface ObservationsPorts {
  readonly clock: Clock;
  /** Asks the actor's host for its views from now on, and for the present one. */
  observe(key: CellKey): Promise<CellReport>;
  unobserve(key: CellKey): void;
  /** What observers are handed for a view. */
  present(key: CellKey, view: unknown): unknown;
}

interface Observer {
  onSnapshot(snapshot: Sight): void;
  onEvent(event: unknown): void;
  onEnd(error: Error | undefined): void;
}

/** Events kept for one reader that is behind; beyond it the reader gets an error, since events are not to be dropped silently. */
const EVENTS_LIMIT = 10_000;

export class Observations {
  readonly #ports: ObservationsPorts;
  readonly #observers = new Map<CellKey, Set<Observer>>();
  readonly #last = new Map<CellKey, Sight>();

  constructor(ports: ObservationsPorts) {
    this.#ports = ports;
  }

  /** Keys whose observation is to be renewed at a replaced host. */
  get keys(): readonly CellKey[] {
    return [...this.#observers.keys()];
  }

  /** A host reports a committed state. */
  view(key: CellKey, sequence: number, status: CellReport['status'], view: unknown): void {
    const observers = this.#observers.get(key);
    if (observers === undefined) return;
    const last = this.#last.get(key);
    if (last !== undefined && sequence < last.sequence) return;
    const snapshot: Sight = { status, sequence, view: this.#ports.present(key, view) };
    this.#last.set(key, snapshot);
    for (const observer of [...observers]) observer.onSnapshot(snapshot);
  }

  event(key: CellKey, event: unknown): void {
    for (const observer of [...(this.#observers.get(key) ?? [])]) observer.onEvent(event);
  }

  /** The key's host was replaced. */
  renew(key: CellKey): void {
    this.#subscribe(key);
  }

  close(): void {
    const error = new SystemStoppedError('the actor system has stopped');
    for (const observers of [...this.#observers.values()]) for (const observer of [...observers]) observer.onEnd(error);
    this.#observers.clear();
  }

  async *changes(key: CellKey, signal: AbortSignal | undefined): AsyncIterableIterator<Sight> {
    let latest: Sight | undefined;
    yield* this.#stream<Sight>(
      key,
      signal,
      (wake) => ({ onSnapshot: (snapshot) => wake(() => void (latest = snapshot)), onEvent: () => {} }),
      () => {
        const next = latest;
        latest = undefined;
        return next;
      },
    );
  }

  async *events(key: CellKey, signal: AbortSignal | undefined): AsyncIterableIterator<unknown> {
    const queue: { readonly event: unknown }[] = [];
    const stream = this.#stream<{ readonly event: unknown }>(
      key,
      signal,
      (wake, fail) => ({
        onSnapshot: () => {},
        onEvent: (event) => {
          if (queue.length >= EVENTS_LIMIT)
            fail(new RangeError(`the reader of ${key}'s events is ${EVENTS_LIMIT} events behind`));
          else wake(() => void queue.push({ event }));
        },
      }),
      () => queue.shift(),
    );
    for await (const { event } of stream) yield event;
  }

  waitFor(
    key: CellKey,
    predicate: (snapshot: Sight) => boolean,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Sight> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const wait = this.#ports.clock.wait(timeoutMs, () => {
        end();
        reject(new AskTimeoutError(`${key} did not reach the awaited state within ${timeoutMs} ms`));
      });
      const abort = (): void => {
        end();
        reject(asError(signal?.reason));
      };
      const observer: Observer = {
        onSnapshot: (snapshot) => {
          try {
            if (!predicate(snapshot)) return;
          } catch (error) {
            end();
            reject(asError(error));
            return;
          }
          end();
          resolve(snapshot);
        },
        onEvent: () => {},
        onEnd: (error) => {
          end();
          reject(asError(error));
        },
      };
      const end = (): void => {
        wait.cancel();
        signal?.removeEventListener('abort', abort);
        this.#leave(key, observer);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#join(key, observer);
    });
  }

  async *#stream<T>(
    key: CellKey,
    signal: AbortSignal | undefined,
    listen: (
      wake: (store: () => void) => void,
      fail: (error: Error) => void,
    ) => Pick<Observer, 'onSnapshot' | 'onEvent'>,
    take: () => T | undefined,
  ): AsyncIterableIterator<T> {
    if (signal?.aborted === true) return;
    let wakeUp: (() => void) | undefined;
    let ended: { readonly error: Error | undefined } | undefined;
    const wake = (store: () => void): void => {
      store();
      wakeUp?.();
    };
    const onEnd = (error: Error | undefined): void => wake(() => void (ended = { error }));
    const observer: Observer = { ...listen(wake, onEnd), onEnd };
    const abort = (): void => onEnd(undefined);
    signal?.addEventListener('abort', abort, { once: true });
    this.#join(key, observer);
    try {
      for (;;) {
        for (let next = take(); next !== undefined; next = take()) yield next;
        if (ended !== undefined) {
          if (ended.error !== undefined && !(ended.error instanceof SystemStoppedError)) throw ended.error;
          return;
        }
        await new Promise<void>((resolve) => {
          wakeUp = resolve;
        });
        wakeUp = undefined;
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#leave(key, observer);
    }
  }

  #join(key: CellKey, observer: Observer): void {
    const observers = this.#observers.get(key);
    if (observers === undefined) {
      this.#observers.set(key, new Set([observer]));
      this.#subscribe(key);
      return;
    }
    observers.add(observer);
    const last = this.#last.get(key);
    // In a later turn, as a first one would come.
    if (last !== undefined) this.#ports.clock.defer(() => observers.has(observer) && observer.onSnapshot(last));
  }

  #leave(key: CellKey, observer: Observer): void {
    const observers = this.#observers.get(key);
    if (observers === undefined || !observers.delete(observer) || observers.size > 0) return;
    this.#observers.delete(key);
    this.#last.delete(key);
    this.#ports.unobserve(key);
  }

  #subscribe(key: CellKey): void {
    this.#ports.observe(key).then(
      (report) => this.view(key, report.sequence, report.status, report.view),
      (error: Error) => {
        for (const observer of [...(this.#observers.get(key) ?? [])]) observer.onEnd(error);
      },
    );
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
