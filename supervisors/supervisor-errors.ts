/**
 * What can be wrong with a supervisor: one class per way, each with a stable code.
 */
import { BlocksError, type EncodedError } from '../runtime/kernel/errors.ts';
import type { ExitReason } from '../runtime/kernel/exit.ts';

/** A child spec that cannot work. `details.fault` is OTP's name for it, `details.value` the offender. */
export class InvalidChildSpecError extends BlocksError {
  readonly code = 'INVALID_CHILD_SPEC';
}

/** Supervisor flags that cannot work. `details.fault` is OTP's name for it, `details.value` the offender. */
export class InvalidSupervisorSpecError extends BlocksError {
  readonly code = 'INVALID_SUPERVISOR_SPEC';
}

/** A message that is no request of this supervisor. */
export class UnknownSupervisorRequestError extends BlocksError {
  readonly code = 'UNKNOWN_SUPERVISOR_REQUEST';
}

/** A change was asked of a supervisor that is stopping its children in order to end. */
export class SupervisorStoppingError extends BlocksError {
  readonly code = 'SUPERVISOR_STOPPING';
}

/** A stored state of a supervisor in a form that this version of the library does not know. */
export class SupervisorStateError extends BlocksError {
  readonly code = 'SUPERVISOR_STATE';
}

/** Children had to be restarted too often: why a supervisor gave up. */
export class RestartIntensityExceededError extends BlocksError {
  readonly code = 'RESTART_INTENSITY_EXCEEDED';
}

/** Why a supervisor ends whose child `childId` failed once too often. Without a stack: it must be the same at every replay. */
export function intensityExceeded(childId: string, intensity: number, periodMs: number, cause: ExitReason): ExitReason {
  const error = new RestartIntensityExceededError(
    `child ${JSON.stringify(childId)} needed restart ${intensity + 1} within ${periodMs} ms, ${intensity} are allowed`,
    { details: { childId, intensity, periodMs, childReason: cause.kind } },
  );
  const encoded: EncodedError = {
    name: error.name,
    code: error.code,
    message: error.message,
    details: error.details,
    ...(cause.kind === 'error' ? { cause: cause.error } : {}),
  };
  return { kind: 'error', error: encoded };
}
