/**
 * nact: actors in memory in one Node thread.
 *
 * Owns: `dispatch` to reducer actors, `query`, `spawn`, and the heap of one that waits.
 */
import { add, order } from '../actors/messages.ts';
import { NOTHING, type Tally, tally } from '../actors/tally.ts';
import type { Contender } from '../contract.ts';
import { heapBytes } from '../heap.ts';
import { Pace, roundTrips, Spawning } from '../pace.ts';
import { latencies } from '../statistics.ts';
import { load, missingPackage, versioned } from './packages.ts';

interface Nact {
  start(): unknown;
  spawn<State, Message>(
    parent: unknown,
    receive: (state: State | undefined, message: Message) => State,
    name: string,
  ): unknown;
  dispatch(actor: unknown, message: unknown): void;
  query(actor: unknown, message: (sender: unknown) => unknown, timeoutMs: number): Promise<unknown>;
  stop(actor: unknown): void;
}

type Message = { readonly by: number } | { readonly report: (handled: number) => void };

const missing = (): string | undefined => missingPackage('nact');
const note = versioned('nact');

function receive(state: Tally | undefined, message: Message): Tally {
  if (!('report' in message)) return tally(state ?? NOTHING, message);
  message.report(state?.handled ?? 0);
  return state ?? NOTHING;
}

/** Resolves when each of the actors has handled what was sent to it before, with how many messages those were. */
function reported(dispatch: Nact['dispatch'], actors: readonly unknown[]): Promise<number> {
  let silent = actors.length;
  let sum = 0;
  return new Promise((resolve) => {
    const report = (handled: number): void => {
      silent -= 1;
      sum += handled;
      if (silent === 0) resolve(sum);
    };
    for (const actor of actors) dispatch(actor, { report });
  });
}

/** `width` receivers; each batch ends when all have reported. */
export function nactDispatch(width: number): Contender {
  return {
    name: 'nact',
    kind: 'baseline',
    label: 'nact dispatch',
    missing,
    async open({ sampleMs }) {
      const { dispatch, spawn, start, stop } = load<Nact>('nact');
      const system = start();
      const actors = Array.from({ length: width }, (_, i) => spawn(system, receive, `counter-${i}`));
      let sent = 0;
      const pace = new Pace(
        sampleMs,
        async (size) => {
          for (let i = 0; i < size; i++) dispatch(actors[i % width], add());
          sent += size;
          const handled = await reported(dispatch, actors);
          if (handled !== sent) throw new Error(`${handled} handled of ${sent} sent`);
          return size;
        },
        { most: 50_000 },
      );
      await pace.warmUp();
      return { note, sample: async () => ({ rate: await pace.rate() }), close: async () => stop(system) };
    },
  };
}

/** A question and its answer, one at a time. */
export const nactQuery: Contender = {
  name: 'nact',
  kind: 'baseline',
  label: 'nact query',
  missing,
  async open({ sampleMs }) {
    const { dispatch, query, spawn, start, stop } = load<Nact>('nact');
    const system = start();
    const echo = spawn(
      system,
      (_: unknown, { message, sender }: { readonly message: unknown; readonly sender: unknown }) => {
        dispatch(sender, message);
        return undefined;
      },
      'echo',
    );
    let id = 0;
    const trip = (): Promise<unknown> => query(echo, (sender) => ({ sender, message: order(id++) }), 10_000);
    await roundTrips(sampleMs, 100, trip);
    return {
      note,
      sample: async () => latencies(await roundTrips(sampleMs, 100, trip)),
      close: async () => stop(system),
    };
  },
};

/** Actors started, each of which answers. */
export const nactSpawn: Contender = {
  name: 'nact',
  kind: 'baseline',
  label: 'nact spawn, each answers a question',
  missing,
  async open(setting) {
    const { dispatch, spawn, start, stop } = load<Nact>('nact');
    const spawning = new Spawning(setting, async (count, round) => {
      const system = start();
      const startMs = performance.now();
      // Named: names that nact makes up collide when there are many.
      const actors = Array.from({ length: count }, (_, i) => spawn(system, receive, `counter-${round}-${i}`));
      await reported(dispatch, actors);
      const tookMs = performance.now() - startMs;
      stop(system);
      return tookMs;
    });
    await spawning.rate();
    return { note, sample: async () => ({ rate: await spawning.rate() }), close: async () => {} };
  },
};

/** Heap of one actor that waits. */
export const nactHeap: Contender = {
  name: 'nact',
  kind: 'baseline',
  label: 'nact actor',
  execArgv: ['--expose-gc'],
  missing,
  async open({ quick }) {
    const { spawn, start, stop } = load<Nact>('nact');
    const system = start();
    const actors = quick ? 5_000 : 20_000;
    let round = 0;
    const kept: unknown[] = [];
    return {
      note,
      async sample() {
        round += 1;
        const before = heapBytes();
        kept.push(Array.from({ length: actors }, (_, i) => spawn(system, receive, `counter-${round}-${i}`)));
        return { heap: (heapBytes() - before) / actors };
      },
      async close() {
        kept.splice(0);
        stop(system);
      },
    };
  },
};
