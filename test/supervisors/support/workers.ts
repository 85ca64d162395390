/** Actors to be supervised: one that obeys, one that does not, one that takes its time, one that does not start. */
import type { Behavior } from '../../../runtime/kernel/behavior.ts';
import type { ExitReason } from '../../../runtime/kernel/exit.ts';
import type { SupervisorSpec } from '../../../supervisors/supervisor-spec.ts';
import { StartFailure } from './supervision-harness.ts';

/** Ends when told `{ exit: reason }`; otherwise counts its messages. */
interface WorkerState {
  readonly input: unknown;
  readonly seen: number;
}

const plain = {
  save: (state: WorkerState) => ({ ...state }),
  load: (saved: unknown) => saved as WorkerState,
  view: (state: WorkerState) => ({ ...state }),
};

const worker: Behavior<WorkerState> = {
  ...plain,
  init: (input) => ({ input: input ?? null, seen: 0 }),
  receive(state, message, turn) {
    const { exit } = message as { exit?: ExitReason };
    if (exit !== undefined) turn.exit(exit);
    return { ...state, seen: state.seen + 1 };
  },
};

/** Hears `stop` and does not care. */
const naughty: Behavior<WorkerState> = { ...worker, lingers: true, signal: (state) => state };

/** Takes as many ms to stop as its input says. */
const slow: Behavior<WorkerState> = {
  ...worker,
  lingers: true,
  signal(state, signal, turn) {
    if (signal.kind === 'stop') turn.setTimer({ id: 'slow', delayMs: Number(state.input), payload: null });
    if (signal.kind === 'timer') turn.exit({ kind: 'shutdown' });
    return state;
  },
};

/** Finishes when it is told to stop, as a behavior may that lingers. */
const polite: Behavior<WorkerState> = {
  ...worker,
  lingers: true,
  signal(state, signal, turn) {
    if (signal.kind === 'stop') turn.exit({ kind: 'normal' });
    return state;
  },
};

/** Never starts. */
const stillborn: Behavior<WorkerState> = {
  ...worker,
  init: () => {
    throw new StartFailure('stillborn');
  },
};

export const WORKERS = { worker, naughty, slow, polite, stillborn } as const;

export const NORMAL: ExitReason = { kind: 'normal' };
export const SHUTDOWN: ExitReason = { kind: 'shutdown' };
export const KILLED: ExitReason = { kind: 'killed' };
export const ERROR: ExitReason = { kind: 'error', error: { name: 'Error', code: 'ERROR', message: 'abnormal' } };
export const HOST_LOST: ExitReason = { kind: 'host_lost' };

/** A child spec for each name; of the definition `worker` unless told otherwise. */
export function childrenOf(
  ids: readonly string[],
  more: Partial<SupervisorSpec['children'][number]> = {},
): SupervisorSpec['children'] {
  return ids.map((id) => ({ id, actor: { definition: 'worker' }, ...more }));
}
