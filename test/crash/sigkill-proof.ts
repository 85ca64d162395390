/**
 * Proof: a real process, killed with SIGKILL under load and recovered, again and again.
 *
 *     npm run proof -- --only sigkill --amount 10000 --seed 123
 *
 * Owns: how kills are spread over worlds, the figures, and the controls.
 */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Control, Proof, ProofOutcome, ProofRun } from '../proof/proof.ts';
import type { ControlFault } from './planted-faults.ts';
import { KilledWorld } from './killed-world.ts';
import { type Point, POINT_NAMES } from './points.ts';

/** Kills on one data folder, before the check of everything. */
const KILLS_A_WORLD = 25;
const WORLDS_AT_ONCE = 2;
/** With so many kills every named point must have been died at: one that nobody passes any more proves nothing. */
const EVERY_POINT_FROM = 250;
/** Starts that may be refused because the machine is too busy, of all. */
const STARVED_MOST = 0.2;

async function run({ amount, seed, only, scratch, say }: ProofRun): Promise<ProofOutcome> {
  const worlds: KilledWorld[] = [];
  const faults: string[] = [];
  const starts: number[] = [];
  for (let first = 0; first < amount; first += KILLS_A_WORLD) {
    if (only === undefined || (only >= first && only < first + KILLS_A_WORLD)) starts.push(first);
  }
  const work = async (): Promise<void> => {
    for (let first = starts.shift(); first !== undefined; first = starts.shift()) {
      const kills = Math.min(KILLS_A_WORLD, (only === undefined ? amount : only + 1) - first);
      const world = new KilledWorld(join(scratch, `world-${first}`), seed, first);
      worlds.push(world);
      let kill = 0;
      while (kill < kills && world.history.faults.length === 0) {
        await world.kill();
        kill += 1;
      }
      if (world.history.faults.length === 0) await world.settle();
      faults.push(...world.history.faults.map((fault) => `${fault} (after kill ${first + kill - 1})`));
      world.remove();
      for (const fault of world.history.faults) say(`fault: ${fault}`);
      say(`kills ${first} to ${first + kill}: ${world.history.faults.length} faults`);
    }
  };
  await Promise.all(Array.from({ length: WORLDS_AT_ONCE }, work));
  const figures = figuresOf(worlds);
  const starved = Number(figures.shown['startsWithoutMachine']);
  if (starved > STARVED_MOST * amount) faults.push(`${starved} processes did not get the machine for their start`);
  if (amount >= EVERY_POINT_FROM && only === undefined) {
    const died = new Set(worlds.flatMap(({ lives }) => lives.map(({ death }) => death)));
    for (const point of POINT_NAMES) if (!died.has(point)) faults.push(`no process died at ${point}`);
  }
  return { cases: figures.cases, faults, figures: figures.shown };
}

function figuresOf(worlds: readonly KilledWorld[]): { cases: number; shown: ProofOutcome['figures'] } {
  const lives = worlds.flatMap((world) => world.lives);
  const kills = lives.filter(({ death }) => death !== 'ended' && death !== 'starved');
  const atPoints = kills.filter(({ death }) => death !== 'outside');
  const recoveries = lives.flatMap(({ recoveryMs }) => recoveryMs ?? []).sort((a, b) => a - b);
  const at = (part: number): number => Math.round(recoveries[Math.floor(recoveries.length * part)] ?? 0);
  const sum = (of: (world: KilledWorld) => number): number => worlds.reduce((total, world) => total + of(world), 0);
  const points = new Map<Point, number>();
  for (const { death } of atPoints) points.set(death as Point, (points.get(death as Point) ?? 0) + 1);
  return {
    cases: kills.length,
    shown: {
      worlds: worlds.length,
      killsAtNamedPoints: atPoints.length,
      killsAtRandom: kills.length - atPoints.length,
      killsBeforeRecovered: kills.filter(({ recoveryMs }) => recoveryMs === undefined).length,
      startsWithoutMachine: lives.filter(({ death }) => death === 'starved').length,
      namedPoints: points.size,
      leastKillsAtOnePoint: points.size === POINT_NAMES.length ? Math.min(...points.values()) : 0,
      acknowledged: sum(({ history }) => history.acknowledged),
      repliesRepeated: sum(({ history }) => history.repeated),
      recoveryP50Ms: at(0.5),
      recoveryP99Ms: at(0.99),
    },
  };
}

/** A fault in the runtime itself, and kills at the point where it shows. */
function plantedFault(name: ControlFault, what: string, point: Point, passings: readonly number[]): Control {
  return {
    name: name.replace('_', '-'),
    what,
    amount: passings.length,
    async run({ seed, scratch }) {
      const world = new KilledWorld(join(scratch, 'world'), seed, 0);
      for (const nth of passings) {
        if (world.history.faults.length > 0) break;
        const process = world.order('work', { threads: 0 });
        await world.live({ process, planted: name, point: { name: point, nth }, kill: { after: 'found', ms: 2_000 } });
      }
      if (world.history.faults.length === 0)
        await world.settle({ planted: name, process: world.order('settle', { threads: 0 }) });
      return { cases: world.lives.length, faults: world.history.faults, figures: {} };
    },
  };
}

/** The folder as it was a kill before: what was acknowledged since is gone, and nothing in it is damaged. */
const lostTail: Control = {
  name: 'lost-tail',
  what: 'the data folder goes back to how it was one kill before',
  amount: 2,
  async run({ seed, scratch }) {
    const world = new KilledWorld(join(scratch, 'world'), seed, 0);
    const before = join(scratch, 'before');
    for (let kill = 0; kill < 2; kill++) {
      if (kill === 1) cpSync(world.dataDir, before, { recursive: true });
      await world.live({ process: world.order('work', { threads: 0 }), kill: { after: 'written', ms: 0 } });
    }
    rmSync(world.dataDir, { recursive: true });
    cpSync(before, world.dataDir, { recursive: true });
    await world.live({ process: world.order('settle', { threads: 0 }) });
    return { cases: 2, faults: world.history.faults, figures: {} };
  },
};

export const sigkillProof: Proof = {
  name: 'sigkill',
  title: 'SIGKILL',
  what:
    `a process with reducers, state machines, a supervisor, effects, timers and asks is killed at random and at each of ${POINT_NAMES.length} named points (commit, release, checkpoint, trim, ` +
    'recovery, effect, drain, backup), in both sync modes, on 0 to 3 hosts; the history kept outside and what was really done outside are checked: nothing acknowledged is lost, ' +
    'at-most-once is never doubled, at-least-once never lost, effectively-once neither',
  unit: 'kills',
  sizes: { quick: 5, ci: 300, full: 10_000 },
  run,
  controls: [
    plantedFault('early_receipts', 'an acknowledgement before the commit', 'commit.before', [40]),
    plantedFault('early_effects', 'effects started before the commit', 'effect.after', [4, 5, 6]),
    plantedFault('no_keys', 'deduplication by key switched off', 'commit.after', [60]),
    lostTail,
  ],
};
