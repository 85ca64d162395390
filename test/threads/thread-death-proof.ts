/**
 * Proof: threads that end in every way, at every moment, under load.
 *
 *     npm run proof -- --only thread-deaths --amount 630 --seed 123
 *
 * Owns: the matrix, how it is spread over processes, the figures, and the controls. A process that cannot be trusted to survive (memory
 * runs out) has one death only; the others have several, since that they are all survived is the point.
 */
import { join } from 'node:path';
import { type Random, seededRandom } from '../../runtime/kernel/random.ts';
import type { SystemOptions } from '../../runtime/system/options.ts';
import { KilledWorld } from '../crash/killed-world.ts';
import type { Control, Proof, ProofOutcome, ProofRun } from '../proof/proof.ts';
import { type Death, MOMENTS, type Way, WAYS } from './deaths.ts';

/** How long a replacement, and the settling of every call, may take: a thread that hangs while it starts is given 10 s. */
const PATIENCE_MS = 60_000;
/** The watchdog's patience where it is what ends the thread; elsewhere a busy machine must not look like a hang. */
const HANG_AFTER_MS = 1_000;
const NO_HANG_MS = 60_000;
const HEAP_MB = 64;
const PROCESSES_AT_ONCE = 2;

const HUNGRY: readonly Way[] = ['arrays', 'maps'];
const HANGING: readonly Way[] = ['loop', 'pause'];
const isHungry = ({ way }: Death): boolean => HUNGRY.includes(way);
const isHanging = ({ way }: Death): boolean => HANGING.includes(way);

/** Deaths in the life of one process. */
type Group = readonly Death[];

const hostDeaths = (way: Way): Death[] =>
  // One that stands still before it has begun has no work to go on with.
  MOMENTS.filter((moment) => way !== 'pause' || moment !== 'starting').map((moment) => ({
    victim: 'host',
    way,
    moment,
  }));

/** Every way at every moment; two hosts at once; and the journal's thread, which ends the system. */
const MATRIX: readonly Group[] = [
  ...WAYS.filter((way) => way !== 'garble').flatMap((way): Group[] =>
    HUNGRY.includes(way) ? hostDeaths(way).map((death) => [death]) : [hostDeaths(way)],
  ),
  [
    { victim: 'hosts', way: 'exit', moment: 'before commit' },
    { victim: 'hosts', way: 'throw', moment: 'after commit' },
    { victim: 'hosts', way: 'rejection', moment: 'idle' },
    { victim: 'hosts', way: 'terminate', moment: 'release' },
    { victim: 'hosts', way: 'exit', moment: 'forwarded' },
  ],
  [{ victim: 'hosts', way: 'loop', moment: 'turn' }],
  (['idle', 'turn', 'before commit', 'effect'] as const).map((moment) => ({ victim: 'host', way: 'garble', moment })),
  ...(['exit', 'throw', 'rejection'] as const).flatMap((way) =>
    (['idle', 'before commit', 'after commit'] as const).map((moment): Group => [{ victim: 'journal', way, moment }]),
  ),
];
const MATRIX_DEATHS = MATRIX.reduce((sum, group) => sum + group.length, 0);

const shuffled = <T>(random: Random, values: readonly T[]): T[] => {
  const left = [...values];
  const drawn: T[] = [];
  while (left.length > 0) drawn.push(...left.splice(Math.floor(random.next() * left.length), 1));
  return drawn;
};

/** The whole matrix as often as it goes into `amount`; the rest is drawn from what takes least time. */
function groupsOf(amount: number, seed: number): Group[] {
  const random = seededRandom(seed, 1);
  const groups: Group[] = [];
  for (let round = 0; round < Math.floor(amount / MATRIX_DEATHS); round++) {
    const all = shuffled(
      random,
      MATRIX.map((group) => shuffled(random, group)),
    );
    // Those that mostly wait go first, so that the others run beside them.
    groups.push(...all.sort((a, b) => Number(b.some(isHanging)) - Number(a.some(isHanging))));
  }
  const quick = MATRIX.flat().filter((death) => death.victim === 'host' && !isHungry(death) && !isHanging(death));
  const rest = shuffled(random, quick).slice(0, amount % MATRIX_DEATHS);
  for (let first = 0; first < rest.length; first += MOMENTS.length)
    groups.push(rest.slice(first, first + MOMENTS.length));
  return groups;
}

/** What was seen of one process. */
interface Outcome {
  readonly faults: readonly string[];
  readonly deaths: number;
  readonly aborted: readonly Death[];
  readonly tookMs: readonly { readonly way: Way; readonly ms: number }[];
}

interface Conditions {
  /** For `death-places.ts`. */
  readonly threads?: string;
  readonly hangAfterMs?: number;
  readonly patienceMs?: number;
}

