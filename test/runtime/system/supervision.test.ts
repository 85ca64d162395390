/** Supervisors over real actors, on the calling thread and on two hosts: restarts, strategies, escalation, order of stopping, crashes. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ActorRef, ActorSystem } from '../../../runtime/index.ts';
import { oneForAll, oneForOne, pool, restForOne, top, worker } from '../../support/actors/tree.ts';
import { saboteur } from '../../support/actors/saboteur.ts';
import { type TmpDir, tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, recordEvents, until } from '../../support/until.ts';

const ACTORS = [
  new URL('../../support/actors/tree.ts', import.meta.url),
  new URL('../../support/actors/saboteur.ts', import.meta.url),
];
let folder: TmpDir;
beforeEach(async () => {
  folder = await tmpDir('supervision');
});
afterEach(() => folder[Symbol.asyncDispose]());

const running = (ref: { snapshot(): Promise<{ status: string }> }): Promise<boolean> =>
  until('the child to live', async () => (await ref.snapshot()).status === 'running');

/** The children `a`, `b`, `c`, each with 1, 2 and 3 in it. */
const counted = async (system: ActorSystem, prefix: string): Promise<ActorRef[]> => {
  const refs = ['a', 'b', 'c'].map((id) => system.ref(worker, `${prefix}-${id}`));
  for (const [i, ref] of refs.entries()) {
    await running(ref);
    for (let n = 0; n <= i; n++) await ref.tell({ type: 'ADD' });
  }
  return refs as ActorRef[];
};

const values = (refs: readonly ActorRef[]): Promise<unknown[]> =>
  Promise.all(refs.map(async (ref) => (await running(ref), ref.ask({ type: 'GET' }))));

const children = async (ref: { ask(message: { type: 'which_children' }): Promise<unknown> }): Promise<string[]> => {
  const answer = (await ref.ask({ type: 'which_children' })) as { value: unknown };
  const page = answer.value as { children?: unknown } | readonly unknown[];
  const list = (Array.isArray(page) ? page : (page as { children: unknown }).children) as {
    id: string;
    status: string;
  }[];
  return list.map(({ id, status }) => `${id} ${status}`);
};

