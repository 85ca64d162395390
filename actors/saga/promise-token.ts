/**
 * Tokens of promises: what is handed out to the world, and brought back.
 *
 * Owns: their form. A token names its run and its step, so that any process finds the run; and it proves that its bearer was given it:
 * 132 bits that follow from a secret of the run. It is safe in a URL, and should be handled like a password.
 */
import { createHmac } from 'node:crypto';
import { UnknownTokenError } from '../../runtime/kernel/errors.ts';

const PROOF_LENGTH = 22;

export interface TokenParts {
  readonly runId: string;
  readonly step: string;
}

/** The token of a step's promise. */
export function tokenOf(runId: string, step: string, secret: string): string {
  const proof = createHmac('sha256', secret).update(step).digest('base64url').slice(0, PROOF_LENGTH);
  return Buffer.from(JSON.stringify([runId, step, proof])).toString('base64url');
}

/** The secret of a child run: known to whoever knows its parent's. */
export function childSecret(secret: string, childRunId: string): string {
  return createHmac('sha256', secret).update(`child ${childRunId}`).digest('base64url');
}

/** @throws UnknownTokenError: it is no token at all */
export function readToken(token: unknown): TokenParts {
  if (typeof token === 'string') {
    try {
      const parts: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
      if (Array.isArray(parts) && parts.length === 3 && parts.every((part) => typeof part === 'string')) {
        return { runId: parts[0] as string, step: parts[1] as string };
      }
    } catch {
      // Not JSON.
    }
  }
  const given = typeof token === 'string' ? JSON.stringify(token.slice(0, 80)) : typeof token;
  throw new UnknownTokenError(`${given} is no token of a promise: give one as \${steps.<id>.token} made it`);
}
