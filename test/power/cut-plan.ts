/**
 * Which power cuts are tried: where in a recording, and what becomes of the changes that nothing had made safe.
 *
 * Owns: the choice. It follows from the seed and the number of the case, for given recordings.
 *
 * Invariants:
 * CP1. No two cases of a plan leave the same disk at the same place of the same recording, as far as their fates tell.
 * CP2. Of the ways that need no chance, every one is tried at every sync boundary before half of the cases are spent, or half
 *      of the cases are spent on them.
 */
import { type Random, seededRandom } from '../../runtime/kernel/random.ts';
import { type Choice, type Fate, sectorsOf, unsafeAt } from './disk.ts';
import type { Change, DataChange, Recording } from './recording.ts';

export interface Cut {
  readonly recording: number;
  /** Events before this one have happened. */
  readonly at: number;
  readonly way: Way;
  readonly seed: number;
}

interface Judged {
  readonly change: Change;
  readonly i: number;
  readonly count: number;
  readonly path: string | undefined;
}

/** Ways without chance: what is kept. */
const PLAIN = {
  nothing: () => false,
  everything: () => true,
  'only the last': ({ i, count }) => i === count - 1,
  'all but the first': ({ i }) => i > 0,
  'all but the last': ({ i, count }) => i < count - 1,
  'first pages only': (judged) => judged.change.kind !== 'data' || isFirstPages(judged),
  'all but first pages': (judged) => !isFirstPages(judged),
  'names without content': ({ change }) => change.kind === 'names',
  'content without names': ({ change }) => change.kind !== 'names',
  'sizes and names without content': ({ change }) => change.kind !== 'data',
} as const satisfies Record<string, (judged: Judged) => boolean>;

const CHANCY = ['a subset', 'torn', 'a torn end', 'the newest at risk', 'holes', 'disordered'] as const;

export type Way = keyof typeof PLAIN | (typeof CHANCY)[number];

const PLAIN_WAYS = Object.keys(PLAIN) as (keyof typeof PLAIN)[];
/** Both meta pages of the database. */
const FIRST_PAGES_BYTES = 8_192;
/** Draws for a case that was not there yet. */
const TRIES = 50;

function isFirstPages({ change, path }: Judged): boolean {
  return change.kind === 'data' && path?.endsWith('data.mdb') === true && change.offset < FIRST_PAGES_BYTES;
}

/** The first `amount` cases; fewer when the recordings have no more. */
export function planCuts(recordings: readonly Recording[], seed: number, amount: number): Cut[] {
  const random = seededRandom(seed, 77);
  const known = new Set<number>();
  const cuts: Cut[] = [];
  const unsafeOf = remember((recording: number, at: number) => unsafeAt(recordings[recording] as Recording, at));
  const take = (cut: Cut): boolean => {
    const unsafe = unsafeOf(cut.recording, cut.at);
    const choice = choose(cut, unsafe, recordings[cut.recording] as Recording);
    const key = keyOf(cut, unsafe, choice, recordings[cut.recording] as Recording);
    if (known.has(key)) return false;
    known.add(key);
    cuts.push(cut);
    return true;
  };

  for (const cut of shuffled(plainCuts(recordings), random)) {
    if (cuts.length >= amount / 2) break;
    take(cut);
  }
  for (let tries = 0; cuts.length < amount && tries < TRIES; ) {
    tries = take(chancyCut(recordings, random)) ? 0 : tries + 1;
  }
  return cuts;
}

export function compareCuts(a: Cut, b: Cut): number {
  return a.recording - b.recording || a.at - b.at;
}

/** How many places there are at which a sync begins to count. */
export function boundariesOf(recordings: readonly Recording[]): number {
  return recordings.reduce((sum, { syncEnds }) => sum + syncEnds.length, 0);
}

