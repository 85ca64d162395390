/**
 * The proof by damage: bytes of a data folder flipped, pages zeroed, doubled, swapped and cut off.
 *
 * Owns: the cases and the sum of what came of them. What is hit is `injuries.ts`, who is asked `census.ts`, what is right `verdict.ts`.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Control, Proof, ProofOutcome, ProofRun } from '../proof/proof.ts';
import { Dice } from '../hostile/dice.ts';
import type { Census, Questions } from './census.ts';
import { CensusTaker } from './census-takers.ts';
import { type Aim, contentOf, type FolderContent, type Injury, injuryOf, leaveLock, writeContent } from './injuries.ts';
import { type FolderMap, survey } from './regions.ts';
import { buildTown, CITIZENS, FOLDERS, type FolderName } from './town.ts';
import { judge, judgeRepaired, type Outcome, type Recovery } from './verdict.ts';

const PROCESSES = 2;
/** Fewer cases than this are done by one process before a second one has started. */
const ONE_PROCESS_CASES = 60;
/** Of this many cases one goes on: every actor has another turn, and the folder is opened again. */
const LATER_EVERY = 8;
/** Of this many cases one is repaired, too, and the repaired folder is asked. */
const REPAIR_EVERY = 4;
/** How long an actor may take on a busy machine. */
const PATIENCE_MS = 120_000;
/** Where pages are not looked through, actors that never answer are what is looked for. */
const CONTROL_PATIENCE_MS = 10_000;
const HISTORIES = [
  'citizen/c1',
  `citizen/${CITIZENS[0]}`,
  'citizen/c13',
  'clerk/k1',
  'lamp/l0',
  `citizen/${CITIZENS[20]}`,
];

