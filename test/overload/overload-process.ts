/**
 * The process that is flooded: it sends far more than its actors can handle, by every way there is, and looks at itself meanwhile.
 * In the end it waits until everything that was accepted is handled, and says what became of everything.
 */
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turnOfTheLoop, setTimeout as pause } from 'node:timers/promises';
import { type ActorRef, ActorSystem } from '../../runtime/index.ts';
import { placementOf } from '../../runtime/kernel/address.ts';
import { seededRandom } from '../../runtime/kernel/random.ts';
import { bottomless, type Counts, pump, pumpInMemory, sink, sinkInMemory } from '../support/actors/flooded.ts';
import type { LaneReport, Outcomes, OverloadReport, Sample } from './overload-report.ts';
import { IdleThread, Stopwatch } from './probe.ts';
import { ProcessMemoryProbe } from './process-memory.ts';

export interface OverloadOrder {
  readonly dataDir: string;
  readonly backups: string;
  readonly seconds: number;
  readonly seed: number;
  readonly callsLimit: number;
  readonly planted: 'none' | 'no back-pressure' | 'no trim' | 'native leak';
}

const order = JSON.parse(process.argv[2] ?? '{}') as OverloadOrder;
const random = seededRandom(order.seed, 1);
const HOSTS = 2;
/** A tenth of a millisecond of work and more; without trimming it is the amount that shows. */
const SPIN = order.planted === 'no trim' ? 1_000 : 30_000;
/** Kept of every turn of the flooder's loop, in the control that leaks. */
const LEAK_BYTES = 1_000_000;
/** Calls in one turn of the loop: more would keep the flooder itself from its other work. */
const BURST = 300;
const PATIENT_MS = 3_600_000;
const MORE_S_MAX = 60;
const HASTY_MS = 250;
/** Looks at memory in a run; a look costs every thread a collection. */
const LOOKS_LEAST = 12;
const LOOKS_MOST = 120;
/** Of a thousand calls of the lanes that allow it. */
const POISONED = 2;
const EXPIRING = 2;
/** So large in a control that a few seconds show what is wrong. */
const BALLAST = 'x'.repeat(order.planted === 'none' ? 600 : 8_000);

const memory = new ProcessMemoryProbe();
const unlimited = order.planted === 'no back-pressure';
const system = await ActorSystem.start({
  dataDir: order.dataDir,
  threads: HOSTS,
  retention: order.planted === 'no trim' ? 'keep' : 'trim',
  checkpointEveryTurns: 2_000,
  callsLimit: unlimited ? 1e9 : order.callsLimit,
  tellTimeoutMs: PATIENT_MS,
  actors: [new URL('../support/actors/flooded.ts', import.meta.url)],
});
const errors: string[] = [];
const hostsLost: string[] = [];
system.on('failed', ({ error }) => errors.push(`the system failed: ${error.stack}`));
system.on('blocked', ({ key, error }) => errors.push(`${key} is blocked: ${error.message}`));
system.on('host_lost', (event) => hostsLost.push(JSON.stringify(event)));

const idOn = (definition: { readonly name: string }, slot: number): string => {
  for (let i = 0; ; i++) if (placementOf(`${definition.name}/${i}`, HOSTS) === slot) return String(i);
};
const slots = [0, 1];
const patient = { timeoutMs: 60_000 };
const sinks = await Promise.all(
  slots.flatMap((slot) => [
    system.spawn(sink, { id: idOn(sink, slot), ...patient }),
    system.spawn(unlimited ? bottomless : sinkInMemory, {
      id: idOn(unlimited ? bottomless : sinkInMemory, slot),
      ...patient,
    }),
  ]),
);
/** Each pump sends to a sink of the other host, one of them to its own. */
const pumps = await Promise.all(
  [
    [pump, 0, sinks[2]],
    [pump, 1, sinks[0]],
    [pumpInMemory, 0, sinks[3]],
    [pumpInMemory, 1, sinks[3]],
  ].map(async ([definition, slot, to], i) => {
    const target = to as ActorRef;
    const lane = `pump ${i}`;
    const ref = (await system.spawn(definition as typeof pump, {
      id: idOn(definition as typeof pump, slot as number),
      input: { to: target.key, lane, spin: SPIN, ballast: 'x'.repeat(4_000) },
      ...patient,
    })) as ActorRef;
    return { ref, lane, target };
  }),
);

const none = (): Outcomes => ({ sent: 0, done: 0, refused: 0, failed: 0, expired: 0, late: 0, otherwise: 0 });
type Way = 'tell' | 'ask' | 'send' | 'hasty';
const WAYS: readonly Way[] = ['tell', 'ask', 'send', 'hasty'];
const lanes = new Map<string, Outcomes & { n: number }>();
for (const way of WAYS) for (const { key } of sinks) lanes.set(`${way} ${key}`, { ...none(), n: 0 });
const oddities = new Set<string>();

