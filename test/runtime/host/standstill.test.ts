/** Actors that wait for each other's mailboxes in a ring go on; those of a chain whose end stands still do not. */
import { describe, expect, test } from 'vitest';
import type { ActorRef } from '../../../runtime/index.ts';
import { placementOf } from '../../../runtime/kernel/address.ts';
import { MAILBOX_LIMIT } from '../../../runtime/kernel/limits.ts';
import { simulate } from '../../../runtime/testing/simulate.ts';
import { createTestSystem, type TestSystem } from '../../../runtime/testing/test-system.ts';
import { member, memberInMemory } from '../../support/actors/ring.ts';
import { recordEvents } from '../../support/until.ts';

const MODULE = new URL('../../support/actors/ring.ts', import.meta.url);

const ids = (name: string, size: number): string[] => Array.from({ length: size }, (_, i) => `${name}-${i}-${size}`);

/** Messages that the actors of a ring have handled. */
async function handledBy(test: Pick<TestSystem, 'system'>, definition: string, name: string, size: number) {
  const views = await Promise.all(ids(name, size).map((id) => test.system.refOf(`${definition}/${id}`).snapshot()));
  return views.reduce((sum, { view }) => sum + Number(view), 0);
}

describe('in one host', () => {
  test.each([
    ['journaled', member],
    ['in memory', memberInMemory],
  ])('a ring of full mailboxes never stands still, %s', async (_name, { name }) => {
    await using test = await createTestSystem({ actors: [MODULE] });
    for (const size of [2, 3, 7]) {
      const refs = ids('r', size).map((id) => test.system.refOf(`${name}/${id}`));
      await Promise.all(refs.map((ref) => ref.tell({ type: 'BEGIN', count: 12, rounds: 50 })));
      await test.advance(60_000);
      expect(await handledBy(test, name, 'r', size)).toBe(size * 12 * 50);
    }
  });
});

describe('between hosts', () => {
  test.each([2, 3])('a ring of full mailboxes and links without credit never stands still: %i hosts', async (hosts) => {
    const name = Array.from({ length: 1_000 }, (_, i) => `r${i}`).find((candidate) =>
      ids(candidate, hosts).every((id, i) => placementOf(`member/${id}`, hosts) === i),
    ) as string;
    const report = await simulate({
      seed: 7,
      stepsLimit: 200_000,
      hosts,
      linkCreditBytes: 400,
      actors: [MODULE],
      async run(sim) {
        const refs = ids(name, hosts).map((id) => sim.system.refOf(`member/${id}`));
        await Promise.all(refs.map((ref) => ref.tell({ type: 'BEGIN', count: 40, rounds: 10 })));
        await sim.advance(60_000);
        const handled = await handledBy(sim, 'member', name, hosts);
        if (handled !== hosts * 40 * 10) sim.violated('standstill', `${handled} messages were handled`);
      },
    });
    expect(report.violations).toEqual([]);
  });
});

describe('what is no ring, or cannot go on', () => {
  test('a chain whose end stands still waits, and takes no more than there is room for', async () => {
    await using test = await createTestSystem({ actors: [MODULE] });
    const events = recordEvents(test.system, 'standstill');
    const refs = ids('open', 3).map((id) => test.system.refOf(`member/${id}`));
    const [first, , last] = refs as [ActorRef, ActorRef, ActorRef];
    last.send({ type: 'STUMBLE' });
    await test.settle();
    for (let i = 0; i < 100; i++) first.send({ type: 'ROUND', rounds: 9 });
    await test.advance(1_800_000);
    const waiting = await Promise.all(refs.map((ref) => ref.snapshot()));
    expect(waiting.map(({ status }) => status)).toEqual(['running', 'running', 'waiting']);
    // Each has handled what the next one has taken: four, and what a slice ran ahead of its commits.
    expect(Number(waiting[0]?.view)).toBeLessThanOrEqual(24);
    expect(Number(waiting[1]?.view)).toBeLessThanOrEqual(12);
    expect(events).toEqual([]);
  });

  test('a ring that sends more than it receives is stopped where it is overfull, and named', async () => {
    await using test = await createTestSystem({ actors: [MODULE] });
    const events = recordEvents(test.system, 'standstill');
    const name = memberInMemory.name;
    await test.system.refOf(`${name}/r-0-2`).tell({ type: 'ROUND', rounds: 1_000_000, copies: 2 });
    await test.advance(10_000);
    const handled = await handledBy(test, name, 'r', 2);
    await test.advance(600_000);
    expect(await handledBy(test, name, 'r', 2)).toBe(handled);
    expect(handled).toBeLessThan(4 * MAILBOX_LIMIT);
    const stuck = events.filter(({ state }) => state === 'stuck');
    expect(stuck).toEqual([{ state: 'stuck', keys: [`${name}/r-0-2`, `${name}/r-1-2`] }]);
  });
});
