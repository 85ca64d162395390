/**
 * XState alone: `createActor` and `actor.send`, in one thread, without anything around it.
 *
 * Owns: the same reducer and the same machine as ours, the way XState's own documentation runs them.
 */
import { createActor, fromTransition } from 'xstate';
import { breakerMachine } from '../actors/breaker-machine.ts';
import { type Add, add, BREAKER_CYCLE, breakerEvent, OPENINGS_PER_CYCLE } from '../actors/messages.ts';
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
      const handled = (): number => actors.reduce((sum, actor) => sum + actor.getSnapshot().context.handled, 0);
      return paced(sampleMs, 1, (i) => actors[i % width]?.send(add()), handled);
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
      const opened = (): number => actors.reduce((sum, actor) => sum + actor.getSnapshot().context.openings, 0);
      const cycle = BREAKER_CYCLE.length;
      const send = (i: number): void => actors[i % width]?.send(breakerEvent(Math.trunc(i / width)));
      return paced(sampleMs, cycle * width, send, () => (opened() / OPENINGS_PER_CYCLE) * cycle);
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

/** Memory of `count` started machine actors. */
export const xstateStarted = (count: number): Contender => ({
  name: `xstate-${count}`,
  point: { series: 'bare XState actor, machine', x: count },
  kind: 'baseline',
  label: `bare XState actors, ${count}`,
  execArgv: ['--expose-gc'],
  async open() {
    const start = (actors: number): unknown[] =>
      Array.from({ length: actors }, () => createActor(breakerMachine).start());
    const first = start(1_000);
    const before = heapBytes();
    const started = start(count);
    return {
      sample: async () => ({ memory: (heapBytes() - before) / 1e6 }),
      close: async () => [first, started].forEach((some) => some.splice(0)),
    };
  },
});

/** Whole steps of messages; what the actors say they have handled must be what was sent. */
async function paced(
  sampleMs: number,
  step: number,
  send: (i: number) => void,
  handled: () => number,
): ReturnType<Contender['open']> {
  let sent = 0;
  const pace = new Pace(sampleMs, (size) => {
    const total = Math.max(1, Math.round(size / step)) * step;
    for (let i = 0; i < total; i++) send(i);
    sent += total;
    if (handled() !== sent) throw new Error(`${handled()} handled of ${sent} sent`);
    return total;
  });
  await pace.warmUp();
  return { sample: async () => ({ rate: await pace.rate() }), close: async () => {} };
}
