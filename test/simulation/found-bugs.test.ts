/** What simulation has found, as small as it can be said: each of these failed before its fix, and does not depend on a seed. */
import { expect, test } from 'vitest';
import { Cell } from '../../runtime/cell/cell.ts';
import { CellTurn } from '../../runtime/cell/cell-turn.ts';
import { park, step } from '../../runtime/cell/step.ts';
import { PeerLink } from '../../runtime/host/peer-link.ts';
import { BatchWriter } from '../../runtime/journal/batch-builder.ts';
import { Journal } from '../../runtime/journal/journal.ts';
import { MemoryStore } from '../../runtime/journal/memory-store.ts';
import { WakeWatch } from '../../runtime/journal/wake-watch.ts';
import type { Envelope } from '../../runtime/kernel/message.ts';
import { seededRandom } from '../../runtime/kernel/random.ts';
import { createTestSystem } from '../../runtime/testing/test-system.ts';
import { VirtualClock } from '../../runtime/testing/virtual-clock.ts';
import { createLocalFramePorts } from '../../runtime/transport/local-frame-port.ts';
import { refuser, stasher } from './workloads/stasher.ts';

const turn = (): CellTurn => new CellTurn({ isDurable: () => true, log: () => {} });
const control = (to: string, position: number, what: NonNullable<Envelope['control']>): Envelope => ({
  to,
  message: undefined,
  control: what,
  from: 'parent/1',
  id: { stream: 0, position, index: 0 },
});
const spawned = (to: string, position: number, incarnation: number, fails = false): Envelope =>
  control(to, position, {
    kind: 'spawn',
    logic: [],
    input: { fails },
    parent: 'parent/1',
    childId: 'c',
    incarnation,
    ifExists: 'reset',
  });

test('a stashed message with an idempotency key is not taken for a repetition of itself', async () => {
  await using system = await createTestSystem({ actors: [new URL('./workloads/stasher.ts', import.meta.url)] });
  const ref = await system.system.spawn(stasher, { id: '1' });
  const answer = ref.ask({ type: 'A' }, { idempotencyKey: 'a' });
  const told = ref.tell({ type: 'B' }, { idempotencyKey: 'b' });
  await told;
  await ref.tell({ type: 'OPEN' });
  expect(await answer).toBe('A');
  expect((await ref.snapshot()).view).toEqual({ open: true, items: ['A', 'B'] });
});

test('a refused signal is consumed in its own lane', () => {
  const cell = new Cell('refuser/1', refuser);
  cell.run();
  step(cell, spawned(cell.key, 1, 1), turn(), 0);
  step(cell, control(cell.key, 2, { kind: 'stop', reason: { kind: 'shutdown' } }), turn(), 0);
  expect(step(cell, control(cell.key, 9, { kind: 'watch', watcher: 'a/1' }), turn(), 0).kind).toBe('refused');
  expect(cell.book.hasConsumed({ stream: 0, position: 9, index: 0 }, 'signal')).toBe(true);
  expect(cell.book.hasConsumed({ stream: 0, position: 5, index: 0 }, 'user')).toBe(false);
});

test('a start that is parked is announced as this start, also when the child had lived before', () => {
  const cell = new Cell('refuser/1', refuser);
  cell.run();
  step(cell, spawned(cell.key, 1, 1), turn(), 0);
  step(cell, control(cell.key, 2, { kind: 'stop', reason: { kind: 'shutdown' } }), turn(), 0);
  const again = spawned(cell.key, 3, 7, true);
  const outcome = step(cell, again, turn(), 0);
  const error = outcome.kind === 'failed' ? (outcome.error as Error) : undefined;
  expect(error?.message).toBe('refused on purpose');
  const intents = park(cell, again, turn(), 0, error as Error);
  const told = intents.flatMap((intent) => (intent.kind === 'send' ? [intent.envelope.control] : []));
  expect(told).toMatchObject([{ kind: 'terminated', childId: 'c', incarnation: 7, reason: { kind: 'error' } }]);
  expect(cell.book.status.kind).toBe('stopped');
});

test('a start from outside that is parked leaves a stopped actor stopped', () => {
  const cell = new Cell('refuser/1', refuser);
  cell.run();
  const fromOutside = (call: number, fails: boolean): Envelope => ({
    to: cell.key,
    message: undefined,
    control: { kind: 'spawn', logic: [], input: { fails }, ifExists: 'refuse' },
    id: { stream: 65_537, position: call, index: 0 },
  });
  step(cell, fromOutside(1, false), turn(), 0);
  step(cell, control(cell.key, 2, { kind: 'stop', reason: { kind: 'shutdown' } }), turn(), 0);
  park(cell, fromOutside(2, true), turn(), 0, new Error('refused'));
  expect(cell.book.status.kind).toBe('stopped');
});

