/**
 * Proof: what machines do to a process and its disk, while tells, asks, timers, effects and spawns are under way.
 *
 *     npm run proof -- --only machine-faults --case 3        one trial
 *
 * Owns: which trial comes when, and the controls.
 */
import { cpSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Dice } from '../hostile/dice.ts';
import type { Control, Proof, ProofOutcome, ProofRun } from '../proof/proof.ts';
import { Machine, machineMissing } from './machine.ts';
import { type Trial, TRIALS } from './trials.ts';

async function run({ amount, only, seed, scratch, say }: ProofRun): Promise<ProofOutcome> {
  const faults: string[] = [];
  const figures: Record<string, number> = {};
  let acknowledged = 0;
  let cases = 0;
  for (let number = 0; number < amount; number++) {
    if (only !== undefined && only !== number) continue;
    const trial = TRIALS[(number + seed) % TRIALS.length] as Trial;
    const result = await tryOnce(trial, join(scratch, String(number)), new Dice(seed, number), false);
    faults.push(...result.faults.map((fault) => `case ${number}, ${trial.name}: ${fault}`));
    figures[trial.name] = (figures[trial.name] ?? 0) + 1;
    acknowledged += result.acknowledged;
    cases++;
    say(`${cases} trials (${trial.name}), ${faults.length} faults`);
  }
  return { cases, faults, figures: { ...figures, acknowledged } };
}

async function tryOnce(
  trial: Trial,
  folder: string,
  dice: Dice,
  early: boolean,
): Promise<{ readonly faults: readonly string[]; readonly acknowledged: number }> {
  using machine = new Machine(folder, { early });
  try {
    await trial.run(machine, dice);
  } catch (error) {
    machine.faults.push(`the trial itself failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { faults: machine.faults, acknowledged: machine.acknowledged };
}

const trialOf = (name: string): Trial => TRIALS.find((trial) => trial.name === name) as Trial;

const early: Control = {
  name: 'acknowledged too early',
  what: 'the process says of every message that it is acknowledged when it has only been sent, on a disk that refuses writes',
  amount: 1,
  run: async ({ seed, scratch }) => {
    const { faults } = await tryOnce(trialOf('writes fail (EIO)'), join(scratch, 'm'), new Dice(seed, 1), true);
    return { cases: 1, faults, figures: {} };
  },
};

/** Two lives are enough to see a folder that went back. */
const wentBack: Control = {
  name: 'a folder that went back',
  what: 'an older copy takes the place of the folder, and nobody says so',
  amount: 1,
  run: async ({ seed, scratch }) => {
    using machine = new Machine(join(scratch, 'm'));
    const copy = join(machine.folder, 'copy');
    for (let life = 0; life < 2; life++) {
      const working = machine.start('work');
      await working.works(20 + new Dice(seed, life).below(20));
      await working.kill();
      if (life === 0) cpSync(machine.dataDir, copy, { recursive: true });
    }
    rmSync(machine.dataDir, { recursive: true });
    renameSync(copy, machine.dataDir);
    await machine.settle();
    return { cases: 1, faults: machine.faults, figures: {} };
  },
};

export const machineFaults: Proof = {
  name: 'machine-faults',
  title: 'Full disks and other failures of the machine',
  what:
    'Tells, asks, timers, effects, child machines and spawns are under way while the disk is full, fills and empties again and again, is read-only, refuses writes or flushes (EIO, ' +
    'EROFS, EDQUOT), file handles run out at the start or later, the clock is set a day back or forward, the folder is restored from an older backup or copied while it is written. ' +
    'Errors have names, nothing acknowledged is lost or doubled, everything begun is finished, and it goes on when the machine does',
  unit: 'trials',
  sizes: { quick: 1, ci: 13, full: 520 },
  run,
  controls: [early, wentBack],
  missing: machineMissing,
};
