/**
 * The names of systems, actions and queries: what may be a part of a subject.
 *
 * Owns: the check of each, with the remedy. Subjects themselves are the broker's.
 */
import { InvalidOptionsError, InvalidSubjectError } from '../../runtime/kernel/errors.ts';

/** A system's id is one token of a subject, the id of an actor, and the name of a durable subscription. */
const SYSTEM_ID = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/;
/** One to some tokens: `refuel`, `invoice.create`. */
const WORD = /^[^\s.*>$\0][^\s.*>\0]*(?:\.[^\s.*>\0]+)*$/;
const WORD_LENGTH_LIMIT = 256;

export function isSystemId(id: unknown): id is string {
  return typeof id === 'string' && SYSTEM_ID.test(id);
}

/** Throws `InvalidOptionsError` unless `id` can name a system. */
export function assertSystemId(where: string, id: unknown): asserts id is string {
  if (isSystemId(id)) return;
  throw new InvalidOptionsError(
    `${where}: ${JSON.stringify(id)} is no id of a system: 1 to 128 letters, digits, "_" or "-", without dots`,
    { details: { faults: [`id: ${String(JSON.stringify(id))}`] } },
  );
}

/** Throws `InvalidSubjectError` unless `target` can name a system. */
export function assertTarget(target: unknown): asserts target is string {
  if (isSystemId(target)) return;
  throw new InvalidSubjectError(
    `target ${JSON.stringify(target)} is no id of a system: 1 to 128 letters, digits, "_" or "-", without dots`,
    { details: { target } },
  );
}

/** Throws `InvalidSubjectError` unless `word` can be an action or the name of a query. */
export function assertWord(what: 'action' | 'query', word: unknown): asserts word is string {
  if (typeof word === 'string' && word.length <= WORD_LENGTH_LIMIT && WORD.test(word)) return;
  throw new InvalidSubjectError(
    `${what} ${JSON.stringify(word)} cannot be part of a subject: up to ${WORD_LENGTH_LIMIT} characters, tokens between dots, ` +
      'no spaces, no "*", no ">", and no "$" in front',
    { details: { [what]: word } },
  );
}
