/** What plug-ins are given of a system is what a system is. */
import { expectTypeOf, test } from 'vitest';
import type { ActorHandle, ActorHost } from '../../../runtime/kernel/actor-host.ts';
import type { ActorRef, ActorSystem } from '../../../runtime/index.ts';

test('a system and its references are what plug-ins need', () => {
  expectTypeOf<ActorSystem>().toExtend<ActorHost>();
  expectTypeOf<ActorRef>().toExtend<ActorHandle>();
});
