/**
 * XState alone: `createActor` and `actor.send`, in one thread, without anything around it.
 *
 * Owns: the same reducer and the same machine as ours, the way XState's own documentation runs them.
 */
import { createActor, fromTransition } from 'xstate';
import { breakerMachine } from '../actors/breaker-machine.ts';
import { add, breakerEvent, type Add } from '../actors/messages.ts';
import { NOTHING, type Tally, tally } from '../actors/tally.ts';
import type { Contender } from '../contract.ts';
import { heapBytes } from '../heap.ts';
import { Pace } from '../pace.ts';

const counterLogic = fromTransition((state: Tally, message: Add) => tally(state, message), NOTHING);

/** `width` reducer actors. */
export function xstateReducer(width: number): Contender {
  return {
    name: 'xstate-send',
    kind: 'baseline',
    label: 'bare XState actor.send',
    async open({ sampleMs }) {
      const actors = Array.from({ length: width }, () => createActor(counterLogic).start());
      return paced(sampleMs, (i) => actors[i % width]?.send(add()));
    },
  };
}

/** `width` machine actors. */
export function xstateMachine(width: number): Contender {
  return {
    name: 'xstate-send',
    kind: 'baseline',
    label: 'bare XState actor.send, 1 thread',
    async open({ sampleMs }) {
      const actors = Array.from({ length: width }, () => createActor(breakerMachine).start());
      return paced(sampleMs, (i) => actors[i % width]?.send(breakerEvent(Math.trunc(i / width))));
    },
  };
}

/** `createActor(machine).start()`. */
export const xstateSpawn: Contender = {
  name: 'xstate-start',
  kind: 'baseline',
  label: 'bare XState createActor().start(), machine',
  async open({ sampleMs }) {
    const pace = new Pace(
      sampleMs,
      (size) => {
        const started = Array.from({ length: size }, () => createActor(breakerMachine).start());
        return started.length;
      },
      { most: 20_000 },
    );
    await pace.warmUp();
    return { sample: async () => ({ rate: await pace.rate() }), close: async () => {} };
  },
};

/** Heap of one started machine actor. */
export const xstateHeap: Contender = {
  name: 'xstate-actor',
  kind: 'baseline',
  label: 'bare XState actor, machine',
  execArgv: ['--expose-gc'],
  async open({ quick }) {
    const actors = quick ? 5_000 : 20_000;
    const start = (): unknown[] => Array.from({ length: actors }, () => createActor(breakerMachine).start());
    const kept = [start()];
    return {
      async sample() {
        const before = heapBytes();
        kept.push(start());
        return { heap: (heapBytes() - before) / actors };
      },
      close: async () => void kept.splice(0),
    };
  },
};

async function paced(sampleMs: number, send: (i: number) => void): ReturnType<Contender['open']> {
  const pace = new Pace(sampleMs, (size) => {
    for (let i = 0; i < size; i++) send(i);
    return size;
  });
  await pace.warmUp();
  return { sample: async () => ({ rate: await pace.rate() }), close: async () => {} };
}
