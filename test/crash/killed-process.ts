/**
 * One life of the process that is killed, seen from the parent that outlives it.
 *
 * Owns: starting it, hearing it, killing it from outside, and how it ended. What its words mean is `world.ts`.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { REPOSITORY } from '../../bench/environment.ts';
import type { ControlFault } from './planted-faults.ts';
import { type Point, POINT_VARIABLE } from './points.ts';
import type { ProcessOrder } from './process.ts';
import type { History, World } from './world.ts';

export interface LifeOrder {
  readonly process: ProcessOrder;
  /** Where it kills itself, and at which passing. */
  readonly point?: { readonly name: Point; readonly nth: number } | undefined;
  /** When it is killed from outside, ms after its start, its finding or the first write that it acknowledged; never in a life that settles. */
  readonly kill?: { readonly after: 'start' | 'found' | 'written'; readonly ms: number } | undefined;
  /** What is broken on purpose, in a control. */
  readonly planted?: ControlFault | undefined;
  /** Its threads are to die: under which conditions (`death-places.ts`). */
  readonly threads?: string | undefined;
  /** Whether it may end by itself for want of memory. */
  readonly mayAbort?: boolean | undefined;
  /** Hears what is not for the history. */
  readonly hear?: ((word: string, value: unknown) => void) | undefined;
}

export interface Life {
  /**
   * Where it killed itself; `outside`: it was killed; `aborted`: memory ended it; `starved`: the machine was too busy
   * for it to start; `ended`: it came to its end.
   */
  readonly death: Point | 'outside' | 'aborted' | 'starved' | 'ended';
  /** From the start of the process to its first finding; undefined when it was killed before. */
  readonly recoveryMs: number | undefined;
  readonly final: World | undefined;
}

const PROCESS = join(REPOSITORY, 'test', 'crash', 'process.ts');
const PLACES = join(REPOSITORY, 'test', 'crash', 'places.ts');
const DEATHS = join(REPOSITORY, 'test', 'threads', 'death-places.ts');
const PLANTED = join(REPOSITORY, 'test', 'crash', 'planted-faults.ts');
/** Compiled modules of earlier processes: half of a short life would else be spent on reading the code. */
const COMPILED = join(REPOSITORY, '.tmp', 'compile-cache');
/** What a process says whose start was refused for want of the machine; see `process.ts`. */
const STARVED = 75;
/** A process that is neither dead nor at its end by then hangs. */
const LONGEST_LIFE_MS = 300_000;
/** How V8 ends a process that has no memory left, and what a shell makes of it. */
const ABORTS = new Set<unknown>(['SIGABRT', 'SIGTRAP', 'SIGILL', 134, 133]);

/** Lets the process live and die; what it says goes into `history`. */
export async function live(order: LifeOrder, history: History): Promise<Life> {
  const { point, kill, planted, threads } = order;
  const preloads = [
    ...(point === undefined ? [] : [PLACES]),
    ...(planted === undefined ? [] : [PLANTED]),
    ...(threads === undefined ? [] : [DEATHS]),
  ];
  const argv = [...preloads.flatMap((file) => ['--import', file]), PROCESS, JSON.stringify(order.process)];
  const child = spawn(process.execPath, argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NODE_COMPILE_CACHE: COMPILED,
      [POINT_VARIABLE]: point === undefined ? '' : `${point.name}:${point.nth}`,
      CB_PLANTED_FAULT: planted ?? '',
      CB_DEATHS: threads ?? '',
    },
  });
  const startMs = performance.now();
  const timers: NodeJS.Timeout[] = [];
  let hangs = false;
  timers.push(
    setTimeout(() => {
      hangs = true;
      child.kill('SIGKILL');
    }, LONGEST_LIFE_MS),
  );
  const killIf = (moment: 'start' | 'found' | 'written'): void => {
    if (kill?.after === moment) timers.push(setTimeout(() => child.kill('SIGKILL'), kill.ms));
  };
  let death: Life['death'] = 'outside';
  let recoveryMs: number | undefined;
  let final: World | undefined;
  let complaints = '';
  child.stderr.on('data', (text) => (complaints += String(text)));
  killIf('start');
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const at = line.indexOf(' ');
    const word = line.slice(0, at);
    let value: unknown;
    try {
      value = JSON.parse(line.slice(at + 1));
    } catch {
      // The last line of a killed process.
      return;
    }
    history.hear(word, value);
    order.hear?.(word, value);
    if (word === 'DIES') death = value as Point;
    if (word === 'FOUND') {
      recoveryMs = performance.now() - startMs;
      history.found(value as World);
      killIf('found');
    }
    if (word === 'WRITTEN') killIf('written');
    if (word === 'FINAL') final = value as World;
  });
  const heard = new Promise((resolve) => lines.once('close', resolve));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.once('close', (exitCode, exitSignal) => resolve([exitCode, exitSignal]));
  });
  await heard;
  for (const timer of timers) clearTimeout(timer);
  const aborted = order.mayAbort === true && ABORTS.has(signal ?? code);
  if (hangs) history.faults.push(`the process was still there after ${LONGEST_LIFE_MS} ms: ${complaints}`);
  else if (!aborted && signal !== 'SIGKILL' && code !== 0 && code !== STARVED)
    history.faults.push(`the process ended with ${code ?? signal}: ${complaints}`);
  if (aborted) death = 'aborted';
  else if (signal !== 'SIGKILL') death = code === STARVED ? 'starved' : 'ended';
  return { death, recoveryMs, final };
}
