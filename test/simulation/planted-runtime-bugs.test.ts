/**
 * The model finds what is wrong, continued: bugs planted in the runtime itself, each by replacing one method of a class for the
 * time of the test, and bugs of disk and links. Each must be found within some seeds of the workload that can show it.
 */
import { afterEach, expect, test } from 'vitest';
import { Book } from '../../runtime/cell/book.ts';
import { Mailbox } from '../../runtime/cell/mailbox.ts';
import type { Cell } from '../../runtime/cell/cell.ts';
import { EffectRunner } from '../../runtime/host/effect-runner.ts';
import { type Beginning, HostShell } from '../../runtime/host/host-shell.ts';
import { TimerQueue } from '../../runtime/host/timer-queue.ts';
import { BatchReader } from '../../runtime/journal/batch-reader.ts';
import { JournalService } from '../../runtime/journal/journal-service.ts';
import { WakeWatch } from '../../runtime/journal/wake-watch.ts';
import type { SimulationSeams } from '../../runtime/testing/simulation-topology.ts';
import { runSeed, WORKLOADS } from './seeds.ts';

const SEEDS_LIMIT = 60;

let restore: (() => void)[] = [];
afterEach(() => {
  for (const undo of restore) undo();
  restore = [];
});

/** Replaces a method until the end of the test; `make` is given the one that was there. */
function replace<T extends object, K extends keyof T>(prototype: T, name: K, make: (before: T[K]) => T[K]): void {
  const before = prototype[name];
  prototype[name] = make(before);
  restore.push(() => {
    prototype[name] = before;
  });
}

/** Loses every nth frame between hosts, and numbers the others as if nothing were missing. */
function forgetfulLink(every: number): SimulationSeams {
  const ways = new Map<string, { frames: number; lost: number }>();
  return {
    rewriteFrame(bytes, way) {
      if (bytes[0] !== 1 || way.includes('system')) return [bytes];
      const counts = ways.get(way) ?? { frames: 0, lost: 0 };
      ways.set(way, counts);
      counts.frames += 1;
      // The first one says which records follow.
      if (counts.frames > 1 && counts.frames % every === 0) {
        counts.lost += 1;
        return [];
      }
      // Behind the link's own header: the frame's number.
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      view.setFloat64(24, view.getFloat64(24) - counts.lost);
      return [bytes];
    },
  };
}

interface Bug {
  readonly workload: string;
  readonly plan: string;
  /** Rules of which one must be broken. */
  readonly rules: readonly string[];
  plant(): SimulationSeams | undefined;
}

const BUGS: Readonly<Record<string, Bug>> = {
  'the disk loses the last commits that it acknowledged': {
    workload: 'bank',
    plan: 'crashes',
    rules: ['acknowledged', 'bank', 'script_failed'],
    plant: () => ({ lyingDisk: 2 }),
  },
  'a link loses frames and does not notice': {
    workload: 'chain',
    plan: 'calm',
    rules: ['lost', 'chain'],
    plant: () => forgetfulLink(3),
  },
  'watermarks are ignored': {
    workload: 'bank',
    plan: 'deaths',
    rules: ['once', 'bank'],
    plant() {
      replace(Book.prototype, 'hasConsumed', () => () => false);
      return undefined;
    },
  },
  'turns are released before they are committed': {
    workload: 'bank',
    plan: 'crashes',
    rules: ['origin', 'acknowledged', 'bank', 'once', 'uncaught'],
    plant() {
      replace(
        JournalService.prototype,
        'connect',
        (before) =>
          function (this: JournalService, slot, epoch, link) {
            let unwritten = 0;
            const session = before.call(this, slot, epoch, {
              ...link,
              loaded: (request, parcels) => link.loaded(request, parcels),
              fenced: () => link.fenced(),
              wake: (keys) => link.wake(keys),
              storage: (state) => link.storage(state),
              checkpoint: (round, target) => link.checkpoint(round, target),
              committed: () => {
                unwritten = 0;
              },
            });
            return {
              ...session,
              append: (number, bytes) => {
                link.committed(number, this.stats().end + unwritten);
                unwritten += new BatchReader(bytes).turns;
                session.append(number, bytes);
              },
            };
          },
      );
      return undefined;
    },
  },
  'what a dead host had not sent is not sent again': {
    workload: 'chain',
    plan: 'deaths',
    rules: ['lost', 'chain', 'once'],
    plant() {
      replace(
        HostShell.prototype,
        'begin',
        (before) =>
          function (this: HostShell, beginning: Beginning) {
            before.call(this, { ...beginning, resend: [] });
          },
      );
      return undefined;
    },
  },
  'a mailbox mixes up its order now and then': {
    workload: 'chain',
    plan: 'calm',
    rules: ['once', 'chain'],
    plant() {
      let pushed = 0;
      replace(
        Mailbox.prototype,
        'push',
        (before) =>
          function (this: Mailbox, envelope) {
            pushed += 1;
            if (pushed % 17 === 0 && envelope.control === undefined) this.unshift([envelope]);
            else before.call(this, envelope);
          },
      );
      return undefined;
    },
  },
  'timers fire early': {
    workload: 'clockwork',
    plan: 'calm',
    rules: ['timer'],
    plant() {
      replace(
        TimerQueue.prototype,
        'add',
        (before) =>
          function (this: TimerQueue, key, id, dueMs, armed) {
            before.call(this, key, id, dueMs - 100, armed);
          },
      );
      return undefined;
    },
  },
  'sleeping actors are not woken': {
    workload: 'clockwork',
    plan: 'deaths',
    rules: ['timer', 'clockwork'],
    plant() {
      replace(WakeWatch.prototype, 'noted', () => () => {});
      return undefined;
    },
  },
  'an at-most-once effect is begun again after a crash': {
    workload: 'clockwork',
    plan: 'crashes',
    rules: ['clockwork'],
    plant() {
      replace(
        EffectRunner.prototype,
        'resume',
        () =>
          function (this: EffectRunner, cell: Cell) {
            for (const [id, entry] of cell.book.effects ?? []) this.start(cell, id, entry.started);
          },
      );
      return undefined;
    },
  },
  'effects that were under way are forgotten after a crash': {
    workload: 'clockwork',
    plan: 'crashes',
    rules: ['effect', 'clockwork'],
    plant() {
      replace(EffectRunner.prototype, 'resume', () => () => {});
      return undefined;
    },
  },
};

test.each(Object.entries(BUGS))('%s', { timeout: 120_000 }, async (_what, { workload: name, plan, rules, plant }) => {
  const workload = WORKLOADS.find((one) => one.name === name);
  if (workload === undefined) throw new Error(`no workload is named ${name}`);
  for (let seed = 1; seed <= SEEDS_LIMIT; seed++) {
    const seams = plant();
    const { violations } = await runSeed(workload, seed, { plan, seams });
    for (const undo of restore) undo();
    restore = [];
    if (violations.some(({ rule }) => rules.includes(rule))) return;
  }
  expect.fail(`not found within ${SEEDS_LIMIT} seeds`);
});
