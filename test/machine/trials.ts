/**
 * What machines do, each as a trial: a process works, its machine fails, what must be said is said, and it goes on, or another one does.
 *
 * Owns: the trials. What must be true after each is `machine.ts`.
 */
import { cpSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Dice } from '../hostile/dice.ts';
import { ERRNO, type Life, type Machine } from './machine.ts';

export interface Trial {
  readonly name: string;
  readonly run: (machine: Machine, dice: Dice) => Promise<void>;
}

const DAY_S = 86_400;

/** Full, until there is room again: the same process goes on with the same work. */
const fullDisk = (times: number): Trial['run'] =>
  async function fill(machine, dice) {
    machine.mount();
    const life = machine.start('work');
    await life.works(20 + dice.below(100));
    for (let i = 0; i < times; i++) {
      const fulls = life.said.filter(([word, state]) => word === 'STORAGE' && state === 'full').length;
      machine.fill();
      for (let waits = 0; waits < 400; waits++) {
        if (life.said.filter(([word, state]) => word === 'STORAGE' && state === 'full').length > fulls) break;
        await pause(25);
      }
      if (life.isOver) break;
      await pause(dice.below(300));
      machine.empty();
      await life.works(20);
    }
    if (life.isOver) machine.faults.push(`it did not survive a full disk: ${life.complaints.slice(-500)}`);
    else if (!life.has('STORAGE', 'full')) machine.faults.push('it did not say that the disk is full');
    await life.kill();
    await machine.settle();
  };

/** A folder that cannot be written when the process starts; later it can. */
async function readOnly(machine: Machine, dice: Dice): Promise<void> {
  machine.mount();
  const life = machine.start('work');
  await life.works(20 + dice.below(60));
  await life.kill();
  machine.remount('ro');
  const refused = machine.start('settle');
  await refused.ended();
  const word = refused.said.find(([name]) => name === 'NOT STARTED');
  const code = (word?.[1] as { code?: string } | undefined)?.code;
  if (code !== 'DATA_FOLDER_READ_ONLY')
    machine.faults.push(`a read-only disk was called ${code ?? refused.complaints}`);
  machine.remount('rw');
  await machine.settle();
}

/** The disk refuses writes or flushes under load, as one does that has gone, or was mounted read-only by the kernel. */
const refusingDisk = (code: number, which: 'writes' | 'flushes'): Trial['run'] =>
  async function refuse(machine, dice) {
    const life = machine.start('work', { shim: true });
    await life.works(20 + dice.below(100));
    machine.order(0, which === 'writes' ? code : 0, which === 'flushes' ? code : 0);
    for (let waits = 0; waits < 400 && !life.isOver; waits++) {
      if (life.has('FAILED') || life.has('STORAGE', 'full')) break;
      await pause(25);
    }
    if (!life.isOver && !life.has('FAILED') && !life.has('STORAGE', 'full'))
      machine.faults.push('it did not say that its disk refuses');
    await life.kill();
    await machine.settle();
  };

/** Fewer file handles than it needs to start: it starts, or says why not, and the folder is as good as before. */
async function fewHandles(machine: Machine, dice: Dice): Promise<void> {
  const life = machine.start('work');
  await life.works(20);
  await life.kill();
  for (let tries = 0; tries < 2; tries++) {
    const poor = machine.start('settle', { handles: 24 + dice.below(30) });
    const timer = setTimeout(() => poor.child.kill('SIGKILL'), 30_000);
    await poor.ended();
    clearTimeout(timer);
  }
  await machine.settle();
}

/** All handles used up under load, by the application or by others: what needs one is refused by name, the rest goes on. */
async function noHandles(machine: Machine, dice: Dice): Promise<void> {
  machine.journeys = 0;
  const life = machine.start('work', { handles: 256 });
  await life.works(20 + dice.below(50));
  life.tell('EXHAUST');
  await life.says('EXHAUSTED');
  life.tell(`COPY ${join(machine.folder, 'copy')}`);
  await life.says('NOT COPIED');
  await life.works(40);
  life.tell('RELEASE');
  await life.says('RELEASED');
  await life.works(20);
  if (life.isOver) machine.faults.push(`it did not survive without handles: ${life.complaints.slice(-500)}`);
  await life.kill();
  await machine.settle();
}

