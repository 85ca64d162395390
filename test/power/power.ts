/**
 * The proof of power cuts: the load is recorded, its disk is cut, and every disk is opened.
 *
 * Owns: the load's lives at each size, who looks at which case, and the controls.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Control, Proof, ProofOutcome, ProofRun, Size } from '../proof/proof.ts';
import { readChain, recordSegment, type Segment } from './chain.ts';
import type { CheckOrder } from './check-process.ts';
import { claimedFrom } from './claims.ts';
import { boundariesOf } from './cut-plan.ts';
import type { LifeOrder } from './load.ts';
import type { PlantedName } from './planted.ts';
import { runScript } from './script.ts';
import { compileShim, shimMissing, stillEnvironment } from './shim.ts';

const CHECK = new URL('./check-process.ts', import.meta.url);
const CHECKERS = 2;
/** What was recorded on a real disk may be looked at in memory: there it is made and thrown away sooner. */
const MEMORY = '/dev/shm';
/** Faults after which a run is given up: there will be more of the same. */
const FAULTS_ENOUGH = 40;
/** A control has as many states for its faults as it wants at most, and is done when it has found a few. */
const CONTROL_STATES = 3_000;
const CONTROL_FAULTS = 3;

/** What is recorded: lives in one process, on an empty disk or on the one that an earlier segment's cut left. */
interface Plot {
  readonly after: number | undefined;
  readonly lives: readonly LifeOrder[];
  readonly planted?: PlantedName | undefined;
}

const group = (messages: number, more: Partial<LifeOrder> = {}): LifeOrder => ({
  sync: 'group',
  threads: 0,
  retention: 'keep',
  checkpointEveryTurns: 1e9,
  messages,
  stops: true,
  ...more,
});
const trimmed = { retention: 'trim', checkpointEveryTurns: 40 } as const;
const relaxed = (messages: number, more: Partial<LifeOrder> = {}): LifeOrder =>
  group(messages, { sync: 'relaxed', ...more });

/** A first start, checkpoints and trimming, both sync modes, a backup, threads, and starts on a disk that was cut. */
const plots = (messages: number): readonly [Plot, Plot, Plot] => [
  {
    after: undefined,
    lives: [
      group(messages, { backup: 'copy' }),
      relaxed(messages, trimmed),
      group(messages, { ...trimmed, stops: false }),
    ],
  },
  { after: undefined, lives: [group(messages, { ...trimmed, threads: 2, stops: false })] },
  { after: 0, lives: [relaxed(messages, { backup: 'second-copy', stops: false })], planted: 'small-ahead' },
];

const PLOTS: Readonly<Record<Size, (amount: number) => readonly Plot[]>> = {
  quick: () => plots(5),
  ci: (amount) => longer(Math.max(1, Math.floor(amount / 5_000))),
  full: (amount) => longer(Math.max(1, Math.floor(amount / 10_000))),
};

/** Rows of starts on a disk that was cut while it recovered from a cut, and so on. */
function longer(rows: number): Plot[] {
  return Array.from({ length: rows }, (_, row): Plot[] => {
    const [modes, threads, cut] = plots(6 + (row % 3) * 4);
    const at = row * 5;
    return [
      modes,
      threads,
      { ...cut, after: at },
      { after: at + 2, lives: [group(6, trimmed), relaxed(6, { ...trimmed, stops: false })] },
      {
        after: at + 1,
        lives: [group(6, { ...trimmed, threads: 1 }), group(8, { stops: false })],
        planted: 'small-ahead',
      },
    ];
  }).flat();
}

async function recordAll(plotsOfRun: readonly Plot[], run: ProofRun): Promise<Segment[]> {
  const chain: Segment[] = [];
  for (let i = 0; i < plotsOfRun.length; ) {
    // Those that begin with an empty disk need not wait for one another.
    let end = i + 1;
    while (end < plotsOfRun.length && plotsOfRun[end]?.after === undefined && end - i < CHECKERS) end++;
    const made = plotsOfRun
      .slice(i, end)
      .map(({ after, lives, planted }, k) =>
        recordSegment(
          chain,
          { after, lives, life: 1 + (i + k) * 10 },
          { scratch: run.scratch, name: `segment-${i + k}`, seed: run.seed + i + k, planted },
        ),
      );
    chain.push(...(await Promise.all(made)));
    i = end;
  }
  return chain;
}

