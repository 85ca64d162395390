/**
 * Effects: outside calls and live sources that committed turns asked for.
 *
 * Owns: running them, their retries, timeouts and abort signals, and turning their outcome into a message of the cell to itself.
 * What a crash in between means is decided here too, when the cell comes back.
 *
 * Invariants:
 * F1. An effect starts only after the turn that asked for it is committed.
 * F2. One outcome per start: `effect.done` or `effect.failed`. A cancelled effect has none.
 * F3. An `at_most_once` effect that may have begun before a crash is not begun again: `UnknownOutcomeError`.
 * F4. Every run of one start carries the same idempotency key.
 * F5. An effect that its host has died of as often as a message may fail is not run again: it fails with `HostLostError`.
 */
import type { ActorHost } from '../kernel/actor-host.ts';
import type { CellKey } from '../kernel/address.ts';
import { delayMs } from '../kernel/backoff.ts';
import type { CallEffect, EffectContext, SourceEffect } from '../kernel/behavior.ts';
import type { Clock, Wait } from '../kernel/clock.ts';
import {
  EffectTimeoutError,
  encodeError,
  HostLostError,
  InvalidDefinitionError,
  UnknownOutcomeError,
} from '../kernel/errors.ts';
import type { SelfMessage } from '../kernel/message.ts';
import type { Random } from '../kernel/random.ts';
import type { EffectEntry } from '../cell/book.ts';
import type { Cell } from '../cell/cell.ts';
import { type EffectSuspect, TRIED_AFTER_DEATHS } from './effect-trials.ts';
import { type EffectMark, effectMark, type Watch } from './watch.ts';

interface Running {
  readonly cell: Cell;
  readonly id: string;
  readonly entry: EffectEntry;
  readonly controller: AbortController;
  readonly mark: EffectMark;
  wait: Wait | undefined;
  /** Sources only. */
  stop?: (() => void) | undefined;
  readonly listeners: ((message: unknown) => void)[];
}

/** Runs a function of another module on the pool for CPU-bound work. */
export type PoolRun = (
  work: { module: string; name: string },
  context: Omit<EffectContext, 'signal' | 'actors'>,
  signal: AbortSignal,
) => Promise<unknown>;

export interface EffectPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly watch: Watch;
  readonly pool: PoolRun;
  /** The way to actors, for effects. */
  readonly actors: ActorHost;
  /** Puts a message into the cell's mailbox. */
  deliver(cell: Cell, message: SelfMessage): void;
}

/** How long an effect that is tried runs before the next one is begun, unless it ends. */
const TRIAL_MS = 250;
/** One death is not an effect's fault yet, however few tries its actor gives a message. */
const DEATHS_LEAST = 2;

/** An effect that is to be tried when the ones before it have been. */
interface Trial {
  readonly cell: Cell;
  readonly id: string;
  readonly entry: EffectEntry;
}

export class EffectRunner {
  readonly #ports: EffectPorts;
  readonly #running = new Map<CellKey, Map<string, Running>>();
  #suspects: ReadonlyMap<EffectMark, number> = new Map();
  #trials: Trial[] = [];
  #trial: { readonly running: Running; readonly wait: Wait } | undefined;

  constructor(ports: EffectPorts) {
    this.#ports = ports;
  }

