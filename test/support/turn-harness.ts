/**
 * Cells of one thread without a host: turns one after another, a virtual clock, effects ended by hand.
 *
 * For tests of behaviors. Messages wait in one queue, first in, first out, and everything runs until it is empty. A turn that throws
 * leaves nothing but the error, which is thrown to the test (or kept, with `failures: 'keep'`).
 *
 * With `carry`, everything that would cross a thread or the journal goes through it: messages, timers, inputs, results, and the
 * whole state between any two turns.
 */
import { type CellKey, childKeyOf, keyOf } from '../../runtime/kernel/address.ts';
import { enterTurn } from '../../runtime/kernel/ambient.ts';
import type { Behavior, EffectSpec, Signal, SpawnSpec, Turn } from '../../runtime/kernel/behavior.ts';
import { encodeError } from '../../runtime/kernel/errors.ts';
import type { ExitReason } from '../../runtime/kernel/exit.ts';
import type { ReplyTo } from '../../runtime/kernel/message.ts';
import { hashOf, type Random, seededRandom } from '../../runtime/kernel/random.ts';

export interface HarnessOptions {
  readonly carry?: (value: unknown) => unknown;
  /** Whether live sources are really started. Default: they are; calls never are, see `settle`. */
  readonly failures?: 'throw' | 'keep';
}

interface Cell {
  readonly key: CellKey;
  readonly behavior: Behavior;
  readonly parent: CellKey | undefined;
  readonly childId: string | undefined;
  readonly reportSnapshots: boolean;
  state: unknown;
  sequence: number;
  exit: ExitReason | undefined;
  readonly effects: Map<string, RunningEffect>;
  readonly timers: Map<string, { readonly dueMs: number; readonly payload: unknown; readonly armed: number }>;
  readonly children: Map<string, CellKey>;
  readonly watchers: Set<CellKey>;
  stash: Delivery[];
}

interface RunningEffect {
  readonly source: string;
  readonly input: unknown;
  readonly spec: EffectSpec;
  readonly controller: AbortController;
  readonly listeners: ((message: unknown) => void)[];
  readonly sent: unknown[];
  stop: (() => void) | undefined;
}

type Delivery =
  | {
      readonly kind: 'message';
      readonly to: CellKey;
      readonly message: unknown;
      readonly from?: CellKey;
      readonly replyTo?: ReplyTo;
    }
  | {
      readonly kind: 'signal';
      readonly to: CellKey;
      readonly signal: Signal;
      readonly effect?: RunningEffect;
      readonly armed?: number;
    }
  | { readonly kind: 'spawn'; readonly to: CellKey; readonly cell: Cell; readonly input: unknown };

const noActors = (): never => {
  throw new Error('the harness has no other actors');
};
const NO_ACTORS = { spawn: noActors, refOf: noActors };

/** An intent, as tests compare them. */
export type Asked = readonly [kind: string, ...details: unknown[]];

export class TurnHarness {
  nowMs = 0;
  readonly emitted: { readonly key: CellKey; readonly event: unknown }[] = [];
  readonly logged: { readonly key: CellKey; readonly values: readonly unknown[] }[] = [];
  readonly replies: { readonly call: number; readonly value?: unknown; readonly error?: unknown }[] = [];
  readonly deadLetters: { readonly to: CellKey; readonly message: unknown }[] = [];
  readonly failures: unknown[] = [];
  /** Everything asked for, in order. */
  readonly asked: { readonly key: CellKey; readonly asked: Asked }[] = [];
  readonly #cells = new Map<CellKey, Cell>();
  readonly #queue: Delivery[] = [];
  readonly #carry: (value: unknown) => unknown;
  readonly #options: HarnessOptions;
  #armed = 0;
  #calls = 0;
  #running = false;

  constructor(options: HarnessOptions = {}) {
    this.#options = options;
    this.#carry = options.carry ?? ((value) => value);
  }

  /** Starts a root and runs. */
  spawn(
    behavior: Behavior<never>,
    options: { id?: string; definition?: string; input?: unknown; parent?: CellKey } = {},
  ): CellKey {
    const key = keyOf(options.definition ?? 'def', options.id ?? '1');
    this.#enqueueSpawn(key, behavior, options.input, options.parent, undefined, false);
    this.run();
    return key;
  }

