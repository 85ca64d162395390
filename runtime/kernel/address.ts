/**
 * Addresses: how a cell is named, and which host it lives on.
 *
 * Owns: the grammar of definition names, ids and keys; the placement function. Knows nothing of who lives there.
 *
 * A cell's key is `definition/id` (`order/o-42`). An inline child (a machine invoked or spawned by a machine) hangs below
 * its parent: `order/o-42~payment`. Everything below one root lives on the root's host, so a parent and its inline
 * children never talk across threads.
 *
 * Invariants:
 * A1. `parseKey(keyOf(definition, id))` gives both back; a name or id that would break this is refused.
 * A2. Placement depends on the root key and the number of hosts alone: no directory, no lease, the same in every thread.
 */
import { InvalidAddressError } from './errors.ts';
import { CELL_ID_LENGTH_LIMIT, DEFINITION_NAME_LENGTH_LIMIT } from './limits.ts';

/** `definition/id`, or `definition/id~child` for an inline child. */
export type CellKey = string;

const DEFINITION_NAME = /^[A-Za-z][A-Za-z0-9_.-]*$/;
const CHILD_SEPARATOR = '~';
// NUL ends LMDB's ordered strings and a line break would break every log line.
const FORBIDDEN_IN_ID = /[\0\r\n~]/;

/** Throws `InvalidAddressError` unless `name` can be a definition's name. */
export function assertDefinitionName(name: string): void {
  if (name.length > DEFINITION_NAME_LENGTH_LIMIT || !DEFINITION_NAME.test(name)) {
    throw new InvalidAddressError(
      `definition name ${JSON.stringify(name)} is not valid: start with a letter, then letters, digits, "_", "-" or ".", ` +
        `${DEFINITION_NAME_LENGTH_LIMIT} characters at most`,
    );
  }
}

/** Throws `InvalidAddressError` unless `id` can be an actor's or a child's id. */
export function assertCellId(id: string): void {
  if (typeof id !== 'string' || id.length === 0 || id.length > CELL_ID_LENGTH_LIMIT || FORBIDDEN_IN_ID.test(id)) {
    throw new InvalidAddressError(
      `id ${JSON.stringify(id)} is not valid: 1 to ${CELL_ID_LENGTH_LIMIT} characters, without "~", NUL and line breaks`,
    );
  }
}

/** The key of the actor `id` of `definition`. Both must have passed their `assert`. */
export function keyOf(definition: string, id: string): CellKey {
  return `${definition}/${id}`;
}

/** The key of an inline child of `parent`. */
export function childKeyOf(parent: CellKey, childId: string): CellKey {
  return parent + CHILD_SEPARATOR + childId;
}

/** The key of the root that `key` hangs below; `key` itself when it is a root. */
export function rootOf(key: CellKey): CellKey {
  const at = key.indexOf(CHILD_SEPARATOR);
  return at === -1 ? key : key.slice(0, at);
}

/** The definition's name in `key`. */
export function definitionOf(key: CellKey): string {
  return key.slice(0, key.indexOf('/'));
}

/** Definition and id of a root key; throws `InvalidAddressError` for anything else. */
export function parseKey(key: CellKey): { definition: string; id: string } {
  const slash = key.indexOf('/');
  if (slash <= 0)
    throw new InvalidAddressError(`${JSON.stringify(key)} is not an actor's key: expected "definition/id"`);
  const definition = key.slice(0, slash);
  const id = key.slice(slash + 1);
  assertDefinitionName(definition);
  assertCellId(id);
  return { definition, id };
}

/** The host slot (0 … hosts - 1) on which `key` lives. FNV-1a over the root key. */
export function placementOf(key: CellKey, hosts: number): number {
  if (hosts === 1) return 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    if (code === 126 /* ~ */) break;
    hash = Math.imul(hash ^ code, 0x01000193);
  }
  // The low bits of FNV-1a are weak for short, similar keys; fold the high half in.
  return ((hash ^ (hash >>> 15)) >>> 0) % hosts;
}
