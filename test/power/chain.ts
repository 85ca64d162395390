/**
 * Recordings that follow one another: each begins with the disk that a power cut left of an earlier one.
 *
 * Owns: making them, and reading them again in another process.
 */
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '../../runtime/kernel/random.ts';
import { type Claims, claimsAt, type Lived } from './claims.ts';
import { choose, type Cut, planCuts } from './cut-plan.ts';
import { DiskHistory, readDisk, writeDisk } from './disk.ts';
import type { LifeOrder, LoadOrder } from './load.ts';
import { readRecording, type Recording } from './recording.ts';
import { recordingEnvironment, writeBootId } from './shim.ts';
import { runScript } from './script.ts';
import type { PlantedName } from './planted.ts';

/** One recording, as files. */
export interface Segment {
  readonly root: string;
  readonly record: string;
  /** The folder as it was before. */
  readonly base: string;
  /** The cut that made it: of an earlier segment. */
  readonly parent: Cut | undefined;
  /** Number of the machine's start in which it was recorded. */
  readonly start: number;
}

export interface SegmentOrder {
  /** Number of its first life: above those of earlier segments. */
  readonly life: number;
  readonly lives: readonly LifeOrder[];
  /** Index of the segment whose cut disk it begins with; undefined: with an empty one. */
  readonly after: number | undefined;
}

const SCRIPT = new URL('./load-process.ts', import.meta.url);

/** Records one segment after those in `chain`. */
export async function recordSegment(
  chain: readonly Segment[],
  order: SegmentOrder,
  options: {
    readonly scratch: string;
    readonly name: string;
    readonly seed: number;
    readonly planted?: PlantedName | undefined;
  },
): Promise<Segment> {
  const { scratch, name, seed, planted } = options;
  const root = join(scratch, `${name}-root`);
  const base = join(scratch, `${name}-base`);
  const record = join(scratch, `${name}-record`);
  mkdirSync(root);
  mkdirSync(base);
  const parent = order.after === undefined ? undefined : cutOf(chain, order.after, seed);
  if (parent !== undefined) {
    writeDisk(diskAt((readChain(chain)[parent.recording] as Lived).recording, parent), root);
    cpSync(root, base, { recursive: true });
  }
  const load: LoadOrder = { root, life: order.life, lives: order.lives };
  const boot = join(scratch, `${name}-boot`);
  writeBootId(boot, order.life);
  const { code, errors } = await runScript(SCRIPT, load, recordingEnvironment(root, record, boot), { planted });
  if (code !== 0) throw new Error(`the recorded process ended with ${code}: ${errors}`);
  return { root, record, base, parent, start: order.life };
}

/** The recordings, each with what is claimed of its beginning. */
export function readChain(chain: readonly Segment[]): Lived[] {
  const lived: Lived[] = [];
  for (const { root, record, base, parent } of chain) {
    const recording = readRecording(record, root, readDisk(base));
    const claims: Claims | undefined = parent && claimsAt(lived[parent.recording] as Lived, parent.at);
    lived.push({ recording, before: claims && { claims } });
  }
  return lived;
}

/** Whether no life of the recording, and none before it, was a relaxed one. */
export function isGroupOnly(chain: readonly Segment[], lived: readonly Lived[], i: number): boolean {
  const { recording } = lived[i] as Lived;
  const parent = (chain[i] as Segment).parent?.recording;
  const isGroup = recording.promises.every(({ words }) => words[0] !== 'RUN' || words[2] === 'group');
  return isGroup && (parent === undefined || isGroupOnly(chain, lived, parent));
}

/** A cut in the later half of a segment: its seed chooses it. */
function cutOf(chain: readonly Segment[], after: number, seed: number): Cut {
  const { recording } = readChain(chain)[after] as Lived;
  const random = seededRandom(seed, 5);
  const cuts = planCuts([recording], seed, 400).filter(({ at }) => at > recording.events / 2);
  const cut = cuts[Math.floor(random.next() * cuts.length)];
  if (cut === undefined) throw new Error('no cut to begin with');
  return { ...cut, recording: after };
}

export function diskAt(recording: Recording, cut: Cut): ReturnType<DiskHistory['disk']> {
  const history = new DiskHistory(recording);
  history.moveTo(cut.at);
  return history.disk(choose(cut, history.unsafe(), recording));
}
