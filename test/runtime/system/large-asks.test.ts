/** A request or a reply that is too large for a message, between actors of one host and of two: whoever asked is told so, and not by a deadline. */
import { describe, expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { keyOf, placementOf } from '../../../runtime/kernel/address.ts';
import { MESSAGE_BYTES_LIMIT } from '../../../runtime/kernel/limits.ts';
import { weighty, weightyInMemory } from '../../support/actors/weighty.ts';

const HOSTS = 2;
const MUCH = 2 * MESSAGE_BYTES_LIMIT;
const idOn = (name: string, slot: number): string => {
  for (let n = 0; ; n++) if (placementOf(keyOf(name, `w${n}`), HOSTS) === slot) return `w${n}`;
};

describe.each([weightyInMemory, weighty])('$name', (definition) => {
  test('between two hosts, either way', async () => {
    await using system = await ActorSystem.start({ threads: HOSTS, actors: [definition.module] });
    const [asker, giver] = [0, 1].map((slot) => system.ref(definition, idOn(definition.name, slot)));
    const ask = (askBytes: number, replyBytes: number): Promise<unknown> =>
      asker!.ask({ type: 'ASK', to: giver!.key, askBytes, replyBytes }, { timeoutMs: 30_000 });
    expect(await ask(1_000, 2_000)).toBe(2_000);
    expect(await ask(1_000, MUCH)).toBe('MESSAGE_TOO_LARGE');
    expect(await ask(MUCH, 1_000)).toBe('MESSAGE_TOO_LARGE');
    expect(await ask(1_000, 2_000)).toBe(2_000);
  });
});
