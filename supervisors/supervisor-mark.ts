/**
 * How a supervisor's behavior is told from any other, also when two copies of this library are loaded.
 */
import type { Behavior } from '../runtime/kernel/behavior.ts';

const SUPERVISOR_MARK = Symbol.for('collaborative-blocks.supervisor');

export function markSupervisor<TState>(behavior: Behavior<TState>): Behavior<TState> {
  Object.defineProperty(behavior, SUPERVISOR_MARK, { value: true });
  return behavior;
}

export function isSupervisorBehavior(behavior: object): boolean {
  return SUPERVISOR_MARK in behavior;
}
