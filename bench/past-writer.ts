/**
 * `past-writer.ts DIR PAST`: fills a data folder with turns and kills its own process, so that nothing is tidied up.
 *
 * Owns: the writing. Nothing here is measured.
 */
import type { ActorRef } from '../runtime/index.ts';
import { order } from './actors/messages.ts';
import { startSystem } from './own-system.ts';
import { definitionNameOf, type Past, WRITER_ID } from './past.ts';
import { inFlight } from './pace.ts';

const [dataDir = '', json = '{}'] = process.argv.slice(2);
const past = JSON.parse(json) as Past;
const { actors, checkpointEveryTurns, stored, threads, turns } = past;
/** Everything of one big actor would otherwise wait in its mailbox. */
const UNDER_WAY = 8_000;

const { journaledCounter, replayedCounter } = await import('./actors/counter.ts');
const definition = stored ? journaledCounter : replayedCounter;
const system = await startSystem({
  dataDir,
  threads,
  // Without stored states there must be no checkpoint either: it would store one.
  ...(stored ? {} : { checkpointEveryTurns: 1e12, checkpointEveryBytes: 1e15 }),
  ...(checkpointEveryTurns === undefined ? {} : { checkpointEveryTurns, checkpointEveryBytes: 1e15 }),
});
const refs: ActorRef[] = [];
await inFlight(actors, 1_000, async (i) => {
  refs[i] = await system.spawn(definition, { id: `${WRITER_ID}${i}` });
});
await inFlight(turns - actors, UNDER_WAY, (i) => (refs[i % actors] as ActorRef).tell(order(i)));
const handled = await (refs[0] as ActorRef).ask<number>({ type: 'REPORT' });
if (handled !== Math.ceil((turns - actors) / actors))
  throw new Error(`${handled} handled by the first of ${definitionNameOf(past)}`);
process.kill(process.pid, 'SIGKILL');
