/**
 * Random workflows in processes that are killed: what each run heard, in the order of its journal, is told to the reference, and both
 * must have come to the same end; what was done is undone exactly once, in reverse order, when the run is.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isUnknownOutcome } from '../../../actors/saga/run-behavior.ts';
import { WorkflowCoordinationEngine, workflowActors } from '../../../actors/index.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import type { EncodedError } from '../../../runtime/kernel/errors.ts';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import type { TurnEntry } from '../../../runtime/system/history.ts';
import { diceDesk, type Throw } from '../../support/actors/dice-desk.ts';
import { runThroughKills } from '../../support/killed-script.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { type NumberedCase, randomCases } from './random-cases.ts';
import { ReferenceRun } from './reference-run.ts';

const SEED = 20_261_128;
const COUNT = 80;
const KILLS = 3;

interface Heard {
  readonly control?: {
    readonly kind: string;
    readonly ask?: string;
    readonly id?: string;
    readonly error?: EncodedError;
  };
  readonly type?: string;
}

/** Tells the reference what a turn of the run was about. */
function tell(reference: ReferenceRun, { message, outcome }: TurnEntry): void {
  if (outcome !== 'handled') return;
  const { control, type } = message as Heard;
  switch (control?.kind ?? type) {
    case 'reply':
      return reference.done(control?.ask as string);
    case 'ask.failed': {
      const error = control?.error as EncodedError;
      return reference.failed(control?.ask as string, isUnknownOutcome(error), error.code === 'FINAL');
    }
    case 'timer':
      return reference.waited(String(control?.id).replace('backoff:', ''));
    case 'cancel':
      return void reference.cancel();
    case 'retry':
      // One that was refused, since the run was over or not stuck, changes nothing.
      return reference.phase.startsWith('stuck') ? reference.retry() : undefined;
    default:
      expect(['spawn', 'result', 'fingerprint']).toContain(control?.kind ?? type);
  }
}

/** The reference's end, from what the run heard. */
function referenceOf({ workflow, input }: NumberedCase, turns: readonly TurnEntry[]): ReferenceRun {
  const reference = new ReferenceRun(workflow.data, {
    condition: (id) => input[`c${id.slice(1)}`] === true,
    items: (id) => (input[`l${id.slice(1)}`] as unknown[]).length,
  });
  for (const turn of turns) tell(reference, turn);
  return reference;
}

/** Exactly what was done, or may have been, is undone once, and whatever depends on it before it. */
function checkUndone({ workflow, runId }: NumberedCase, status: string, thrown: readonly Throw[]): void {
  const keys = thrown.map(({ key }) => key);
  expect(new Set(keys).size, `${runId}: each command came once`).toBe(keys.length);
  const unitOf = ({ key }: Throw): string => key.slice(runId.length + 1, key.lastIndexOf('/'));
  const stepOf = (unit: string) => workflow.steps.get(unit.split('#')[0] as string)!.data;
  const units = new Set(thrown.map(unitOf).filter((unit) => !unit.endsWith('/undo')));
  for (const unit of units) {
    const own = thrown.filter((one) => unitOf(one) === unit).map(({ outcome }) => outcome);
    const isDone = own.includes('done') || own.includes('ASK_TIMEOUT');
    const isUndone = status !== 'completed' && stepOf(unit).compensation !== undefined && isDone;
    const undone = thrown.filter((one) => unitOf(one) === `${unit}/undo` && one.outcome === 'done');
    expect(undone, `${runId}: ${unit} undone`).toHaveLength(isUndone ? 1 : 0);
    if (!isUndone) continue;
    const began = thrown.findIndex((one) => unitOf(one) === `${unit}/undo`);
    for (const after of units) {
      if (!stepOf(after).dependencies.includes(stepOf(unit).id)) continue;
      const ended = thrown.findLastIndex((one) => unitOf(one) === `${after}/undo`);
      expect(ended, `${runId}: ${after} is undone before ${unit}`).toBeLessThan(began);
    }
  }
}

test('random workflows through kills come to the end that the reference comes to', { timeout: 300_000 }, async () => {
  await using folder = await tmpDir('saga-random');
  const dataDir = folder.at('data');
  const random = seededRandom(SEED, 1);
  const end = await runThroughKills(
    join(import.meta.dirname, 'random-process.ts'),
    [dataDir, String(SEED), String(COUNT)],
    { times: KILLS, afterMs: () => random.next() * 150 },
  );
  expect(end).toEqual({ isOver: true });

  await using system = await ActorSystem.start({
    dataDir,
    threads: 0,
    retention: 'keep',
    actors: [workflowActors, diceDesk.module],
  });
  const engine = new WorkflowCoordinationEngine(system);
  const seen = new Map<string, number>();
  for (const one of randomCases(SEED, COUNT)) {
    const { runId } = one;
    const { status, steps, trace } = await engine.query(runId);
    const turns = await system.history(system.refOf(`saga-run/${runId}`)).turns();
    const reference = referenceOf(one, turns).view();
    const undone = trace.filter(({ what }) => what === 'undone').map(({ of }) => of as string);
    expect({ phase: status, steps: mapOf(steps), undone: undone.sort(), running: [], waiting: [] }, `${runId}`).toEqual(
      reference,
    );
    checkUndone(one, status, await system.ref(diceDesk, runId).ask<readonly Throw[]>({ type: 'STATE' }));
    seen.set(status, (seen.get(status) ?? 0) + 1);
  }
  // All ways to end are among them.
  expect([...seen.keys()].sort()).toEqual(['cancelled', 'completed', 'failed']);
});

const mapOf = (steps: Readonly<Record<string, { readonly status: string }>>): Record<string, string> =>
  Object.fromEntries(Object.entries(steps).map(([id, { status }]) => [id, status === 'ready' ? 'pending' : status]));
