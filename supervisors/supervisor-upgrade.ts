/**
 * What becomes of a stored supervisor when its definition has a new version. OTP's `supervisor:code_change/3`.
 *
 * Owns: the merge of a new spec into stored children. Pure; nothing is started or stopped by it.
 *
 * As in OTP: flags are replaced; a known child keeps what it is doing and gets its new spec, which its next start uses; a new
 * child is known but not running until `restart_child`; a child that the new spec does not have is kept behind the others.
 *
 * Invariants:
 * SU1. No child that may be running is ever forgotten.
 */
import { type CheckedSupervisorSpec, checkDynamicSpec, type DynamicSupervisorSpec } from './supervisor-spec.ts';
import { loadDynamicSupervisor, type SavedDynamicSupervisor, saveDynamicSupervisor } from './dynamic-state.ts';
import { type ChildRecord, readSupervisor, type SavedSupervisor } from './supervisor-state.ts';

/** The stored form of a supervisor, moved to the spec that `checkedFor` makes of its input. */
export function upgradeSupervisor(
  saved: unknown,
  checkedFor: (input: unknown) => CheckedSupervisorSpec,
): SavedSupervisor {
  const stored = readSupervisor(saved);
  const { policy, children: specs } = checkedFor(stored.input);
  const known = new Map(stored.children.map((child) => [child.spec.id, child]));
  const children = specs.map((spec): ChildRecord => {
    const child = known.get(spec.id);
    if (child !== undefined) return { ...child, spec };
    return { spec, key: '', status: { kind: 'stopped', finished: false }, attempt: 0 };
  });
  const listed = new Set(specs.map(({ id }) => id));
  const others = stored.children.filter((child) => !listed.has(child.spec.id));
  return { ...stored, policy, children: [...children, ...others] };
}

/** The stored form of a dynamic supervisor, with the flags and the one spec of `spec`. */
export function upgradeDynamicSupervisor(saved: unknown, spec: DynamicSupervisorSpec): SavedDynamicSupervisor {
  const { flags, child } = checkDynamicSpec(spec);
  return saveDynamicSupervisor({ ...loadDynamicSupervisor(saved), flags, spec: child });
}
