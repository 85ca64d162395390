/**
 * Supervisors as definitions: values that any thread can load, to be spawned like any actor.
 */
import { type Definition, type DefinitionOptions, defineBehavior } from '../runtime/kernel/definition.ts';
import { dynamicSupervisorBehavior } from './dynamic-supervisor.ts';
import { supervisorBehavior } from './supervisor.ts';
import { checkSupervisorSpec, type DynamicSupervisorSpec, type SupervisorSpec } from './supervisor-spec.ts';
import { upgradeDynamicSupervisor, upgradeSupervisor } from './supervisor-upgrade.ts';

/**
 * Defines a supervisor.
 *
 * `spec` is the spec, or a pure function of the input that the supervisor is spawned with (OTP's `init/1`). A faulty spec throws
 * `InvalidSupervisorSpecError` or `InvalidChildSpecError` here; a faulty result of a function fails the supervisor's start.
 *
 * When `spec` changes, raise `options.version`: stored supervisors are then moved to the new spec as by OTP's `code_change` (flags
 * are replaced, running children go on, new children are known and wait for `restart_child`), unless `options.migrate` does
 * otherwise. `options.previous` takes the old definition, for what it did last before a crash.
 *
 * ```ts
 * export const shop = defineSupervisor(import.meta.url, 'shop', {
 *   strategy: 'rest_for_one',
 *   intensity: 3,
 *   periodMs: 10_000,
 *   children: [
 *     { id: 'stock', actor: { definition: stock } },
 *     { id: 'checkout', actor: { definition: checkout }, restart: 'transient' },
 *   ],
 * });
 * ```
 */
export function defineSupervisor(
  moduleUrl: string,
  name: string,
  spec: SupervisorSpec | ((input: unknown) => SupervisorSpec),
  options: DefinitionOptions = {},
): Definition {
  const behavior = supervisorBehavior(spec);
  const checkedFor = (input: unknown) => checkSupervisorSpec(typeof spec === 'function' ? spec(input) : spec);
  const migrate = (saved: unknown) => upgradeSupervisor(saved, checkedFor);
  return defineBehavior(moduleUrl, name, behavior, { migrate, ...options });
}

/** Defines a dynamic supervisor (OTP's `simple_one_for_one`). New versions: as for `defineSupervisor`. */
export function defineDynamicSupervisor(
  moduleUrl: string,
  name: string,
  spec: DynamicSupervisorSpec,
  options: DefinitionOptions = {},
): Definition {
  const migrate = (saved: unknown) => upgradeDynamicSupervisor(saved, spec);
  return defineBehavior(moduleUrl, name, dynamicSupervisorBehavior(spec), { migrate, ...options });
}
