/** Mailboxes that are full: callers wait, nothing is dropped, nothing overtakes. */
import { describe, expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { narrow, narrowInMemory } from '../../support/actors/slow.ts';

const MODULE = new URL('../../support/actors/slow.ts', import.meta.url);

describe.each([0, 1])('threads: %i', (threads) => {
  test.each([
    ['journaled', narrow],
    ['in memory', narrowInMemory],
  ])('5,000 tells at once to a mailbox of 8, %s: all are handled, in order', async (_name, definition) => {
    await using system = await ActorSystem.start({ threads, actors: [MODULE] });
    const ref = await system.spawn(definition, { id: 'one' });
    const count = 5_000;
    const tells = Array.from({ length: count }, (_, i) => ref.tell({ type: 'ADD', n: i + 1 }, { timeoutMs: 15_000 }));
    await Promise.all(tells);
    expect(await ref.ask({ type: 'GET' })).toEqual({ last: count, gaps: 0, doubles: 0 });
    expect((await system.stats()).callsUnderWay).toBe(0);
  });

  test('many full mailboxes at once, each with its own order', async () => {
    await using system = await ActorSystem.start({ threads, actors: [MODULE] });
    const refs = await Promise.all(Array.from({ length: 50 }, (_, i) => system.spawn(narrow, { id: `n${i}` })));
    const tells: Promise<void>[] = [];
    for (let n = 1; n <= 100; n++) {
      for (const ref of refs) tells.push(ref.tell({ type: 'ADD', n }, { timeoutMs: 15_000 }));
    }
    await Promise.all(tells);
    for (const ref of refs) expect(await ref.ask({ type: 'GET' })).toEqual({ last: 100, gaps: 0, doubles: 0 });
  });
});
