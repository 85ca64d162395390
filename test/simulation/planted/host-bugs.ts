/** Planted in cells, hosts and links. */
import { Book } from '../../../runtime/cell/book.ts';
import { CellTurn } from '../../../runtime/cell/cell-turn.ts';
import { Mailbox } from '../../../runtime/cell/mailbox.ts';
import { type Beginning, HostShell } from '../../../runtime/host/host-shell.ts';
import { PeerLink } from '../../../runtime/host/peer-link.ts';
import { Pressure } from '../../../runtime/host/pressure.ts';
import { Releaser } from '../../../runtime/host/release.ts';
import { Residence } from '../../../runtime/host/residence.ts';
import { Standstill } from '../../../runtime/host/standstill.ts';
import type { SimulationSeams } from '../../../runtime/testing/simulation-topology.ts';
import { nowAndThen, type PlantedBug } from './planted-bug.ts';

export const HOST_BUGS: readonly PlantedBug[] = [
  {
    name: 'watermarks-ignored',
    what: 'messages that were handled before are handled again',
    shows: { workload: 'bank', plan: 'deaths' },
    plant(replace) {
      replace(Book.prototype, 'hasConsumed', () => () => false);
    },
  },
  {
    name: 'mailbox-mixed-up',
    what: 'a mailbox mixes up its order now and then',
    shows: { workload: 'chain', plan: 'calm' },
    plant(replace) {
      const mixed = nowAndThen(17);
      replace(
        Mailbox.prototype,
        'push',
        (before) =>
          function (this: Mailbox, envelope) {
            if (mixed() && envelope.control === undefined) this.unshift([envelope]);
            else before.call(this, envelope);
          },
      );
    },
  },
  {
    name: 'key-forgotten',
    what: 'an answer is not remembered under its idempotency key',
    shows: { workload: 'asks', plan: 'crashes' },
    plant(replace) {
      replace(
        CellTurn.prototype,
        'begin',
        (before) =>
          function (this: CellTurn, cell, envelope, ...rest) {
            before.call(this, cell, { ...envelope, idempotencyKey: undefined }, ...rest);
          },
      );
    },
  },
  {
    name: 'image-skipped',
    what: 'now and then an actor is taken for stored that was not',
    shows: { workload: 'crowd', plan: 'calm' },
    plant(replace) {
      const skipped = nowAndThen(13);
      replace(
        Residence.prototype,
        'image',
        (before) =>
          function (this: Residence, cell) {
            if (!skipped()) before.call(this, cell);
            cell.dirtyFrom = -1;
          },
      );
    },
  },
  {
    name: 'sends-reversed',
    what: 'what one turn sends leaves in reverse',
    shows: { workload: 'asks', plan: 'calm' },
    plant(replace) {
      replace(
        Releaser.prototype,
        'finish',
        (before) =>
          function (this: Releaser, turn, ...rest) {
            before.call(this, { ...turn, intents: turn.intents.toReversed() }, ...rest);
          },
      );
      replace(
        Releaser.prototype,
        'forward',
        (before) =>
          function (this: Releaser, turn, position) {
            before.call(this, { ...turn, intents: turn.intents.toReversed() }, position);
          },
      );
    },
  },
  {
    name: 'all-leaves-early',
    what: 'answers, effects and receipts leave when their turn has its place, before it is on the disk',
    shows: { workload: 'chain', plan: 'crashes' },
    plant(replace) {
      const { finish } = Releaser.prototype;
      const left = new WeakSet<object>();
      replace(
        Releaser.prototype,
        'forward',
        () =>
          function (this: Releaser, turn, position) {
            finish.call(this, turn, position);
            left.add(turn);
          },
      );
      replace(
        Releaser.prototype,
        'finish',
        (before) =>
          function (this: Releaser, turn, position) {
            if (!left.has(turn)) before.call(this, turn, position);
          },
      );
    },
  },
  {
    name: 'resend-forgotten',
    what: 'what a dead host had not sent is not sent again',
    shows: { workload: 'chain', plan: 'deaths' },
    plant(replace) {
      replace(
        HostShell.prototype,
        'begin',
        (before) =>
          function (this: HostShell, beginning: Beginning) {
            before.call(this, { ...beginning, resend: [] });
          },
      );
    },
  },
  {
    name: 'kept-dropped',
    what: 'what was kept for a dead host is not sent to its successor',
    shows: { workload: 'bank', plan: 'deaths' },
    plant(replace) {
      replace(
        PeerLink.prototype,
        'up',
        (before) =>
          function (this: PeerLink, port) {
            before.call(this, port, Number.POSITIVE_INFINITY);
          },
      );
    },
  },
  {
    name: 'unaccepted-overlooked',
    what: 'a checkpoint does not wait for messages that no receiver has accepted',
    shows: { workload: 'chain', plan: 'late', seed: 96 },
    plant(replace) {
      replace(PeerLink.prototype, 'oldestUnacknowledgedMark', () => () => undefined);
    },
  },
  {
    name: 'paused-for-ever',
    what: 'whoever waits for a full mailbox is not told when there is room',
    shows: { workload: 'chain', plan: 'calm' },
    plant(replace) {
      replace(Pressure.prototype, 'worked', () => () => {});
    },
  },
  {
    name: 'relief-withheld',
    what: 'actors that wait for each other in a ring are left to it',
    shows: { workload: 'ring', plan: 'calm', seed: 10 },
    plant(replace) {
      replace(Standstill.prototype, 'news', () => () => {});
    },
  },
  {
    name: 'ring-between-hosts-overlooked',
    what: 'hosts do not hear which links of the others wait for which',
    shows: { workload: 'ring', plan: 'calm', seed: 10 },
    plant(replace) {
      replace(Standstill.prototype, 'heard', () => () => {});
    },
  },
  {
    name: 'frames-lost',
    what: 'a link loses frames and does not notice',
    shows: { workload: 'chain', plan: 'calm' },
    plant: () => forgetfulLink(3),
  },
  {
    name: 'frames-swapped',
    what: 'a link lets frames overtake each other and does not notice',
    shows: { workload: 'chain', plan: 'calm' },
    plant: () => hastyLink(4),
  },
];

