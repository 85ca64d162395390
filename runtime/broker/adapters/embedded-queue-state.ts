/**
 * The state of a queue: how it begins, and how it is kept.
 *
 * Owns: the shapes, in memory and stored. What is done with them is `embedded-queue.ts`.
 *
 * Invariants:
 * QS1. `save` shares nothing that is changed in place with the state.
 */
import type { CellKey } from '../../kernel/address.ts';
import type { ReplyTo } from '../../kernel/message.ts';
import { Backlog, type SavedBacklog } from './embedded-backlog.ts';
import { type Entry, loadEntry, type SavedEntry, saveEntry } from './embedded-entry.ts';
import { Lanes, type SavedLanes } from './embedded-lanes.ts';
import type { QueueSpec, WireLetter } from './embedded-protocol.ts';
import { type SavedWindow, Window } from './embedded-window.ts';

/** Somebody who waits for messages. */
export interface Pull {
  readonly consumer: string;
  readonly count: number;
  readonly handle: ReplyTo;
}

export interface QueueState {
  spec: QueueSpec;
  instance: string;
  /** Counts instances: what was kept for one that is gone is not there. */
  run: number;
  nextSeq: number;
  /** Hand-outs so far. */
  leases: number;
  backlog: Backlog;
  lanes: Lanes;
  window: Window;
  /** Waiting for their time, by it. */
  delayed: Entry[];
  pulls: Pull[];
  handled: number;
  dead: number;
  /** When the timer rings that looks at `delayed`, and at what has expired; 0: none. */
  alarmMs: number;
  /** The earliest expiry of what is in memory, as far as known; 0: none. */
  expiryMs: number;
  /** Of this turn, not yet on their way. */
  letters: WireLetter[];
}

interface SavedQueue {
  readonly spec: QueueSpec;
  readonly instance: string;
  readonly run: number;
  readonly nextSeq: number;
  readonly leases: number;
  readonly backlog: SavedBacklog;
  readonly lanes: SavedLanes;
  readonly window: SavedWindow;
  readonly delayed: readonly SavedEntry[];
  readonly pulls: readonly Pull[];
  readonly handled: number;
  readonly dead: number;
  readonly alarmMs: number;
  readonly expiryMs: number;
}

export interface QueueView {
  readonly waiting: number;
  readonly leased: number;
  readonly delayed: number;
  readonly segments: number;
  readonly handled: number;
  readonly dead: number;
}

const UNOPENED: QueueSpec = { order: 'hold', waitingLimit: 1_000_000, rememberedLimit: 20_000, lettersLimit: 10_000 };

export function newQueue(self: CellKey): QueueState {
  return {
    spec: UNOPENED,
    instance: '',
    run: 1,
    nextSeq: 1,
    leases: 0,
    backlog: new Backlog(self),
    lanes: new Lanes(),
    window: new Window(UNOPENED.rememberedLimit),
    delayed: [],
    pulls: [],
    handled: 0,
    dead: 0,
    alarmMs: 0,
    expiryMs: 0,
    letters: [],
  };
}

export function saveQueue(state: QueueState): SavedQueue {
  return {
    spec: state.spec,
    instance: state.instance,
    run: state.run,
    nextSeq: state.nextSeq,
    leases: state.leases,
    backlog: state.backlog.save(),
    lanes: state.lanes.save(),
    window: state.window.save(),
    delayed: state.delayed.map(saveEntry),
    pulls: [...state.pulls],
    handled: state.handled,
    dead: state.dead,
    alarmMs: state.alarmMs,
    expiryMs: state.expiryMs,
  };
}

export function loadQueue(self: CellKey, value: unknown): QueueState {
  const saved = value as SavedQueue;
  const window = Window.load(saved.window, saved.spec.rememberedLimit);
  return {
    spec: saved.spec,
    instance: saved.instance,
    run: saved.run,
    nextSeq: saved.nextSeq,
    leases: saved.leases,
    backlog: Backlog.load(self, saved.backlog, window),
    lanes: Lanes.load(saved.lanes, window),
    window,
    delayed: saved.delayed.map((entry) => loadEntry(entry, window)),
    pulls: [...saved.pulls],
    handled: saved.handled,
    dead: saved.dead,
    alarmMs: saved.alarmMs,
    expiryMs: saved.expiryMs,
    letters: [],
  };
}

export function viewQueue({ backlog, lanes, delayed, handled, dead }: QueueState): QueueView {
  return {
    waiting: backlog.length + lanes.parked + delayed.length,
    leased: lanes.leased,
    delayed: delayed.length,
    segments: backlog.segments,
    handled,
    dead,
  };
}
