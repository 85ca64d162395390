/** The testkit's system and probe, as users have them. */
import { expect, test } from 'vitest';
import { createTestSystem, probeModule, TestProbe } from '../../../runtime/testing/index.ts';
import { patient } from './patient.ts';

test('a timer of thirty days comes after thirty days of the test', async () => {
  await using kit = await createTestSystem({ actors: [new URL('./patient.ts', import.meta.url)] });
  const ref = await kit.system.spawn(patient, { id: 'p' });
  await kit.advance(30 * 86_400_000 - 1);
  expect((await ref.snapshot()).view).toMatchObject({ value: 'waiting' });
  await kit.advance(1);
  expect((await ref.snapshot()).view).toMatchObject({ value: 'over' });
});

test('an ask that nobody answers fails at its deadline, when the test lets it', async () => {
  await using kit = await createTestSystem({ actors: [new URL('./patient.ts', import.meta.url)] });
  const ref = await kit.system.spawn(patient, { id: 'p' });
  const waiting = ref
    .waitFor(({ view }) => view.value === 'over', { timeoutMs: 1_000 })
    .catch((error: unknown) => error);
  await kit.advance(1_001);
  expect(await waiting).toMatchObject({ code: 'ASK_TIMEOUT' });
});

test('a probe keeps what it is sent, by whom and when', async () => {
  await using kit = await createTestSystem({ actors: [probeModule] });
  const one = await TestProbe.start(kit.system, 'one');
  await one.ref.tell({ type: 'A' });
  await kit.advance(500);
  await one.ref.tell({ type: 'B' });
  const [first, second] = await one.received();
  expect(first).toMatchObject({ message: { type: 'A' }, from: undefined });
  expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBe(500);
  expect((await one.expectMessage((message) => (message as { type: string }).type === 'B')).message).toEqual({
    type: 'B',
  });
});
