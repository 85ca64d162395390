/**
 * Options of a system: defaults, environment, validation.
 *
 * Owns: the option names, and saying everything that is wrong with them at once.
 */
import { formatWithOptions } from 'node:util';
import { InvalidOptionsError } from '../kernel/errors.ts';
import { show } from '../kernel/option-faults.ts';
import {
  ASK_TIMEOUT_MS,
  CHECKPOINT_EVERY_BYTES,
  CHECKPOINT_EVERY_TURNS,
  DRAIN_TIMEOUT_MS,
  HANG_AFTER_MS,
  RESIDENT_CELLS_LIMIT,
  TELL_TIMEOUT_MS,
} from '../kernel/limits.ts';
import type { Retention, SyncMode } from '../journal/journal-control.ts';

/** Options of `ActorSystem.start`. All have defaults. */
export interface SystemOptions {
  /** Where the journal lives. Without one it is in memory: actors are lost with the process. */
  readonly dataDir?: string;
  /** Host threads: a number, `auto` (one a core), or 0 to run everything on the calling thread. Default `auto`. */
  readonly threads?: 'auto' | number;
  /** URLs of the modules that export definitions; every host loads them. */
  readonly actors?: readonly (string | URL)[];
  /**
   * `group` (default): what was acknowledged survives power loss. `relaxed`: it survives a killed process; the disk is
   * flushed on an interval, and power loss may take the last of it.
   */
  readonly sync?: SyncMode;
  /**
   * Whether the database's pages are looked through before it is opened, so that damage is an error and not a crash: 0.3 s a GB of
   * journal, 0.8 s a million stored actors. Default true. `false` opens at once, and trusts the disk.
   */
  readonly checkPages?: boolean;
  /** `keep` (default): every turn stays, for history. `trim`: turns behind the last checkpoint are deleted. */
  readonly retention?: Retention;
  /** Default deadline of asks, ms. Default 5,000. */
  readonly askTimeoutMs?: number;
  /** Default deadline of tells, ms. Default 30,000. */
  readonly tellTimeoutMs?: number;
  /** Actors kept in memory per host. Default 100,000. */
  readonly residentCellsLimit?: number;
  /** Calls from outside that may be under way. Default 100,000. */
  readonly callsLimit?: number;
  /** Turns between checkpoints: bounds what a restart reads. Default 500,000. */
  readonly checkpointEveryTurns?: number;
  /** Bytes of journal between checkpoints. Default 128 MiB. */
  readonly checkpointEveryBytes?: number;
  /** A host whose event loop stands still for so long is replaced, ms. Default 10,000. */
  readonly hangAfterMs?: number;
  /** How long `stop` waits for work to finish, ms. Default 10,000. */
  readonly drainTimeoutMs?: number;
  /** Heap of a host thread in MB, after which it is replaced. Default: Node's own. */
  readonly hostHeapMb?: number;
  /** Takes what behaviors log. Default: a line on standard output with the actor's key in front. */
  readonly onLog?: (key: string, values: readonly unknown[]) => void;
}

export interface ResolvedOptions {
  readonly dataDir: string | undefined;
  readonly threads: number;
  readonly actors: readonly string[];
  readonly sync: SyncMode;
  readonly checkPages: boolean;
  readonly retention: Retention;
  readonly askTimeoutMs: number;
  readonly tellTimeoutMs: number;
  readonly residentCellsLimit: number;
  readonly callsLimit: number;
  readonly checkpointEveryTurns: number;
  readonly checkpointEveryBytes: number;
  readonly hangAfterMs: number;
  readonly drainTimeoutMs: number;
  readonly hostHeapMb: number | undefined;
  readonly onLog: (key: string, values: readonly unknown[]) => void;
}

const CALLS_LIMIT = 100_000;
const THREADS_LIMIT = 256;

const KNOWN = new Set<string>([
  'dataDir',
  'threads',
  'actors',
  'sync',
  'checkPages',
  'retention',
  'askTimeoutMs',
  'tellTimeoutMs',
  'residentCellsLimit',
  'callsLimit',
  'checkpointEveryTurns',
  'checkpointEveryBytes',
  'hangAfterMs',
  'drainTimeoutMs',
  'hostHeapMb',
  'onLog',
]);

