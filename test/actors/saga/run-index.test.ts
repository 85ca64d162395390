/** The index of runs keeps what is under way for ever, and of what is over the latest. */
import { expect, test } from 'vitest';
import { indexBehavior, type RunEntry } from '../../../actors/saga/run-index.ts';
import type { Turn } from '../../../runtime/kernel/behavior.ts';

const entry = (runId: string, endedMs: number | undefined): RunEntry => ({
  runId,
  workflow: 'w',
  version: 1,
  status: endedMs === undefined ? 'running' : 'completed',
  startedMs: 0,
  endedMs,
});

function listed(state: ReturnType<typeof indexBehavior.init>, filter: object): RunEntry[] {
  let reply: RunEntry[] = [];
  const turn = { reply: (value: RunEntry[]) => void (reply = value) } as unknown as Turn;
  indexBehavior.receive(state, { type: 'list', filter, after: '', limit: 100_000 }, turn);
  return reply;
}

test('of those that are over the oldest are dropped, and nothing else', () => {
  const turn = {} as Turn;
  let state = indexBehavior.init(undefined, turn);
  const tell = (one: RunEntry): void => {
    const before = structuredClone(state.buckets[0]);
    const given = state;
    state = indexBehavior.receive(state, { type: 'entry', entry: one }, turn);
    expect(given.buckets[0]).toEqual(before);
  };
  for (let i = 0; i < 50; i++) tell(entry(`open${i}`, undefined));
  for (let i = 0; i < 25_001; i++)
    state = indexBehavior.receive(state, { type: 'entry', entry: entry(`r${i}`, i) }, turn);
  expect(listed(state, { status: 'running' })).toHaveLength(50);
  const ended = listed(state, { status: 'completed' }).map(({ endedMs }) => endedMs as number);
  expect(ended).toHaveLength(20_000);
  expect(Math.min(...ended)).toBe(5_001);
  expect(state.ended).toBe(20_000);
  // A run that ends twice in its words is one run.
  tell(entry('r25000', 25_000));
  expect(state.ended).toBe(20_000);
});