/** What becomes of the unsafe changes at a cut. */
export function choose(cut: Cut, unsafe: readonly Change[], { paths }: Recording): Choice {
  const random = seededRandom(cut.seed, cut.at);
  const count = unsafe.length;
  const each = (fate: (judged: Judged) => Fate): Fate[] =>
    unsafe.map((change, i) =>
      fate({ change, i, count, path: change.kind === 'names' ? undefined : paths.get(change.inode) }),
    );
  const mapped = random.next() < 0.5 ? 'zeros' : 'garbage';
  if (cut.way in PLAIN) {
    const isKept = PLAIN[cut.way as keyof typeof PLAIN];
    return { fates: each((judged) => (isKept(judged) ? 'kept' : 'lost')), hole: 'none', mapped };
  }
  // Now nearly all of it, now nearly none: a long row of changes is else always broken near its beginning.
  const keptPart = [0.05, 0.3, 0.5, 0.7, 0.9, 0.98][Math.floor(random.next() * 6)] as number;
  const mostly = (): Fate => (random.next() < keptPart ? 'kept' : 'lost');
  const orTorn = ({ change }: Judged): Fate =>
    change.kind === 'data' && random.next() < 0.6 ? tear(change, random) : mostly();
  switch (cut.way as (typeof CHANCY)[number]) {
    case 'a subset':
      return { fates: each(mostly), hole: 'none', mapped };
    case 'torn':
      return { fates: each(orTorn), hole: 'none', mapped };
    case 'a torn end': {
      const end = Math.floor(random.next() * count);
      const last = ({ change }: Judged): Fate => (change.kind === 'data' ? tear(change, random) : mostly());
      const fates = each((judged) => (judged.i < end ? 'kept' : judged.i === end ? last(judged) : 'lost'));
      return { fates, hole: 'none', mapped };
    }
    case 'the newest at risk': {
      const from = count - 1 - Math.floor(random.next() * Math.min(count, 8));
      return { fates: each((judged) => (judged.i < from ? 'kept' : orTorn(judged))), hole: 'none', mapped };
    }
    case 'holes':
      return { fates: each(orTorn), hole: random.next() < 0.5 ? 'zeros' : 'garbage', mapped };
    case 'disordered':
      return { fates: each(orTorn), hole: 'none', order: shuffled([...unsafe.keys()], random), mapped };
  }
}

/** The first sectors arrived, or the last ones, or any. */
function tear(change: DataChange, random: Random): Fate {
  const count = sectorsOf(change);
  const border = Math.floor(random.next() * (count + 1));
  const way = Math.floor(random.next() * 3);
  const sectors = Array.from({ length: count }, (_, i) =>
    way === 0 ? i < border : way === 1 ? i >= border : random.next() < 0.5,
  );
  if (sectors.every((arrived) => arrived)) return 'kept';
  return sectors.some((arrived) => arrived) ? { sectors } : 'lost';
}

function plainCuts(recordings: readonly Recording[]): Cut[] {
  return recordings.flatMap(({ syncEnds }, recording) =>
    syncEnds.flatMap((end) => PLAIN_WAYS.map((way): Cut => ({ recording, at: end, way, seed: end }))),
  );
}

function chancyCut(recordings: readonly Recording[], random: Random): Cut {
  const recording = Math.floor(random.next() * recordings.length);
  const { syncEnds, changes, events } = recordings[recording] as Recording;
  // Most unsafe is a disk just before a sync ends; where nothing waits for syncs, it is behind any change.
  const end = syncEnds[Math.floor(random.next() * syncEnds.length)] ?? events;
  const change = changes[Math.floor(random.next() * changes.length)]?.at ?? 0;
  const at = random.next() < 0.5 ? end : Math.min(events, change + 1 + Math.floor(random.next() * 3));
  const way = CHANCY[Math.floor(random.next() * CHANCY.length)] as Way;
  return { recording, at, way, seed: Math.floor(random.next() * 2 ** 31) };
}

/** A number that stands for what the case leaves on the disk, and for what had been promised by then. */
function keyOf({ recording, at }: Cut, unsafe: readonly Change[], choice: Choice, { promises }: Recording): number {
  let high = recording + 1;
  let low = promises.filter((promise) => promise.at < at).length;
  const add = (value: number): void => {
    high = Math.imul(high ^ value, 0x01000193) ^ (low >>> 15);
    low = Math.imul(low + value, 0x9e3779b1) ^ (high >>> 13);
  };
  // What is safe is told by what is not, and by how far the record has come.
  add(unsafe.at(-1)?.at ?? at);
  add(unsafe.length * 2 ** 16 + (unsafe[0]?.at ?? 0));
  for (const [i, change] of unsafe.entries()) {
    const fate = choice.fates[i] ?? 'lost';
    if (fate !== 'lost' || choice.hole !== 'none') {
      add(change.at);
      if (typeof fate === 'string') add(fate === 'kept' ? 1 : 2);
      else for (const arrived of fate.sectors) add(arrived ? 3 : 4);
    }
  }
  for (const place of choice.order ?? []) add(place);
  if (unsafe.length > 0) add(choice.hole.length);
  return (high >>> 0) * 2 ** 21 + ((low >>> 0) & 0x1fffff);
}

function remember<T>(make: (recording: number, at: number) => T): (recording: number, at: number) => T {
  const made = new Map<number, T>();
  return (recording, at) => {
    const key = recording * 2 ** 32 + at;
    let value = made.get(key);
    if (value === undefined) {
      value = make(recording, at);
      made.set(key, value);
    }
    return value;
  };
}

function shuffled<T>(values: T[], random: Random): T[] {
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(random.next() * (i + 1));
    [values[i], values[j]] = [values[j] as T, values[i] as T];
  }
  return values;
}
