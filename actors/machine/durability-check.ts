/**
 * What a machine may not contain: found when it is defined, named with its place and the remedy.
 *
 * Owns: the walk through config and implementations. What only shows while a machine runs (logic given to `spawn` in an assign, an
 * action that returns a promise) is refused by the step.
 *
 * Invariants:
 * DC1. What passes here can be started by name in another process (LS1).
 */
import { assertCellId } from '../../runtime/kernel/address.ts';
import { InvalidDefinitionError, UnsupportedLogicError } from '../../runtime/kernel/errors.ts';
import { actionsOf, LogicSources, nameOf } from './logic-sources.ts';
import {
  asBuiltIn,
  implementationsOf,
  kindOfLogic,
  type Logic,
  type Machine,
  type Node,
  nodesOf,
  type Transition,
} from './xstate-internals.ts';

/** Throws `UnsupportedLogicError` for the first thing in `machine` or its child machines that cannot be durable. */
export function assertDurable(machine: unknown): asserts machine is Machine {
  if (kindOfLogic(machine) !== 'machine') {
    throw new InvalidDefinitionError(
      `expected an XState machine (createMachine or setup().createMachine), got ${describe(machine)}`,
    );
  }
  check(machine as Machine, new Set());
}

function check(machine: Machine, seen: Set<Machine>): void {
  if (seen.has(machine)) return;
  seen.add(machine);
  const sources = new LogicSources(machine);
  checkImplementations(machine);
  checkContext(machine);
  for (const node of nodesOf(machine)) {
    const where = `machine "${machine.id}", state "${node.id}"`;
    for (const action of actionsOf(node)) checkAction(action, where, machine, sources);
    for (const transition of [...(node.always ?? []), ...[...node.transitions.values()].flat()]) {
      checkGuard(transition, where);
    }
    checkInvocations(node, where, machine, sources);
  }
  for (const { kind, logic } of sources.all()) if (kind === 'machine') check(logic as Machine, seen);
}

function checkImplementations(machine: Machine): void {
  const { actions, guards, delays, actors } = implementationsOf(machine);
  for (const [kind, named] of Object.entries({ action: actions, guard: guards, delay: delays })) {
    for (const [name, given] of Object.entries(named)) {
      if (isAsync(given)) refuseAsync(`machine "${machine.id}": ${kind} "${name}"`);
    }
  }
  for (const [name, logic] of Object.entries(actors)) {
    if (kindOfLogic(logic) === undefined) {
      throw new UnsupportedLogicError(
        `machine "${machine.id}": actor "${name}" in setup({ actors }) is ${describe(logic)}, no actor logic: ` +
          'use fromPromise, fromCallback, fromObservable, fromTransition, effect() or a machine',
      );
    }
  }
}

function checkContext(machine: Machine): void {
  const context: unknown = machine.config.context;
  if (typeof context !== 'object' || context === null) return;
  for (const [name, value] of Object.entries(context)) {
    if (typeof value !== 'function' && typeof value !== 'symbol') continue;
    throw new UnsupportedLogicError(
      `machine "${machine.id}": context.${name} is a ${typeof value}, which cannot be kept: keep data, and put code into setup()`,
    );
  }
}

function checkAction(action: unknown, where: string, machine: Machine, sources: LogicSources): void {
  const name = nameOf(action);
  const given = name === undefined ? action : implementationsOf(machine).actions[name];
  const what = name === undefined ? `action ${nameOfFunction(given)}` : `action "${name}"`;
  if (isAsync(given)) refuseAsync(`${where}: ${what}`);
  const builtIn = asBuiltIn(given);
  if (builtIn === undefined) return;
  for (const part of [builtIn.assignment, builtIn.event, builtIn.to, builtIn.delay, builtIn.id]) {
    if (isAsync(part)) refuseAsync(`${where}: ${builtIn.type.replace('xstate.', '')}`);
  }
  if (typeof builtIn.assignment === 'object' && builtIn.assignment !== null) {
    for (const [property, assigner] of Object.entries(builtIn.assignment)) {
      if (isAsync(assigner)) refuseAsync(`${where}: assign of "${property}"`);
    }
  }
  if (builtIn.type !== 'xstate.spawnChild' || builtIn.src === undefined) return;
  const id = typeof builtIn.id === 'string' ? builtIn.id : undefined;
  if (id !== undefined) assertCellId(id);
  checkSource(builtIn.src, `${where}: spawnChild${id === undefined ? '' : ` "${id}"`}`, sources);
}

function checkGuard({ guard, eventType }: Transition, where: string): void {
  if (isAsync(guard)) refuseAsync(`${where}: guard of "${eventType ?? 'always'}"`);
}

function checkInvocations(node: Node, where: string, machine: Machine, sources: LogicSources): void {
  for (const { id, src } of node.invoke) {
    assertCellId(id);
    checkSource(src, `${where}: invoke "${id}"`, sources);
    // XState looks logic given in place up by the node's id, and takes a "." in it for a path.
    if (src.startsWith('xstate.invoke.') && !canBeFound(machine, node)) {
      throw new UnsupportedLogicError(
        `${where}: invoke "${id}" has its logic in place, and XState cannot find it below an id with a ".": put it into setup({ actors })`,
      );
    }
  }
}

function canBeFound(machine: Machine, node: Node): boolean {
  try {
    return (machine.getStateNodeById(node.id) as unknown) === node;
  } catch {
    return false;
  }
}

function checkSource(src: string | Logic, where: string, sources: LogicSources): void {
  if (sources.of(src) !== undefined) return;
  throw new UnsupportedLogicError(
    typeof src === 'string'
      ? `${where}: there is no actor logic "${src}": put it into setup({ actors }), or provide({ actors }) before the definition`
      : `${where}: the logic is given in place, and no other process can find it again: put it into setup({ actors }) and name it`,
  );
}

function isAsync(given: unknown): boolean {
  return typeof given === 'function' && given.constructor.name === 'AsyncFunction';
}

function refuseAsync(what: string): never {
  throw new UnsupportedLogicError(
    `${what} is async, and a turn does not wait: put the work into fromPromise or effect() and invoke it`,
  );
}

function nameOfFunction(given: unknown): string {
  return typeof given === 'function' && given.name !== '' ? `"${given.name}"` : '(anonymous)';
}

function describe(value: unknown): string {
  if (typeof value === 'function') return value.name === '' ? 'a function' : `a function (${value.name})`;
  const kind = kindOfLogic(value);
  if (kind !== undefined) return `${kind} logic`;
  return value === null ? 'null' : `${typeof value === 'object' ? 'an object' : typeof value}`;
}
