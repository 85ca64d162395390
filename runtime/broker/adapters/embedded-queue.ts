/**
 * A durable subscription as an actor: what waits for it, who has what, what became of it.
 *
 * Owns: the behavior. One turn takes a batch of messages and hands them to whoever waits for some: a message costs one commit on its way
 * from publisher to handler. What waits is `embedded-backlog.ts`, who may have what `embedded-lanes.ts`, what is remembered
 * `embedded-window.ts`, what is set aside `embedded-burial.ts`.
 *
 * The state is changed in place. That is sound because no method throws once it has begun to change it: what comes is made by the
 * adapter, and nothing else is asked of a turn than to note what is wanted.
 *
 * Invariants:
 * EQ1. A message that was accepted waits, is handed out, or is settled. Settling by anyone but who has it now is without effect.
 * EQ2. What consumers of another run of the process have waits again as soon as the queue is opened: they are dead.
 * EQ3. Attempts are counted when a message is handed out, and taken back when it is released or its process has died. The latter is
 *      counted apart (`lost`), and what was lost twice is handed out alone (LN4): one that kills its process is found, and no other dies of it.
 */
import type { Behavior, Turn } from '../../kernel/behavior.ts';
import {
  type Arrival,
  arrivalOf,
  eachHandled,
  eachOfBatch,
  HandOutBuilder,
  type HandledRuns,
  NO_BYTES,
  NO_HAND_OUTS,
  type PackedParts,
  packParts,
  packVerdicts,
} from './embedded-batch.ts';
import { bury, buryExpired, expire, sendLetters } from './embedded-burial.ts';
import { bytesOf, type Entry, type SavedEntry } from './embedded-entry.ts';
import { recordEnds } from './embedded-record.ts';
import { isSuspect, Lanes } from './embedded-lanes.ts';
import {
  BATCH_BYTES,
  BATCH_MESSAGES,
  lettersKey,
  type LettersMessage,
  type QueueMessage,
  type QueueSpec,
  type Verdict,
  type WireLetter,
  type WireOutcome,
} from './embedded-protocol.ts';
import { loadQueue, newQueue, type Pull, type QueueState, saveQueue, viewQueue } from './embedded-queue-state.ts';
import { statusesOf, Window } from './embedded-window.ts';

const ALARM = 'alarm';
export const queueBehavior: Behavior<QueueState> = {
  init: (_input, turn) => newQueue(turn.self),

  receive(state, message, turn) {
    const told = message as QueueMessage;
    switch (told.type) {
      case 'ACCEPT': {
        const verdicts: Verdict[] = [];
        for (const one of told.messages) verdicts.push(accept(state, arrivalOf(one), 0, turn));
        turn.reply(packVerdicts(verdicts));
        serve(state, turn);
        break;
      }
      case 'BATCH': {
        const verdicts: Verdict[] = [];
        const keptBy = told.isKept ? state.run : 0;
        eachOfBatch(told.batch, (one) => void verdicts.push(accept(state, one, keptBy, turn)));
        turn.reply(packVerdicts(verdicts));
        serve(state, turn);
        break;
      }
      case 'RECORD':
        turn.reply(recordEnds(state, told.ends, turn.nowMs));
        break;
      case 'PULL':
        pull(state, told.consumer, told.count, turn);
        break;
      case 'SETTLE':
        settle(state, told.handled, told.other, turn);
        wake(state, turn);
        turn.reply(handOut(state, told.consumer, told.count, turn).packed());
        serve(state, turn);
        break;
      case 'BYTES':
        turn.reply(leasedBytes(state, told.leases));
        break;
      case 'OPEN':
        open(state, told.instance, told.spec, turn);
        turn.reply(viewQueue(state));
        serve(state, turn);
        break;
      case 'CLOSE':
        state.pulls = state.pulls.filter(({ consumer, handle }) => {
          if (consumer !== told.consumer) return true;
          turn.replyTo(handle, NO_HAND_OUTS);
          return false;
        });
        for (const entry of state.lanes.entriesOf(told.consumer)) release(state, entry);
        turn.reply(true);
        serve(state, turn);
        break;
      case 'STATE':
        turn.reply(statusesOf(state.window, told.ids));
        break;
      case 'REQUEUE':
        requeue(state, told.letter, turn);
        serve(state, turn);
        break;
      case 'DELETE':
        clear(state, turn);
        turn.reply(true);
        break;
    }
    finish(state, turn);
    return state;
  },

  signal(state, signal, turn) {
    if (signal.kind === 'timer' && signal.id === ALARM) {
      state.alarmMs = 0;
      wake(state, turn);
      if (state.expiryMs !== 0 && state.expiryMs <= turn.nowMs) expire(state, turn.nowMs);
    } else if (signal.kind === 'reply') {
      state.backlog.answered(signal.ask, signal.value as readonly SavedEntry[]);
    } else if (signal.kind === 'ask.failed') {
      state.backlog.failed(signal.ask, turn);
    } else {
      return state;
    }
    serve(state, turn);
    finish(state, turn);
    return state;
  },

  save: saveQueue,
  load: (saved, { self }) => loadQueue(self, saved),
  view: viewQueue,
};

