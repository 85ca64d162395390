/**
 * Definitions: behavior with a name, a version and the rules by which its cells live.
 *
 * Owns: the value that `defineActor` makes and that every thread loads from the same module. Functions cannot cross threads, a
 * module's address can: hence module URL + name.
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
  /** Grows when the shape of the state changes. Default 1. */
  readonly version?: number | undefined;
  /** Turns a stored state of an older version into one of this version. Throwing blocks the actor. */
  readonly migrate?: ((saved: unknown, fromVersion: number) => unknown) | undefined;
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
  const definition: Definition = {
    module,
    name,
    version: positive(name, 'version', options.version ?? 1),
    behavior: behavior as Behavior<never>,
    migrate: options.migrate,
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

function positive(name: string, option: string, value: number): number {
  if (typeof value !== 'number' || !(value >= 1)) {
    throw new InvalidDefinitionError(
      `definition "${name}": ${option} is ${String(value)}, expected a number of 1 or more`,
    );
  }
  return value;
}