/** Looks at every case; a process that dies of one is a fault, and another one goes on behind it. */
async function checkAll(
  chain: readonly Segment[],
  run: ProofRun,
  options: {
    readonly checkers: number;
    readonly wholeEvery: number;
    readonly enough: number;
    /** As if the machine had not been started anew since the first recording. */
    readonly sameStart?: boolean | undefined;
    readonly planted?: PlantedName | undefined;
  },
): Promise<{ cases: number; faults: string[] }> {
  const faults: string[] = [];
  let cases = 0;
  const given = new AbortController();
  const fault = (text: string): void => {
    faults.push(text);
    if (faults.length >= options.enough) given.abort();
  };
  const states = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : run.scratch, 'power-cuts-'));
  const look = async (first: number): Promise<void> => {
    const scratch = join(states, `states-${first}`);
    mkdirSync(scratch);
    let skip = 0;
    for (;;) {
      let at = '';
      let done = false;
      const order: CheckOrder = {
        chain,
        seed: run.seed,
        amount: run.amount,
        first,
        step: options.checkers,
        skip,
        only: run.only,
        wholeEvery: options.wholeEvery,
        scratch,
        boot: join(states, `boot-${first}`),
        sameStart: options.sameStart === true,
      };
      const line = (text: string): void => {
        if (text === 'done') done = true;
        else if (text.startsWith('fault ')) fault(`case ${at}: ${text.slice(6)}`);
        else {
          at = text.slice('at '.length);
          skip++;
          cases++;
          if (cases % 1_000 === 0) run.say(`  ${cases} of ${run.amount}, ${faults.length} faults`);
        }
      };
      const { code, errors } = await runScript(CHECK, order, stillEnvironment(order.boot), {
        planted: options.planted,
        line,
        signal: given.signal,
      });
      if (done || given.signal.aborted) return;
      if (at === '') throw new Error(`the checking process ended with ${code}: ${errors}`);
      fault(`case ${at}: the process ended with ${code}: ${errors}`);
    }
  };
  const firsts = run.only === undefined ? [...Array(options.checkers).keys()] : [0];
  try {
    await Promise.all(firsts.map(look));
  } finally {
    rmSync(states, { recursive: true, force: true });
  }
  return { cases, faults };
}

async function prove(run: ProofRun): Promise<ProofOutcome> {
  compileShim();
  const chain = await recordAll(PLOTS[run.size](run.amount), run);
  const lived = readChain(chain);
  const recordings = lived.map(({ recording }) => recording);
  const promises = recordings.flatMap((recording) => recording.promises.map((promise) => ({ recording, promise })));
  run.say(`  ${recordings.length} recordings, ${boundariesOf(recordings)} syncs, ${promises.length} promises`);
  const { cases, faults } = await checkAll(chain, run, { checkers: CHECKERS, wholeEvery: 40, enough: FAULTS_ENOUGH });
  const kept = faults.length > 0 ? keepRecordings(run) : undefined;
  const waits = promises.flatMap(({ recording, promise }) => {
    const from = claimedFrom(recording, promise);
    return from === Infinity ? [] : [(recording.timesMs[from] ?? 0) - (recording.timesMs[promise.at] ?? 0)];
  });
  return {
    cases,
    faults: kept === undefined ? faults : faults.map((fault) => `${fault} (the recordings: ${kept})`),
    figures: {
      recordings: recordings.length,
      syncs: boundariesOf(recordings),
      writes: recordings.reduce((sum, { changes }) => sum + changes.length, 0),
      promises: promises.length,
      startsOnACutDisk: chain.filter(({ parent }) => parent !== undefined).length,
      longestUnflushedMs: Math.round(Math.max(0, ...waits)),
    },
  };
}

/** The same seed records another order of writes where threads run: what a fault was found in is kept beside the scratch folder. */
function keepRecordings({ scratch, seed }: ProofRun): string {
  const kept = join(scratch, '..', `power-cuts-seed-${seed}`);
  rmSync(kept, { recursive: true, force: true });
  cpSync(scratch, kept, { recursive: true });
  return kept;
}

/** A load with a fault planted in it, or in those who look at it. */
function control(
  name: PlantedName,
  what: string,
  lives: readonly LifeOrder[],
  planted: { readonly load: boolean; readonly check: boolean; readonly sameStart?: boolean },
): Control {
  return {
    name,
    what,
    amount: CONTROL_STATES,
    async run(run) {
      const only = (is: boolean): PlantedName | undefined => (is ? name : undefined);
      const chain = await recordAll([{ after: undefined, lives, planted: only(planted.load) }], run);
      const options = { checkers: 1, wholeEvery: 1e9, enough: CONTROL_FAULTS, sameStart: planted.sameStart };

      return { ...(await checkAll(chain, run, { ...options, planted: only(planted.check) })), figures: {} };
    },
  };
}

export const powerProof: Proof = {
  name: 'power-cuts',
  title: 'Power cuts',
  what:
    'every write, sync and renaming of a loaded system is recorded; at every sync boundary and in between, what was not ' +
    'synced is dropped, reordered or torn by sector, and the disk is opened again. All open, nothing acknowledged is lost, ' +
    'no gap, no turn of another history, state is the fold of the turns',
  unit: 'states',
  sizes: { quick: 300, ci: 20_000, full: 200_000 },
  run: prove,
  controls: [
    control('no-sync', 'a file ahead that is not waited for', [group(6, { stops: false })], {
      load: true,
      check: false,
    }),
    control('no-database-sync', 'a database that does not sync', [group(30, { stops: false })], {
      load: true,
      check: false,
    }),
    control('early-acknowledgement', 'acknowledged before the flush', [group(6, { stops: false })], {
      load: true,
      check: false,
    }),
    control('no-names', 'names of files not waited for', [group(3, { stops: false })], { load: true, check: false }),
    control('no-safe-restore', "LMDB's own defaults with the boot id unchanged", [group(30, { stops: false })], {
      load: true,
      check: true,
      sameStart: true,
    }),
    control('no-sums', 'a store that does not check sums', [relaxed(15, { stops: false })], {
      load: false,
      check: true,
    }),
  ],
  missing: shimMissing,
};
