/**
 * Definitions: behavior with a name, a version and the rules by which its cells live.
 *
 * Owns: the value that `defineActor` makes and that every thread loads from the same module. Functions cannot cross threads, a
 * module's address can: hence module URL + name.
 *
 * Invariants:
 * DF1. A definition says of each older version that it knows how it behaved: once, by a definition of the same name.
 */
import { assertDefinitionName } from './address.ts';
import type { Backoff } from './backoff.ts';
import type { Behavior } from './behavior.ts';
import { InvalidDefinitionError, UnknownDefinitionError } from './errors.ts';
import {
  FAILURE_ATTEMPTS,
  IDEMPOTENCY_KEYS_LIMIT,
  MAILBOX_LIMIT,
  PASSIVATE_AFTER_MS,
  SNAPSHOT_EVERY_TURNS,
  VERSION_LIMIT,
} from './limits.ts';

/**
 * `journal`: inputs are logged, the state is stored now and then, a restart replays. `snapshot`: the state is stored with every
 * turn, for logic that cannot be replayed. `none`: in memory only, lost with its host.
 */
export type Durability = 'journal' | 'snapshot' | 'none';
const DURABILITIES: readonly Durability[] = ['journal', 'snapshot', 'none'];

/** What to do with a message whose handler throws. */
export interface FailurePolicy {
  /** Tries before the message is parked as a dead letter. Default 3. */
  readonly maxAttempts?: number;
  /** Wait between tries. Default 100 ms, doubling, full jitter. */
  readonly backoff?: Backoff;
}

export interface DefinitionOptions {
  /**
   * Raise it whenever the state or the behavior changes: each turn is repeated by the version that made it. A whole number, up to
   * 4,294,967,295. Default 1.
   */
  readonly version?: number | undefined;
  /** Turns a stored state of an older version (what `save` gave) into one of this version. Throwing blocks the actor. */
  readonly migrate?: ((saved: unknown, fromVersion: number) => unknown) | undefined;
  /**
   * Older versions, each as it was: what they did after their last stored state is repeated by them, then moved by `migrate`. Needed
   * after a crash, and for history; `system.stop()` stores every state. One version may name the one before it, and that the one
   * before. Without the version that is needed the actor is blocked.
   */
  readonly previous?: readonly Definition[] | undefined;
  /** Default `journal`. */
  readonly durability?: Durability | undefined;
  /** Whether a message to an id that was never spawned spawns it, with `{ id }` as input. Default false. */
  readonly virtual?: boolean | undefined;
  readonly failure?: FailurePolicy | undefined;
  /** Messages that may wait before senders must. Default 10,000. */
  readonly mailboxLimit?: number | undefined;
  /** Idle time before a durable cell is unloaded; `Infinity`: never. Default 60,000. */
  readonly passivateAfterMs?: number | undefined;
  /** Turns between stored states. Default 1,000. */
  readonly snapshotEveryTurns?: number | undefined;
  /** Idempotency keys remembered per actor. Default 1,000. */
  readonly idempotencyKeysLimit?: number | undefined;
}

/** An actor definition: a value, loaded by every thread from `module`. */
export interface Definition {
  readonly module: string;
  readonly name: string;
  readonly version: number;
  readonly behavior: Behavior<never>;
  readonly migrate: ((saved: unknown, fromVersion: number) => unknown) | undefined;
  readonly previous: readonly Definition[];
  readonly durability: Durability;
  readonly virtual: boolean;
  readonly failure: { readonly maxAttempts: number; readonly backoff: Backoff };
  readonly mailboxLimit: number;
  readonly passivateAfterMs: number;
  readonly snapshotEveryTurns: number;
  readonly idempotencyKeysLimit: number;
  /** See `missingDefinition`. */
  readonly isMissing?: true;
}

/** How a definition is told from any other export of a module, also when two copies of this library are loaded. */
const DEFINITION_MARK = Symbol.for('collaborative-blocks.definition');

