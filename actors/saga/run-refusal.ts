/**
 * Refusals of a run as errors.
 */
import {
  type BlocksError,
  ContractViolationError,
  RunRefusedError,
  TokenUsedError,
  UnknownTokenError,
} from '../../runtime/kernel/errors.ts';
import type { RefusalCode } from './run-state.ts';

/** Those that have a class of their own; the others are `RunRefusedError`, with `details.reason`. */
const CLASSES = {
  UNKNOWN_TOKEN: UnknownTokenError,
  TOKEN_USED: TokenUsedError,
  INVALID_VALUE: ContractViolationError,
} as const;

/** Why what was asked of a run is not done. */
export function refusal(reason: RefusalCode | 'NOT_OVER' | 'IS_CHILD', message: string, runId: string): BlocksError {
  const Class = reason in CLASSES ? CLASSES[reason as keyof typeof CLASSES] : RunRefusedError;
  return new Class(`run "${runId}": ${message}`, { details: { reason, runId } });
}
