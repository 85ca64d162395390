/**
 * A cell's image: everything durable about it as one plain value, and back.
 *
 * Owns: the shape of `ImageRow.body` and its version.
 *
 * Invariants:
 * C9. `restoreImage(imageOf(cell))` gives a cell that answers every further message as `cell` does, including the messages that
 *     wait in its mailbox and are in the journal: they are in the image. Those from outside are not: nobody was told that they are kept.
 * C10. Watermarks of outside streams of earlier runs are left out: nothing of them can arrive any more.
 */
import { DataFormatError } from '../kernel/errors.ts';
import { type Envelope, laneOf, type Stream } from '../kernel/message.ts';
import type { ImageRow, Watermark } from '../journal/turn-record.ts';
import { askOfTimer, type AskTimerPayload, askTimerOf } from './ask-timer.ts';
import type { AskEntry, Book, CellStatus, ChildEntry, Consumed, EffectEntry, KeyedAnswer, TimerEntry } from './book.ts';
import type { Cell } from './cell.ts';

/** Streams from here on are outside streams: this plus the run's number. Below are hosts' slots. */
export const OUTSIDE_STREAM_BASE = 65_536;

/** The outside stream of a run. */
export function outsideStreamOf(run: number): Stream {
  return OUTSIDE_STREAM_BASE + run;
}

/** Whether the journal holds this message until its receiver has it: one from another cell. The outside sends its own again. */
export function isJournaled({ id }: Envelope): boolean {
  return id !== undefined && id.stream < OUTSIDE_STREAM_BASE;
}

const BODY_FORMAT = 1;

type TimerRow = readonly [id: string, TimerEntry];

interface ImageBody {
  readonly format: number;
  readonly version: number;
  readonly status: CellStatus;
  readonly parent?: string | undefined;
  readonly childId?: string | undefined;
  readonly incarnation?: number | undefined;
  readonly logic: readonly string[];
  readonly reports: number;
  readonly state: unknown;
  /** Deadlines of asks among them. */
  readonly timers?: readonly TimerRow[] | undefined;
  readonly effects?: readonly (readonly [string, EffectEntry])[] | undefined;
  /** Their names. */
  readonly asks?: readonly string[] | undefined;
  readonly children?: readonly (readonly [string, ChildEntry])[] | undefined;
  readonly watching?: readonly string[] | undefined;
  readonly watchers?: readonly string[] | undefined;
  readonly stash?: readonly Envelope[] | undefined;
  readonly unstashed?: readonly Envelope[] | undefined;
  readonly keys?: readonly (readonly [string, KeyedAnswer])[] | undefined;
  readonly consumed?: readonly (readonly [Stream, Consumed])[] | undefined;
  readonly backlog?: readonly Envelope[] | undefined;
}

/** The image of a running cell after its last turn. `run` is this run's number. */
export function imageOf(cell: Cell, run: number): ImageRow {
  const { book } = cell;
  if (book.consumed !== undefined) {
    for (const stream of book.consumed.keys()) {
      if (stream >= OUTSIDE_STREAM_BASE && stream !== outsideStreamOf(run)) book.consumed.delete(stream);
    }
  }
  // One that was recovered may still have, in front, what its turns have consumed: it is dropped when its turn comes.
  const backlog = cell.mailbox.waiting().filter((envelope) => isJournaled(envelope) && !hasConsumed(book, envelope));
  const body: ImageBody = {
    format: BODY_FORMAT,
    version: cell.edition.version,
    status: book.status,
    parent: book.parent,
    childId: book.childId,
    incarnation: book.incarnation,
    logic: book.logic,
    reports: book.reports,
    state: cell.behavior === undefined ? undefined : cell.behavior.save(cell.state),
    timers: timerRows(book),
    effects: entries(book.effects),
    asks: book.asks === undefined || book.asks.size === 0 ? undefined : [...book.asks.keys()],
    children: entries(book.children),
    watchers: values(book.watchers),
    watching: values(book.watching),
    stash: book.stash,
    unstashed: book.unstashed,
    keys: entries(book.keys),
    consumed: entries(book.consumed),
    backlog: backlog.length === 0 ? undefined : backlog,
  };
  return {
    key: cell.key,
    sequence: cell.sequence,
    received: receivedOf(book, backlog),
    wakeAtMs: backlog.length > 0 ? 0 : book.wakeAtMs,
    body,
  };
}

