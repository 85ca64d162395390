/** A supervision tree over real actors: each worker counts, and fails on demand. */
import { defineActor } from '../../../runtime/index.ts';
import { defineDynamicSupervisor, defineSupervisor } from '../../../supervisors/index.ts';

export interface WorkerState {
  readonly n: number;
}

export type WorkerMessage = { readonly type: 'ADD' } | { readonly type: 'GET' } | { readonly type: 'FAIL' };

export const worker = defineActor(import.meta.url, 'worker', {
  failure: { maxAttempts: 1 },
  reducer: {
    init: (): WorkerState => ({ n: 0 }),
    receive(state: WorkerState, message: WorkerMessage, turn): WorkerState {
      if (message.type === 'FAIL') throw new Error('failed, on purpose');
      const next = { n: state.n + (message.type === 'ADD' ? 1 : 0) };
      turn.reply(next.n);
      return next;
    },
  },
});

const children = (strategy: string) =>
  ['a', 'b', 'c'].map((id) => ({ id, actor: { definition: worker, id: `${strategy}-${id}` } }));

const flags = { intensity: 3, periodMs: 60_000, backoff: 'none' } as const;

export const oneForOne = defineSupervisor(import.meta.url, 'one-for-one', {
  strategy: 'one_for_one',
  ...flags,
  children: children('one'),
});
export const restForOne = defineSupervisor(import.meta.url, 'rest-for-one', {
  strategy: 'rest_for_one',
  ...flags,
  children: children('rest').map((child) => ({ ...child, restartFrom: 'initial' as const })),
});
export const oneForAll = defineSupervisor(import.meta.url, 'one-for-all', {
  strategy: 'one_for_all',
  ...flags,
  children: children('all').map((child) => ({ ...child, restartFrom: 'initial' as const })),
});
export const pool = defineDynamicSupervisor(import.meta.url, 'pool', {
  ...flags,
  child: { actor: { definition: worker } },
});
/** A supervisor of a supervisor. */
export const top = defineSupervisor(import.meta.url, 'top', {
  ...flags,
  children: [{ id: 'below', actor: { definition: oneForOne, id: 'below' }, restart: 'permanent' }],
});