/** Checks and completes options; throws one `InvalidOptionsError` with every fault. `cores` is what `auto` means. */
export function resolveOptions(options: SystemOptions, cores: number): ResolvedOptions {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionsError(`ActorSystem.start: ${show(options)} is not an object of options`);
  }
  const faults: string[] = [];
  const fault = (name: string, value: unknown, expected: string): void => {
    faults.push(`${name}: ${show(value)} is not ${expected}`);
  };
  const number = (name: string, value: unknown, fallback: number, least: number): number => {
    if (value === undefined) return fallback;
    if (typeof value === 'number' && value >= least) return value;
    fault(name, value, `a number of ${least} or more`);
    return fallback;
  };
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) faults.push(`${name}: no such option (known: ${[...KNOWN].join(', ')})`);
  }
  const { dataDir, threads = 'auto', sync = 'group', checkPages = true, retention = 'keep', onLog } = options;
  if (dataDir !== undefined && (typeof dataDir !== 'string' || dataDir === '')) fault('dataDir', dataDir, 'a path');
  const validThreads =
    threads === 'auto' ||
    (typeof threads === 'number' && Number.isInteger(threads) && threads >= 0 && threads <= THREADS_LIMIT);
  if (!validThreads) fault('threads', threads, `'auto' or a whole number from 0 to ${THREADS_LIMIT}`);
  if (sync !== 'group' && sync !== 'relaxed') fault('sync', sync, "'group' or 'relaxed'");
  if (typeof checkPages !== 'boolean') fault('checkPages', checkPages, 'true or false');
  if (retention !== 'keep' && retention !== 'trim') fault('retention', retention, "'keep' or 'trim'");
  if (onLog !== undefined && typeof onLog !== 'function') fault('onLog', onLog, 'a function');
  const resolved: ResolvedOptions = {
    dataDir,
    threads: threads === 'auto' ? Math.max(1, cores) : threads,
    actors: moduleUrls(options.actors, fault),
    sync,
    checkPages,
    retention,
    askTimeoutMs: number('askTimeoutMs', options.askTimeoutMs, ASK_TIMEOUT_MS, 1),
    tellTimeoutMs: number('tellTimeoutMs', options.tellTimeoutMs, TELL_TIMEOUT_MS, 1),
    residentCellsLimit: number('residentCellsLimit', options.residentCellsLimit, RESIDENT_CELLS_LIMIT, 1),
    callsLimit: number('callsLimit', options.callsLimit, CALLS_LIMIT, 1),
    checkpointEveryTurns: number('checkpointEveryTurns', options.checkpointEveryTurns, CHECKPOINT_EVERY_TURNS, 1),
    checkpointEveryBytes: number('checkpointEveryBytes', options.checkpointEveryBytes, CHECKPOINT_EVERY_BYTES, 1),
    hangAfterMs: number('hangAfterMs', options.hangAfterMs, HANG_AFTER_MS, 100),
    drainTimeoutMs: number('drainTimeoutMs', options.drainTimeoutMs, DRAIN_TIMEOUT_MS, 0),
    hostHeapMb: options.hostHeapMb === undefined ? undefined : number('hostHeapMb', options.hostHeapMb, 0, 16),
    onLog:
      onLog ?? ((key, values) => process.stdout.write(`[${key}] ${formatWithOptions({ colors: false }, ...values)}\n`)),
  };
  if (faults.length > 0) {
    const list = faults.map((line) => `  - ${line}`).join('\n');
    throw new InvalidOptionsError(
      `ActorSystem.start: ${faults.length} invalid option${faults.length > 1 ? 's' : ''}:\n${list}`,
      {
        details: { faults },
      },
    );
  }
  return resolved;
}

function moduleUrls(actors: unknown, fault: (name: string, value: unknown, expected: string) => void): string[] {
  if (actors === undefined) return [];
  if (!Array.isArray(actors)) {
    fault('actors', actors, 'a list of module URLs');
    return [];
  }
  const urls: string[] = [];
  for (const [i, actor] of actors.entries()) {
    const url = actor instanceof URL ? actor.href : actor;
    if (typeof url === 'string' && /^(file|data|node):/.test(url)) urls.push(url);
    else
      fault(
        `actors[${i}]`,
        actor,
        'a module URL: pass import.meta.url of the module that defines the actors, or a URL made relative to it',
      );
  }
  return urls;
}
