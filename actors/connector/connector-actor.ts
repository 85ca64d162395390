/**
 * A connector's chart as an actor: its definition, and the child spec that puts it into a supervision tree.
 *
 * Owns: the definition `connector`, which every thread loads from this module. The actor's id is the system's id.
 */
import type { Definition } from '../../runtime/kernel/definition.ts';
import { InvalidOptionsError } from '../../runtime/kernel/errors.ts';
import { type ActorDefinition, defineActor } from '../define-actor.ts';
import {
  type ConnectionSettings,
  type ConnectorInput,
  connectorMachine,
  type ConnectorMachineEvent,
  type ConnectorView,
} from './connector-machine.ts';
import { assertSystemId } from './system-id.ts';

/**
 * Connectors as actors: list this module in the system's `actors`, or let `SystemConnector.start` load it. The state of the chart is
 * journaled: one that was stopped is stopped after a restart, too.
 */
export const connector: ActorDefinition<ConnectorMachineEvent, unknown, ConnectorView, ConnectorInput> = defineActor(
  import.meta.url,
  'connector',
  { machine: connectorMachine, version: 1 },
) as never;

/** Loaded with it: after a restart a breaker may come to life before its connector does. @public */
export { namedBreaker } from '../circuit-breaker/named-breaker.ts';

/** A child spec as `defineSupervisor` takes it. */
export interface ConnectorChildSpec {
  readonly id: string;
  readonly actor: { readonly definition: Definition; readonly id: string; readonly input: ConnectorInput };
  readonly restart: 'permanent' | 'transient';
  readonly shutdownMs: number;
}

/**
 * The actor of the system `id` as a child of a supervisor. `SystemConnector.start(id, { system, … })` finds it there and attaches to it.
 *
 * @throws InvalidOptionsError
 * @example defineSupervisor(import.meta.url, 'edge', { strategy: 'one_for_one', children: [connectorChild('billing')] })
 */
export function connectorChild(
  id: string,
  options: Partial<ConnectionSettings> & { readonly restart?: 'permanent' | 'transient' } = {},
): ConnectorChildSpec {
  assertSystemId('connectorChild', id);
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionsError(`connectorChild(${JSON.stringify(id)}): options are no object`);
  }
  const { restart = 'permanent', ...settings } = options;
  return { id, actor: { definition: connector, id, input: { id, ...settings } }, restart, shutdownMs: 5_000 };
}