  get size(): number {
    let size = 0;
    for (const effects of this.#running.values()) size += effects.size;
    return size;
  }

  /** Starts what a committed turn asked for, unless a later turn took it back. */
  start(cell: Cell, id: string, started: number): void {
    const entry = cell.book.effects?.get(id);
    if (entry === undefined || entry.started !== started) return;
    this.cancel(cell.key, id);
    this.#begin(cell, id, entry);
  }

  /** Effects that were under way when hosts died, and how often: before any cell comes back. */
  suspect(suspects: readonly EffectSuspect[]): void {
    this.#suspects = new Map(suspects);
  }

  /** Takes up the effects of a cell that came back. */
  resume(cell: Cell): void {
    if (cell.book.effects === undefined) return;
    for (const [id, entry] of cell.book.effects) {
      const spec = cell.behavior?.effect?.(entry.source);
      if (spec?.kind === 'call' && spec.class === 'at_most_once') {
        const error = new UnknownOutcomeError(
          `effect "${id}" of ${cell.key} was under way when its host died: whether it happened is not known`,
          { details: { effect: id, source: entry.source } },
        );
        this.#ports.deliver(cell, { kind: 'effect.failed', id, error: encodeError(error) });
      } else {
        this.#take(cell, id, entry);
      }
    }
  }

  #take(cell: Cell, id: string, entry: EffectEntry): void {
    const deaths = this.#suspects.get(effectMark(cell.key, id, entry.started)) ?? 0;
    if (deaths >= Math.max(DEATHS_LEAST, cell.definition.failure.maxAttempts)) {
      const error = new HostLostError(
        `its host died ${deaths} times while effect "${id}" of ${cell.key} was under way`,
        {
          details: { effect: id, source: entry.source, deaths },
        },
      );
      this.#ports.deliver(cell, { kind: 'effect.failed', id, error: encodeError(error) });
    } else if (deaths >= TRIED_AFTER_DEATHS) {
      if (this.#trials.some((trial) => trial.entry === entry)) return;
      cell.holds += 1;
      this.#trials.push({ cell, id, entry });
      if (this.#trial === undefined) this.#tryNext();
    } else {
      this.#begin(cell, id, entry);
    }
  }

  #tryNext(): void {
    this.#trial?.wait.cancel();
    this.#trial = undefined;
    for (let next = this.#trials.shift(); next !== undefined; next = this.#trials.shift()) {
      const { cell, id, entry } = next;
      cell.holds -= 1;
      // Taken back, or over with its actor, while it waited.
      if (cell.book.effects?.get(id) !== entry) continue;
      this.#ports.watch.tries(effectMark(cell.key, id, entry.started));
      const running = this.#begin(cell, id, entry);
      if (!this.#isRunning(running)) continue;
      this.#trial = { running, wait: this.#ports.clock.wait(TRIAL_MS, () => this.#tryNext()) };
      return;
    }
  }

  cancel(key: CellKey, id: string): void {
    const running = this.#running.get(key)?.get(id);
    if (running !== undefined) this.#end(running, new Error(`effect "${id}" was cancelled`));
  }

  cancelAll(key: CellKey): void {
    for (const running of [...(this.#running.get(key)?.values() ?? [])]) {
      this.#end(running, new Error(`actor ${key} stopped`));
    }
  }

  send(key: CellKey, id: string, message: unknown): void {
    const running = this.#running.get(key)?.get(id);
    for (const listener of [...(running?.listeners ?? [])]) listener(message);
  }

  close(): void {
    this.#trials = [];
    this.#trial?.wait.cancel();
    for (const key of [...this.#running.keys()]) this.cancelAll(key);
  }

  #begin(cell: Cell, id: string, entry: EffectEntry): Running {
    const running: Running = {
      cell,
      id,
      entry,
      controller: new AbortController(),
      mark: effectMark(cell.key, id, entry.started),
      wait: undefined,
      listeners: [],
    };
    let ofCell = this.#running.get(cell.key);
    if (ofCell === undefined) {
      ofCell = new Map();
      this.#running.set(cell.key, ofCell);
    }
    ofCell.set(id, running);
    cell.holds += 1;
    this.#ports.watch.effect(running.mark, 1);
    const spec = cell.behavior?.effect?.(entry.source);
    if (spec === undefined) {
      const error = new InvalidDefinitionError(
        `${cell.key} has no effect "${entry.source}": its definition changed without a new version`,
      );
      this.#fail(running, error);
    } else if (spec.kind === 'call') {
      this.#call(running, spec, 1);
    } else {
      this.#source(running, spec);
    }
    return running;
  }

  #call(running: Running, spec: CallEffect, attempt: number): void {
    const { cell, id, entry } = running;
    const controller = new AbortController();
    const abort = (): void => controller.abort(running.controller.signal.reason);
    running.controller.signal.addEventListener('abort', abort, { once: true });
    let settled = false;
    const settle = (): boolean => {
      if (settled || !this.#isRunning(running)) return false;
      settled = true;
      running.wait?.cancel();
      running.controller.signal.removeEventListener('abort', abort);
      return true;
    };
    if (spec.timeoutMs !== undefined) {
      running.wait = this.#ports.clock.wait(spec.timeoutMs, () => {
        const error = new EffectTimeoutError(`effect "${id}" of ${cell.key} ran longer than ${spec.timeoutMs} ms`);
        if (!settle()) return;
        controller.abort(error);
        this.#retry(running, spec, attempt, error);
      });
    }
    const context = {
      input: entry.input,
      idempotencyKey: `${cell.key}#${entry.started}/${id}`,
      attempt,
      self: cell.key,
    };
    const run =
      spec.pool === undefined
        ? Promise.resolve().then(() => spec.run({ ...context, signal: controller.signal, actors: this.#ports.actors }))
        : this.#ports.pool(spec.pool, context, controller.signal);
    run.then(
      (output) => {
        if (!settle()) return;
        this.#remove(running);
        this.#ports.deliver(cell, { kind: 'effect.done', id, output });
      },
      (error: unknown) => {
        if (settle()) this.#retry(running, spec, attempt, error);
      },
    );
  }

  #retry(running: Running, spec: CallEffect, attempt: number, error: unknown): void {
    const maxAttempts = spec.retry?.maxAttempts ?? 1;
    if (attempt >= maxAttempts) {
      this.#fail(running, error);
      return;
    }
    const ms = delayMs(spec.retry ?? {}, attempt, this.#ports.random.next());
    running.wait = this.#ports.clock.wait(ms, () => {
      if (this.#isRunning(running)) this.#call(running, spec, attempt + 1);
    });
  }

  #source(running: Running, spec: SourceEffect): void {
    const { cell, id, entry } = running;
    const alive = (): boolean => this.#isRunning(running);
    try {
      running.stop = spec.start({
        input: entry.input,
        self: cell.key,
        signal: running.controller.signal,
        emit: (event) => {
          if (alive()) this.#ports.deliver(cell, { kind: 'effect.event', id, event });
        },
        done: (output) => {
          if (!alive()) return;
          this.#remove(running);
          this.#ports.deliver(cell, { kind: 'effect.done', id, output });
        },
        fail: (error) => {
          if (alive()) this.#fail(running, error);
        },
        receive: (listener) => void running.listeners.push(listener),
      });
    } catch (error) {
      if (alive()) this.#fail(running, error);
    }
  }

  #fail(running: Running, error: unknown): void {
    this.#remove(running);
    this.#ports.deliver(running.cell, { kind: 'effect.failed', id: running.id, error: encodeError(error) });
  }

  #isRunning(running: Running): boolean {
    return this.#running.get(running.cell.key)?.get(running.id) === running;
  }

  #end(running: Running, reason: Error): void {
    this.#remove(running);
    running.controller.abort(reason);
    try {
      running.stop?.();
    } catch {
      // A source that fails to end itself has ended for us: nothing of it is listened to any more.
    }
  }

  #remove(running: Running): void {
    running.wait?.cancel();
    const ofCell = this.#running.get(running.cell.key);
    if (ofCell?.get(running.id) !== running) return;
    ofCell.delete(running.id);
    if (ofCell.size === 0) this.#running.delete(running.cell.key);
    running.cell.holds -= 1;
    this.#ports.watch.effect(running.mark, -1);
    if (this.#trial?.running === running) this.#tryNext();
  }
}
