/**
 * Probes: an actor that keeps what it is sent, for a test to look at.
 *
 * Owns: the definition `probe` and reading one. Its messages are in its state, so that a probe survives what its system survives.
 */
import type { Behavior } from '../kernel/behavior.ts';
import { defineBehavior } from '../kernel/definition.ts';
import type { ActorRef } from '../system/actor-ref.ts';
import type { ActorSystem } from '../system/actor-system.ts';

/** One message that a probe was sent. */
export interface Probed {
  readonly message: unknown;
  readonly from: string | undefined;
  readonly atMs: number;
}

interface ProbeState {
  readonly received: readonly Probed[];
}

const behavior: Behavior<ProbeState> = {
  init: () => ({ received: [] }),
  receive: (state, message, turn) => {
    turn.reply(undefined);
    return { received: [...state.received, { message, from: turn.from, atMs: turn.nowMs }] };
  },
  save: (state) => state,
  load: (saved) => saved as ProbeState,
  view: (state) => state,
};

/** The definition of probes: list `probeModule` among the system's actors. */
export const probe = defineBehavior(import.meta.url, 'probe', behavior);

/** The module that exports `probe`. */
export const probeModule: string = import.meta.url;

export class TestProbe {
  /** What other actors send to. */
  readonly ref: ActorRef;

  private constructor(ref: ActorRef) {
    this.ref = ref;
  }

  static async start(system: ActorSystem, id: string): Promise<TestProbe> {
    return new TestProbe(await system.spawn(probe, { id, ifExists: 'attach' }));
  }

  /** Everything received so far, in order. */
  async received(): Promise<readonly Probed[]> {
    return ((await this.ref.snapshot()).view as ProbeState).received;
  }

  /** The first message that satisfies `matches`; waits for it, up to `timeoutMs` of the system's clock. */
  async expectMessage(
    matches: (message: unknown) => boolean,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<Probed> {
    const find = (view: unknown): Probed | undefined =>
      (view as ProbeState).received.find(({ message }) => matches(message));
    const snapshot = await this.ref.waitFor(({ view }) => find(view) !== undefined, options);
    return find(snapshot.view) as Probed;
  }
}
