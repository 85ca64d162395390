/** A statechart in the real runtime: effect, child machine, timers and live source, across a restart in the middle. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { MachineView } from '../../actors/index.ts';
import { ActorSystem, Reference } from '../../runtime/index.ts';
import { order, payments } from '../support/actors/orders.ts';
import { tmpDir } from '../support/tmp-dir.ts';
import { until } from '../support/until.ts';

const MODULE = new URL('../support/actors/orders.ts', import.meta.url);

beforeEach(() => {
  payments.asked.length = 0;
  payments.hold = false;
});

describe.each([0, 1])('threads: %i', (threads) => {
  test('an order from its placing to its delivery', async () => {
    await using system = await ActorSystem.start({ threads, actors: [MODULE] });
    const ref = await system.spawn(order, { id: 'o1' });
    await ref.tell({ type: 'RING' });
    await ref.tell({ type: 'PLACE' });
    const state = await until('delivery', async () => {
      const { view } = (await ref.snapshot()) as { view: MachineView };
      return view.value === 'delivered' && view;
    });
    expect(state).toMatchObject({
      status: 'active',
      tags: ['settled'],
      context: { receipt: 'paid 12', signedBy: 'Ada', seen: ['RANG', 'HERE', 'MOVED', 'MOVED'] },
    });
    const got = await ref.ask<{ self: Reference }>({ type: 'GET' });
    expect(got.self).toBeInstanceOf(Reference);
    expect(got.self.key).toBe('order/o1');
  });
});

test.each([0, 1])('observers get XState questions: matches and hasTag (threads: %i)', async (threads) => {
  await using system = await ActorSystem.start({ threads, actors: [MODULE] });
  const ref = await system.spawn(order, { id: 'o1' });
  const waiting = ref.waitFor((s) => s.view.hasTag('settled'), { timeoutMs: 20_000 });
  await ref.tell({ type: 'RING' });
  await ref.tell({ type: 'PLACE' });
  const { view } = await waiting;
  expect([view.matches('delivered'), view.matches('sent'), view.hasTag('settled')]).toEqual([true, false, true]);
  const again = (await ref.snapshot()).view;
  expect(again.matches('delivered')).toBe(true);
  expect(structuredClone(again)).toEqual(again);
  for await (const { view: now } of ref.changes()) {
    expect(now.hasTag('settled')).toBe(true);
    break;
  }
});

test('what a state sends to its child as it is left, the child handles before it ends', async () => {
  await using system = await ActorSystem.start({ threads: 0, actors: [MODULE] });
  const ref = await system.spawn(order, { id: 'o1' });
  for (const round of [1, 2]) {
    await ref.tell({ type: 'PLACE' });
    await until('the parcel', async () => ((await ref.snapshot()) as { view: MachineView }).view.value === 'sent');
    await ref.tell({ type: 'ABORT' });
    await until('the last word', async () => {
      const { seen } = await ref.ask<{ seen: string[] }>({ type: 'GET' });
      return seen.filter((type) => type === 'BACK').length === round;
    });
  }
  expect(await system.deadLetters.list()).toEqual([]);
});

test('a throwing action parks the message, and the order goes on', async () => {
  await using system = await ActorSystem.start({ threads: 0, actors: [MODULE] });
  const ref = await system.spawn(order, { id: 'o1' });
  await expect(ref.ask({ type: 'FAIL' })).rejects.toMatchObject({ code: 'HANDLER_FAILED' });
  expect(await ref.ask({ type: 'GET' })).toMatchObject({ receipt: '' });
});

test('a restart while the payment is under way, and one while the parcel is', async () => {
  await using dir = await tmpDir('machine');
  const start = (): Promise<ActorSystem> =>
    ActorSystem.start({ dataDir: dir.path, threads: 0, actors: [MODULE], drainTimeoutMs: 200 });
  const viewOf = async (system: ActorSystem): Promise<MachineView> =>
    ((await system.ref(order, 'o1').snapshot()) as { view: MachineView }).view;
  payments.hold = true;
  let at: unknown;
  {
    await using system = await start();
    await (await system.spawn(order, { id: 'o1' })).tell({ type: 'PLACE' });
    await until('the payment', () => payments.asked.length > 0);
    at = ((await viewOf(system)).context as { at: number }).at;
  }
  const [first] = payments.asked.splice(0);
  payments.hold = false;
  {
    await using system = await start();
    await until('the parcel', async () => (await viewOf(system)).value === 'sent');
    expect(payments.asked.map(({ key }) => key)).toEqual([first?.key, first?.key]);
  }
  await using system = await start();
  const state = await until('delivery', async () => {
    const view = await viewOf(system);
    return view.value === 'delivered' && view;
  });
  expect(state.context).toMatchObject({ at, receipt: 'paid 12', signedBy: 'Ada' });
  expect((state.context as { seen: string[] }).seen).toEqual(['HERE', 'MOVED', 'MOVED']);
  expect(payments.asked).toHaveLength(2);
});
