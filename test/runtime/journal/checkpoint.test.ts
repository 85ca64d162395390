/** Checkpoints: two rounds, what may be forgotten, and what is trimmed. */
import { describe, expect, test } from 'vitest';
import { keysOn, Rig, send, turn } from './journal-rig.ts';

const open = async (hosts = 1, options: object = {}): Promise<Rig> => {
  const rig = await Rig.open({ hosts, ...options });
  for (let slot = 0; slot < hosts; slot++) await rig.control.recover(slot);
  return rig;
};

test('every host is asked twice, with the same target; then the checkpoint moves', async () => {
  const rig = await open(2);
  const [a, b] = [rig.host(0), rig.host(1)];
  a.write(turn('cell/a', 1));
  expect(await rig.settle(rig.control.checkpoint())).toBe(2);
  expect(a.of('checkpoint')).toEqual([
    ['checkpoint', 1, 2],
    ['checkpoint', 2, 2],
  ]);
  expect(b.of('checkpoint')).toEqual(a.of('checkpoint'));
  expect((await rig.crash({ hosts: 2 })).report).toMatchObject({ checkpoint: 2, tailTurns: 0 });
  // Nothing new: nobody is asked.
  expect(await rig.settle(rig.control.checkpoint())).toBe(2);
  expect(a.of('checkpoint')).toHaveLength(2);
});

test('an obligation that moves between hosts during round one is imaged in round two', async () => {
  const rig = await open(2);
  const [sender] = keysOn(0, 2, 1) as [string];
  const [receiver] = keysOn(1, 2, 1) as [string];
  const [a, b] = [rig.host(0), rig.host(1)];
  a.write(turn(sender, 1, { intents: [send(receiver, 'late')] }));
  // Host 1 is clean at once. Host 0 hands the message over only then, and is clean too: after one round nobody has imaged it.
  let handedOver = false;
  a.onCheckpoint = (round) => {
    a.batch.image({ key: sender, sequence: 1, received: [], wakeAtMs: undefined, body: 1 });
    a.append();
    handedOver = true;
    a.journal.clean(round);
  };
  const answered: number[] = [];
  b.onCheckpoint = (round) => {
    if (handedOver) {
      const received = [{ stream: 0, lane: 'user' as const, position: 1, index: 0 }];
      b.batch.image({ key: receiver, sequence: 0, received, wakeAtMs: 0, body: { backlog: ['late'] } });
      b.append();
    }
    answered.push(handedOver ? 1 : 0);
    b.journal.clean(round);
  };
  // Slot 1 answers before slot 0 is asked for the first time.
  const first = b.onCheckpoint;
  const ask = a.onCheckpoint;
  a.onCheckpoint = (round, target) => rig.clock.defer(() => ask(round, target));
  b.onCheckpoint = first;
  expect(await rig.settle(rig.control.checkpoint())).toBe(2);
  expect(answered).toEqual([0, 1]);
  const after = await rig.crash({ hosts: 2 });
  expect((await after.control.recover(1)).wake).toEqual([receiver]);
  expect(after.host(1, 2).load(receiver)[0]?.image?.body).toEqual({ backlog: ['late'] });
});

test('clean comes after the batches that were appended before it', async () => {
  const rig = await open();
  const host = rig.host();
  host.write(turn('cell/a', 1));
  host.onCheckpoint = (round) => {
    host.batch.image({ key: 'cell/a', sequence: 1, received: [], wakeAtMs: undefined, body: round });
    host.append();
    host.journal.clean(round);
  };
  await rig.settle(rig.control.checkpoint());
  expect((await rig.crash()).host(0, 2).load('cell/a')[0]?.image?.body).toBe(2);
});

test('K2: a host is asked only after it has loaded what a crash left behind its image', async () => {
  const rig = await open();
  rig.host().write(turn('cell/a', 1), turn('cell/b', 1));
  rig.host(0, 2).image('cell/b', 1);
  const after = await rig.crash();
  await after.control.recover(0);
  const host = after.host(0, 3);
  const done = after.control.checkpoint();
  after.clock.run();
  await Promise.resolve();
  expect(host.heard).toEqual([['wake', 'cell/a']]);
  host.load('cell/a');
  expect(host.of('checkpoint').length).toBeGreaterThan(0);
  host.image('cell/a', 1);
  expect(await after.settle(done)).toBe(3);
});