interface Faults {
  readonly aim?: Aim;
  readonly checkPages?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

interface Town {
  readonly folders: ReadonlyMap<FolderName, FolderContent>;
  readonly maps: ReadonlyMap<FolderName, FolderMap>;
  readonly truths: ReadonlyMap<FolderName, Census>;
}

/** Made once a process: the controls injure the same folders. */
let town: Town | undefined;

async function injure(run: ProofRun, planted: Faults = {}): Promise<ProofOutcome> {
  // What is read from there is never asked of the disk: in memory where there is such a place, thousands of times faster.
  const root = existsSync('/dev/shm') ? mkdtempSync('/dev/shm/cb-damage-') : run.scratch;
  try {
    return await injureIn(root, run, planted);
  } finally {
    if (root !== run.scratch) rmSync(root, { recursive: true, force: true });
  }
}

async function injureIn(root: string, run: ProofRun, planted: Faults): Promise<ProofOutcome> {
  const first = new CensusTaker(planted.environment);
  const takers = [first];
  try {
    const here = (town ??= await prepare(root));
    const numbers = run.only === undefined ? Array.from({ length: run.amount }, (_, i) => i) : [run.only];
    const count = numbers.length < ONE_PROCESS_CASES ? 1 : PROCESSES;
    while (takers.length < count) takers.push(new CensusTaker(planted.environment));
    const sum = new Sum();
    const work = async (taker: CensusTaker, place: number): Promise<void> => {
      for (let i = place; i < numbers.length; i += count) {
        await oneCase(here, root, taker, run, numbers[i] as number, planted, sum);
        if (sum.cases % 1_000 === 0) run.say(`${sum.cases} of ${numbers.length}, ${sum.faults.length} faults`);
      }
    };
    await Promise.all(takers.map(work));
    return { cases: sum.cases, faults: sum.faults, figures: sum.figures() };
  } finally {
    for (const taker of takers) await taker.end();
  }
}

async function prepare(root: string): Promise<Town> {
  const taker = new CensusTaker();
  const folders = new Map<FolderName, FolderContent>();
  const maps = new Map<FolderName, FolderMap>();
  const truths = new Map<FolderName, Census>();
  try {
    await buildTown(root);
    for (const name of FOLDERS) {
      const folder = join(root, name);
      if (name !== 'stopped') leaveLock(folder);
      maps.set(name, survey(folder));
      folders.set(name, contentOf(folder));
      truths.set(name, await truthOf(taker, folder, name));
    }
  } finally {
    await taker.end();
  }
  return { folders, maps, truths };
}

async function truthOf(taker: CensusTaker, folder: string, name: FolderName): Promise<Census> {
  const taken = await taker.take({ ...questionsOf(folder, name), later: true });
  if (taken.kind === 'died' || taken.troubles.length > 0)
    throw new Error(`the undamaged folder ${name}: ${JSON.stringify(taken)}`);
  const { census } = taken;
  const wrong = [...Object.entries(census.actors), ...Object.entries(census.histories)].filter(
    ([, answer]) => 'refused' in answer,
  );
  if (census.opening !== undefined || wrong.length > 0 || census.reported.length > 0)
    throw new Error(`the undamaged folder ${name} is not well: ${JSON.stringify({ ...census.opening, wrong })}`);
  return census;
}

function questionsOf(folder: string, name: FolderName): Questions {
  return {
    folder,
    relaxed: name === 'relaxed',
    checkPages: true,
    histories: HISTORIES,
    end: undefined,
    later: false,
    patienceMs: PATIENCE_MS,
  };
}

async function oneCase(
  { folders, maps, truths }: Town,
  root: string,
  taker: CensusTaker,
  run: ProofRun,
  number: number,
  planted: Faults,
  sum: Sum,
): Promise<void> {
  const injury = injuryOf(run.seed, number, maps, planted.aim);
  const truth = truths.get(injury.folder) as Census;
  const dice = new Dice(run.seed ^ 0x5eed, number);
  const folder = join(root, `case-${number}`);
  writeContent(folders.get(injury.folder) as FolderContent, folder);
  injury.apply(folder);
  const taken = await taker.take({
    ...questionsOf(folder, injury.folder),
    // Each mode takes over what a process that was killed in the other has left.
    relaxed: (injury.folder === 'relaxed' || injury.folder === 'ahead') && dice.chance(0.5),
    checkPages: planted.checkPages ?? true,
    patienceMs: planted.checkPages === false ? CONTROL_PATIENCE_MS : PATIENCE_MS,
    histories: [dice.pick(HISTORIES), dice.pick(HISTORIES)],
    end: truth.end,
    later: number % LATER_EVERY === 0,
  });
  rmSync(folder, { recursive: true, force: true });
  if (taken.kind === 'died') {
    sum.add(injury, undefined, [`the process ${taken.how}`], number);
    return;
  }
  const { outcome, faults } = judge(truth, taken.census, injury.what);
  const repair =
    number % REPAIR_EVERY === 0 && planted.aim === undefined
      ? await oneRepair({ folders, truths }, root, taker, injury, outcome, sum)
      : [];
  sum.add(injury, outcome, [...faults, ...taken.troubles, ...repair], number);
}

async function oneRepair(
  { folders, truths }: Pick<Town, 'folders' | 'truths'>,
  root: string,
  taker: CensusTaker,
  injury: Injury,
  outcome: Outcome,
  sum: Sum,
): Promise<readonly string[]> {
  const truth = truths.get(injury.folder) as Census;
  const folder = mkdtempSync(join(root, 'repair-'));
  const target = `${folder}-new`;
  try {
    writeContent(folders.get(injury.folder) as FolderContent, folder);
    injury.apply(folder);
    const questions = questionsOf(folder, injury.folder);
    const taken = await taker.take({
      ...questions,
      histories: [HISTORIES[0] as string],
      end: truth.end,
      repairTo: target,
    });
    if (taken.kind === 'died') return [`the doctor's process ${taken.how}`];
    const { recovery, faults } = judgeRepaired(truth, taken.census, injury.what);
    const { doctor } = taken.census;
    const isBlind = doctor?.refused === undefined && outcome !== 'unharmed' && doctor?.findings === 0;
    sum.repaired(recovery, doctor?.mended ?? 0, doctor?.rebuilt ?? 0);
    return [
      ...faults.map((fault) => `after the repair: ${fault}`),
      ...(isBlind ? [`${outcome}, and the doctor finds nothing`] : []),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(target, { recursive: true, force: true });
  }
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => a.localeCompare(b);

class Sum {
  cases = 0;
  readonly faults: string[] = [];
  readonly #outcomes = new Map<string, number>();
  readonly #kinds = new Map<string, Map<string, number>>();
  readonly #repairs = new Map<Recovery, number>();
  #mended = 0;
  #rebuilt = 0;

  add(injury: Injury, outcome: Outcome | undefined, faults: readonly string[], number: number): void {
    this.cases += 1;
    if (faults.length > 0) this.faults.push(`case ${number}, ${injury.what}: ${faults.slice(0, 3).join('; ')}`);
    const name = faults.length > 0 ? 'FAULT' : (outcome ?? 'FAULT');
    this.#outcomes.set(name, (this.#outcomes.get(name) ?? 0) + 1);
    const kind = this.#kinds.get(injury.kind) ?? new Map<string, number>();
    this.#kinds.set(injury.kind, kind);
    kind.set(name, (kind.get(name) ?? 0) + 1);
  }

  repaired(recovery: Recovery, mended: number, rebuilt: number): void {
    this.#repairs.set(recovery, (this.#repairs.get(recovery) ?? 0) + 1);
    this.#mended += mended;
    this.#rebuilt += rebuilt;
  }

  figures(): ProofOutcome['figures'] {
    const figures: Record<string, number | string> = {};
    for (const [name, count] of [...this.#repairs].sort(byName)) figures[`repaired: ${name}`] = count;
    if (this.#repairs.size > 0) figures['repaired: rows mended, actors rebuilt'] = `${this.#mended}, ${this.#rebuilt}`;
    for (const [name, count] of [...this.#outcomes].sort(byName)) figures[name] = count;
    for (const [kind, outcomes] of [...this.#kinds].sort(byName)) {
      figures[kind] = [...outcomes].map(([name, count]) => `${count} ${name}`).join(', ');
    }
    return figures;
  }
}

const control = (name: string, what: string, amount: number, planted: Faults): Control => ({
  name,
  what,
  amount,
  run: (run) => injure(run, planted),
});

export const damageProof: Proof = {
  name: 'damage',
  title: 'Damage',
  what:
    'bits flipped anywhere in a data folder and in each kind of its bytes (first pages, branches, leaves, keys, free pages, batches, images, letters, ' +
    'numbers, the file ahead of the database, the small files), pages zeroed, doubled, swapped, overwritten, files cut off; stopped, killed, trimmed and relaxed ' +
    'folders. Then every actor, histories, letters and keyed requests are asked, and some go on and are opened again: each answer is right, or the actor ' +
    'is blocked, the opening refused or the loss reported with an error that names it; no process dies or hangs',
  unit: 'damaged folders',
  sizes: { quick: 110, ci: 1_100, full: 11_000 },
  run: (run) => injure(run),
  controls: [
    control('pages', 'the pages of the database are not looked through: processes die, rows vanish', 60, {
      checkPages: false,
      aim: { folders: ['killed'], kinds: /page|description|reference|key of/ },
    }),
    control('sums', 'the sums of turns are not looked at: wrong answers are served', 60, {
      environment: { DAMAGE_SUMS: 'off' },
      aim: { folders: ['killed'], kinds: /^batch: (headers|sends)/ },
    }),
  ],
};
