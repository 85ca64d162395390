/**
 * Messages that are published by the clock: at a time, every so often, or as cron says.
 *
 * Owns: which schedules there are (in the adapter's records), when each is due next, and publishing. Every process with a broker of the name
 * has the same schedules and the same times; the message of one time has one id, so that it is accepted once.
 *
 * Invariants:
 * BS1. A time is published once, whoever publishes it: its idempotency key is `schedule:<name>:<time>`.
 * BS2. Times that were missed while no broker ran are made up for by the last of them alone.
 */
import type { Clock, Wait } from '../kernel/clock.ts';
import { InvalidScheduleError } from '../kernel/errors.ts';
import type { AdapterRecords } from './broker-adapter.ts';
import type { MessageDraft } from './contract/message.ts';
import { assertName, isPlainObject, show } from '../kernel/option-faults.ts';

/** When. */
export type ScheduleTime =
  /** A cron expression of five or six fields, in a time zone (default UTC). */
  | { readonly cron: string; readonly timeZone?: string }
  /** At each multiple of this since 1970. */
  | { readonly everyMs: number }
  /** Once. A time that has passed already is now: asked again under the same name at a later start, the message is a duplicate. */
  | { readonly at: number | Date };

/** A schedule, as it is kept. */
export interface StoredSchedule {
  readonly time:
    | { readonly cron: string; readonly timeZone?: string }
    | { readonly everyMs: number }
    | { readonly at: number };
  readonly draft: MessageDraft;
  readonly sinceMs: number;
}

export interface SchedulePorts {
  readonly clock: Clock;
  readonly records: AdapterRecords;
  readonly publish: (draft: MessageDraft) => Promise<unknown>;
  readonly failed: (error: unknown) => void;
}

const KIND = 'schedules';
/** The last time that was published, of each. */
const FIRED = 'schedule-times';
/** When a message could not be published, it is tried again after this. */
const AGAIN_MS = 1_000;
/** How far back a missed time is looked for, step by step. */
const STEPS_LIMIT = 10_000;

export class BrokerSchedules {
  readonly #ports: SchedulePorts;
  readonly #waits = new Map<string, Wait>();
  #closed = false;

  constructor(ports: SchedulePorts) {
    this.#ports = ports;
  }

  async open(): Promise<void> {
    const { records } = this.#ports;
    const stored = await records.list(KIND);
    if (stored.size === 0) return;
    const fired = await records.list(FIRED);
    for (const [name, value] of stored) {
      const schedule = value as StoredSchedule;
      await this.#arm(name, schedule, (fired.get(name) as number | undefined) ?? schedule.sinceMs);
    }
  }

  /** @throws InvalidScheduleError */
  async put(name: string, time: ScheduleTime, draft: MessageDraft): Promise<void> {
    assertName('schedule', 'name', name);
    const sinceMs = this.#ports.clock.now();
    const schedule: StoredSchedule = { time: await checked(name, time, sinceMs), draft, sinceMs };
    await this.#ports.records.put(KIND, name, schedule);
    await this.#ports.records.put(FIRED, name, sinceMs);
    await this.#arm(name, schedule, sinceMs);
  }

  async remove(name: string): Promise<boolean> {
    assertName('unschedule', 'name', name);
    this.#waits.get(name)?.cancel();
    this.#waits.delete(name);
    await this.#ports.records.delete(FIRED, name);
    return this.#ports.records.delete(KIND, name);
  }

