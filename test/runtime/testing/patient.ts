/** A machine that waits for thirty days. */
import { createMachine } from 'xstate';
import { defineActor } from '../../../actors/define-actor.ts';

const DAYS_30_MS = 30 * 86_400_000;

export const patient = defineActor(import.meta.url, 'patient', {
  machine: createMachine({ initial: 'waiting', states: { waiting: { after: { [DAYS_30_MS]: 'over' } }, over: {} } }),
});
