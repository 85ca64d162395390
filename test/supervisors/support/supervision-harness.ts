/**
 * A world of cells in one thread, on a virtual clock, for supervisors and what they supervise.
 *
 * Owns: a `Turn` over any behaviors, delivery in order per sender and receiver, timers, and the rules of the contract that a
 * supervisor relies on. It is a model of the runtime, not the runtime: it breaks loudly when a behavior breaks the contract.
 *
 * Rules it enforces:
 * W1. A turn's wishes are carried out after the turn, and only if it did not throw.
 * W2. Every turn of a supervisor runs twice, on the same state: both give the same wishes and the same next state.
 * W3. A cell that lingers (a supervisor) and is not killed leaves no child alive; other ends stop the children, as links do.
 * W4. Nothing is asked for after `exit`.
 * W5. The spawn of a living cell is refused (`refuse a` in the log), and its parent hears of an end with an error.
 */
import { isDeepStrictEqual } from 'node:util';
import { keyOf } from '../../../runtime/kernel/address.ts';
import type { Behavior, Signal, SpawnSpec, Turn } from '../../../runtime/kernel/behavior.ts';
import { encodeError } from '../../../runtime/kernel/errors.ts';
import type { ExitReason } from '../../../runtime/kernel/exit.ts';
import type { ReplyTo } from '../../../runtime/kernel/message.ts';
import { seededRandom } from '../../../runtime/kernel/random.ts';

interface Cell {
  readonly key: string;
  readonly behavior: Behavior<unknown>;
  readonly parent: string | undefined;
  readonly childId: string | undefined;
  state: unknown;
  living: boolean;
  sequence: number;
  stash: Delivery[];
  input: unknown;
}

interface Delivery {
  readonly link: string;
  readonly to: string;
  readonly what:
    | { readonly kind: 'spawn'; readonly spec: SpawnSpec; readonly parent: string | undefined }
    | { readonly kind: 'message'; readonly message: unknown; readonly call?: number | undefined }
    | { readonly kind: 'signal'; readonly signal: Signal }
    | { readonly kind: 'stop'; readonly reason: ExitReason };
}

type Wish = readonly [name: string, ...values: unknown[]];

export interface Call {
  readonly state: 'pending' | 'replied' | 'failed';
  readonly value?: unknown;
}

export interface WorldOptions {
  /** Whether to store and load a cell before this turn. Default: never. */
  readonly reload?: (cell: string, sequence: number) => boolean;
  /** Which of the links with something to deliver is next. Default: the one whose message is oldest. */
  readonly pick?: (links: number) => number;
  /** Run every turn of a lingering behavior twice. Default true. */
  readonly twice?: boolean;
}

export class World {
  nowMs = 1_000_000;
  /** `start a`, `resume a`, `reset a`, `stop a`, `kill a`, `end a shutdown`: in the order in which it reached the actors. */
  readonly log: string[] = [];
  readonly events: { readonly key: string; readonly event: unknown }[] = [];
  readonly calls: Call[] = [];
  readonly #definitions: Readonly<Record<string, Behavior>>;
  readonly #options: WorldOptions;
  readonly #cells = new Map<string, Cell>();
  readonly #timers = new Map<string, { readonly cell: string; readonly dueMs: number; readonly signal: Signal }>();
  #queue: Delivery[] = [];

  constructor(definitions: Readonly<Record<string, object>>, options: WorldOptions = {}) {
    this.#definitions = definitions as Readonly<Record<string, Behavior>>;
    this.#options = options;
  }

  /** Starts a root actor and lets everything settle. */
  start(definition: string, id: string, input?: unknown): string {
    const key = keyOf(definition, id);
    const spec: SpawnSpec = { childId: id, actor: { definition, id }, input };
    this.#queue.push({ link: `>${key}`, to: key, what: { kind: 'spawn', spec, parent: undefined } });
    this.settle();
    return key;
  }

  /** A request from outside; settles. The call tells what became of it. */
  ask(to: string, message: unknown): unknown {
    const call = this.post(to, message);
    this.settle();
    return this.calls[call]?.value;
  }

  /** A request from outside, not yet delivered. */
  post(to: string, message: unknown): number {
    const call = this.calls.push({ state: 'pending' }) - 1;
    this.#queue.push({ link: `outside>${to}`, to, what: { kind: 'message', message, call } });
    return call;
  }

  tell(to: string, message: unknown): void {
    this.postTell(to, message);
    this.settle();
  }

