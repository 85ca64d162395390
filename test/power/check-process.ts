/**
 * The process that looks at cut disks, one after the other. It may die of one: then its last line names the case.
 *
 * node check-process.ts <order as JSON>
 *
 *   at I         case I is next
 *   fault TEXT   what is wrong with it
 *   done
 */
import { mkdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { checkDisk } from './check.ts';
import { isGroupOnly, readChain, type Segment } from './chain.ts';
import { claimsAt, type Lived } from './claims.ts';
import { choose, compareCuts, type Cut, planCuts } from './cut-plan.ts';
import { DiskHistory, writeDisk } from './disk.ts';
import { writeBootId } from './shim.ts';

export interface CheckOrder {
  readonly chain: readonly Segment[];
  readonly seed: number;
  readonly amount: number;
  /** This process looks at every `step`th case, from `first` on. */
  readonly first: number;
  readonly step: number;
  /** As many of those, in the order of their cuts, were looked at before. */
  readonly skip: number;
  readonly only: number | undefined;
  /** One in so many is looked at with a whole system. */
  readonly wholeEvery: number;
  readonly scratch: string;
  /** The file that this process reads for the machine's boot id. */
  readonly boot: string;
  /** As if the machine had not been started anew since the recording. */
  readonly sameStart: boolean;
}

const DONE_BACKUPS_EVERY = 8;
const CASES_IN_ORDER = 200;
/** A volume may lose writes though the machine runs on. In group mode that must make no difference: one in so many is looked at like that. */
const SAME_START_EVERY = 3;
const AFTER_EVERY_START = 2 ** 31;

const order = JSON.parse(process.argv[2] ?? '{}') as CheckOrder;
const say = (line: string): void => void writeSync(1, `${line}\n`);

const lived = readChain(order.chain);
const recordings = lived.map(({ recording }) => recording);
const cuts = planCuts(recordings, order.seed, order.amount);

const isMine = (i: number): boolean => (order.only === undefined ? i % order.step === order.first : i === order.only);
const mine = [...cuts.keys()].filter(isMine);
// A recording is gone through from its beginning to its end, so that cases are looked at in the order of their cuts; but not all
// at once, so that the first ones are of every place.
const inOrder: number[] = [];
for (let at = 0; at < mine.length; at += CASES_IN_ORDER) {
  inOrder.push(...mine.slice(at, at + CASES_IN_ORDER).sort((a, b) => compareCuts(cuts[a] as Cut, cuts[b] as Cut)));
}

const groupOnly = order.chain.map((_, i) => isGroupOnly(order.chain, lived, i));
const rightRows = recordings.map(() => new Map<number, Buffer>());
let history: { readonly of: number; readonly at: number; readonly disks: DiskHistory } | undefined;
for (const i of inOrder.slice(order.skip)) {
  const cut = cuts[i] as Cut;
  say(`at ${i}`);
  const { recording } = lived[cut.recording] as Lived;
  const disks = history?.of === cut.recording && history.at <= cut.at ? history.disks : new DiskHistory(recording);
  history = { of: cut.recording, at: cut.at, disks };
  disks.moveTo(cut.at);
  const disk = disks.disk(choose(cut, disks.unsafe(), recording));
  const root = join(order.scratch, `state-${i}`);
  mkdirSync(root);
  writeDisk(disk, root);
  const isSameStart = order.sameStart || (groupOnly[cut.recording] === true && cut.seed % SAME_START_EVERY === 0);
  writeBootId(order.boot, isSameStart ? (order.chain[cut.recording] as Segment).start : AFTER_EVERY_START);
  const wrong = await checkDisk(root, claimsAt(lived[cut.recording] as Lived, cut.at), {
    sync: cut.seed % 2 === 0 ? 'group' : 'relaxed',
    whole: i % order.wholeEvery === 0,
    rightRows: rightRows[cut.recording] as Map<number, Buffer>,
    doneBackups: i % DONE_BACKUPS_EVERY === 0,
  });
  if (wrong !== undefined) say(`fault ${JSON.stringify({ ...cut, wrong })}`);
  rmSync(root, { recursive: true, force: true });
}
say('done');
// A state that failed may have left a database open, whose timers would hold the process.
process.exit(0);
