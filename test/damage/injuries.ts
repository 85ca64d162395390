/**
 * One injury a case: which folder, which bytes, how.
 *
 * Owns: the draw, which follows from seed and number, and the doing. Ten flipped bits to one injured page.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Dice } from '../hostile/dice.ts';
import type { FolderMap, Range } from './regions.ts';
import { FOLDERS, type FolderName } from './town.ts';

export interface Injury {
  readonly folder: FolderName;
  /** What was hit, for the figures. */
  readonly kind: string;
  /** What exactly was done, for whoever repeats it. */
  readonly what: string;
  readonly apply: (folder: string) => void;
}

/** Only some of the injuries: for controls. */
export interface Aim {
  readonly folders?: readonly FolderName[];
  readonly kinds?: RegExp;
}

const DATABASE = 'data.mdb';
/** Of eleven cases one is a page, so that 11,000 are 10,000 flips and 1,000 pages. */
const PAGE_EVERY = 11;

const PAGE_INJURIES = ['zeroed', 'doubled', 'doubled', 'swapped', 'cut off', 'filled with noise'] as const;

export function injuryOf(
  seed: number,
  number: number,
  maps: ReadonlyMap<FolderName, FolderMap>,
  aim: Aim = {},
): Injury {
  const dice = new Dice(seed, number);
  const folder = dice.pick(aim.folders ?? FOLDERS);
  const map = maps.get(folder) as FolderMap;
  const isPage = number % PAGE_EVERY === PAGE_EVERY - 1;
  return isPage && aim.kinds === undefined ? pageInjury(dice, folder, map) : flip(dice, folder, map, aim.kinds);
}

function flip(dice: Dice, folder: FolderName, map: FolderMap, kinds: RegExp | undefined): Injury {
  const names = [...map.regions.keys()].filter((name) => kinds?.test(name) !== false);
  // A third anywhere, in proportion to size; the others evenly over what there is.
  const kind = kinds === undefined && dice.chance(0.33) ? 'anywhere in the database' : dice.pick(names);
  const range = pickByte(dice, map.regions.get(kind) ?? []);
  const bit = dice.below(8);
  return {
    folder,
    kind: `bit of ${kind}`,
    what: `${folder}: bit ${bit} of byte ${range.at} of ${range.file} (${kind})`,
    apply: (path) => edit(path, range.file, (bytes) => void ((bytes[range.at] as number) ^= 1 << bit)),
  };
}

function pickByte(dice: Dice, ranges: readonly Range[]): { readonly file: string; readonly at: number } {
  const { file, start, end } = dice.pick(ranges);
  return { file, at: start + dice.below(end - start) };
}

function pageInjury(dice: Dice, folder: FolderName, map: FolderMap): Injury {
  const { pageBytes } = map;
  const how = dice.pick(PAGE_INJURIES);
  // Pages in use more often than free ones.
  const kinds = [...map.pages.keys()].filter((name) => name !== 'free' || dice.chance(0.3));
  const hitKind = dice.pick(kinds);
  const hit = dice.pick(map.pages.get(hitKind) as readonly number[]);
  const otherKind = dice.chance(0.6) ? hitKind : dice.pick(kinds);
  const other = dice.pick(map.pages.get(otherKind) as readonly number[]);
  const at = hit * pageBytes;
  const from = other * pageBytes;
  const noise = dice.below(256);
  const noiseAt = at + dice.below(100);
  const cut = dice.chance(0.5) ? at : at + dice.below(pageBytes);
  const changes: Record<(typeof PAGE_INJURIES)[number], { what: string; change: (bytes: Buffer) => Buffer | void }> = {
    zeroed: { what: '', change: (bytes) => void bytes.fill(0, at, at + pageBytes) },
    doubled: {
      what: ` of page ${other} (${otherKind})`,
      change: (bytes) => void bytes.copy(bytes, at, from, from + pageBytes),
    },
    swapped: {
      what: ` with page ${other} (${otherKind})`,
      change: (bytes) => {
        const kept = Buffer.from(bytes.subarray(at, at + pageBytes));
        bytes.copy(bytes, at, from, from + pageBytes);
        kept.copy(bytes, from);
      },
    },
    'cut off': { what: ` at byte ${cut}`, change: (bytes) => bytes.subarray(0, cut) },
    'filled with noise': { what: '', change: (bytes) => void bytes.fill(noise, noiseAt, at + pageBytes) },
  };
  const { what, change } = changes[how];
  return {
    folder,
    kind: `page ${how}`,
    what: `${folder}: page ${hit} (${hitKind}) ${how}${what}`,
    apply: (path) => edit(path, DATABASE, change),
  };
}

function edit(folder: string, file: string, change: (bytes: Buffer) => Buffer | void): void {
  const path = join(folder, file);
  const bytes = readFileSync(path);
  writeFileSync(path, change(bytes) ?? bytes);
}

/** The files of a folder. */
export type FolderContent = ReadonlyMap<string, Buffer>;

export function contentOf(folder: string): FolderContent {
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

export function writeContent(content: FolderContent, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of content) writeFileSync(join(folder, name), bytes);
}

/** What a killed process leaves: a number that no process has any more. */
export function leaveLock(folder: string): void {
  const owner = { pid: 4_194_303, started: '1', host: hostname(), boot: 'another' };
  writeFileSync(join(folder, 'LOCK'), JSON.stringify(owner));
}
