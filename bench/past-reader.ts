/**
 * `past-reader.ts DIR PAST`: starts a system on a data folder, asks its first actor, prints how long both took.
 *
 * Owns: the stopwatch of a restart. Its figures are from a process that has just begun, as a real restart's are.
 */
import { startSystem } from './own-system.ts';
import { definitionNameOf, type Past, WRITER_ID } from './past.ts';

const [dataDir = '', json = '{}'] = process.argv.slice(2);
const past = JSON.parse(json) as Past;
const { actors, checkpointEveryTurns, stored, threads, turns } = past;

const startedMs = performance.now();
const system = await startSystem({
  dataDir,
  threads,
  ...(stored ? {} : { checkpointEveryTurns: 1e12, checkpointEveryBytes: 1e15 }),
  ...(checkpointEveryTurns === undefined ? {} : { checkpointEveryTurns, checkpointEveryBytes: 1e15 }),
});
const upMs = performance.now();
const handled = await system.ref(definitionNameOf(past), `${WRITER_ID}0`).ask<number>({ type: 'REPORT' });
const answeredMs = performance.now();
if (handled !== Math.ceil((turns - actors) / actors)) throw new Error(`${handled} of ${turns} turns came back`);
process.stdout.write(JSON.stringify({ startMs: upMs - startedMs, answerMs: answeredMs - upMs }));
await system.stop();