test('a full disk is tried again though the batches that it had no room for died with their host', () => {
  let full = false;
  const { clock, journal, run } = openJournal(new MemoryStore({ faults: { full: () => full } }));
  const heard: string[] = [];
  const link = {
    committed: () => {},
    loaded: () => {},
    fenced: () => heard.push('fenced'),
    wake: () => {},
    storage: (state: string) => heard.push(state),
    checkpoint: () => {},
  };
  const runFor = (ms: number): void => {
    for (const endMs = clock.elapsedMs + ms; ; clock.moveTo(Math.min(endMs, clock.nextMs() ?? endMs))) {
      while (clock.runOne());
      if (clock.elapsedMs >= endMs) return;
    }
  };
  const session = journal.connect(0, 1, link);
  runFor(1);
  full = true;
  const batch = new BatchWriter({ slot: 0, epoch: 1, run });
  batch.turn({
    key: 'a/1',
    sequence: 1,
    timeMs: 0,
    envelope: { to: 'a/1', message: 1 },
    outcome: 'handled',
    intents: [],
    obliged: false,
  });
  session.append(1, batch.seal());
  runFor(1);
  journal.fence(0, 2);
  full = false;
  journal.connect(0, 2, link);
  runFor(2_000);
  expect(heard).toEqual(['full', 'fenced', 'full', 'ok']);
  expect(journal.stats().storage).toBe('ok');
});

test('what a lost link had not seen accepted holds up the checkpoint until the death of the peer is known', async () => {
  const clock = new VirtualClock({ random: seededRandom(1, 1) });
  const thread = clock.thread('host');
  const [near, far] = createLocalFramePorts(thread);
  const link = new PeerLink({ clock: thread, onFrame: () => {}, onLost: () => {}, onRefused: () => {} });
  link.up(near, 0);
  link.push('a message', 17);
  link.flush();
  far.onMessage(() => {});
  far.close();
  while (clock.runOne());
  expect(link.oldestUnacknowledgedMark()).toBe(17);
  link.down();
  expect(link.oldestUnacknowledgedMark()).toBeUndefined();
});

test('when the clock was set back, a recovery still wakes whom the dead host was told to wake', () => {
  const clock = new VirtualClock({ random: seededRandom(1, 1) });
  const thread = clock.thread('journal');
  const store = new MemoryStore();
  const watch = new WakeWatch(store, thread, () => {});
  watch.start();
  const startedMs = thread.now();
  clock.jump(-60_000);
  expect(watch.deliveredMs).toBe(startedMs);
  clock.jump(90_000);
  expect(watch.deliveredMs).toBe(thread.now());
});

test('the port of a dead host that closes late says nothing about its successor', async () => {
  const { clock, journal, run } = openJournal(new MemoryStore());
  const rounds: number[] = [];
  const link = {
    committed: () => {},
    loaded: () => {},
    fenced: () => {},
    wake: () => {},
    storage: () => {},
    checkpoint: (round: number) => void rounds.push(round),
  };
  const runAll = (): void => {
    while (clock.runOne());
  };
  const dead = journal.connect(0, 1, link);
  journal.recover(0);
  const batch = new BatchWriter({ slot: 0, epoch: 1, run });
  batch.turn({
    key: 'a/1',
    sequence: 1,
    timeMs: 0,
    envelope: { to: 'a/1', message: 1 },
    outcome: 'handled',
    intents: [],
    obliged: false,
  });
  dead.append(1, batch.seal());
  runAll();
  journal.fence(0, 2);
  journal.recover(0);
  const session = journal.connect(0, 2, link);
  runAll();
  const moved = journal.checkpoint();
  session.load(1, ['a/1']);
  runAll();
  dead.close();
  for (let round = rounds.shift(); round !== undefined; round = rounds.shift()) {
    session.clean(round);
    runAll();
  }
  expect(await moved).toBe(2);
});

/** A journal for one host, on a virtual clock, that makes no checkpoint by itself. */
function openJournal(store: MemoryStore): { clock: VirtualClock; journal: Journal; run: number } {
  const clock = new VirtualClock({ random: seededRandom(1, 1) });
  const thread = clock.thread('journal');
  const journal: Journal = new Journal({
    store,
    clock: thread,
    hosts: 1,
    retention: 'keep',
    checkpointEveryTurns: Number.POSITIVE_INFINITY,
    checkpointEveryBytes: Number.POSITIVE_INFINITY,
    schedule: () => thread.defer(() => journal.pump()),
    failed: (error) => expect.fail(String(error)),
  });
  return { clock, journal, run: journal.open().run };
}