function accept(state: QueueState, arrival: Arrival, keptBy: number, turn: Turn): Verdict {
  const { id, key, dedupe, expiresAtMs, notBeforeMs, block, start, size } = arrival;
  const known = state.window.find(id, dedupe);
  if (known !== undefined) return known.id;
  const { backlog, lanes, delayed, window } = state;
  if (backlog.length + lanes.parked + delayed.length >= state.spec.waitingLimit) return 0;
  const seq = state.nextSeq++;
  const item = window.accept(id, dedupe, turn.nowMs);
  const entry: Entry = {
    seq,
    id,
    key,
    dedupe,
    expiresAtMs,
    block,
    start,
    size,
    redrives: 0,
    keptBy,
    lease: 0,
    attempt: 0,
    lost: 0,
    firstMs: 0,
    dueMs: notBeforeMs,
    item,
  };
  enqueue(state, entry, turn);
  return seq;
}

function requeue(state: QueueState, letter: WireLetter, turn: Turn): void {
  const { messageId: id, key, dedupe, bytes, redrives } = letter;
  const seq = state.nextSeq++;
  const known = state.window.find(id, dedupe);
  const item = known?.id === id ? known : state.window.accept(id, dedupe, turn.nowMs);
  item.status = 'accepted';
  item.atMs = turn.nowMs;
  item.attempt = 0;
  item.error = undefined;
  // It has expired once, maybe; who sends it again wants it handled.
  const entry: Entry = {
    seq,
    id,
    key,
    dedupe,
    expiresAtMs: 0,
    block: bytes,
    start: 0,
    size: bytes.length,
    redrives,
    keptBy: 0,
    lease: 0,
    attempt: 0,
    lost: 0,
    firstMs: 0,
    dueMs: 0,
    item,
  };
  enqueue(state, entry, turn);
}

function enqueue(state: QueueState, entry: Entry, turn: Turn): void {
  if (entry.dueMs > turn.nowMs) delay(state, entry);
  else state.backlog.push(entry, turn);
  const { expiresAtMs } = entry;
  if (expiresAtMs > 0 && (state.expiryMs === 0 || expiresAtMs < state.expiryMs)) state.expiryMs = expiresAtMs;
}

/** Keeps an entry until its time. */
function delay(state: QueueState, entry: Entry): void {
  const { delayed } = state;
  let low = 0;
  let high = delayed.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((delayed[middle] as Entry).dueMs <= entry.dueMs) low = middle + 1;
    else high = middle;
  }
  delayed.splice(low, 0, entry);
}

/** Everything whose time has come waits to be handed out. */
function wake(state: QueueState, turn: Turn): void {
  const { delayed } = state;
  let due = 0;
  while (due < delayed.length && (delayed[due] as Entry).dueMs <= turn.nowMs) due += 1;
  if (due === 0) return;
  const entries = delayed.splice(0, due).sort((a, b) => a.seq - b.seq);
  state.backlog.restore(entries);
  for (const entry of entries) state.backlog.restore(state.lanes.unhold(entry));
}

function pull(state: QueueState, consumer: string, count: number, turn: Turn): void {
  wake(state, turn);
  const found = handOut(state, consumer, count, turn);
  const handle = found.count > 0 ? undefined : turn.takeReplyTo();
  if (handle === undefined) turn.reply(found.packed());
  else state.pulls.push({ consumer, count, handle });
}

/** Gives what is there to those who wait. */
function serve(state: QueueState, turn: Turn): void {
  if (state.pulls.length === 0 || state.backlog.ready.length === 0) return;
  const waiting: Pull[] = [];
  for (const pulled of state.pulls) {
    const found = handOut(state, pulled.consumer, pulled.count, turn);
    if (found.count > 0) turn.replyTo(pulled.handle, found.packed());
    else waiting.push(pulled);
  }
  state.pulls = waiting;
}

/** Takes up to `count` messages that this consumer may have now. */
function handOut(state: QueueState, consumer: string, count: number, turn: Turn): HandOutBuilder {
  const { backlog, lanes, window } = state;
  const most = Math.min(count, BATCH_MESSAGES);
  const found = new HandOutBuilder();
  if (most <= 0 || lanes.isTrying) return found;
  backlog.restore(lanes.unparkFor(consumer));
  while (found.count < most) {
    const next = backlog.ready.first;
    if (next === undefined || (found.count > 0 && found.bytes + next.size > BATCH_BYTES)) break;
    // What is out comes back first. Nothing behind it is handed out before, or it would wait for ever.
    if (isSuspect(next) && lanes.leased > 0) break;
    backlog.ready.shift();
    if (next.expiresAtMs > 0 && next.expiresAtMs <= turn.nowMs) {
      buryExpired(state, next, turn.nowMs);
    } else if (lanes.lease(next, consumer)) {
      next.lease = ++state.leases;
      next.attempt += 1;
      if (next.firstMs === 0) next.firstMs = turn.nowMs;
      found.add(next, next.keptBy === state.run);
      // They keep it for one hand-out.
      next.keptBy = 0;
      if (next.item !== undefined) {
        next.item.status = 'delivered';
        next.item.attempt = next.attempt;
        next.item.atMs = turn.nowMs;
      }
      if (isSuspect(next)) break;
    }
    if (backlog.ready.length === 0 && lanes.hasRoom) backlog.refill(turn, window);
  }
  if (lanes.hasRoom) backlog.refill(turn, window);
  return found;
}

