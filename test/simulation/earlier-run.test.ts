/** What was asked of an earlier run is handled by the next one, and answered to nobody: numbers of calls begin again with each run. */
import { expect, test } from 'vitest';
import { simulate } from '../../runtime/testing/simulate.ts';

test('a call of an earlier run that waited in an image is not answered to a call of this one', async () => {
  const { violations, history } = await simulate({
    seed: 1,
    hosts: 1,
    actors: [new URL('./workloads/stumbler.ts', import.meta.url)],
    async run(sim) {
      await (await sim.up()).refOf('stumbler/1').ask({ key: 'first' }, { idempotencyKey: 'first' });
      // The second fails for a while; the repetition of the first waits behind it, in the image that the checkpoint makes.
      const system = sim.system;
      const failing = system
        .refOf('stumbler/1')
        .ask({ key: 'second', fails: true })
        .catch(() => 'lost');
      const repeated = system
        .refOf('stumbler/1')
        .ask({ key: 'first' }, { idempotencyKey: 'first' })
        .catch(() => 'lost');
      await sim.advance(20);
      await system.checkpoint();
      await sim.crash();
      expect(await Promise.all([failing, repeated])).toEqual(['lost', 'lost']);
      // As many calls as before the crash: their numbers are those of the calls that were lost.
      const again = await sim.up();
      const answers = await Promise.all(['a', 'b', 'c', 'd'].map((key) => again.refOf('stumbler/2').ask({ key })));
      expect(answers).toEqual(['a', 'b', 'c', 'd']);
    },
  });
  expect(violations).toEqual([]);
  const calls = new Set(
    history.outside.flatMap((event) => (event.kind === 'sent' ? [`${event.run}:${event.call}`] : [])),
  );
  const strays = history.outside.filter(
    (event) => event.kind === 'reply' && typeof event.value === 'string' && !calls.has(`${event.run}:${event.call}`),
  );
  expect(strays).toEqual([]);
});
