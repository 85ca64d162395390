/**
 * Runs that a killed process leaves behind: asleep, or under way.
 *
 * Owns: the workflows of both, and the words between the process that leaves them and the one that brings them back.
 */
import { defineSaga, workflowActors } from '../actors/index.ts';
import { brokerActors } from '../runtime/index.ts';
import { echoDesk } from './actors/echo-desk.ts';

export interface RunsLeft {
  /** `fallen-asleep`: a moment ago, so that no checkpoint has stored them. `none`: all are still to be begun. */
  readonly kind: 'asleep' | 'fallen-asleep' | 'under-way' | 'none';
  readonly runs: number;
}

export const HOSTS = 2;
/** For `startSystem`. */
export const RUN_ACTORS = [workflowActors, brokerActors, new URL('actors/echo-desk.ts', import.meta.url)];
/** The one run whose sleep is over when the others are asleep for long. */
export const DUE = 'due';
export const DUE_MS = 300;
export const LONG_MS = 3_600_000;

/** Sleeps, then asks a desk. */
export const nap = defineSaga('nap')
  .step('sleep', { sleep: '${input.ms}' })
  .step('wake', {
    actor: { definition: echoDesk.name, id: 'd' },
    action: 'DO',
    parameters: {},
    dependencies: ['sleep'],
  });

/** The system whose connector handles the commands of `trip`; in a process that is to be killed it never answers `second`. */
export const SYSTEM = 'desk';

const command = (action: string) => ({
  systemTarget: SYSTEM,
  action,
  parameters: { order: '${input.order}' },
  // However long ago they were left: none has come too late.
  attemptTimeoutMs: LONG_MS,
});

export const trip = defineSaga('trip')
  .step('first', command('first'))
  .step('second', { ...command('second'), dependencies: ['first'] })
  .step('third', { ...command('third'), dependencies: ['second'] });

export const idsOf = ({ runs }: RunsLeft): string[] => Array.from({ length: runs }, (_, i) => `r${i}`);