/** Fills a fresh cell from its image, but for its state: `stateIn` has it. */
export function restoreImage(cell: Cell, row: ImageRow): void {
  const body = bodyOf(row);
  const { book } = cell;
  cell.sequence = row.sequence;
  cell.imagedSequence = row.sequence;
  book.status = body.status;
  book.parent = body.parent;
  book.childId = body.childId;
  book.incarnation = body.incarnation;
  book.logic = body.logic;
  book.reports = body.reports;
  restoreTimers(book, body.timers);
  book.effects = mapOf(body.effects);
  book.children = mapOf(body.children);
  book.watchers = setOf(body.watchers);
  book.watching = setOf(body.watching);
  book.stash = body.stash === undefined ? undefined : [...body.stash];
  book.unstashed = body.unstashed === undefined ? undefined : [...body.unstashed];
  book.keys = mapOf(body.keys);
  book.consumed = mapOf(body.consumed);
  for (const envelope of body.backlog ?? []) cell.mailbox.push(envelope);
}

/** The state in an image and the version of the definition that saved it. */
export function stateIn(row: ImageRow): { readonly saved: unknown; readonly version: number } {
  const body = bodyOf(row);
  return { saved: body.state, version: body.version };
}

/** A copy of an image under another key, for a fork: no ties to others, nothing under way. */
export function forkImage(row: ImageRow, key: string): ImageRow {
  const body = bodyOf(row);
  const forked: ImageBody = {
    format: BODY_FORMAT,
    version: body.version,
    status: { kind: 'running' },
    logic: body.logic,
    reports: 0,
    state: body.state,
    timers: body.timers,
  };
  return { key, sequence: 1, received: [], wakeAtMs: row.wakeAtMs, body: forked };
}

function bodyOf(row: ImageRow): ImageBody {
  const body = row.body as ImageBody;
  if (body.format > BODY_FORMAT) {
    throw new DataFormatError(
      `the image of ${row.key} has format ${body.format}; this version reads up to ${BODY_FORMAT}: upgrade the library`,
    );
  }
  return body;
}

function hasConsumed(book: Book, envelope: Envelope): boolean {
  return envelope.id !== undefined && book.hasConsumed(envelope.id, laneOf(envelope));
}

function receivedOf(book: Book, backlog: readonly Envelope[]): Watermark[] {
  const marks = new Map<string, Watermark>();
  for (const [stream, mark] of book.consumed ?? []) {
    if (mark.userPosition >= 0)
      marks.set(`${stream}u`, { stream, lane: 'user', position: mark.userPosition, index: mark.userIndex });
    if (mark.signalPosition >= 0)
      marks.set(`${stream}s`, { stream, lane: 'signal', position: mark.signalPosition, index: mark.signalIndex });
  }
  for (const envelope of backlog) {
    if (envelope.id === undefined) continue;
    const lane = laneOf(envelope);
    const { stream, position, index } = envelope.id;
    // The mailbox keeps a stream's order within a lane, so the last one is the highest.
    marks.set(`${stream}${lane === 'user' ? 'u' : 's'}`, { stream, lane, position, index });
  }
  return [...marks.values()];
}

function timerRows(book: Book): TimerRow[] | undefined {
  const rows: TimerRow[] = [...(book.timers ?? [])];
  for (const [ask, { armed, dueMs, to }] of book.asks ?? []) {
    const payload: AskTimerPayload = { to };
    rows.push([askTimerOf(ask), { dueMs, payload, armed }]);
  }
  return rows.length === 0 ? undefined : rows;
}

function restoreTimers(book: Book, rows: readonly TimerRow[] = []): void {
  const timers = new Map<string, TimerEntry>();
  const asks = new Map<string, AskEntry>();
  for (const [id, timer] of rows) {
    const ask = askOfTimer(id);
    if (ask === undefined) timers.set(id, timer);
    else asks.set(ask, askEntryOf(timer));
  }
  book.timers = timers.size === 0 ? undefined : timers;
  book.asks = asks.size === 0 ? undefined : asks;
}

function askEntryOf({ armed, dueMs, payload }: TimerEntry): AskEntry {
  return { dueMs, to: (payload as AskTimerPayload).to, armed, isLate: false };
}

function entries<K, V>(map: ReadonlyMap<K, V> | undefined): [K, V][] | undefined {
  return map === undefined || map.size === 0 ? undefined : [...map];
}

function values<V>(set: ReadonlySet<V> | undefined): V[] | undefined {
  return set === undefined || set.size === 0 ? undefined : [...set];
}

function mapOf<K, V>(list: readonly (readonly [K, V])[] | undefined): Map<K, V> | undefined {
  return list === undefined ? undefined : new Map(list);
}

function setOf<V>(list: readonly V[] | undefined): Set<V> | undefined {
  return list === undefined ? undefined : new Set(list);
}
