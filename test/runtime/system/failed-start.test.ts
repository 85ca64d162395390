/** An actor whose start throws was never there: whoever starts it gets what was thrown, and nobody else notices. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import type { Definition } from '../../../runtime/kernel/definition.ts';
import * as starts from '../../support/actors/failing-starts.ts';
import { crashCopy } from '../../support/crash-copy.ts';
import { type TmpDir, tmpDir } from '../../support/tmp-dir.ts';
import { errorOf, recordEvents, until } from '../../support/until.ts';

const MODULE = new URL('../../support/actors/failing-starts.ts', import.meta.url);
const FAILING: Readonly<Record<string, Definition>> = {
  context: starts.contextFails,
  entry: starts.entryFails,
  assign: starts.assignFails,
  guard: starts.guardFails,
  input: starts.inputFails,
  transition: starts.transitionFails,
  reducer: starts.reducerFails,
};

let folder: TmpDir;

beforeEach(async () => {
  folder = await tmpDir('failed-start');
});
afterEach(async () => {
  await folder[Symbol.asyncDispose]();
});

const start = (threads: number, dataDir?: string): Promise<ActorSystem> =>
  ActorSystem.start({ threads, actors: [MODULE], ...(dataDir === undefined ? {} : { dataDir }) });

describe.each([
  ['on the calling thread', 0, false],
  ['on a host', 1, false],
  ['on the calling thread, journaled', 0, true],
  ['on a host, journaled', 1, true],
])('%s', (_where, threads, isJournaled) => {
  test('the error is the one that was thrown, and the host goes on', async () => {
    await using system = await start(threads, isJournaled ? folder.at('data') : undefined);
    const lost = recordEvents(system, 'host_lost');
    const beside = await system.spawn(starts.bystander, { id: 'b' });
    expect(await beside.ask({})).toBe(1);
    for (const [what, definition] of Object.entries(FAILING)) {
      const error = await errorOf(system.spawn(definition, { id: 'x' }));
      expect([what, error.name]).toEqual([what, 'HandlerError']);
      expect(error.message).toContain(`${what} threw`);
      expect(await system.ref(definition, 'x').snapshot()).toMatchObject({ view: undefined });
    }
    const parent = await system.spawn(starts.parent, { id: 'p' });
    await parent.waitFor(({ view }) => view.value === 'told');
    expect(await parent.ask({ type: 'ASK' })).toContain('child threw');
    expect(await beside.ask({})).toBe(2);
    expect(lost).toEqual([]);
    expect((await system.deadLetters.list()).length).toBe(Object.keys(FAILING).length + 1);
  });
});

test.each([0, 1])(
  'its folder opens again, and it may be started with something better (threads: %i)',
  async (threads) => {
    const data = folder.at('data');
    {
      await using system = await start(threads, data);
      expect((await errorOf(system.spawn(starts.fickle, { id: 'f', input: { fails: true } }))).message).toContain(
        'fickle',
      );
      await system.checkpoint();
      crashCopy(data, folder.at('killed'));
    }
    for (const dataDir of [data, folder.at('killed')]) {
      await using system = await start(threads, dataDir);
      await until(
        'it is known',
        async () => (await system.ref(starts.fickle, 'f').snapshot()).status === 'stopped' || undefined,
      );
      expect(system.blocked().size).toBe(0);
      const again = await system.spawn(starts.fickle, { id: 'f', input: { fails: false } });
      expect(await again.ask({ type: 'ASK' })).toBe(42);
    }
  },
);