describe.each([0, 2])('threads: %i', (threads) => {
  const start = (): Promise<ActorSystem> => ActorSystem.start({ threads, actors: ACTORS, dataDir: folder.at('data') });

  test('one_for_one: the failed one comes back in its last good state, the others do not notice', async () => {
    await using system = await start();
    await system.spawn(oneForOne, { id: 's' });
    const refs = await counted(system, 'one');
    const before = await refs[0]?.snapshot();
    expect(await codeOf(refs[1]?.ask({ type: 'FAIL' }) ?? Promise.resolve())).toBe('HANDLER_FAILED');
    expect(await values(refs)).toEqual([1, 2, 3]);
    expect((await refs[0]?.snapshot())?.sequence).toBe((before?.sequence ?? 0) + 1);
    expect(await system.deadLetters.list()).toMatchObject([{ to: 'worker/one-b', reason: 'handler_failed' }]);
  });

  test('rest_for_one: those after it begin anew too', async () => {
    await using system = await start();
    await system.spawn(restForOne, { id: 's' });
    const refs = await counted(system, 'rest');
    await codeOf(refs[1]?.tell({ type: 'FAIL' }) ?? Promise.resolve());
    await until('a fresh c', async () => ((await refs[2]?.snapshot())?.view as { n: number } | undefined)?.n === 0);
    expect(await values(refs)).toEqual([1, 0, 0]);
  });

  test('one_for_all: all begin anew', async () => {
    await using system = await start();
    await system.spawn(oneForAll, { id: 's' });
    const refs = await counted(system, 'all');
    await codeOf(refs[2]?.tell({ type: 'FAIL' }) ?? Promise.resolve());
    await until('a fresh a', async () => ((await refs[0]?.snapshot())?.view as { n: number } | undefined)?.n === 0);
    expect(await values(refs)).toEqual([0, 0, 0]);
  });

  test('one failure too many ends the supervisor with its children; the one above starts both again', async () => {
    await using system = await start();
    await system.spawn(top, { id: 't' });
    const below = system.ref(oneForOne, 'below');
    const a = system.ref(worker, 'one-a');
    await running(a);
    const before = (await below.snapshot()).sequence;
    for (let i = 0; i < 4; i++) {
      await running(a);
      await codeOf(a.tell({ type: 'FAIL' }));
    }
    await until('a new life below', async () => {
      const { status, sequence } = await below.snapshot();
      return (
        status === 'running' && sequence > before && (await system.ref(worker, 'one-c').snapshot()).status === 'running'
      );
    });
    await running(a);
    expect(await a.ask({ type: 'ADD' })).toBeGreaterThan(0);
    expect((await system.ref(top, 't').snapshot()).status).toBe('running');
  });

  test('a stop goes down the tree, and comes back when all have ended', async () => {
    await using system = await start();
    const ref = await system.spawn(top, { id: 't' });
    const leaves = ['a', 'b', 'c'].map((id) => system.ref(worker, `one-${id}`));
    for (const leaf of leaves) await running(leaf);
    await ref.stop();
    await until('the tree to end', async () => (await ref.snapshot()).status === 'stopped');
    for (const leaf of leaves) expect((await leaf.snapshot()).status).toBe('stopped');
    expect((await system.ref(oneForOne, 'below').snapshot()).status).toBe('stopped');
  });

  test('a dynamic supervisor: children by request, restarted, ended, forgotten', async () => {
    await using system = await start();
    const ref = await system.spawn(pool, { id: 'p' });
    for (let i = 0; i < 20; i++)
      expect(await ref.ask({ type: 'start_child', id: `w${i}` })).toMatchObject({ ok: true });
    expect(await ref.ask({ type: 'start_child', id: 'w3' })).toMatchObject({
      ok: false,
      error: { code: 'already_started' },
    });
    const third = system.refOf('worker/pool/p/w3');
    await running(third);
    await third.tell({ type: 'ADD' });
    await codeOf(third.tell({ type: 'FAIL' }));
    await running(third);
    expect(await third.ask({ type: 'GET' })).toBe(1);
    expect(await ref.ask({ type: 'terminate_child', id: 'w3' })).toMatchObject({ ok: true });
    expect(await codeOf(third.tell({ type: 'ADD' }))).toBe('ACTOR_STOPPED');
    expect(await children(ref)).toHaveLength(19);
  });

  test('the tree is there after a restart of the system', async () => {
    {
      await using system = await start();
      await system.spawn(top, { id: 't' });
      await counted(system, 'one');
    }
    await using system = await start();
    expect(await children(system.ref(oneForOne, 'below'))).toEqual(['a running', 'b running', 'c running']);
    const refs = ['a', 'b', 'c'].map((id) => system.ref(worker, `one-${id}`) as ActorRef);
    expect(await values(refs)).toEqual([1, 2, 3]);
    await codeOf(refs[1]?.tell({ type: 'FAIL' }) ?? Promise.resolve());
    expect(await values(refs)).toEqual([1, 2, 3]);
  });
});

test('a tree over two hosts outlives the death of either', async () => {
  await using system = await ActorSystem.start({ threads: 2, actors: ACTORS, dataDir: folder.at('data') });
  const lost = recordEvents(system, 'host_lost');
  const replaced = recordEvents(system, 'host_replaced');
  await system.spawn(top, { id: 't' });
  const refs = await counted(system, 'one');
  for (const id of ['s1', 's2', 's3', 's4']) {
    const ref = await system.spawn(saboteur, { id });
    expect(await ref.ask({ type: 'DIE', way: 'exit', flag: folder.at(id) }, { timeoutMs: 20_000 })).toBe('survived');
    await codeOf(refs[1]?.tell({ type: 'FAIL' }) ?? Promise.resolve());
    expect(await values(refs)).toEqual([1, 2, 3]);
    if (lost.length === 3) break;
  }
  expect(replaced.length).toBe(lost.length);
  expect(new Set(lost.map(({ slot }) => slot)).size).toBeGreaterThan(0);
});