  tell(key: CellKey, message: unknown, from?: CellKey): void {
    this.#queue.push({
      kind: 'message',
      to: key,
      message: this.#carry(message),
      ...(from === undefined ? {} : { from }),
    });
    this.run();
  }

  /** Asks, and answers the number under which `replies` has the answer. */
  ask(key: CellKey, message: unknown): number {
    const call = ++this.#calls;
    this.#queue.push({
      kind: 'message',
      to: key,
      message: this.#carry(message),
      replyTo: { kind: 'outside', run: 1, call },
    });
    this.run();
    return call;
  }

  signal(key: CellKey, signal: Signal): void {
    this.#queue.push({ kind: 'signal', to: key, signal });
    this.run();
  }

  /** Ends a cell as the system would. */
  stop(key: CellKey, reason: ExitReason = { kind: 'shutdown' }): void {
    this.#stop(key, reason);
    this.run();
  }

  /** The calls of a cell that have not ended. */
  pending(key: CellKey): string[] {
    return [...this.#cell(key).effects.keys()];
  }

  effect(key: CellKey, id: string): RunningEffect {
    const effect = this.#cell(key).effects.get(id);
    if (effect === undefined)
      throw new Error(`${key} has no effect "${id}"; it has ${this.pending(key).join(', ') || 'none'}`);
    return effect;
  }

  /** Ends a call with a value or an Error. */
  settle(key: CellKey, id: string, result: unknown): void {
    const effect = this.effect(key, id);
    const carried = this.#carry(result);
    const signal: Signal =
      carried instanceof Error
        ? { kind: 'effect.failed', id, error: carried }
        : { kind: 'effect.done', id, output: carried };
    this.#queue.push({ kind: 'signal', to: key, signal, effect });
    this.run();
  }

  /** Really runs a call, once. */
  async call(key: CellKey, id: string, attempt = 1): Promise<void> {
    const { spec, input, controller } = this.effect(key, id);
    if (spec.kind !== 'call') throw new Error(`effect "${id}" is a ${spec.kind}`);
    try {
      const context = {
        input,
        signal: controller.signal,
        idempotencyKey: `${key}/${id}`,
        attempt,
        self: key,
        actors: NO_ACTORS,
      };
      this.settle(key, id, await spec.run(context));
    } catch (error) {
      this.settle(key, id, error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Lets time pass: timers fire in the order in which they are due, each before what comes after it. */
  advance(ms: number): void {
    const end = this.nowMs + ms;
    for (;;) {
      const due = this.#nextTimer(end);
      if (due === undefined) break;
      this.nowMs = Math.max(this.nowMs, due.dueMs);
      this.#queue.push({
        kind: 'signal',
        to: due.key,
        signal: { kind: 'timer', id: due.id, payload: due.payload },
        armed: due.armed,
      });
      this.run();
    }
    this.nowMs = end;
  }

  state<TState = unknown>(key: CellKey): TState {
    return this.#cell(key).state as TState;
  }

  view<TView = unknown>(key: CellKey): TView {
    const { behavior, state } = this.#cell(key);
    return behavior.view(state) as TView;
  }

  saved(key: CellKey): unknown {
    const { behavior, state } = this.#cell(key);
    return behavior.save(state);
  }

  exitOf(key: CellKey): ExitReason | undefined {
    return this.#cell(key).exit;
  }

  keys(): CellKey[] {
    return [...this.#cells.values()].filter(({ exit }) => exit === undefined).map(({ key }) => key);
  }

  timers(key: CellKey): string[] {
    return [...this.#cell(key).timers.keys()];
  }

  /** What `key` asked for since the last call, of these kinds. */
  take(key: CellKey): Asked[] {
    const mine = this.asked.filter((entry) => entry.key === key).map(({ asked }) => asked);
    for (let at = this.asked.length - 1; at >= 0; at--) if (this.asked[at]?.key === key) this.asked.splice(at, 1);
    return mine;
  }

  run(): void {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#deliver(next);
    } finally {
      this.#running = false;
    }
  }

  #deliver(delivery: Delivery): void {
    if (delivery.kind === 'spawn') {
      const { cell } = delivery;
      const old = this.#cells.get(cell.key);
      if (old !== undefined && old.exit === undefined) throw new Error(`${cell.key} lives already`);
      this.#cells.set(cell.key, cell);
      this.#step(cell, delivery, (turn) => cell.behavior.init(this.#carry(delivery.input), turn));
      return;
    }
    const cell = this.#cells.get(delivery.to);
    if (cell === undefined || cell.exit !== undefined) {
      this.deadLetters.push({
        to: delivery.to,
        message: delivery.kind === 'message' ? delivery.message : delivery.signal,
      });
      return;
    }
    if (delivery.kind === 'message') {
      this.#step(cell, delivery, (turn) => cell.behavior.receive(cell.state, delivery.message, turn));
      return;
    }
    const { signal } = delivery;
    if (signal.kind === 'timer') {
      if (cell.timers.get(signal.id)?.armed !== delivery.armed) return;
      cell.timers.delete(signal.id);
    }
    if ('id' in signal && signal.kind !== 'timer') {
      if (cell.effects.get(signal.id) !== delivery.effect) return;
      if (signal.kind !== 'effect.event') cell.effects.delete(signal.id);
    }
    if (
      signal.kind === 'terminated' &&
      signal.childId !== undefined &&
      cell.children.get(signal.childId) === signal.key
    ) {
      cell.children.delete(signal.childId);
    }
    this.#step(cell, delivery, (turn) => {
      const next = cell.behavior.signal === undefined ? cell.state : cell.behavior.signal(cell.state, signal, turn);
      if (signal.kind === 'stop') turn.exit(signal.reason);
      return next;
    });
  }

  #step(cell: Cell, delivery: Delivery, run: (turn: Turn) => unknown): void {
    const turn = new RecordedTurn(cell, delivery, this.nowMs);
    const outer = enterTurn(turn);
    let next: unknown;
    try {
      next = run(turn);
    } catch (error) {
      this.failures.push(error);
      if (this.#options.failures !== 'keep') throw error;
      return;
    } finally {
      enterTurn(outer);
    }
    const before = cell.state;
    cell.sequence += 1;
    cell.state =
      this.#options.carry === undefined
        ? next
        : cell.behavior.load(this.#carry(cell.behavior.save(next)), { self: cell.key, parent: cell.parent });
    for (const asked of turn.intents) {
      this.asked.push({ key: cell.key, asked });
      this.#execute(cell, asked, delivery);
    }
    if (cell.reportSnapshots && next !== before && cell.parent !== undefined && cell.childId !== undefined) {
      const snapshot = this.#carry(cell.behavior.view(cell.state));
      this.#queue.push({
        kind: 'signal',
        to: cell.parent,
        signal: { kind: 'child.snapshot', childId: cell.childId, snapshot },
      });
    }
    if (turn.exiting !== undefined) this.#end(cell, turn.exiting);
  }

  #execute(cell: Cell, [kind, ...details]: Asked, delivery: Delivery): void {
    switch (kind) {
      case 'send':
        this.#queue.push({
          kind: 'message',
          to: details[0] as CellKey,
          message: this.#carry(details[1]),
          from: cell.key,
        });
        return;
      case 'reply':
        this.#answer(details[0] as ReplyTo, { value: this.#carry(details[1]) });
        return;
      case 'fail':
        this.#answer(details[0] as ReplyTo, { error: details[1] });
        return;
      case 'ask': {
        const replyTo: ReplyTo = { kind: 'cell', key: cell.key, ask: details[2] as string };
        this.#queue.push({
          kind: 'message',
          to: details[0] as CellKey,
          message: this.#carry(details[1]),
          from: cell.key,
          replyTo,
        });
        return;
      }
      case 'spawn':
        return this.#spawnChild(cell, details[0] as SpawnSpec);
      case 'stop':
        return this.#stop(details[0] as CellKey, (details[1] ?? { kind: 'shutdown' }) as ExitReason);
      case 'watch':
        this.#cells.get(details[0] as CellKey)?.watchers.add(cell.key);
        return;
      case 'unwatch':
        this.#cells.get(details[0] as CellKey)?.watchers.delete(cell.key);
        return;
      case 'effect.start':
        return this.#startEffect(cell, details[0] as { id: string; source: string; input?: unknown });
      case 'effect.cancel':
        return this.#endEffect(cell, details[0] as string);
      case 'effect.send': {
        const effect = cell.effects.get(details[0] as string);
        const message = this.#carry(details[1]);
        effect?.sent.push(message);
        for (const listener of effect?.listeners ?? []) listener(message);
        return;
      }
      case 'timer.set': {
        const { id, delayMs, payload } = details[0] as { id: string; delayMs: number; payload: unknown };
        cell.timers.set(id, { dueMs: this.nowMs + delayMs, payload: this.#carry(payload), armed: ++this.#armed });
        return;
      }
      case 'timer.cancel':
        cell.timers.delete(details[0] as string);
        return;
      case 'emit':
        this.emitted.push({ key: cell.key, event: this.#carry(details[0]) });
        return;
      case 'log':
        this.logged.push({ key: cell.key, values: details });
        return;
      case 'stash':
        cell.stash.push(delivery);
        return;
      case 'unstash':
        this.#queue.unshift(...cell.stash);
        cell.stash = [];
        return;
      default:
        return;
    }
  }

  #answer(to: ReplyTo, answer: { readonly value?: unknown; readonly error?: unknown }): void {
    if (to.kind === 'outside') this.replies.push({ call: to.call, ...answer });
    else {
      const signal: Signal = { kind: 'reply', ask: to.ask, value: answer.value };
      this.#queue.push({ kind: 'signal', to: to.key, signal });
    }
  }

  #spawnChild(parent: Cell, spec: SpawnSpec): void {
    if (spec.logic === undefined) throw new Error('the harness spawns inline children only');
    const behavior = parent.behavior.child?.(spec.logic);
    if (behavior === undefined) throw new Error(`${parent.key} has no logic "${spec.logic}"`);
    const key = childKeyOf(parent.key, spec.childId);
    if (parent.children.has(spec.childId)) throw new Error(`${key} lives already`);
    parent.children.set(spec.childId, key);
    this.#enqueueSpawn(key, behavior, spec.input, parent.key, spec.childId, spec.reportSnapshots === true);
  }

  #enqueueSpawn(
    key: CellKey,
    behavior: Behavior,
    input: unknown,
    parent: CellKey | undefined,
    childId: string | undefined,
    reportSnapshots: boolean,
  ): void {
    const cell: Cell = {
      key,
      behavior,
      parent,
      childId,
      reportSnapshots,
      state: undefined,
      sequence: 0,
      exit: undefined,
      effects: new Map(),
      timers: new Map(),
      children: new Map(),
      watchers: new Set(),
      stash: [],
    };
    this.#queue.push({ kind: 'spawn', to: key, cell, input });
  }

  #stop(key: CellKey, reason: ExitReason): void {
    this.#queue.push({ kind: 'signal', to: key, signal: { kind: 'stop', reason } });
  }

  #end(cell: Cell, reason: ExitReason): void {
    cell.exit = reason;
    cell.timers.clear();
    for (const id of [...cell.effects.keys()]) this.#endEffect(cell, id);
    if (cell.parent !== undefined && cell.childId !== undefined) {
      const carried = this.#carry(reason) as ExitReason;
      const signal: Signal = { kind: 'terminated', key: cell.key, childId: cell.childId, reason: carried };
      this.#queue.push({ kind: 'signal', to: cell.parent, signal });
    }
    for (const watcher of cell.watchers) {
      this.#queue.push({ kind: 'signal', to: watcher, signal: { kind: 'terminated', key: cell.key, reason } });
    }
    for (const child of cell.children.values()) this.#stop(child, { kind: 'shutdown' });
  }

  #startEffect(cell: Cell, { id, source, input }: { id: string; source: string; input?: unknown }): void {
    this.#endEffect(cell, id);
    const spec = cell.behavior.effect?.(source);
    if (spec === undefined) throw new Error(`${cell.key} has no effect "${source}"`);
    const effect: RunningEffect = {
      source,
      input: this.#carry(input),
      spec,
      controller: new AbortController(),
      listeners: [],
      sent: [],
      stop: undefined,
    };
    cell.effects.set(id, effect);
    if (spec.kind !== 'source') return;
    const tell = (signal: Signal): void => {
      if (cell.effects.get(id) !== effect) return;
      this.#queue.push({ kind: 'signal', to: cell.key, signal: this.#carry(signal) as Signal, effect });
      this.run();
    };
    effect.stop = spec.start({
      input: effect.input,
      self: cell.key,
      signal: effect.controller.signal,
      emit: (event) => tell({ kind: 'effect.event', id, event }),
      done: (output) => tell({ kind: 'effect.done', id, output }),
      fail: (error) =>
        tell({ kind: 'effect.failed', id, error: error instanceof Error ? error : new Error(String(error)) }),
      receive: (listener) => effect.listeners.push(listener),
    });
  }

  #endEffect(cell: Cell, id: string): void {
    const effect = cell.effects.get(id);
    if (effect === undefined) return;
    cell.effects.delete(id);
    effect.controller.abort();
    effect.stop?.();
  }

  #nextTimer(
    untilMs: number,
  ): { key: CellKey; id: string; dueMs: number; payload: unknown; armed: number } | undefined {
    let next: { key: CellKey; id: string; dueMs: number; payload: unknown; armed: number } | undefined;
    for (const cell of this.#cells.values()) {
      if (cell.exit !== undefined) continue;
      for (const [id, timer] of cell.timers) {
        if (timer.dueMs > untilMs) continue;
        if (
          next === undefined ||
          timer.dueMs < next.dueMs ||
          (timer.dueMs === next.dueMs && timer.armed < next.armed)
        ) {
          next = { key: cell.key, id, ...timer };
        }
      }
    }
    return next;
  }

  #cell(key: CellKey): Cell {
    const cell = this.#cells.get(key);
    if (cell === undefined)
      throw new Error(`there is no ${key}; there are ${[...this.#cells.keys()].join(', ') || 'none'}`);
    return cell;
  }
}

