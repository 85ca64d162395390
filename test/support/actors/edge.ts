/** A supervision tree with a connector in it. */
import { connectorChild } from '../../../actors/connector/connector-actor.ts';
import { defineSupervisor } from '../../../supervisors/index.ts';

export const edge = defineSupervisor(import.meta.url, 'edge', {
  strategy: 'one_for_one',
  intensity: 5,
  backoff: { initialMs: 10, maxMs: 50 },
  children: [connectorChild('billing', { checkEveryMs: 1_000 })],
});
