/**
 * The definitions that a thread has loaded, by name.
 *
 * Owns: importing modules of definitions and finding the definitions among their exports.
 *
 * Invariants:
 * D1. One definition a name: a second, different one is refused. An older version that the newer one names is no second one.
 */
import { definitionOf, rootOf, type CellKey } from '../kernel/address.ts';
import { type Definition, isDefinition, isPreviousOf, missingDefinition } from '../kernel/definition.ts';
import { DefinitionModuleError, InvalidDefinitionError, UnknownDefinitionError } from '../kernel/errors.ts';

/** What stands for a definition in the addresses of `ActorPort`s. No definition can have the name. */
export const ACTOR_PORTS = '$host';

export class DefinitionTable {
  readonly #byName = new Map<string, Definition>();
  readonly #modules = new Set<string>();
  readonly #listeners: (() => void)[] = [];

  /** Imports a module and takes every definition that it exports. Without one: `InvalidDefinitionError`. */
  async load(module: string): Promise<void> {
    if (this.#modules.has(module)) return;
    let exported: Record<string, unknown>;
    try {
      exported = (await import(module)) as Record<string, unknown>;
    } catch (cause) {
      throw new DefinitionModuleError(
        `module ${module} of the \`actors\` option cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause, details: { module } },
      );
    }
    const found = Object.values(exported).filter(isDefinition);
    if (found.length === 0) {
      throw new InvalidDefinitionError(
        `module ${module} exports no actor definition: export what defineActor(import.meta.url, …) returns`,
        { details: { module } },
      );
    }
    for (const definition of found) {
      const twin = found.find((other) => other.name === definition.name && other !== definition);
      if (twin !== undefined && !isPreviousOf(twin, definition) && !isPreviousOf(definition, twin)) {
        throw new InvalidDefinitionError(
          `module ${module} exports two definitions named "${definition.name}" (versions ${definition.version} and ${twin.version}): ` +
            'export one, or name the older one in `previous` of the newer',
          { details: { module } },
        );
      }
      this.add(definition);
    }
    this.#modules.add(module);
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after every module that was loaded. */
  whenLoaded(listener: () => void): void {
    this.#listeners.push(listener);
  }

  add(definition: Definition): void {
    const known = this.#byName.get(definition.name);
    if (known !== undefined && isPreviousOf(definition, known)) return;
    const isNewer = known !== undefined && isPreviousOf(known, definition);
    if (known !== undefined && !isNewer && known !== definition && known.module !== definition.module) {
      throw new InvalidDefinitionError(
        `two definitions are named "${definition.name}": one in ${known.module}, one in ${definition.module}; rename one`,
      );
    }
    this.#byName.set(definition.name, definition);
  }

  get(name: string): Definition | undefined {
    return this.#byName.get(name);
  }

  of(key: CellKey): Definition | undefined {
    return this.#byName.get(definitionOf(key));
  }

  /** The key's definition, or one that stands in for it while it is not loaded. */
  forKey(key: CellKey): Definition {
    return this.of(key) ?? missingDefinition(definitionOf(key));
  }

  require(name: string): Definition {
    const definition = this.#byName.get(name);
    if (definition === undefined) {
      const known = [...this.#byName.keys()].sort().join(', ') || 'none';
      throw new UnknownDefinitionError(
        `no definition is named "${name}" (known: ${known}): list its module in the \`actors\` option`,
        { details: { name } },
      );
    }
    return definition;
  }

  /** What an observer is handed for a view of the actor. Children of inline logic are handed on as they are. */
  present(key: CellKey, view: unknown): unknown {
    if (view === undefined || rootOf(key) !== key) return view;
    const behavior = this.of(key)?.behavior;
    return behavior?.present === undefined ? view : behavior.present(view);
  }

  isDurable(key: CellKey): boolean {
    const name = definitionOf(key);
    const definition = this.#byName.get(name);
    // One that is not loaded here may be durable somewhere: keep its messages.
    return definition === undefined ? name !== ACTOR_PORTS : definition.durability !== 'none';
  }

  get modules(): readonly string[] {
    return [...this.#modules];
  }
}
