/** The definition of breakers that are known by a name alone. Every thread can load it from here. */
import { defineActor } from '../define-actor.ts';
import { CIRCUIT_VERSION, circuitBreakerMachine } from './circuit-breaker-machine.ts';

export const namedBreaker = defineActor(import.meta.url, 'circuit-breaker', {
  machine: circuitBreakerMachine,
  version: CIRCUIT_VERSION,
});
