/**
 * Our side of a workload: a system with the bench's actors, and ids that live where the workload wants them.
 *
 * Owns: starting the system the way a user would, and listening for what must not happen while measuring.
 */
import { ActorSystem, type SystemOptions } from '../runtime/index.ts';
import { keyOf, placementOf } from '../runtime/kernel/address.ts';

const ACTORS = ['breaker', 'counter', 'driver', 'echo', 'relay'].map(
  (name) => new URL(`actors/${name}.ts`, import.meta.url),
);

/**
 * Starts a system; a host that dies or an actor that is blocked ends the process, since its figures would be wrong. `more`: modules of
 * actors that few workloads have, and that would otherwise be loaded by every thread of all of them.
 */
export async function startSystem(
  options: Omit<SystemOptions, 'actors'>,
  more: readonly (string | URL)[] = [],
): Promise<ActorSystem> {
  const system = await ActorSystem.start({
    askTimeoutMs: 120_000,
    tellTimeoutMs: 120_000,
    // On a machine that others use, a thread may stand still without being hung.
    hangAfterMs: 60_000,
    ...options,
    actors: [...ACTORS, ...more],
  });
  const stop = (what: string) => (detail: unknown) => {
    throw new Error(`${what} while measuring`, { cause: detail });
  };
  system.on('host_lost', stop('a host was lost'));
  system.on('failed', stop('the system failed'));
  system.on('blocked', stop('an actor was blocked'));
  system.on('dead_letter', stop('a message was set aside'));
  return system;
}

/** Ids of `count` actors of `definition` that live on host `slot` of `hosts`. */
export function idsOn(slot: number, hosts: number, definition: string, count: number, prefix = 'a'): string[] {
  const ids: string[] = [];
  for (let i = 0; ids.length < count; i++) {
    const id = `${prefix}${i}`;
    if (placementOf(keyOf(definition, id), Math.max(1, hosts)) === slot) ids.push(id);
  }
  return ids;
}

/** The first id of `definition` on host `slot`. */
export function idOn(slot: number, hosts: number, definition: string, prefix = 'a'): string {
  return idsOn(slot, hosts, definition, 1, prefix)[0] as string;
}
