/**
 * Where a machine's actors come from: every logic that it can start, by a name that another process finds again.
 *
 * Owns: the table name → logic of one machine, and of a whole tree the addresses of its declared system ids.
 *
 * Invariants:
 * LS1. A name is the user's (`setup({ actors })`) or XState's own for logic given in an invoke (`xstate.invoke.<index>.<node>`). Both
 *      come from the machine alone.
 * LS2. A system id declared twice in a tree means the first one in document order.
 */
import { type CellKey, childKeyOf, rootOf } from '../../runtime/kernel/address.ts';
import {
  asBuiltIn,
  implementationsOf,
  invokedSource,
  kindOfLogic,
  type Logic,
  type LogicKind,
  type Machine,
  type Node,
  nodesOf,
} from './xstate-internals.ts';

export interface LogicSource {
  readonly name: string;
  readonly logic: Logic;
  readonly kind: LogicKind;
}

export class LogicSources {
  readonly #byName = new Map<string, LogicSource>();

  constructor(machine: Machine) {
    for (const [name, logic] of Object.entries(implementationsOf(machine).actors)) this.#add(name, logic);
    for (const node of nodesOf(machine)) {
      for (const [index, { src }] of node.invoke.entries()) {
        const given = invokedSource(node, index);
        if (typeof given !== 'string') this.#add(src, given);
      }
    }
  }

  get(name: string): LogicSource | undefined {
    return this.#byName.get(name);
  }

  /** The source that `src` is or names. Logic given in place is found when it is also in the table. */
  of(src: string | Logic): LogicSource | undefined {
    if (typeof src === 'string') return this.get(src);
    for (const source of this.#byName.values()) if (source.logic === src) return source;
    return undefined;
  }

  all(): Iterable<LogicSource> {
    return this.#byName.values();
  }

  #add(name: string, logic: unknown): void {
    const kind = kindOfLogic(logic);
    if (kind !== undefined) this.#byName.set(name, { name, logic: logic as Logic, kind });
  }
}

/** The system ids that the machines of a tree declare with `invoke: { systemId }` or `spawnChild(…, { id, systemId })`. */
export class DeclaredIds {
  readonly #paths = new Map<string, readonly string[]>();

  constructor(root: Machine) {
    this.#collect(root, [], new Set());
  }

  /** The address of the actor declared as `systemId` in the tree of `key`. Whether it lives is not known. */
  addressOf(systemId: string, key: CellKey): CellKey | undefined {
    return this.#paths.get(systemId)?.reduce(childKeyOf, rootOf(key));
  }

  #collect(machine: Machine, path: readonly string[], within: ReadonlySet<Machine>): void {
    const sources = new LogicSources(machine);
    for (const declared of declarationsOf(machine)) {
      const childPath = [...path, declared.id];
      if (declared.systemId !== undefined && !this.#paths.has(declared.systemId))
        this.#paths.set(declared.systemId, childPath);
      const source = sources.of(declared.src);
      if (source?.kind !== 'machine') continue;
      const child = source.logic as Machine;
      // A machine below itself declares nothing new.
      if (child !== machine && !within.has(child)) this.#collect(child, childPath, new Set([...within, machine]));
    }
  }
}

interface Declaration {
  readonly id: string;
  readonly systemId: string | undefined;
  readonly src: string | Logic;
}

function declarationsOf(machine: Machine): readonly Declaration[] {
  const found: Declaration[] = [];
  for (const node of nodesOf(machine)) {
    for (const { id, systemId, src } of node.invoke) found.push({ id, systemId, src });
    for (const action of actionsOf(node)) {
      const spawn = asBuiltIn(
        typeof action === 'function' ? action : implementationsOf(machine).actions[nameOf(action) ?? ''],
      );
      if (spawn?.type !== 'xstate.spawnChild' || typeof spawn.id !== 'string' || spawn.src === undefined) continue;
      found.push({ id: spawn.id, systemId: spawn.systemId, src: spawn.src });
    }
  }
  return found;
}

/** The name of an action or guard given by name, alone or with params. */
export function nameOf(given: unknown): string | undefined {
  if (typeof given === 'string') return given;
  const type: unknown = (given as { type?: unknown } | undefined)?.type;
  return typeof given === 'object' && typeof type === 'string' ? type : undefined;
}

/** Every action that the config of a state node mentions. */
export function actionsOf(node: Node): readonly unknown[] {
  const actions: unknown[] = [...node.entry, ...node.exit];
  if (node.type === 'compound') actions.push(...node.initial.actions);
  for (const transition of node.always ?? []) actions.push(...transition.actions);
  for (const transitions of node.transitions.values()) for (const { actions: own } of transitions) actions.push(...own);
  return actions;
}
