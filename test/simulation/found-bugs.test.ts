/** What simulation has found, as small as it can be said: each of these failed before its fix, and does not depend on a seed. */
import { expect, test } from 'vitest';
import { Cell } from '../../runtime/cell/cell.ts';
import { CellTurn } from '../../runtime/cell/cell-turn.ts';
import { applyTurn } from '../../runtime/cell/book.ts';
import { imageOf, outsideStreamOf, restoreImage } from '../../runtime/cell/image.ts';
import { park, step } from '../../runtime/cell/step.ts';
import type { EffectRunner } from '../../runtime/host/effect-runner.ts';
import type { HostPeerLink } from '../../runtime/host/items.ts';
import { PeerLink } from '../../runtime/host/peer-link.ts';
import { Releaser } from '../../runtime/host/release.ts';
import type { TimerQueue } from '../../runtime/host/timer-queue.ts';
import { BatchWriter } from '../../runtime/journal/batch-builder.ts';
import { Journal } from '../../runtime/journal/journal.ts';
import type { JournalControl } from '../../runtime/journal/journal-control.ts';
import { MemoryStore } from '../../runtime/journal/memory-store.ts';
import { WakeWatch } from '../../runtime/journal/wake-watch.ts';
import { placementOf } from '../../runtime/kernel/address.ts';
import { StorageError } from '../../runtime/kernel/errors.ts';
import type { Intent } from '../../runtime/kernel/intent.ts';
import type { Envelope, MessageId } from '../../runtime/kernel/message.ts';
import { seededRandom } from '../../runtime/kernel/random.ts';
import { ActorSystem } from '../../runtime/system/actor-system.ts';
import type { Topology } from '../../runtime/system/topology.ts';
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

test('an image keeps no message that its actor has consumed: it would wake the actor at every start, for nothing', () => {
  const cell = new Cell('refuser/1', refuser);
  cell.run();
  step(cell, spawned(cell.key, 1, 1), turn(), 0);
  const message = (position: number): Envelope => ({ to: cell.key, message: 1, id: { stream: 0, position, index: 0 } });
  step(cell, message(9), turn(), 0);
  for (const position of [4, 9]) cell.mailbox.push(message(position));
  expect(imageOf(cell, 1).wakeAtMs).toBeUndefined();
  cell.mailbox.push(message(10));
  const { wakeAtMs, received, body } = imageOf(cell, 1);
  expect(wakeAtMs).toBe(0);
  expect(received).toContainEqual({ stream: 0, lane: 'user', position: 10, index: 0 });
  expect((body as { readonly backlog: readonly Envelope[] }).backlog.map(({ id }) => id?.position)).toEqual([10]);
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
  session.append(1, firstBatch(run));
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
  const watch = new WakeWatch(store, thread, { deliver: () => {}, failed: () => {} });
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
  await journal.recover(0);
  dead.append(1, firstBatch(run));
  runAll();
  journal.fence(0, 2);
  await journal.recover(0);
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

test('a message to an actor in memory that is kept for a dead host is kept for its successor: the journal does not have it', () => {
  const pushed: unknown[][] = [];
  const link: HostPeerLink = {
    fill: 0,
    tell: () => {},
    push: (...args) => void pushed.push(args),
    flush: () => {},
    writable: true,
    onceWritable: () => {},
    oldestUnacknowledgedMark: () => undefined,
  };
  const to = (durable: boolean): string => {
    for (let i = 0; ; i++) {
      const key = `${durable ? 'leaf' : 'spark'}/${i}`;
      if (placementOf(key, 2) === 1) return key;
    }
  };
  const releaser = new Releaser({
    slot: 0,
    hosts: 2,
    outsideStream: 65_537,
    effects: {} as EffectRunner,
    timers: {} as TimerQueue,
    deliver: () => undefined,
    isJournaled: () => true,
    link: () => link,
    outside: () => link,
    pause: () => {},
    audience: () => undefined,
  });
  const cell = new Cell('refuser/1', refuser);
  const intents = [true, false].map((durable): Intent => {
    return { kind: 'send', durable, envelope: { to: to(durable), message: 1 } };
  });
  const envelope: Envelope = { to: cell.key, message: 1 };
  releaser.finish({ cell, envelope, intents, sequence: 1, view: undefined, refused: false, error: undefined }, 7);
  expect(pushed.map((args) => (args.length === 1 ? 'no mark' : args[1]))).toEqual([7, 'no mark']);
});

test('the end of a child that its parent has heard of is not heard again', () => {
  const cell = new Cell('refuser/1', refuser);
  cell.run();
  step(cell, spawned(cell.key, 1, 1), turn(), 0);
  cell.book.children = new Map([['c', { key: 'spark/1', incarnation: 4 }]]);
  const ended = (): Envelope => ({
    to: cell.key,
    message: undefined,
    control: { kind: 'terminated', key: 'spark/1', childId: 'c', incarnation: 4, reason: { kind: 'host_lost' } },
  });
  expect(step(cell, ended(), turn(), 0).kind).toBe('handled');
  expect(step(cell, ended(), turn(), 0).kind).toBe('dropped');
});

test('a system whose journal fails while it starts is not given out as started', async () => {
  const did: string[] = [];
  const topology: Topology = {
    hosts: 1,
    journal: {} as JournalControl,
    async start(events, _modules, opened) {
      opened(1);
      events.failed(new StorageError('the disk failed'));
      return { run: 1, end: 1, checkpoint: 1, tailTurns: 0, damaged: [] };
    },
    link: () => undefined,
    load: async () => {},
    stats: async () => [],
    stop: async () => void did.push('stopped'),
  };
  await expect(ActorSystem.startWith({}, { topology })).rejects.toThrow('the disk failed');
  expect(did).toEqual(['stopped']);
});

/** The first batch of host 0: one turn. */
function firstBatch(run: number): Uint8Array {
  const batch = new BatchWriter({ slot: 0, epoch: 1, run });
  batch.turn({
    key: 'a/1',
    sequence: 1,
    timeMs: 0,
    envelope: { to: 'a/1', message: 1 },
    outcome: 'handled',
    intents: [],
    version: 1,
    obliged: false,
  });
  return batch.seal();
}

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

test('what an actor refused before it was spawned does not pass for handled when it is sent again, and images keep that', () => {
  const cell = new Cell('refuser/1', refuser);
  const from = (run: number, position: number): Envelope => ({
    to: cell.key,
    message: 1,
    id: { stream: outsideStreamOf(run), position, index: 0 },
  });
  const { book } = cell;
  applyTurn(book, control(cell.key, 3, { kind: 'spawn', logic: [], input: {}, ifExists: 'refuse' }), false, [], 1, 10);
  for (const [sequence, position] of [21, 25].entries())
    applyTurn(book, from(1, position), false, [], sequence + 2, 10);
  cell.run();
  const again = new Cell(cell.key, refuser);
  restoreImage(again, imageOf(cell, 1));
  for (const { book: either } of [cell, again]) {
    const ids = [16, 21, 22, 25].map((position) => from(1, position).id as MessageId);
    expect(ids.map((id) => either.hasConsumed(id, 'user'))).toEqual([true, true, true, true]);
    expect(ids.map((id) => either.precedes(id))).toEqual([true, false, false, false]);
    // Other cells send again only what the journal has.
    expect(either.precedes({ stream: 0, position: 1, index: 0 })).toBe(false);
  }
});
