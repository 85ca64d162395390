/** A tree of supervisors: every strategy and restart type, one that gives up, one whose children are started on request. */
import { defineActor } from '../../../actors/index.ts';
import { defineBehavior } from '../../../runtime/kernel/definition.ts';
import {
  defineDynamicSupervisor,
  defineSupervisor,
  type DynamicSupervisorSpec,
  type SupervisorSpec,
} from '../../../supervisors/index.ts';

export type LeafMessage = { readonly type: 'WORK' | 'FAIL' | 'FINISH' };

/** Works, fails at the first try, or finishes. */
export const leaf = defineActor(import.meta.url, 'leaf', {
  reducer: {
    init: () => 0,
    receive(state: number, message: LeafMessage, turn): number {
      if (message.type === 'FAIL') throw new Error('a leaf fails on purpose');
      if (message.type === 'FINISH') turn.exit({ kind: 'normal' });
      return state + 1;
    },
  },
  failure: { maxAttempts: 1 },
  passivateAfterMs: 100,
  snapshotEveryTurns: 5,
});

/** The same in memory only: it ends with its host. */
export const spark = defineActor(import.meta.url, 'spark', {
  reducer: {
    init: () => 0,
    receive(state: number, message: LeafMessage, turn): number {
      if (message.type === 'FAIL') throw new Error('a spark fails on purpose');
      if (message.type === 'FINISH') turn.exit({ kind: 'normal' });
      return state + 1;
    },
  },
  failure: { maxAttempts: 1 },
  durability: 'none',
});

/** Takes its time to stop: it ends a while after it was asked, or only when it is killed. */
export const lingerer = defineBehavior<{ readonly stubborn: boolean; readonly asked: boolean }>(
  import.meta.url,
  'lingerer',
  {
    lingers: true,
    init: (input) => ({ stubborn: (input as { readonly stubborn: boolean }).stubborn, asked: false }),
    receive(state, message) {
      if ((message as LeafMessage).type === 'FAIL') throw new Error('a lingerer fails on purpose');
      return state;
    },
    signal(state, signal, turn) {
      if (signal.kind === 'stop') {
        if (!state.stubborn && !state.asked) turn.setTimer({ id: 'end', delayMs: 40, payload: null });
        return { ...state, asked: true };
      }
      if (signal.kind === 'timer' && signal.id === 'end') turn.exit({ kind: 'shutdown' });
      // It may live again, resumed by its supervisor.
      return signal.kind === 'resumed' ? { ...state, asked: false } : state;
    },
    save: (state) => state,
    load: (saved) => saved as { readonly stubborn: boolean; readonly asked: boolean },
    view: (state) => state,
  },
  { failure: { maxAttempts: 1 } },
);

const OFTEN = { intensity: 1_000, periodMs: 1_000 };

const ALL: SupervisorSpec = {
  ...OFTEN,
  strategy: 'one_for_all',
  backoff: { initialMs: 20, maxMs: 200 },
  children: [
    { id: 'a', actor: { definition: leaf } },
    { id: 'b', actor: { definition: lingerer, input: { stubborn: false } } },
    { id: 'c', actor: { definition: leaf }, restart: 'transient' },
    { id: 'd', actor: { definition: leaf }, restart: 'temporary' },
  ],
};

const REST: SupervisorSpec = {
  ...OFTEN,
  strategy: 'rest_for_one',
  backoff: 'none',
  children: [
    { id: 'a', actor: { definition: leaf } },
    { id: 'b', actor: { definition: leaf }, restartFrom: 'initial' },
    { id: 'c', actor: { definition: lingerer, input: { stubborn: true } }, shutdownMs: 50 },
    { id: 'd', actor: { definition: leaf }, restart: 'transient', shutdownMs: 'brutal_kill' },
    { id: 'e', actor: { definition: spark } },
  ],
};

/** Gives up at the third restart within its period; the one above starts it again. */
const IMPATIENT: SupervisorSpec = {
  strategy: 'one_for_one',
  intensity: 2,
  periodMs: 3_000,
  backoff: 'none',
  children: [
    { id: 'a', actor: { definition: leaf } },
    { id: 'b', actor: { definition: leaf }, restart: 'transient' },
  ],
};

/** Ends by itself when its significant child has. */
const BRIEF: SupervisorSpec = {
  ...OFTEN,
  strategy: 'one_for_one',
  autoShutdown: 'any_significant',
  children: [
    { id: 'a', actor: { definition: leaf } },
    { id: 'b', actor: { definition: leaf }, restart: 'transient', significant: true },
  ],
};

const POOL: DynamicSupervisorSpec = {
  ...OFTEN,
  backoff: { initialMs: 10, maxMs: 50, jitter: 'none' },
  child: { actor: { definition: leaf }, restart: 'transient' },
};

const all = defineSupervisor(import.meta.url, 'all', ALL, { passivateAfterMs: 150, snapshotEveryTurns: 7 });
const rest = defineSupervisor(import.meta.url, 'rest', REST, { snapshotEveryTurns: 7 });
const impatient = defineSupervisor(import.meta.url, 'impatient', IMPATIENT, { passivateAfterMs: 150 });
const brief = defineSupervisor(import.meta.url, 'brief', BRIEF);
const pool = defineDynamicSupervisor(import.meta.url, 'pool', POOL, { passivateAfterMs: 150, snapshotEveryTurns: 5 });
export { all, brief, impatient, pool, rest };

const TOP: SupervisorSpec = {
  ...OFTEN,
  strategy: 'one_for_one',
  backoff: { initialMs: 30, maxMs: 300, jitter: 'none' },
  children: [
    { id: 'all', actor: { definition: all } },
    { id: 'rest', actor: { definition: rest } },
    { id: 'impatient', actor: { definition: impatient } },
    { id: 'brief', actor: { definition: brief }, restart: 'transient' },
    { id: 'pool', actor: { definition: pool } },
  ],
};

export const top = defineSupervisor(import.meta.url, 'top', TOP);

/** What each supervisor must go by. */
export const SPECS: Readonly<Record<string, SupervisorSpec>> = {
  top: TOP,
  all: ALL,
  rest: REST,
  impatient: IMPATIENT,
  brief: BRIEF,
};
