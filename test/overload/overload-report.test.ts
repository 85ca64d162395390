/** The judgement of overload can fail: each case plants one thing in a report that holds. */
import { expect, test } from 'vitest';
import { judgeOverload, type LaneReport, type OverloadReport, type Sample } from './overload-report.ts';

const quick = { count: 400, p50Ms: 2, p99Ms: 9, maxMs: 20 };
const lane: LaneReport = {
  lane: 'tell sink/0',
  sent: 100,
  done: 60,
  refused: 30,
  failed: 2,
  expired: 3,
  late: 5,
  otherwise: 0,
  handled: 63,
  parked: 2,
};

/** Wanders as a real one does: a few megabytes up and down. */
const flat = (i: number): Sample => ({ atS: i, heldMb: 110 + (i % 3), heapMb: 55 + (i % 2), fileMb: 12 });
const samplesOf = (of: (i: number) => Partial<Sample>): Sample[] =>
  Array.from({ length: 30 }, (_, i) => ({ ...flat(i), ...of(i) }));

const sound: OverloadReport = {
  seconds: 30,
  lanes: [lane],
  pumped: [{ ...lane, lane: 'pump 0', sent: 40, handled: 40 }],
  disorder: 0,
  hostsLost: [],
  samples: samplesOf(() => ({})),
  processorShare: 0.9,
  baseline: quick,
  control: { stats: { count: 400, p50Ms: 20, p99Ms: 90, maxMs: 300 } },
  errors: [],
  sendsLost: 0,
};

test('a report that holds has no faults', () => {
  expect(judgeOverload(sound)).toEqual([]);
});

test('what a process has grown to in the first quarter of its run is its size', () => {
  expect(judgeOverload({ ...sound, samples: samplesOf((i) => (i < 7 ? { heldMb: 60 + i, heapMb: 20 } : {})) })).toEqual(
    [],
  );
});

test.each<[string, Partial<OverloadReport>, RegExp]>([
  ['a leak of 1 MB a second', { samples: samplesOf((i) => ({ heldMb: 110 + i })) }, /heldMb grew from \d+ to \d+/],
  ['a leak on a heap', { samples: samplesOf((i) => ({ heapMb: 55 + i / 2 })) }, /heapMb grew from \d+/],
  ['12 MB more in the last quarter', { samples: samplesOf((i) => (i < 22 ? {} : { heldMb: 123 })) }, /heldMb grew/],
  ['a file that grows', { samples: samplesOf((i) => ({ fileMb: 12 + i * 2 })) }, /the database file grew/],
  ['nobody looked', { samples: [flat(0)] }, /too few samples/],
  ['one that was taken is gone', { lanes: [{ ...lane, handled: 59 }] }, /62 were taken, of which 59 handled/],
  ['one was handled twice', { lanes: [{ ...lane, handled: 66 }] }, /66 handled and 2 parked/],
  ['a caller was told nothing', { lanes: [{ ...lane, sent: 101 }] }, /101 sent, 100 callers were told/],
  ['told something unheard of', { lanes: [{ ...lane, sent: 101, otherwise: 1 }] }, /unheard of/],
  ['lost between actors', { pumped: [{ ...lane, sent: 40, handled: 39 }] }, /40 sent from actor to actor, 39 handled/],
  ['overtaken', { disorder: 1 }, /1 messages were handled twice or overtook/],
  ['a host was lost', { hostsLost: ['host 1'] }, /a host was lost/],
  ['a slow control call', { control: { stats: { ...quick, p99Ms: 160 } } }, /stats: p99Ms is 160/],
])('found: %s', (_, planted, fault) => {
  const [first, ...others] = judgeOverload({ ...sound, ...planted });
  expect(first).toMatch(fault);
  expect(others).toEqual([]);
});