  postTell(to: string, message: unknown): void {
    this.#queue.push({ link: `outside>${to}`, to, what: { kind: 'message', message } });
  }

  stop(to: string, reason: ExitReason = { kind: 'shutdown' }): void {
    this.postStop(to, reason);
    this.settle();
  }

  postStop(to: string, reason: ExitReason = { kind: 'shutdown' }): void {
    this.#queue.push({ link: `outside>${to}`, to, what: { kind: 'stop', reason } });
  }

  /** The contract says that this cannot happen; a supervisor must bear it all the same. */
  signal(to: string, signal: Signal): void {
    this.#queue.push({ link: `outside>${to}`, to, what: { kind: 'signal', signal } });
    this.settle();
  }

  /** Lets time pass; each timer fires at its own time. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      this.settle();
      const due = [...this.#timers].filter(([, timer]) => timer.dueMs <= untilMs).sort(byDueMs)[0];
      if (due === undefined) break;
      const [id, timer] = due;
      this.nowMs = Math.max(this.nowMs, timer.dueMs);
      this.#timers.delete(id);
      this.#queue.push({ link: `self>${timer.cell}`, to: timer.cell, what: { kind: 'signal', signal: timer.signal } });
    }
    this.nowMs = untilMs;
  }

  settle(): void {
    while (this.step());
  }

  /** Delivers one thing; false when there was none. */
  step(): boolean {
    const heads: number[] = [];
    const seen = new Set<string>();
    if (this.#options.pick === undefined) heads.push(...(this.#queue.length > 0 ? [0] : []));
    else {
      for (const [at, { link }] of this.#queue.entries()) {
        if (!seen.has(link)) heads.push(at);
        seen.add(link);
      }
    }
    if (heads.length === 0) return false;
    const at = heads[this.#options.pick?.(heads.length) ?? 0] as number;
    const [delivery] = this.#queue.splice(at, 1);
    this.#deliver(delivery as Delivery);
    return true;
  }

  isLiving(key: string): boolean {
    return this.#cells.get(key)?.living ?? false;
  }

  livingKeys(): string[] {
    return [...this.#cells.values()].filter(({ living }) => living).map(({ key }) => key);
  }

  view(key: string): unknown {
    const cell = this.#cells.get(key) as Cell;
    return cell.behavior.view(cell.state);
  }

  save(key: string): unknown {
    const cell = this.#cells.get(key) as Cell;
    return cell.behavior.save(cell.state);
  }

  /** The timers that are set, as `cell id`, sorted. */
  timers(): string[] {
    return [...this.#timers.keys()].sort();
  }

  /** Empties the log and answers what was in it. */
  takeLog(): string[] {
    return this.log.splice(0);
  }

  #deliver({ to, what, link }: Delivery): void {
    const cell = this.#cells.get(to);
    switch (what.kind) {
      case 'spawn':
        return this.#spawn(to, what.spec, what.parent);
      case 'stop':
        if (cell?.living !== true) return;
        this.log.push(`${what.reason.kind === 'killed' ? 'kill' : 'stop'} ${nameOf(to)}`);
        if (what.reason.kind !== 'killed') {
          this.#turn(cell, undefined, (turn, state) =>
            (cell.behavior.signal ?? unchanged)(state, { kind: 'stop', reason: what.reason }, turn),
          );
        }
        if (what.reason.kind === 'killed' || cell.behavior.lingers !== true) this.#end(cell, what.reason);
        return;
      case 'message':
        if (cell?.living !== true) {
          if (what.call !== undefined) this.calls[what.call] = { state: 'failed', value: 'ACTOR_STOPPED' };
          return;
        }
        this.#turn(cell, { to, what, link }, (turn, state) => cell.behavior.receive(state, what.message, turn));
        return;
      case 'signal':
        if (cell?.living !== true) return;
        this.#turn(cell, undefined, (turn, state) => (cell.behavior.signal ?? unchanged)(state, what.signal, turn));
    }
  }

  #spawn(key: string, spec: SpawnSpec, parent: string | undefined): void {
    const old = this.#cells.get(key);
    const name = nameOf(key);
    const behavior = this.#definitions[spec.actor?.definition ?? ''];
    const failed = (message: string, code = 'START_FAILED'): void => {
      const reason: ExitReason = { kind: 'error', error: { name: 'Error', code, message } };
      const signal: Signal = { kind: 'terminated', key, childId: spec.childId, reason };
      if (parent === undefined) throw new Error(message);
      this.#queue.push({ link: `${key}>${parent}`, to: parent, what: { kind: 'signal', signal } });
    };
    if (behavior === undefined) return failed(`no definition of ${key}`);
    if (old?.living === true) {
      this.log.push(`refuse ${name}`);
      return failed(`${key} lives`, 'ACTOR_ALREADY_EXISTS');
    }
    const resumed = old !== undefined && spec.ifExists === 'resume';
    this.log.push(`${resumed ? 'resume' : old !== undefined ? 'reset' : 'start'} ${name}`);
    const cell: Cell = {
      key,
      behavior,
      parent,
      childId: spec.childId,
      state: resumed ? old.state : undefined,
      living: true,
      sequence: resumed ? old.sequence : 0,
      stash: [],
      input: resumed ? old.input : spec.input,
    };
    this.#cells.set(key, cell);
    if (resumed) return;
    try {
      this.#turn(cell, undefined, (turn) => behavior.init(spec.input, turn));
    } catch (error) {
      this.#cells.delete(key);
      this.log.push(`fail ${name}`);
      if (!(error instanceof StartFailure)) throw error;
      failed(error.message);
    }
  }

  #turn(cell: Cell, message: Delivery | undefined, run: (turn: Turn, state: unknown) => unknown): void {
    cell.sequence += 1;
    const { behavior } = cell;
    if (cell.sequence > 1 && this.#options.reload?.(cell.key, cell.sequence) === true) {
      cell.state = behavior.load(asPlainData(behavior.save(cell.state)), { self: cell.key, parent: cell.parent });
    }
    const before = cell.state;
    const wishes: Wish[] = [];
    const next = run(this.#turnOf(cell, message, wishes), before);
    if (behavior.lingers === true && this.#options.twice !== false) {
      const again: Wish[] = [];
      const nextAgain = run(this.#turnOf(cell, message, again), before);
      if (!isDeepStrictEqual(bare(wishes), bare(again))) throw new Error(`W2: ${cell.key} wished for other things`);
      if (!isDeepStrictEqual(behavior.save(next), behavior.save(nextAgain)))
        throw new Error(`W2: ${cell.key} came to another state`);
    }
    cell.state = next;
    asPlainData(behavior.view(next as never));
    for (const wish of wishes) this.#grant(cell, message, wish);
  }

  #turnOf(cell: Cell, message: Delivery | undefined, wishes: Wish[]): Turn {
    const random = seededRandom(cell.key.length, cell.sequence);
    const call = message?.what.kind === 'message' ? message.what.call : undefined;
    const wish = (...entry: Wish): void => {
      if (wishes.some(([name]) => name === 'exit')) throw new Error(`W4: ${cell.key} asked for ${entry[0]} after exit`);
      wishes.push(entry);
    };
    return {
      self: cell.key,
      parent: cell.parent,
      nowMs: this.nowMs,
      sequence: cell.sequence,
      from: undefined,
      replaying: false,
      random: () => random.next(),
      send: (to, value) => wish('send', to, value),
      reply: (value) => wish('reply', value),
      fail: (error) => wish('fail', encodeError(error)),
      takeReplyTo: () => (call === undefined ? undefined : { kind: 'outside', call, run: 1 }),
      replyTo: (handle, value) => wish('replyTo', handle, value),
      failTo: (handle, error) => wish('failTo', handle, encodeError(error)),
      spawn: (spec) => {
        wish('spawn', spec);
        return keyOf(spec.actor?.definition ?? '', spec.actor?.id ?? '');
      },
      stop: (key, reason) => wish('stop', key, reason ?? { kind: 'shutdown' }),
      exit: (reason) => wish('exit', reason),
      setTimer: (timer) => wish('setTimer', timer),
      cancelTimer: (id) => wish('cancelTimer', id),
      emit: (event) => wish('emit', event),
      log: (...values) => wish('log', ...values),
      stash: () => wish('stash'),
      unstashAll: () => wish('unstashAll'),
      ask: notModelled,
      watch: notModelled,
      unwatch: notModelled,
      startEffect: notModelled,
      cancelEffect: notModelled,
      sendToEffect: notModelled,
    };
  }

  #grant(cell: Cell, message: Delivery | undefined, [name, first, second]: Wish): void {
    const own = message?.what.kind === 'message' ? message.what.call : undefined;
    const answer = (call: number | undefined, state: 'replied' | 'failed', value: unknown): void => {
      if (call === undefined) return;
      if (this.calls[call]?.state !== 'pending') throw new Error(`call ${call} was answered twice`);
      this.calls[call] = { state, value: asPlainData(value) };
    };
    switch (name) {
      case 'send':
        this.#push(cell.key, first as string, { kind: 'message', message: second });
        return;
      case 'reply':
        return answer(own, 'replied', first);
      case 'fail':
        return answer(own, 'failed', (first as { code: string }).code);
      case 'replyTo':
        return answer((first as ReplyTo & { kind: 'outside' }).call, 'replied', second);
      case 'spawn': {
        const spec = first as SpawnSpec;
        const key = keyOf(spec.actor?.definition ?? '', spec.actor?.id ?? '');
        this.#push(cell.key, key, { kind: 'spawn', spec, parent: cell.key });
        return;
      }
      case 'stop':
        this.#push(cell.key, first as string, { kind: 'stop', reason: second as ExitReason });
        return;
      case 'exit':
        return this.#end(cell, first as ExitReason);
      case 'setTimer': {
        const { id, delayMs, payload } = first as { id: string; delayMs: number; payload: unknown };
        if (!(delayMs >= 0 && Number.isFinite(delayMs))) throw new Error(`timer ${id} in ${delayMs} ms`);
        const signal: Signal = { kind: 'timer', id, payload: asPlainData(payload) };
        this.#timers.delete(`${nameOf(cell.key)} ${id}`);
        this.#timers.set(`${nameOf(cell.key)} ${id}`, { cell: cell.key, dueMs: this.nowMs + delayMs, signal });
        return;
      }
      case 'cancelTimer':
        this.#timers.delete(`${nameOf(cell.key)} ${String(first)}`);
        return;
      case 'emit':
        this.events.push({ key: cell.key, event: asPlainData(first) });
        return;
      case 'stash':
        if (message === undefined) throw new Error(`${cell.key} stashed a signal`);
        cell.stash.push(message);
        return;
      case 'unstashAll':
        this.#queue = [...cell.stash.splice(0), ...this.#queue];
        return;
      default:
    }
  }

