/**
 * The real permit log: every case is a saga over the connectors of its departments; tries fail, answers are lost, departments refuse,
 * and the process is killed. In the end the books of the departments say what the log says.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { runThroughKills } from '../../support/killed-script.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { hasPermitLog, PERMIT_LOG, type PermitCase, readPermitLog, refusedAt } from './permit-log.ts';

/** One case in so many, all by default: for a quick look, `CB_PERMIT_EVERY=24`. */
const EVERY = Number(process.env['CB_PERMIT_EVERY'] ?? 1);
const KILLS = 2;

interface Entry {
  readonly what: 'do' | 'undo';
  readonly run: string;
  readonly event: number;
  readonly department: string;
  readonly activity: string;
}

type Line = readonly [
  what: Entry['what'],
  id: string,
  run: string,
  event: number,
  department: string,
  activity: string,
];
type Outcomes = readonly (readonly string[])[];

function readBooks(path: string): ReadonlyMap<string, readonly Entry[]> {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const books = new Map<string, Entry[]>();
  for (const line of lines) {
    const [what, id, run, event, department, activity] = JSON.parse(line) as Line;
    books.set(id, [...(books.get(id) ?? []), { what, run, event, department, activity }]);
  }
  return books;
}

/** What the books are to say of a case: all of it as in the log, after what was refused was undone from its end. */
function expected(one: PermitCase): Entry[] {
  const { id, events } = one;
  const entries = (what: Entry['what'], run: string, count: number): Entry[] =>
    events.slice(0, count).map((event, at) => ({ what, run, event: at, ...event }));
  const refused = refusedAt(one);
  if (refused === undefined) return entries('do', id, events.length);
  return [
    ...entries('do', id, refused),
    ...entries('undo', id, refused).reverse(),
    ...entries('do', `${id}-again`, events.length),
  ];
}

test('the permit log, through failures and kills', { timeout: 600_000 }, async ({ skip }) => {
  skip(!hasPermitLog(), `skipped: the log of real permits is not beside the project (${PERMIT_LOG})`);
  const all = readPermitLog();
  expect(all).toHaveLength(1_434);
  expect(all.reduce((sum, { events }) => sum + events.length, 0)).toBe(8_577);
  const cases = all.filter((_, at) => at % EVERY === 0);
  expect(cases.filter((one) => refusedAt(one) !== undefined).length).toBeGreaterThan(cases.length / 10);

  await using folder = await tmpDir('permits');
  const files = [folder.at('data'), folder.at('books'), folder.at('cases.json')];
  writeFileSync(folder.at('cases.json'), JSON.stringify(cases));
  const random = seededRandom(11, 11);
  const end = await runThroughKills<{ readonly outcomes: Outcomes }>(
    join(import.meta.dirname, 'permit-process.ts'),
    files,
    { times: KILLS, afterMs: () => random.next() * 400 },
  );
  expect(end?.outcomes).toEqual(
    cases.map((one) => (refusedAt(one) === undefined ? ['completed'] : ['WORKFLOW_FAILED', 'completed'])),
  );
  const books = readBooks(folder.at('books'));
  for (const one of cases) {
    expect(books.get(one.id) ?? [], one.id).toEqual(expected(one));
  }
  expect(books.size).toBe(cases.length);
});
