/**
 * DBOS on PostgreSQL: workflows of three steps, sagas whose third step fails, and workflows that a killed process left.
 *
 * Owns: the contenders. Steps are functions of this process, whose results DBOS records one by one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Contender, Sample, Setting } from '../contract.ts';
import { rateOf, tripOf } from '../numbered-work.ts';
import { type Dbos, dropDatabase, launchDbos, makeDatabase, missingDbos, POOL } from './dbos-server.ts';

const UNDER_WAY = 256;
const LEFT = 1_000;
const DATABASE = 'collaborative_blocks_bench';

type Work = (order: number) => Promise<unknown>;

const step = (dbos: Dbos, name: string): Promise<unknown> => dbos.runStep(async () => ({ ok: name }), { name });

const three = (dbos: Dbos): Work =>
  dbos.registerWorkflow(
    async (_order: number) => {
      for (const name of ['a', 'b', 'c']) await step(dbos, name);
      return 'completed';
    },
    { name: 'three' },
  );

/** A saga as its documents write one: a list of what is to be undone, in a catch. */
const declined = (dbos: Dbos): Work =>
  dbos.registerWorkflow(
    async (_order: number) => {
      const undo: string[] = [];
      try {
        for (const name of ['a', 'b']) {
          undo.push(`undo ${name}`);
          await step(dbos, name);
        }
        const decline = async (): Promise<never> => {
          throw new Error('declined');
        };
        return await dbos.runStep(decline, { name: 'c' });
      } catch {
        for (const name of undo.toReversed()) await step(dbos, name);
        return undo.length;
      }
    },
    { name: 'declined' },
  );

type Measure = (one: Work, setting: Setting) => Promise<() => Promise<Sample>>;

const contender = (
  label: string,
  make: (dbos: Dbos) => Work,
  expected: unknown,
  database: string,
  measure: Measure,
): Contender => ({
  name: 'dbos',
  kind: 'baseline',
  label,
  note: `pool of ${POOL}`,
  missing: missingDbos,
  async open(setting) {
    const note = await makeDatabase(database);
    const { workflows: workflow, dbos } = await launchDbos(database, make);
    const one: Work = async (n) => {
      const result = await workflow(n);
      if (result !== expected) throw new Error(`a workflow answered ${String(result)}`);
    };
    return {
      note,
      sample: await measure(one, setting),
      async close() {
        await dbos.shutdown();
        await dropDatabase(database);
      },
    };
  },
});

const rate: Measure = (one, { sampleMs }) => rateOf(one, { sampleMs, underWay: UNDER_WAY, most: 5_000 });
const trip: Measure = (one, { sampleMs }) => tripOf(one, { sampleMs, least: 20 });

export const dbosThree: Contender = contender('DBOS', three, 'completed', `${DATABASE}_three`, rate);
export const dbosThreeTrip: Contender = contender('DBOS', three, 'completed', `${DATABASE}_three_trip`, trip);
export const dbosDeclined: Contender = contender('DBOS', declined, 2, `${DATABASE}_declined`, rate);

/** Runs `dbos-left.ts`; resolves with the last line that it printed. */
async function runLeft(mode: 'leave' | 'come-back', database: string): Promise<string> {
  const script = fileURLToPath(new URL('dbos-left.ts', import.meta.url));
  const child = spawn(process.execPath, [script, mode, database, String(LEFT)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output = child.stdout.toArray() as Promise<Buffer[]>;
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (code !== 0 && !(mode === 'leave' && signal === 'SIGKILL'))
    throw new Error(`dbos-left ended with ${code ?? signal}`);
  return Buffer.concat(await output).toString();
}

/** From launch to the last of 1,000 workflows that a killed process left at their second step. */
export const dbosLeft: Contender = {
  name: 'dbos',
  kind: 'baseline',
  label: 'DBOS',
  note: `pool of ${POOL}`,
  missing: missingDbos,
  async open() {
    const left = `${DATABASE}_left`;
    const copy = `${DATABASE}_copy`;
    const note = await makeDatabase(left);
    await runLeft('leave', left);
    return {
      note,
      async sample() {
        await makeDatabase(copy, left);
        const { tookMs } = JSON.parse(await runLeft('come-back', copy)) as { tookMs: number };
        return { all: tookMs };
      },
      async close() {
        await dropDatabase(copy);
        await dropDatabase(left);
      },
    };
  },
};