  async list(): Promise<ReadonlyMap<string, StoredSchedule>> {
    return (await this.#ports.records.list(KIND)) as ReadonlyMap<string, StoredSchedule>;
  }

  close(): void {
    this.#closed = true;
    for (const wait of this.#waits.values()) wait.cancel();
    this.#waits.clear();
  }

  async #arm(name: string, schedule: StoredSchedule, afterMs: number): Promise<void> {
    if (this.#closed) return;
    const nowMs = this.#ports.clock.now();
    let dueMs = await nextOf(schedule.time, afterMs);
    for (let steps = 0; dueMs !== undefined && dueMs <= nowMs && steps < STEPS_LIMIT; steps++) {
      const later =
        'everyMs' in schedule.time ? lastOf(schedule.time.everyMs, nowMs) : await nextOf(schedule.time, dueMs);
      if (later === undefined || later > nowMs || later === dueMs) break;
      dueMs = later;
    }
    if (dueMs === undefined) return;
    this.#wait(name, schedule, dueMs, dueMs - nowMs);
  }

  #wait(name: string, schedule: StoredSchedule, dueMs: number, waitMs: number): void {
    this.#waits.get(name)?.cancel();
    const wait = this.#ports.clock.wait(Math.max(0, waitMs), () => {
      this.#fire(name, schedule, dueMs).catch((error: unknown) => {
        if (this.#closed) return;
        this.#ports.failed(error);
        this.#wait(name, schedule, dueMs, AGAIN_MS);
      });
    });
    this.#waits.set(name, wait);
  }

  async #fire(name: string, schedule: StoredSchedule, dueMs: number): Promise<void> {
    if (this.#closed) return;
    const { publish, records } = this.#ports;
    const key = `schedule:${name}:${dueMs}`;
    await publish({ ...schedule.draft, id: key, idempotencyKey: key });
    await records.put(FIRED, name, dueMs);
    if ('at' in schedule.time) {
      await this.remove(name);
      return;
    }
    await this.#arm(name, schedule, dueMs);
  }
}

async function checked(name: string, time: ScheduleTime, nowMs: number): Promise<StoredSchedule['time']> {
  const given = isPlainObject(time) ? Object.keys(time) : [];
  const kinds = given.filter((key) => key === 'cron' || key === 'everyMs' || key === 'at');
  const stray = given.find((key) => !['cron', 'timeZone', 'everyMs', 'at'].includes(key));
  if (stray !== undefined) {
    throw new InvalidScheduleError(`schedule "${name}": ${stray}: no such field (known: cron, timeZone, everyMs, at)`);
  }
  if (kinds.length !== 1 || (given.includes('timeZone') && kinds[0] !== 'cron')) {
    const what = kinds.length === 0 ? 'no time' : given.join(' and ');
    throw new InvalidScheduleError(
      `schedule "${name}": ${what}: give one of { cron, timeZone }, { everyMs } or { at }`,
    );
  }
  if ('cron' in time) {
    const { readSchedule } = await import('./schedule.ts');
    if (readSchedule(time.cron, time).nextAfterMs(nowMs) !== undefined) return time;
    throw new InvalidScheduleError(`schedule "${name}": cron expression ${show(time.cron)} is never due from now on`, {
      details: { expression: time.cron },
    });
  }
  if ('everyMs' in time) {
    if (Number.isSafeInteger(time.everyMs) && time.everyMs >= 10) return time;
    throw new InvalidScheduleError(
      `schedule "${name}": everyMs: ${show(time.everyMs)} is not a whole number of 10 or more`,
    );
  }
  const at = time.at instanceof Date ? time.at.getTime() : time.at;
  if (typeof at === 'number' && Number.isFinite(at)) return { at };
  throw new InvalidScheduleError(
    `schedule "${name}": at: ${show(time.at)} is not a time: give a Date, or milliseconds since 1970`,
  );
}

/** The first time after `afterMs`. */
async function nextOf(time: StoredSchedule['time'], afterMs: number): Promise<number | undefined> {
  if ('at' in time) return time.at;
  if ('everyMs' in time) return (Math.floor(afterMs / time.everyMs) + 1) * time.everyMs;
  const { readSchedule } = await import('./schedule.ts');
  return readSchedule(time.cron, time).nextAfterMs(afterMs);
}

function lastOf(everyMs: number, nowMs: number): number {
  return Math.floor(nowMs / everyMs) * everyMs;
}