async function letDie(scratch: string, group: Group, name: string, more: Conditions = {}): Promise<Outcome> {
  const world = new KilledWorld(join(scratch, name), 0, 0);
  const { faults } = world.history;
  const hungry = group.some(isHungry);
  const hanging = group.some(isHanging);
  const tookMs: { way: Way; ms: number }[] = [];
  const options: SystemOptions = {
    threads: 2,
    hangAfterMs: more.hangAfterMs ?? (hanging ? HANG_AFTER_MS : NO_HANG_MS),
    ...(hungry ? { hostHeapMb: HEAP_MB } : {}),
  };
  const { death, final } = await world.live({
    process: {
      ...world.order('deaths', options),
      deaths: { deaths: group, patienceMs: more.patienceMs ?? PATIENCE_MS },
    },
    threads: more.threads ?? (group.some(({ way }) => way === 'pause') ? 'survive' : 'end'),
    mayAbort: hungry,
    hear(word, value) {
      if (word !== 'DEATH') return;
      const { death: which, ms } = value as { death: Death; ms: number };
      tookMs.push({ way: which.way, ms });
    },
  });
  const isJournal = group.some(({ victim }) => victim === 'journal');
  if (final !== undefined) world.check(final);
  else if (death === 'ended' && !isJournal && faults.length === 0) faults.push('the process did not come to its end');
  // Whatever happened to its threads: the next process finds everything.
  if (faults.length === 0) await world.settle();
  world.remove();
  const labels = group.map(({ victim, way, moment }) => `${victim} ${way} ${moment}`).join(', ');
  return {
    faults: faults.map((fault) => `${fault} (deaths: ${labels})`),
    deaths: death === 'aborted' ? 1 : tookMs.length,
    aborted: death === 'aborted' ? group : [],
    tookMs,
  };
}

async function run({ amount, seed, only, scratch, say }: ProofRun): Promise<ProofOutcome> {
  const groups = groupsOf(amount, seed).map((group, number) => ({ group, number }));
  const chosen = groups.filter(({ number }) => only === undefined || number === only);
  const outcomes: Outcome[] = [];
  const work = async (): Promise<void> => {
    for (let next = chosen.shift(); next !== undefined; next = chosen.shift()) {
      const outcome = await letDie(scratch, next.group, `process-${next.number}`);
      outcomes.push({ ...outcome, faults: outcome.faults.map((fault) => `${fault}, process ${next.number}`) });
      for (const fault of outcome.faults) say(`fault: ${fault}`);
      say(`process ${next.number}: ${outcome.deaths} deaths, ${outcome.faults.length} faults`);
    }
  };
  await Promise.all(Array.from({ length: PROCESSES_AT_ONCE }, work));
  const deaths = outcomes.reduce((sum, outcome) => sum + outcome.deaths, 0);
  const aborted = outcomes.flatMap((outcome) => outcome.aborted);
  const longest = (hanging: boolean): number =>
    Math.max(
      0,
      ...outcomes.flatMap(({ tookMs }) =>
        tookMs.filter(({ way }) => HANGING.includes(way) === hanging).map(({ ms }) => ms),
      ),
    );
  return {
    cases: deaths,
    faults: outcomes.flatMap((outcome) => outcome.faults),
    figures: {
      processes: outcomes.length,
      processesEndedByMemory: aborted.length,
      endedByArrays: aborted.filter(({ way }) => way === 'arrays').length,
      endedByMaps: aborted.filter(({ way }) => way === 'maps').length,
      longestUntilReplacedMs: longest(false),
      longestUntilReplacedWithWatchdogMs: longest(true),
    },
  };
}

const control = (name: string, what: string, death: Death, conditions: Conditions): Control => ({
  name,
  what,
  amount: 1,
  async run({ scratch }) {
    const { faults } = await letDie(scratch, [death], 'control', conditions);
    return { cases: 1, faults, figures: {} };
  },
});

export const threadDeathProof: Proof = {
  name: 'thread-deaths',
  title: 'Thread deaths',
  what:
    'host threads end by terminate, exit, an exception, a rejection, arrays and maps without end, an endless loop, stand still and go on beside their successor, or send a garbled frame; while starting, idle, in a turn, before and ' +
    'after the commit, between the leaving of messages and their commit, during release, during an effect; two at once; and the thread of the journal: every call settles, nothing is lost or doubled in this process nor in the next one, ' +
    'and the process lives, but for want of memory',
  unit: 'deaths',
  sizes: { quick: 4, ci: MATRIX_DEATHS, full: 20 * MATRIX_DEATHS },
  run,
  controls: [
    control(
      'no-watchdog',
      'the watchdog switched off: an endless loop hangs',
      { victim: 'host', way: 'loop', moment: 'turn' },
      { hangAfterMs: 1e9, patienceMs: 1_500 },
    ),
    control(
      'no-fence',
      'a dead host that goes on is not fenced: turns are doubled',
      { victim: 'host', way: 'pause', moment: 'before commit' },
      { threads: 'survive, unfenced', patienceMs: 5_000 },
    ),
  ],
};
