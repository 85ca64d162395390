/** Planted in journal and store. */
import { HostSessions } from '../../../runtime/journal/host-sessions.ts';
import { JournalRecovery } from '../../../runtime/journal/journal-recovery.ts';
import { JournalService } from '../../../runtime/journal/journal-service.ts';
import { BatchReader } from '../../../runtime/journal/batch-reader.ts';
import { LogTrim } from '../../../runtime/journal/log-trim.ts';
import { Residence } from '../../../runtime/host/residence.ts';
import { WakeWatch } from '../../../runtime/journal/wake-watch.ts';
import { nowAndThen, type PlantedBug, spoiledStore } from './planted-bug.ts';

export const JOURNAL_BUGS: readonly PlantedBug[] = [
  {
    name: 'batch-not-kept',
    what: 'every eleventh batch is acknowledged and not kept',
    shows: { workload: 'bank', plan: 'crashes' },
    plant() {
      const lost = nowAndThen(11);
      return spoiledStore((writes) => ({
        log: (position, bytes) => {
          if (!lost()) writes.log(position, bytes);
        },
      }));
    },
  },
  {
    name: 'disk-lies',
    what: 'the disk loses the last two commits that it acknowledged',
    shows: { workload: 'bank', plan: 'crashes' },
    plant: () => ({ lyingDisk: 2 }),
  },
  {
    name: 'images-not-kept',
    what: 'images of actors are not kept',
    shows: { workload: 'crowd', plan: 'crashes' },
    plant: () => spoiledStore(() => ({ image: () => {} })),
  },
  {
    name: 'checkpoint-too-far',
    what: 'the checkpoint moves further than the images reach',
    shows: { workload: 'bank', plan: 'crashes' },
    plant: () =>
      spoiledStore((writes) => ({
        meta: (name, value) => writes.meta(name, name === 'checkpoint' ? value + 40 : value),
      })),
  },
  {
    name: 'checkpoint-without-images',
    what: 'a host answers a checkpoint without storing what it owes',
    shows: { workload: 'bank', plan: 'crashes' },
    plant(replace) {
      replace(
        Residence.prototype,
        'checkpoint',
        (before) =>
          function (this: Residence, round) {
            before.call(this, round, 0);
          },
      );
    },
  },
  {
    name: 'image-forgets-wake',
    what: 'an image does not say when its actor is to be woken',
    shows: { workload: 'clockwork', plan: 'deaths' },
    plant: () => spoiledStore((writes) => ({ image: (key, row) => writes.image(key, row, undefined) })),
  },
  {
    name: 'sleepers-not-woken',
    what: 'actors that sleep are not woken for their timers',
    shows: { workload: 'clockwork', plan: 'deaths' },
    plant(replace) {
      replace(WakeWatch.prototype, 'noted', () => () => {});
    },
  },
  {
    name: 'released-before-commit',
    what: 'turns are released before they are committed',
    shows: { workload: 'bank', plan: 'crashes', seed: 31 },
    plant(replace) {
      replace(
        JournalService.prototype,
        'connect',
        (before) =>
          function (this: JournalService, slot, epoch, link) {
            let unwritten = 0;
            const session = before.call(this, slot, epoch, {
              ...link,
              accepted: () => {},
              committed: () => {
                unwritten = 0;
              },
            });
            return {
              ...session,
              append: (number, bytes, forwards) => {
                link.committed(number, this.stats().end + unwritten);
                unwritten += new BatchReader(bytes).turns;
                session.append(number, bytes, forwards);
              },
            };
          },
      );
    },
  },
  {
    name: 'dead-host-not-fenced',
    what: 'what a dead host had sent to the journal is still committed after its fencing',
    shows: { workload: 'chain', plan: 'late', seed: 28 },
    plant(replace) {
      replace(HostSessions.prototype, 'fence', () => () => {});
    },
  },
  {
    name: 'recovery-forgets-work',
    what: 'a recovery does not say which actors have work',
    shows: { workload: 'chain', plan: 'crashes' },
    plant(replace) {
      replace(
        JournalRecovery.prototype,
        'recover',
        (before) =>
          function (this: JournalRecovery, ...args) {
            return { ...before.apply(this, args), wake: [] };
          },
      );
    },
  },
  {
    name: 'trims-too-much',
    what: 'trimming removes turns beyond the checkpoint',
    shows: { workload: 'bank', plan: 'crashes' },
    plant(replace) {
      replace(
        LogTrim.prototype,
        'step',
        (before) =>
          function (this: LogTrim, writes, checkpoint) {
            before.call(this, writes, checkpoint === 1 ? 1 : checkpoint + 30);
          },
      );
    },
  },
];
