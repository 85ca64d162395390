/**
 * Where the named points lie: each in one method of one class of the runtime, put there from outside. Those in turns and effects
 * are passed by the actors themselves.
 *
 *     CB_CRASH_POINT=commit.after:3 node --import ./test/crash/places.ts …
 *
 * Loaded ahead of everything else in every thread of a process that is to kill itself, and only there. Only the class that the
 * ordered point lies in is loaded, so that the process starts as fast as any other.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { orderedPoint, pass, type Point } from './points.ts';
import { ahead, behind } from './replace.ts';

const checkpoint = async (first: boolean): Promise<void> => {
  const { Checkpoint } = await import('../../runtime/journal/checkpoint.ts');
  // The rounds of one checkpoint are an odd number and the even one after it: no host dies here.
  ahead(Checkpoint.prototype, 'clean', (_, [, round]) => {
    if ((Number(round) % 2 === 1) === first) pass(first ? 'checkpoint.first' : 'checkpoint.second');
  });
};

const PLACES: Readonly<Record<Exclude<Point, `effect.${string}` | 'turn.within'>, () => Promise<void> | void>> = {
  'open.folder'() {
    const { fsyncSync } = fs;
    fs.fsyncSync = (fd) => {
      pass('open.folder');
      fsyncSync(fd);
    };
    syncBuiltinESMExports();
  },
  async 'open.begin'() {
    const { Journal } = await import('../../runtime/journal/journal.ts');
    ahead(Journal.prototype, 'open', () => pass('open.begin'));
  },
  async 'open.tail'() {
    const { JournalRecovery } = await import('../../runtime/journal/journal-recovery.ts');
    ahead(JournalRecovery.prototype, 'open', () => pass('open.tail'));
  },
  async 'recovery.slot'() {
    const { JournalRecovery } = await import('../../runtime/journal/journal-recovery.ts');
    behind(JournalRecovery.prototype, 'recover', () => pass('recovery.slot'));
  },
  async 'recovery.load'() {
    const { JournalRecovery } = await import('../../runtime/journal/journal-recovery.ts');
    ahead(JournalRecovery.prototype, 'load', () => pass('recovery.load'));
  },
  async 'recovery.begin'() {
    const { HostShell } = await import('../../runtime/host/host-shell.ts');
    ahead(HostShell.prototype, 'begin', () => pass('recovery.begin'));
  },
  async 'commit.before'() {
    const { WriteList } = await import('../../runtime/journal/write-list.ts');
    ahead(WriteList.prototype, 'checkPositions', () => pass('commit.before'));
  },
  async 'commit.within'() {
    const { WriteList } = await import('../../runtime/journal/write-list.ts');
    behind(WriteList.prototype, 'writeTo', () => pass('commit.within'));
  },
  async 'commit.after'() {
    const { LogTrim } = await import('../../runtime/journal/log-trim.ts');
    ahead(LogTrim.prototype, 'committed', () => pass('commit.after'));
  },
  'ahead.taken'() {
    const { ftruncateSync } = fs;
    fs.ftruncateSync = (fd, length) => {
      pass('ahead.taken');
      ftruncateSync(fd, length);
    };
    syncBuiltinESMExports();
  },
  async 'release.turn'() {
    const { Releaser } = await import('../../runtime/host/release.ts');
    ahead(Releaser.prototype, 'finish', () => pass('release.turn'));
  },
  async 'forward.turn'() {
    const { Releaser } = await import('../../runtime/host/release.ts');
    behind(Releaser.prototype, 'forward', () => pass('forward.turn'));
  },
  async 'release.receipts'() {
    const { Releaser } = await import('../../runtime/host/release.ts');
    ahead(Releaser.prototype, 'flushReceipts', () => pass('release.receipts'));
  },
  async 'checkpoint.image'() {
    const { Residence } = await import('../../runtime/host/residence.ts');
    ahead(Residence.prototype, 'image', (residence) => {
      if (residence.checkpointing) pass('checkpoint.image');
    });
  },
  'checkpoint.first': () => checkpoint(true),
  'checkpoint.second': () => checkpoint(false),
  async 'checkpoint.moved'() {
    const { Checkpoint } = await import('../../runtime/journal/checkpoint.ts');
    ahead(Checkpoint.prototype, 'committed', () => pass('checkpoint.moved'));
  },
  async 'trim.before'() {
    const { LogTrim } = await import('../../runtime/journal/log-trim.ts');
    behind(LogTrim.prototype, 'step', (trim, [, target]) => {
      if (trim.isBehind(Number(target))) pass('trim.before');
    });
  },
  async 'trim.after'() {
    const { LogTrim } = await import('../../runtime/journal/log-trim.ts');
    let trims = false;
    ahead(LogTrim.prototype, 'step', (trim, [, target]) => {
      trims = trim.isBehind(Number(target));
    });
    ahead(LogTrim.prototype, 'committed', () => {
      if (trims) pass('trim.after');
    });
  },
  async 'timer.fired'() {
    const { Host } = await import('../../runtime/host/host.ts');
    ahead(Host.prototype, 'deliver', (_, [envelope]) => {
      if ((envelope as { control?: { kind: string } }).control?.kind === 'timer') pass('timer.fired');
    });
  },
  async 'stop.drain'() {
    const { Host } = await import('../../runtime/host/host.ts');
    behind(Host.prototype, 'drained', () => pass('stop.drain'));
  },
  async 'stop.host'() {
    const { HostShell } = await import('../../runtime/host/host-shell.ts');
    ahead(HostShell.prototype, 'stop', () => pass('stop.host'));
  },
  async 'stop.journal'() {
    const { Journal } = await import('../../runtime/journal/journal.ts');
    ahead(Journal.prototype, 'close', () => pass('stop.journal'));
  },
  async 'stop.closed'() {
    const { Journal } = await import('../../runtime/journal/journal.ts');
    behind(Journal.prototype, 'close', () => pass('stop.closed'));
  },
  async 'backup.begin'() {
    const { JournalService } = await import('../../runtime/journal/journal-service.ts');
    ahead(JournalService.prototype, 'backup', () => pass('backup.begin'));
  },
  async 'backup.copying'() {
    const { JournalService } = await import('../../runtime/journal/journal-service.ts');
    ahead(JournalService.prototype, 'backup', () => void setImmediate(() => pass('backup.copying')));
  },
  async 'backup.copied'() {
    const { JournalService } = await import('../../runtime/journal/journal-service.ts');
    behind(JournalService.prototype, 'backup', () => pass('backup.copied'));
  },
};

if (orderedPoint !== '' && orderedPoint in PLACES) await PLACES[orderedPoint as keyof typeof PLACES]();