/** Nothing for those that are not handed out any more. */
function leasedBytes(state: QueueState, leases: readonly number[]): PackedParts {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < leases.length; at += 2) {
    const entry = state.lanes.leaseOf(leases[at] as number, leases[at + 1] as number);
    parts.push(entry === undefined ? NO_BYTES : bytesOf(entry));
  }
  return packParts(parts);
}

function settle(state: QueueState, handled: HandledRuns, other: readonly WireOutcome[], turn: Turn): void {
  eachHandled(handled, (seq, lease) => {
    const entry = state.lanes.leaseOf(seq, lease);
    if (entry !== undefined) complete(state, entry, turn.nowMs);
  });
  for (const outcome of other) {
    const entry = state.lanes.leaseOf(outcome[0], outcome[1]);
    if (entry === undefined) continue;
    switch (outcome[2]) {
      case 'handled':
        complete(state, entry, turn.nowMs);
        if (entry.item !== undefined) state.window.reply(entry.item, outcome[3]);
        break;
      case 'retry':
        entry.dueMs = turn.nowMs + outcome[3];
        if (state.spec.order === 'hold') {
          const behind = state.lanes.hold(entry);
          for (const other of behind) unbegin(other);
          state.backlog.restore(behind);
        } else {
          state.backlog.restore(state.lanes.end(entry));
        }
        delay(state, entry);
        break;
      case 'dead':
        state.backlog.restore(state.lanes.end(entry));
        bury(state, entry, outcome[3], outcome[4], turn.nowMs, false);
        break;
      case 'released':
        release(state, entry);
        break;
    }
  }
}

function complete(state: QueueState, entry: Entry, nowMs: number): void {
  state.backlog.restore(state.lanes.end(entry));
  state.handled += 1;
  const { item } = entry;
  if (item === undefined) return;
  item.status = 'handled';
  item.atMs = nowMs;
}

/** As if it had not been handed out. */
function release(state: QueueState, entry: Entry): void {
  unbegin(entry);
  const freed = state.lanes.end(entry);
  state.backlog.restore([entry]);
  state.backlog.restore(freed);
}

function unbegin(entry: Entry): void {
  entry.attempt -= 1;
  if (entry.item === undefined) return;
  entry.item.attempt = entry.attempt;
  if (entry.attempt === 0) entry.item.status = 'accepted';
}

function open(state: QueueState, instance: string, spec: QueueSpec, turn: Turn): void {
  state.spec = spec;
  state.window.limit = spec.rememberedLimit;
  if (state.instance === instance) return;
  state.instance = instance;
  state.run += 1;
  // They were asked by a process that is gone: nobody waits there, and the runtime lets the answers fall.
  for (const { handle } of state.pulls) turn.replyTo(handle, NO_HAND_OUTS);
  state.pulls = [];
  const lost = state.lanes.allLeased();
  for (const entry of lost) {
    unbegin(entry);
    entry.lost += 1;
    state.backlog.restore(state.lanes.end(entry));
  }
  state.backlog.restore(lost);
}

function clear(state: QueueState, turn: Turn): void {
  for (const { handle } of state.pulls) turn.replyTo(handle, NO_HAND_OUTS);
  state.pulls = [];
  state.backlog.clear(turn);
  state.lanes = new Lanes();
  state.window = new Window(state.spec.rememberedLimit);
  state.delayed = [];
  state.handled = 0;
  state.dead = 0;
  state.expiryMs = 0;
  turn.send(lettersKey(turn.self), { type: 'CLEAR' } satisfies LettersMessage);
}

/** The end of every turn: letters leave, and the alarm is set. */
function finish(state: QueueState, turn: Turn): void {
  sendLetters(state, turn);
  const dueMs = state.delayed[0]?.dueMs ?? 0;
  const { expiryMs } = state;
  const wantedMs = dueMs === 0 ? expiryMs : expiryMs === 0 ? dueMs : Math.min(dueMs, expiryMs);
  if (wantedMs === 0 || (state.alarmMs !== 0 && state.alarmMs <= wantedMs)) return;
  state.alarmMs = wantedMs;
  turn.setTimer({ id: ALARM, delayMs: Math.max(0, wantedMs - turn.nowMs), payload: undefined });
}