/** Makes a definition around a behavior. `defineActor` of the package's entry is this, for machines and reducers too. */
export function defineBehavior<TState>(
  module: string,
  name: string,
  behavior: Behavior<TState>,
  options: DefinitionOptions = {},
): Definition {
  assertDefinitionName(name);
  if (typeof module !== 'string' || !/^(file|data|node):/.test(module)) {
    throw new InvalidDefinitionError(
      `definition "${name}": ${JSON.stringify(module)} is not a module URL; pass import.meta.url of the module that exports it`,
    );
  }
  if (options.durability !== undefined && !DURABILITIES.includes(options.durability)) {
    const given = JSON.stringify(options.durability);
    throw new InvalidDefinitionError(
      `definition "${name}": durability is ${given}, expected one of ${DURABILITIES.join(', ')}`,
    );
  }
  if (options.migrate !== undefined && typeof options.migrate !== 'function') {
    throw new InvalidDefinitionError(`definition "${name}": migrate is ${typeof options.migrate}, expected a function`);
  }
  const version = versionOf(name, options.version ?? 1);
  const definition: Definition = {
    module,
    name,
    version,
    behavior: behavior as Behavior<never>,
    migrate: options.migrate,
    previous: previousOf(name, version, options.previous ?? []),
    durability: options.durability ?? 'journal',
    virtual: options.virtual ?? false,
    failure: {
      maxAttempts: positive(name, 'failure.maxAttempts', options.failure?.maxAttempts ?? FAILURE_ATTEMPTS),
      backoff: options.failure?.backoff ?? {},
    },
    mailboxLimit: positive(name, 'mailboxLimit', options.mailboxLimit ?? MAILBOX_LIMIT),
    passivateAfterMs: positive(name, 'passivateAfterMs', options.passivateAfterMs ?? PASSIVATE_AFTER_MS),
    snapshotEveryTurns: positive(name, 'snapshotEveryTurns', options.snapshotEveryTurns ?? SNAPSHOT_EVERY_TURNS),
    idempotencyKeysLimit: positive(
      name,
      'idempotencyKeysLimit',
      options.idempotencyKeysLimit ?? IDEMPOTENCY_KEYS_LIMIT,
    ),
  };
  Object.defineProperty(definition, DEFINITION_MARK, { value: true });
  return Object.freeze(definition);
}

/** Stands in for a definition that is not loaded, so that its actors can be kept, blocked, until it is. */
export function missingDefinition(name: string): Definition {
  const refuse = (): never => {
    throw new UnknownDefinitionError(`no definition is named "${name}": list its module in the \`actors\` option`);
  };
  const behavior: Behavior = { init: refuse, receive: refuse, save: refuse, load: refuse, view: () => undefined };
  return { ...defineBehavior('node:missing', name, behavior), isMissing: true };
}

export function isDefinition(value: unknown): value is Definition {
  return typeof value === 'object' && value !== null && DEFINITION_MARK in value;
}

/** The definition as it was in `version`; undefined when it does not know. */
export function asOfVersion(definition: Definition, version: number): Definition | undefined {
  if (definition.version === version) return definition;
  for (const older of definition.previous) {
    const found = asOfVersion(older, version);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether `older` is among the previous versions of `definition`, or of theirs. */
export function isPreviousOf(older: Definition, definition: Definition): boolean {
  return definition.previous.some((known) => known === older || isPreviousOf(older, known));
}

function versionOf(name: string, version: number): number {
  if (!Number.isInteger(version) || version < 1 || version > VERSION_LIMIT) {
    throw new InvalidDefinitionError(
      `definition "${name}": version is ${String(version)}, expected a whole number from 1 to ${VERSION_LIMIT}`,
    );
  }
  return version;
}

function previousOf(name: string, version: number, previous: readonly Definition[]): readonly Definition[] {
  const fault = (what: string) => new InvalidDefinitionError(`definition "${name}": previous ${what}`);
  if (!Array.isArray(previous)) throw fault('is no list: give the older definitions in one');
  const versions = new Set<number>();
  for (const older of previous) {
    if (!isDefinition(older)) throw fault('has a value that is no definition: give what defineActor returned');
    if (older.name !== name) throw fault(`has "${older.name}": an older version has the same name`);
    if (older.version >= version) throw fault(`has version ${older.version}, which is not below ${version}`);
    if (versions.has(older.version)) throw fault(`has version ${older.version} twice`);
    versions.add(older.version);
  }
  return [...previous];
}

function positive(name: string, option: string, value: number): number {
  if (typeof value !== 'number' || !(value >= 1)) {
    throw new InvalidDefinitionError(
      `definition "${name}": ${option} is ${String(value)}, expected a number of 1 or more`,
    );
  }
  return value;
}