/** Writes down what one step asks for. */
class RecordedTurn implements Turn {
  readonly intents: Asked[] = [];
  readonly self: CellKey;
  readonly parent: CellKey | undefined;
  readonly nowMs: number;
  readonly sequence: number;
  readonly from: CellKey | undefined;
  readonly replying: ReplyTo | undefined;
  readonly replaying = false;
  readonly #random: Random;
  exiting: ExitReason | undefined;

  constructor(cell: Cell, delivery: Delivery, nowMs: number) {
    this.self = cell.key;
    this.parent = cell.parent;
    this.nowMs = nowMs;
    this.sequence = cell.sequence + 1;
    this.from = delivery.kind === 'message' ? delivery.from : undefined;
    this.replying = delivery.kind === 'message' ? delivery.replyTo : undefined;
    this.#random = seededRandom(hashOf(cell.key), this.sequence);
  }

  random = (): number => this.#random.next();
  send = (to: CellKey, message: unknown): void => this.#ask('send', to, message);
  reply = (value: unknown): void => {
    if (this.replying !== undefined) this.#ask('reply', this.replying, value);
  };
  fail = (error: unknown): void => {
    if (this.replying !== undefined) this.#ask('fail', this.replying, encodeError(error));
  };
  takeReplyTo = (): ReplyTo | undefined => this.replying;
  replyTo = (handle: ReplyTo, value: unknown): void => this.#ask('reply', handle, value);
  failTo = (handle: ReplyTo, error: unknown): void => this.#ask('fail', handle, encodeError(error));
  ask = (to: CellKey, message: unknown, { ask }: { ask: string }): void => this.#ask('ask', to, message, ask);
  spawn = (spec: SpawnSpec): CellKey => {
    this.#ask('spawn', spec);
    return childKeyOf(this.self, spec.childId);
  };
  stop = (key: CellKey, reason?: ExitReason): void => this.#ask('stop', key, reason);
  watch = (key: CellKey): void => this.#ask('watch', key);
  unwatch = (key: CellKey): void => this.#ask('unwatch', key);
  exit = (reason: ExitReason): void => {
    this.exiting ??= reason;
    this.#ask('exit', reason);
  };
  startEffect = (effect: { id: string; source: string; input?: unknown }): void => this.#ask('effect.start', effect);
  cancelEffect = (id: string): void => this.#ask('effect.cancel', id);
  sendToEffect = (id: string, message: unknown): void => this.#ask('effect.send', id, message);
  setTimer = (timer: { id: string; delayMs: number; payload: unknown }): void => this.#ask('timer.set', timer);
  cancelTimer = (id: string): void => this.#ask('timer.cancel', id);
  emit = (event: unknown): void => this.#ask('emit', event);
  log = (...values: readonly unknown[]): void => this.#ask('log', ...values);
  stash = (): void => this.#ask('stash');
  unstashAll = (): void => this.#ask('unstash');

  #ask(...asked: Asked): void {
    this.intents.push(asked);
  }
}