  #push(from: string, to: string, what: Delivery['what']): void {
    this.#queue.push({ link: `${from}>${to}`, to, what });
  }

  #end(cell: Cell, reason: ExitReason): void {
    cell.living = false;
    this.log.push(`end ${nameOf(cell.key)} ${reason.kind}`);
    for (const [id, timer] of this.#timers) if (timer.cell === cell.key) this.#timers.delete(id);
    for (const { what } of cell.stash.splice(0)) {
      if (what.kind === 'message' && what.call !== undefined) throw new Error(`${cell.key} ended with a stashed call`);
    }
    const orphans = [...this.#cells.values()].filter((other) => other.living && other.parent === cell.key);
    if (cell.behavior.lingers === true && reason.kind !== 'killed' && orphans.length > 0)
      throw new Error(`W3: ${cell.key} left ${orphans.map(({ key }) => key).join()}`);
    for (const { key } of orphans) this.#push(cell.key, key, { kind: 'stop', reason: { kind: 'shutdown' } });
    if (cell.parent === undefined) return;
    const signal: Signal = { kind: 'terminated', key: cell.key, childId: cell.childId, reason };
    this.#push(cell.key, cell.parent, { kind: 'signal', signal });
  }
}

/** A behavior throws it in `init` to fail its own start; any other error is a fault of the test. */
export class StartFailure extends Error {}

/** The last segment of an actor's id: the name within its supervisor. */
export function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

/** A copy of `value`, which must be plain data that JSON can carry unchanged. */
function asPlainData<TValue>(value: TValue): TValue {
  if (value === undefined) return value;
  const copy = JSON.parse(JSON.stringify(value)) as TValue;
  if (!isDeepStrictEqual(copy, value)) throw new Error(`no plain data: ${JSON.stringify(value)}`);
  return copy;
}

/** Wishes without what an error drags along. */
function bare(wishes: readonly Wish[]): unknown {
  return wishes.map(([name, ...values]) => [name, ...values.map((value) => dropStack(value))]);
}

function dropStack(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('stack' in value)) return value;
  const { stack: _stack, ...rest } = value;
  return rest;
}

function byDueMs(a: readonly [string, { dueMs: number }], b: readonly [string, { dueMs: number }]): number {
  return a[1].dueMs - b[1].dueMs;
}

function unchanged(state: unknown): unknown {
  return state;
}

function notModelled(): never {
  throw new Error('the world of supervisors has no effects, asks and watches');
}
