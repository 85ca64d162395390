/**
 * The index of runs: which there are, of which workflow, and where they stand. Several actors share it, by run id.
 *
 * Owns: the entries and how they are looked through. An entry is what its run said last; the run itself is asked for everything else.
 *
 * Invariants:
 * RI1. Every run that is not over has an entry. Of those that are over the latest `ENDED_LIMIT` of a shard have one.
 */
import { type CellKey, keyOf } from '../../runtime/kernel/address.ts';
import type { Behavior } from '../../runtime/kernel/behavior.ts';
import { hashOf } from '../../runtime/kernel/random.ts';
import type { RunStatus } from './run-view.ts';

export const INDEX_DEFINITION = 'saga-index';
export const INDEX_SHARDS = 8;

/** What is known of a run without asking it. */
export interface RunEntry {
  readonly runId: string;
  readonly workflow: string;
  readonly version: number;
  readonly status: RunStatus;
  readonly startedMs: number;
  readonly endedMs: number | undefined;
  /** Of a child workflow: the run that started it. */
  readonly parent?: string;
}

/** All that are given must fit. */
export interface RunFilter {
  readonly workflow?: string;
  readonly status?: RunStatus | readonly RunStatus[];
  readonly startedAfterMs?: number;
  readonly startedBeforeMs?: number;
}

export type IndexMessage =
  | { readonly type: 'entry'; readonly entry: RunEntry }
  | { readonly type: 'gone'; readonly runId: string }
  /** Answered with entries in the order of their run ids, from behind `after`. */
  | { readonly type: 'list'; readonly filter: RunFilter; readonly after: string; readonly limit: number };

interface RunIndex {
  /** By hash of the run id: what a turn copies stays small. */
  readonly buckets: readonly (readonly RunEntry[])[];
  readonly ended: number;
}

const BUCKETS = 512;
/** Runs that are over and kept in one shard; with a quarter more, the oldest are dropped. */
const ENDED_LIMIT = 20_000;

export function indexKey(runId: string): CellKey {
  return keyOf(INDEX_DEFINITION, String(hashOf(runId) % INDEX_SHARDS));
}

export const indexBehavior: Behavior<RunIndex> = {
  init: () => ({ buckets: Array.from({ length: BUCKETS }, () => []), ended: 0 }),
  receive(state, given, turn) {
    const message = given as IndexMessage;
    switch (message.type) {
      case 'entry':
        return trim(put(state, message.entry));
      case 'gone':
        return without(state, message.runId);
      case 'list':
        turn.reply(listed(state, message.filter, message.after, message.limit));
        return state;
    }
  },
  signal: (state) => state,
  save: (state) => state,
  load: (saved) => saved as RunIndex,
  view: ({ buckets }) => ({ runs: buckets.reduce((sum, bucket) => sum + bucket.length, 0) }),
};

function bucketOf(runId: string): number {
  // The shard has taken the low bits.
  return Math.trunc(hashOf(runId) / INDEX_SHARDS) % BUCKETS;
}

function put({ buckets, ended }: RunIndex, entry: RunEntry): RunIndex {
  const at = bucketOf(entry.runId);
  const bucket = [...(buckets[at] ?? [])];
  const place = bucket.findIndex(({ runId }) => runId === entry.runId);
  const before = bucket[place];
  if (before === undefined) bucket.push(entry);
  else bucket[place] = entry;
  const more = entry.endedMs !== undefined && before?.endedMs === undefined ? 1 : 0;
  return { buckets: buckets.with(at, bucket), ended: ended + more };
}

function without({ buckets, ended }: RunIndex, runId: string): RunIndex {
  const at = bucketOf(runId);
  const bucket = buckets[at] ?? [];
  const gone = bucket.find((entry) => entry.runId === runId);
  const left = bucket.filter((entry) => entry !== gone);
  return { buckets: buckets.with(at, left), ended: gone?.endedMs === undefined ? ended : ended - 1 };
}

function trim(state: RunIndex): RunIndex {
  if (state.ended <= ENDED_LIMIT * 1.25) return state;
  const ends = state.buckets.flatMap((bucket) => bucket.flatMap(({ endedMs }) => endedMs ?? []));
  const oldestMs = ends.sort((a, b) => b - a)[ENDED_LIMIT - 1] as number;
  const isKept = ({ endedMs }: RunEntry): boolean => endedMs === undefined || endedMs >= oldestMs;
  const buckets = state.buckets.map((bucket) => bucket.filter(isKept));
  return { buckets, ended: ends.filter((endedMs) => endedMs >= oldestMs).length };
}

function listed({ buckets }: RunIndex, filter: RunFilter, after: string, limit: number): RunEntry[] {
  const { workflow, status, startedAfterMs = 0, startedBeforeMs = Number.POSITIVE_INFINITY } = filter;
  const statuses = status === undefined || Array.isArray(status) ? status : [status];
  const found: RunEntry[] = [];
  for (const bucket of buckets) {
    for (const entry of bucket) {
      if (entry.runId <= after || (workflow !== undefined && entry.workflow !== workflow)) continue;
      if (statuses !== undefined && !statuses.includes(entry.status)) continue;
      if (entry.startedMs >= startedAfterMs && entry.startedMs < startedBeforeMs) found.push(entry);
    }
  }
  return found.sort((a, b) => (a.runId < b.runId ? -1 : 1)).slice(0, limit);
}