/** Kind of a link's block that carries items, and where its number is. */
const FRAME_KIND = 1;
const NUMBER_AT = 24;

function isFrameBetweenHosts(bytes: Uint8Array, way: string): boolean {
  return bytes[0] === FRAME_KIND && !way.includes('system');
}

function numberOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(NUMBER_AT);
}

function renumber(bytes: Uint8Array, number: number): void {
  new DataView(bytes.buffer, bytes.byteOffset).setFloat64(NUMBER_AT, number);
}

/** Loses every nth frame between hosts, and numbers the others as if nothing were missing. */
function forgetfulLink(every: number): SimulationSeams {
  const ways = new Map<string, { frames: number; lost: number }>();
  return {
    rewriteFrame(bytes, way) {
      if (!isFrameBetweenHosts(bytes, way)) return [bytes];
      const counts = ways.get(way) ?? { frames: 0, lost: 0 };
      ways.set(way, counts);
      counts.frames += 1;
      // The first one says which records follow.
      if (counts.frames > 1 && counts.frames % every === 0) {
        counts.lost += 1;
        return [];
      }
      renumber(bytes, numberOf(bytes) - counts.lost);
      return [bytes];
    },
  };
}

/** Keeps every nth frame between hosts back until the next one has gone, and swaps their numbers. */
function hastyLink(every: number): SimulationSeams {
  const ways = new Map<string, { frames: number; kept: Uint8Array<ArrayBuffer> | undefined }>();
  return {
    rewriteFrame(bytes, way) {
      if (!isFrameBetweenHosts(bytes, way)) return [bytes];
      const state = ways.get(way) ?? { frames: 0, kept: undefined };
      ways.set(way, state);
      state.frames += 1;
      const { kept } = state;
      if (kept === undefined) {
        if (state.frames % every !== 0) return [bytes];
        state.kept = bytes;
        return [];
      }
      state.kept = undefined;
      const number = numberOf(kept);
      renumber(kept, numberOf(bytes));
      renumber(bytes, number);
      return [bytes, kept];
    },
  };
}
