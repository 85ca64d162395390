/**
 * Heartbeats: what the handler of a long call says of itself while it works.
 *
 * Invariants:
 * RH1. A try whose handler was silent for longer than it may be has failed, and nobody knows whether it was done.
 * RH2. The next try of the same unit is told what was said last.
 * RH3. Whoever speaks for a try that is over is told so, and can stop.
 */
import { failTry, listen, presentTry, silenceOf } from './run-attempts.ts';
import { onUndoFailed } from './run-backward.ts';
import type { RunDraft } from './run-draft.ts';
import { onTryFailed } from './run-forward.ts';
import { executionName } from './run-state.ts';

/** What a handler is answered. */
export interface HeartbeatReply {
  /** Nobody needs the result any more: the run is being undone, or the step is being cancelled. */
  readonly cancelled: boolean;
}

export function onHeartbeat(draft: RunDraft, command: string, details: unknown): void {
  const name = presentTry(draft, command);
  if (name === undefined) return draft.refuse('TRY_OVER', `the try "${command}" is over, or never was: stop`);
  draft.setExecution(name, { heartbeat: { atMs: draft.turn.nowMs, details } });
  listen(draft, name);
  const isWanted = draft.phase.kind === 'running' && draft.step(name.step).withdrawn === undefined;
  draft.answer({ cancelled: !name.undo && !isWanted } satisfies HeartbeatReply);
}

/** Its handler has been silent for too long. */
export function onSilence(draft: RunDraft, unit: string): void {
  const name = executionName(unit);
  if (draft.execution(name)?.status !== 'running') return;
  const message = `the handler of "${unit}" said nothing for ${silenceOf(draft, name)} ms`;
  failTry(draft, name, { name: 'HeartbeatTimeoutError', code: 'HEARTBEAT_TIMEOUT', message }, true);
  if (name.undo) onUndoFailed(draft, name);
  else onTryFailed(draft, name);
}