test('a host that dies in the middle makes it start again when its successor knows what it owes', async () => {
  const rig = await open(2);
  const [a, b] = [rig.host(0), rig.host(1)];
  const [mine] = keysOn(1, 2, 1) as [string];
  b.write(turn(mine, 1));
  b.onCheckpoint = () => {};
  const done = rig.control.checkpoint();
  rig.clock.run();
  await Promise.resolve();
  expect(a.of('checkpoint')).toEqual([['checkpoint', 1, 2]]);
  await rig.control.fence(1, 2);
  const next = rig.host(1, 2);
  // It has not been told what there is, so it is not asked: it would say that everything is clean.
  expect(next.heard).toEqual([]);
  await rig.control.recover(1);
  next.onWake = (keys) => next.journal.load(keys, () => next.image(mine, 1));
  rig.clock.run();
  expect(await rig.settle(done)).toBe(2);
  expect(next.heard[0]).toEqual(['wake', mine]);
});

test('R2: what a recovery has read beyond the target is not forgotten', async () => {
  const rig = await open();
  const host = rig.host();
  host.write(turn('cell/a', 1));
  host.onCheckpoint = (round) => {
    if (round === 1) return host.journal.clean(round);
    host.batch.turn(turn('cell/b', 1));
    host.append();
    void rig.control.recover(0);
    host.journal.clean(round);
  };
  expect(await rig.settle(rig.control.checkpoint())).toBe(2);
  expect(host.load('cell/b')[0]?.turns).toHaveLength(1);
});

test('it starts by itself after so many turns or bytes', async () => {
  for (const options of [{ checkpointEveryTurns: 10 }, { checkpointEveryBytes: 2_000 }]) {
    const rig = await open(1, options);
    const host = rig.host();
    for (let i = 1; i <= 30; i++) host.write(turn('cell/a', i));
    rig.clock.run();
    expect((await rig.control.stats()).checkpoint).toBeGreaterThan(10);
    expect(host.of('checkpoint').length).toBeGreaterThanOrEqual(4);
  }
});

test('without hosts it stays where it is, and closing releases who waits', async () => {
  const rig = await open(2);
  rig.host(0).write(turn('cell/a', 1));
  expect(await rig.settle(rig.control.checkpoint())).toBe(1);
  const b = rig.host(1);
  b.onCheckpoint = () => {};
  const waiting = rig.control.checkpoint();
  rig.clock.run();
  await rig.control.close();
  expect(await waiting).toBe(1);
});

describe('retention', () => {
  test('trim: rows below the checkpoint go, a few at a time; the rest is served', async () => {
    const rig = await open(1, { retention: 'trim' });
    const host = rig.host();
    for (let i = 1; i <= 300; i++) host.write(turn('cell/a', i));
    host.onCheckpoint = (round) => {
      host.batch.image({ key: 'cell/a', sequence: 300, received: [], wakeAtMs: undefined, body: 0 });
      host.append();
      host.journal.clean(round);
    };
    expect(await rig.settle(rig.control.checkpoint())).toBe(301);
    host.write(turn('cell/a', 301));
    rig.clock.run();
    expect(rig.store.logPositions(0, 10)).toEqual([301]);
    expect((await rig.control.turns('cell/a')).map((one) => one.sequence)).toEqual([301]);
    const after = await rig.crash();
    expect(after.report).toMatchObject({ checkpoint: 301, end: 302, tailTurns: 1, damaged: [] });
    expect(after.host(0, 2).load('cell/a')[0]?.turns).toHaveLength(1);
  });

  test('trim to the last row: positions go on from the checkpoint', async () => {
    const rig = await open(1, { retention: 'trim' });
    rig.host().write(turn('cell/a', 1));
    await rig.settle(rig.control.checkpoint());
    rig.clock.run();
    expect(rig.store.logPositions(0, 10)).toEqual([]);
    expect((await rig.crash()).report.end).toBe(2);
  });

  test('keep: every turn stays', async () => {
    const rig = await open(1, { retention: 'keep' });
    const host = rig.host();
    for (let i = 1; i <= 50; i++) host.write(turn('cell/a', i));
    await rig.settle(rig.control.checkpoint());
    expect(await rig.control.turns('cell/a')).toHaveLength(50);
  });
});
