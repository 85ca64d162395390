/**
 * Child specs: what a supervisor starts, when it starts it again, and how it stops it.
 *
 * Owns: OTP's fields, their defaults and their checks, one function a field. Knows nothing of running children.
 *
 * Invariants:
 * CS1. A checked spec is plain data and complete: `checkChildSpec(checked)` gives an equal one back.
 * CS2. An error names the field at fault by OTP's name (`details.fault`), the child and the offending value.
 * CS3. Two children of one supervisor never have the same id.
 */
import { assertCellId, assertDefinitionName, type CellKey, keyOf } from '../runtime/kernel/address.ts';
import { type Definition, isDefinition } from '../runtime/kernel/definition.ts';
import { type ExitReason, isAbnormal } from '../runtime/kernel/exit.ts';
import { copyOfBackoff, type RestartBackoff } from './restart-backoff.ts';
import type { Shutdown } from './shutdown-order.ts';
import { InvalidChildSpecError } from './supervisor-errors.ts';
import { isSupervisorBehavior } from './supervisor-mark.ts';

/**
 * When a child that ended by itself is started again.
 * - `permanent`: always.
 * - `transient`: when it ended abnormally, that is by anything but `normal` and `shutdown`.
 * - `temporary`: never; its spec is forgotten when it ends.
 */
export type RestartType = 'permanent' | 'transient' | 'temporary';

export type ChildType = 'worker' | 'supervisor';

/**
 * What a restarted child begins with. `last_good`: the state after its last good turn, and the rest of its mailbox.
 * `initial`: its start input, as a process of Erlang. A child that had finished (`normal`) always begins from `initial`:
 * resumed, it would only finish again.
 */
export type RestartFrom = 'last_good' | 'initial';

/** When a supervisor ends because significant children ended by themselves. */
export type AutoShutdown = 'never' | 'any_significant' | 'all_significant';

export interface ChildSpec {
  /** Name of the child within its supervisor. */
  readonly id: string;
  readonly actor: {
    /** A definition, or its name. In a message only the name: a definition holds functions. */
    readonly definition: Definition | string;
    /** The actor's id. Default: the supervisor's key, `/`, the child's id. */
    readonly id?: string | undefined;
    readonly input?: unknown;
  };
  /** Default `permanent`. */
  readonly restart?: RestartType | undefined;
  /** Default 5,000 ms; `infinity` for a supervisor. */
  readonly shutdownMs?: Shutdown | undefined;
  /** Whether its end can end the supervisor (`autoShutdown`). Default false. */
  readonly significant?: boolean | undefined;
  /** Default `supervisor` for the definition of a supervisor, else `worker`; state it when the definition is given by name. */
  readonly type?: ChildType | undefined;
  /** Default `last_good`; `initial` for a supervisor and for a temporary child. */
  readonly restartFrom?: RestartFrom | undefined;
  /** Default: the supervisor's. */
  readonly backoff?: RestartBackoff | undefined;
}

/** A spec with everything filled in, as plain data. */
export interface CheckedChildSpec {
  readonly id: string;
  readonly actor: { readonly definition: string; readonly id?: string; readonly input?: unknown };
  readonly restart: RestartType;
  readonly shutdownMs: Shutdown;
  readonly significant: boolean;
  readonly type: ChildType;
  readonly restartFrom: RestartFrom;
  readonly backoff?: RestartBackoff;
}

/** OTP's default for workers. */
export const SHUTDOWN_MS_DEFAULT = 5_000;

/** Fills in the defaults of `spec`, or throws `InvalidChildSpecError`. */
export function checkChildSpec(spec: ChildSpec, autoShutdown: AutoShutdown): CheckedChildSpec {
  if (typeof spec !== 'object' || spec === null) throw fault('invalid_child_spec', undefined, spec);
  const id = checkId(spec.id);
  const { definition, supervises } = checkDefinition(id, spec.actor);
  const actorId = checkActorId(id, spec.actor.id);
  const restart = checkRestart(id, spec.restart ?? 'permanent');
  const type = checkType(id, spec.type ?? (supervises ? 'supervisor' : 'worker'));
  const startsAfresh = type === 'supervisor' || restart === 'temporary';
  return {
    id,
    actor: {
      definition,
      ...(actorId === undefined ? {} : { id: actorId }),
      ...(spec.actor.input === undefined ? {} : { input: spec.actor.input }),
    },
    restart,
    shutdownMs: checkShutdown(id, spec.shutdownMs ?? (type === 'supervisor' ? 'infinity' : SHUTDOWN_MS_DEFAULT)),
    significant: checkSignificant(id, spec.significant ?? false, restart, autoShutdown),
    type,
    restartFrom: checkRestartFrom(id, spec.restartFrom ?? (startsAfresh ? 'initial' : 'last_good')),
    ...(spec.backoff === undefined ? {} : { backoff: checkBackoff(id, spec.backoff) }),
  };
}

/** Checks all of `specs`, and that their ids differ. */
export function checkChildSpecs(specs: readonly ChildSpec[], autoShutdown: AutoShutdown): readonly CheckedChildSpec[] {
  if (!Array.isArray(specs)) throw fault('invalid_children', undefined, specs);
  const seen = new Set<string>();
  return specs.map((spec) => {
    const checked = checkChildSpec(spec, autoShutdown);
    if (seen.has(checked.id)) throw fault('duplicate_child_id', checked.id, checked.id);
    seen.add(checked.id);
    return checked;
  });
}