function settled(outcomes: Outcomes, error: unknown): void {
  switch ((error as { code?: unknown }).code) {
    case 'MAILBOX_FULL':
      outcomes.refused++;
      break;
    case 'TELL_TIMEOUT':
    case 'ASK_TIMEOUT':
      outcomes.late++;
      break;
    case 'HANDLER_FAILED':
      outcomes.failed++;
      break;
    case 'MESSAGE_EXPIRED':
      outcomes.expired++;
      break;
    default:
      outcomes.otherwise++;
      if (oddities.size < 5) oddities.add(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}

function attempt(target: ActorRef, way: Way): void {
  const lane = `${way} ${target.key}`;
  const outcomes = lanes.get(lane) as Outcomes & { n: number };
  const chance = random.next() * 1_000;
  const mayDie = way === 'tell' || way === 'ask';
  outcomes.sent++;
  const message = {
    type: 'WORK',
    lane,
    n: ++outcomes.n,
    spin: SPIN,
    ballast: BALLAST,
    ...(mayDie && chance < POISONED ? { poison: true } : {}),
  };
  if (way === 'send') {
    try {
      target.send(message);
      outcomes.done++;
    } catch (error) {
      settled(outcomes, error);
    }
    return;
  }
  const ttl = mayDie && chance > 1_000 - EXPIRING ? { ttlMs: 20 } : {};
  const timeoutMs = way === 'hasty' ? HASTY_MS : PATIENT_MS;
  const call = way === 'ask' ? target.ask(message, { timeoutMs, ...ttl }) : target.tell(message, { timeoutMs, ...ttl });
  call.then(
    () => void outcomes.done++,
    (error: unknown) => settled(outcomes, error),
  );
}

const startMs = performance.now();
const startCpu = process.cpuUsage();
const secondsGone = (): number => (performance.now() - startMs) / 1_000;
let flooding = true;
let ended = false;

/** What a control never lets go, and no heap counts. */
const leaked: Buffer[] = [];

async function flood(): Promise<void> {
  while (flooding) {
    if (order.planted === 'native leak') leaked.push(Buffer.alloc(LEAK_BYTES, 1));
    for (let i = 0; i < BURST; i++)
      attempt(sinks[Math.floor(random.next() * sinks.length)] as ActorRef, WAYS[Math.floor(random.next() * 4)] as Way);
    await turnOfTheLoop();
  }
}

const samples: Sample[] = [];
const MB = 1 << 20;
async function sample(): Promise<void> {
  const runMs = order.seconds * 1_000;
  const everyMs = Math.min(runMs / LOOKS_LEAST, Math.max(1_000, runMs / LOOKS_MOST));
  while (flooding) {
    await pause(everyMs);
    const { heapBytes, heldBytes } = await memory.now();
    const { fileBytes } = (await system.stats()).journal;
    samples.push({
      atS: Math.round(secondsGone() * 10) / 10,
      heldMb: Math.round(heldBytes / MB),
      heapMb: Math.round(heapBytes / MB),
      fileMb: Math.round(fileBytes / MB),
    });
  }
}

const baseline = new Stopwatch();
const control = new Map<string, Stopwatch>();
const timed = <T>(name: string, call: () => Promise<T>): Promise<T> => {
  let watch = control.get(name);
  if (watch === undefined) control.set(name, (watch = new Stopwatch()));
  return watch.time(call);
};

/** The calls that an operator makes when things are as they are here. */
async function operate(): Promise<void> {
  await using idle = new IdleThread();
  const busy = sinks[0] as ActorRef;
  const calm = await system.spawn(sink, { id: 'calm', ...patient });
  for (let round = 0; flooding; round++) {
    await baseline.time(() => idle.ping());
    await timed('stats', () => system.stats());
    await timed('snapshot of an idle actor', () => calm.snapshot(patient));
    await timed('snapshot of a flooded actor', () => busy.snapshot(patient));
    if (round % 5 === 0) {
      // A victim with work for seconds: its stop must not wait for that.
      const victim = await timed('spawn', () => system.spawn(sink, { id: `victim-${round}`, ...patient }));
      for (let i = 1; i <= 200; i++) victim.tell({ type: 'WORK', lane: 'victim', n: i, spin: SPIN }).catch(() => {});
      await timed('stop of a flooded actor', () => victim.stop(patient));
    }
    await pause(20);
  }
}

/** Dead letters are for people; here somebody has to sweep. Counts them by lane. */
const parked = new Map<string, number>();
async function sweep(): Promise<void> {
  for (;;) {
    const last = ended;
    const letters = await system.deadLetters.list({ limit: 500 });
    await system.deadLetters.purge(letters.map(({ id }) => id));
    for (const { message } of letters) {
      const { lane } = message as { readonly lane: string };
      parked.set(lane, (parked.get(lane) ?? 0) + 1);
    }
    if (letters.length > 0) continue;
    if (last) return;
    await pause(200);
  }
}

/** Long readers: the whole past of an actor, and copies of the folder, over and over. */
async function read(): Promise<void> {
  for (let round = 0; flooding; round++) {
    await system.history(sinks[0] as ActorRef).turns({ limit: 1_000 });
    const copy = join(order.backups, String(round));
    await system.backup(copy);
    rmSync(copy, { recursive: true, force: true });
    await pause(100);
  }
}

for (const { ref } of pumps) ref.send({ type: 'PUMP' });
const reported = (work: Promise<unknown>): Promise<unknown> =>
  work.catch(
    (error: unknown) => void errors.push(error instanceof Error ? (error.stack ?? error.message) : String(error)),
  );
const sweeping = reported(sweep());
const all = [flood(), sample(), operate(), read()].map(reported);
await pause(order.seconds * 1_000);
/**
 * A run goes by the clock, but on a busy machine it must have been looked at often enough; a control must have had the processor time
 * in which its fault shows.
 */
const SHOWS_MB = { 'no trim': 48, 'native leak': 100, 'no back-pressure': 300 };
const hasShown = (planted: OverloadOrder['planted']): boolean => {
  if (planted === 'none') return samples.length >= LOOKS_LEAST;
  const what = planted === 'no trim' ? 'fileMb' : 'heldMb';
  return (samples.at(-1)?.[what] ?? 0) - (samples[0]?.[what] ?? 0) >= SHOWS_MB[planted];
};
while (!hasShown(order.planted) && secondsGone() < order.seconds + MORE_S_MAX) await pause(100);
flooding = false;
/** The flooder and the hosts have always work. */
const couldHave = Math.min(availableParallelism(), 1 + HOSTS) * secondsGone() * 1e6;
const used = process.cpuUsage(startCpu);
const processorShare = Math.round(((used.user + used.system) / couldHave) * 100) / 100;
await Promise.all(all);
// What a control is to show has been seen; one that took everything would have work for hours.
if (order.planted !== 'none') {
  const report = {
    seconds: order.seconds,
    lanes: [],
    pumped: [],
    disorder: 0,
    hostsLost,
    samples,
    sendsLost: 0,
    processorShare,
  };
  process.stdout.write(`${JSON.stringify({ ...report, baseline: baseline.delays, control: {}, errors })}\n`);
  process.kill(process.pid, 'SIGKILL');
}

// What was accepted is handled now, and nothing more comes.
/** The flood may have left no room for another call: then some of it has to be handled first. */
const stopped = (pumping: ActorRef): Promise<unknown> =>
  pumping.tell({ type: 'STOP' }).catch(async (error: unknown) => {
    if ((error as { code?: unknown }).code !== 'MAILBOX_FULL') throw error;
    await pause(50);
    return stopped(pumping);
  });
for (const { ref } of pumps) await stopped(ref);
const countsOf = async (ref: ActorRef): Promise<Counts> =>
  ref.ask<Counts>({ type: 'COUNTS' }, { timeoutMs: PATIENT_MS });
const underWay = (): boolean =>
  [...lanes.values()].some((o) => o.sent !== o.done + o.refused + o.failed + o.expired + o.late + o.otherwise);
while (underWay()) await pause(50);
const pumpSent = await Promise.all(
  pumps.map(({ ref }) => ref.ask<number>({ type: 'SENT' }, { timeoutMs: PATIENT_MS })),
);
let counts: Counts[] = [];
const handledOf = (lane: string): number => counts.reduce((sum, { handled }) => sum + (handled[lane] ?? 0), 0);
// An actor's own messages have no receipts: what is still on its way is waited for, as long as there is progress.
for (let before = -1; ; ) {
  counts = await Promise.all(sinks.map(countsOf));
  const total = counts.reduce((sum, { handled }) => sum + Object.values(handled).reduce((a, b) => a + b, 0), 0);
  if (pumps.every(({ lane }, i) => handledOf(lane) === pumpSent[i]) && total === before) break;
  if (total === before) {
    await pause(1_000);
    counts = await Promise.all(sinks.map(countsOf));
    break;
  }
  before = total;
  await pause(100);
}
ended = true;
await sweeping;
const laneReports: LaneReport[] = [...lanes].map(([lane, { n: _, ...outcomes }]) => ({
  lane,
  ...outcomes,
  handled: handledOf(lane),
  parked: parked.get(lane) ?? 0,
}));
for (const oddity of oddities) errors.push(oddity);
const report: OverloadReport = {
  seconds: order.seconds,
  lanes: laneReports,
  pumped: pumps.map(({ lane }, i) => ({
    lane,
    ...none(),
    sent: pumpSent[i] as number,
    handled: handledOf(lane),
    parked: 0,
  })),
  disorder: counts.reduce((sum, { disorder }) => sum + disorder, 0),
  hostsLost,
  samples,
  processorShare,
  baseline: baseline.delays,
  control: Object.fromEntries([...control].map(([name, watch]) => [name, watch.delays])),
  errors,
  sendsLost: (await system.stats()).sendsLost,
};
await system.stop();
process.stdout.write(`${JSON.stringify(report)}\n`);