/** The wall clock jumps while it works, stays so over a restart, and is set right in the end. */
const clockSet = (seconds: number): Trial['run'] =>
  async function jump(machine, dice) {
    const life = machine.start('work', { shim: true });
    await life.works(20 + dice.below(60));
    machine.order(seconds, 0, 0);
    const journeys = life.count('ASKED');
    await life.works(100);
    if (life.count('ASKED') === journeys) await life.works(100);
    await life.kill();
    const later = machine.start('work', { shim: true });
    await later.works(20);
    await later.kill();
    // A timer that was set while the clock was ahead is due by that clock.
    if (seconds > 0) await machine.settle(seconds);
    await machine.settle();
  };

/** The folder is replaced by an older copy of itself: what came after the copy is gone, nothing else is, and run numbers come again. */
async function restored(machine: Machine, dice: Dice): Promise<void> {
  const life = machine.start('work');
  await life.works(20 + dice.below(50));
  const copy = join(machine.folder, 'copy');
  machine.copied();
  life.tell(`COPY ${copy}`);
  await life.says('COPIED');
  await life.works(60);
  await life.kill();
  const between = machine.start('work');
  await between.works(20);
  await between.kill();
  rmSync(machine.dataDir, { recursive: true });
  renameSync(copy, machine.dataDir);
  machine.restored();
  const after = machine.start('work');
  await after.works(40);
  await after.kill();
  await machine.settle();
}

/** The folder is copied with `cp` while it is written: the copy opens with what it has, or is refused by name; never served wrong. */
async function copiedLive(machine: Machine, dice: Dice): Promise<void> {
  const life = machine.start('work');
  await life.works(20 + dice.below(100));
  const original = join(machine.folder, 'original');
  machine.copied();
  cpSync(machine.dataDir, join(machine.folder, 'live'), { recursive: true });
  await life.works(10);
  await life.kill();
  await machine.settle();
  renameSync(machine.dataDir, original);
  renameSync(join(machine.folder, 'live'), machine.dataDir);
  rmSync(join(machine.dataDir, 'LOCK'), { force: true });
  const look = machine.start('settle');
  await look.ended();
  const refused = look.said.some(([word]) => word === 'NOT STARTED');
  const settled = look.said.some(([word]) => word === 'SETTLED');
  if (!refused && !settled && !(await isNamed(look)))
    machine.faults.push(`a copy of the living folder was neither refused nor served: ${look.complaints.slice(-500)}`);
}

/** Reads refused by name are an answer too. */
async function isNamed(life: Life): Promise<boolean> {
  await life.ended();
  return life.said.some(([word]) => word === 'REFUSED' || word === 'FAILED');
}

export const TRIALS: readonly Trial[] = [
  { name: 'full disk', run: fullDisk(1) },
  { name: 'writes fail (EIO)', run: refusingDisk(ERRNO.EIO, 'writes') },
  { name: 'clock back a day', run: clockSet(-DAY_S) },
  { name: 'few file handles', run: fewHandles },
  { name: 'restored from a backup', run: restored },
  { name: 'disk filling and emptying', run: fullDisk(4) },
  { name: 'read-only mount', run: readOnly },
  { name: 'read-only under load (EROFS)', run: refusingDisk(ERRNO.EROFS, 'writes') },
  { name: 'flushes fail (EIO)', run: refusingDisk(ERRNO.EIO, 'flushes') },
  { name: 'quota (EDQUOT)', run: refusingDisk(ERRNO.EDQUOT, 'writes') },
  { name: 'no file handles', run: noHandles },
  { name: 'clock forward a day', run: clockSet(DAY_S) },
  { name: 'copied while running', run: copiedLive },
];