/** A copy of `spec` that shares nothing with it but the actor's input, which is the user's. */
export function copyOfChildSpec(spec: CheckedChildSpec): CheckedChildSpec {
  const { backoff } = spec;
  return {
    ...spec,
    actor: { ...spec.actor },
    ...(backoff === undefined ? {} : { backoff: copyOfBackoff(backoff) }),
  };
}

/** The id of the actor behind a child of the supervisor `self`. Throws `InvalidAddressError` when the path has grown too long. */
export function childActorId(self: CellKey, childId: string, actorId: string | undefined): string {
  if (actorId !== undefined) return actorId;
  const id = `${self.replaceAll('~', '/')}/${childId}`;
  assertCellId(id);
  return id;
}

/** The key of the actor behind the child `spec` of the supervisor `self`. */
export function childKey(self: CellKey, spec: CheckedChildSpec): CellKey {
  return keyOf(spec.actor.definition, childActorId(self, spec.id, spec.actor.id));
}

/** Whether OTP restarts a child of type `restart` that ended by itself for `reason`. */
export function isRestarted(restart: RestartType, reason: ExitReason): boolean {
  return restart === 'permanent' || (restart === 'transient' && isAbnormal(reason));
}

/** Throws `InvalidChildSpecError` unless `backoff` is a policy of waits. */
export function checkBackoff(childId: string | undefined, backoff: RestartBackoff): RestartBackoff {
  if (backoff === 'none') return backoff;
  if (typeof backoff !== 'object' || backoff === null) throw fault('invalid_backoff', childId, backoff);
  const { initialMs = 0, maxMs = 0, factor = 1, stableAfterMs = 0, jitter = 'full' } = backoff;
  const finite = [initialMs, maxMs, factor, stableAfterMs].every((value) => Number.isFinite(value) && value >= 0);
  if (!finite || factor < 1 || !['full', 'none'].includes(jitter)) throw fault('invalid_backoff', childId, backoff);
  return backoff;
}

function checkId(id: string): string {
  if (id === undefined) throw fault('missing_id', undefined, id);
  try {
    assertCellId(id);
  } catch (error) {
    throw fault('invalid_id', id, id, error);
  }
  return id;
}

function checkDefinition(id: string, actor: ChildSpec['actor']): { definition: string; supervises: boolean } {
  if (typeof actor !== 'object' || actor === null) throw fault('missing_actor', id, actor);
  const { definition } = actor;
  if (isDefinition(definition)) {
    return { definition: definition.name, supervises: isSupervisorBehavior(definition.behavior) };
  }
  if (typeof definition !== 'string') throw fault('invalid_definition', id, definition);
  try {
    assertDefinitionName(definition);
  } catch (error) {
    throw fault('invalid_definition', id, definition, error);
  }
  return { definition, supervises: false };
}

function checkActorId(id: string, actorId: string | undefined): string | undefined {
  if (actorId === undefined) return undefined;
  try {
    assertCellId(actorId);
  } catch (error) {
    throw fault('invalid_actor_id', id, actorId, error);
  }
  return actorId;
}

function checkRestart(id: string, restart: RestartType): RestartType {
  if (restart === 'permanent' || restart === 'transient' || restart === 'temporary') return restart;
  throw fault('invalid_restart_type', id, restart);
}

function checkType(id: string, type: ChildType): ChildType {
  if (type === 'worker' || type === 'supervisor') return type;
  throw fault('invalid_child_type', id, type);
}

function checkShutdown(id: string, shutdown: Shutdown): Shutdown {
  if (shutdown === 'brutal_kill' || shutdown === 'infinity') return shutdown;
  if (Number.isSafeInteger(shutdown) && shutdown >= 0) return shutdown;
  throw fault('invalid_shutdown', id, shutdown);
}

function checkSignificant(id: string, significant: boolean, restart: RestartType, autoShutdown: AutoShutdown): boolean {
  if (typeof significant !== 'boolean') throw fault('invalid_significant', id, significant);
  if (significant && autoShutdown === 'never') {
    throw fault('bad_combination', id, { autoShutdown, significant });
  }
  if (significant && restart === 'permanent') throw fault('bad_combination', id, { restart, significant });
  return significant;
}

function checkRestartFrom(id: string, restartFrom: RestartFrom): RestartFrom {
  if (restartFrom === 'last_good' || restartFrom === 'initial') return restartFrom;
  throw fault('invalid_restart_from', id, restartFrom);
}

function fault(name: string, childId: string | undefined, value: unknown, cause?: unknown): InvalidChildSpecError {
  const child = childId === undefined ? 'a child spec' : `child ${JSON.stringify(childId)}`;
  return new InvalidChildSpecError(`${child}: ${name}: ${shown(value)}`, {
    details: { fault: name, childId, value: shown(value) },
    cause,
  });
}

function shown(value: unknown): string {
  return typeof value === 'function' ? 'a function' : (JSON.stringify(value) ?? String(value));
}
