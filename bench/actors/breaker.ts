/**
 * The breaker machine as actors: in memory and journaled.
 *
 * Owns: the definitions only. `REPORT`, asked, answers how often the breaker opened.
 */
import { defineActor } from '../../runtime/index.ts';
import { breakerMachine } from './breaker-machine.ts';

export const breaker = defineActor(import.meta.url, 'breaker', { machine: breakerMachine, durability: 'none' });
export const journaledBreaker = defineActor(import.meta.url, 'journaled-breaker', { machine: breakerMachine });
