/**
 * Actors that make load inside a host, so that a figure does not include the way in from outside.
 *
 * Owns: three kinds of load. `driver` sends messages in slices to its targets and asks each at the end what it has handled;
 * `caller` asks one target again and again, one question at a time; `spawner` spawns actors and asks each one question.
 * All are in memory and read the real clock: what they are is measured, not kept.
 */
import { defineActor } from '../../runtime/index.ts';
import type { Signal, Turn } from '../../runtime/kernel/behavior.ts';
import { type CellKey, keyOf } from '../../runtime/kernel/address.ts';
import type { ReplyTo } from '../../runtime/kernel/message.ts';
import { latencies } from '../statistics.ts';
import { type MessageKind, messageOf, order } from './messages.ts';

/** Messages that a driver sends in one turn. */
const SLICE = 256;
const PATIENCE_MS = 120_000;

export interface Run {
  readonly type: 'RUN';
  /** Messages in all; a whole number for each target. */
  readonly total: number;
  readonly kind: MessageKind;
  /** Size of an order. */
  readonly bytes?: number;
  readonly targets: readonly CellKey[] | Row;
}

/** Actors with the ids `${prefix}0` to `${prefix}${count - 1}`: more than fit into a message. */
export interface Row {
  readonly definition: string;
  readonly prefix: string;
  readonly count: number;
}

interface Driving {
  readonly run: Run;
  readonly targets: readonly CellKey[];
  sent: number;
  /** Targets that have not reported. */
  silent: number;
  reported: number;
  readonly replyTo: ReplyTo | undefined;
}

/** Asked `Run`, answers the sum of what the targets report, when all of them have. */
export const driver = defineActor(import.meta.url, 'driver', {
  durability: 'none',
  reducer: {
    init: (): Driving | undefined => undefined,
    receive(state: Driving | undefined, message: Run | { readonly type: 'CONTINUE' }, turn: Turn) {
      if (message.type === 'CONTINUE') return drive(state as Driving, turn);
      const targets = targetsOf(message, state);
      const silent = targets.length;
      return drive({ run: message, targets, sent: 0, silent, reported: 0, replyTo: turn.takeReplyTo() }, turn);
    },
    signal(state: Driving | undefined, signal: Signal, turn: Turn) {
      if (state === undefined || (signal.kind !== 'reply' && signal.kind !== 'ask.failed')) return state;
      if (signal.kind === 'ask.failed') throw signal.error;
      state.silent -= 1;
      state.reported += signal.value as number;
      if (state.silent === 0 && state.replyTo !== undefined) turn.replyTo(state.replyTo, state.reported);
      return state;
    },
  },
});

/** Those of a row are made once. */
function targetsOf({ targets }: Run, before: Driving | undefined): readonly CellKey[] {
  if (!('prefix' in targets)) return targets;
  const { count, definition, prefix } = targets;
  if (before?.targets.length === count) return before.targets;
  return Array.from({ length: count }, (_, i) => keyOf(definition, `${prefix}${i}`));
}

function drive(state: Driving, turn: Turn): Driving {
  const { targets } = state;
  const { bytes, kind, total } = state.run;
  const width = targets.length;
  const end = Math.min(total, state.sent + SLICE);
  for (let i = state.sent; i < end; i++) {
    turn.send(targets[i % width] as CellKey, messageOf(kind, Math.trunc(i / width), bytes));
  }
  state.sent = end;
  if (end < total) turn.send(turn.self, { type: 'CONTINUE' });
  else for (const target of targets) turn.ask(target, { type: 'REPORT' }, { ask: target, timeoutMs: PATIENCE_MS });
  return state;
}

export interface CallRun {
  readonly type: 'CALLS';
  readonly target: CellKey;
  /** How long to go on, ms; at least `least` calls. */
  readonly forMs: number;
  readonly least: number;
}

interface Calling {
  readonly run: CallRun;
  readonly replyTo: ReplyTo | undefined;
  readonly took: number[];
  readonly endNs: bigint;
  startNs: bigint;
}

/** Asked `CallRun`, answers p50 and p99 of its own calls, in µs. */
export const caller = defineActor(import.meta.url, 'caller', {
  durability: 'none',
  reducer: {
    init: (): Calling | undefined => undefined,
    receive(_state: Calling | undefined, run: CallRun, turn: Turn) {
      const startNs = process.hrtime.bigint();
      const endNs = startNs + BigInt(Math.round(run.forMs * 1e6));
      const state: Calling = { run, replyTo: turn.takeReplyTo(), took: [], endNs, startNs };
      return ask(state, turn);
    },
    signal(state: Calling | undefined, signal: Signal, turn: Turn) {
      if (state === undefined || (signal.kind !== 'reply' && signal.kind !== 'ask.failed')) return state;
      if (signal.kind === 'ask.failed') throw signal.error;
      const nowNs = process.hrtime.bigint();
      state.took.push(Number(nowNs - state.startNs));
      if (nowNs < state.endNs || state.took.length < state.run.least) return ask(state, turn);
      if (state.replyTo !== undefined) turn.replyTo(state.replyTo, latencies(state.took));
      return state;
    },
  },
});

function ask(state: Calling, turn: Turn): Calling {
  state.startNs = process.hrtime.bigint();
  turn.ask(state.run.target, order(state.took.length), { ask: 'call', timeoutMs: PATIENCE_MS });
  return state;
}

export interface SpawnRun {
  readonly type: 'SPAWN';
  readonly definition: string;
  readonly ids: readonly string[];
}

interface Spawning {
  readonly run: SpawnRun;
  readonly replyTo: ReplyTo | undefined;
  spawned: number;
  silent: number;
}

/** Asked `SpawnRun`, answers when every actor that it spawned has answered a question. */
export const spawner = defineActor(import.meta.url, 'spawner', {
  durability: 'none',
  reducer: {
    init: (): Spawning | undefined => undefined,
    receive(state: Spawning | undefined, message: SpawnRun | { readonly type: 'CONTINUE' }, turn: Turn) {
      if (message.type === 'CONTINUE') return spawnSome(state as Spawning, turn);
      return spawnSome({ run: message, replyTo: turn.takeReplyTo(), spawned: 0, silent: message.ids.length }, turn);
    },
    signal(state: Spawning | undefined, signal: Signal, turn: Turn) {
      if (state === undefined || signal.kind === 'stop') return state;
      if (signal.kind !== 'reply') throw new Error(`a spawned actor: ${signal.kind}`);
      state.silent -= 1;
      if (state.silent === 0 && state.replyTo !== undefined) turn.replyTo(state.replyTo, state.spawned);
      return state;
    },
  },
});

function spawnSome(state: Spawning, turn: Turn): Spawning {
  const { definition, ids } = state.run;
  const end = Math.min(ids.length, state.spawned + SLICE);
  for (let i = state.spawned; i < end; i++) {
    const id = ids[i] as string;
    const key = turn.spawn({ childId: id, actor: { definition, id } });
    turn.ask(key, { type: 'REPORT' }, { ask: id, timeoutMs: PATIENCE_MS });
  }
  state.spawned = end;
  if (end < ids.length) turn.send(turn.self, { type: 'CONTINUE' });
  return state;
}
