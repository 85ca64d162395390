/**
 * Updates of a run: changes of its context that its definition foresees, asked for from outside and answered.
 *
 * Invariants:
 * RU1. An update is accepted whole or refused whole; all its values are worked out from the context before it.
 * RU2. Steps that have begun keep what they were given; what begins later sees the new values.
 */
import { encodeError } from '../../runtime/kernel/errors.ts';
import { nearest } from './expression-hints.ts';
import type { RunDraft } from './run-draft.ts';
import { valueFaults } from './value-shape.ts';
import { assertFits } from './value-size.ts';

/** Updates that a run's trace keeps: the latest. */
const UPDATES_KEPT = 1_000;

export function onUpdate(draft: RunDraft, name: string, payload: unknown): void {
  const { updates } = draft.workflow;
  const update = updates.get(name);
  if (update === undefined) {
    const known = [...updates.keys()];
    const hint = nearest(name, known) ?? `updates of the workflow: ${known.join(', ') || 'none'}`;
    return draft.refuse('UNKNOWN_UPDATE', `no update "${name}" is defined (${hint})`);
  }
  const faults = valueFaults(payload, update.data.payload, 'payload');
  if (faults.length > 0) {
    const listed = faults.map(({ path, rule, expected }) => `${path} (${rule}): ${expected}`).join('; ');
    return draft.refuse('INVALID_VALUE', `the update "${name}" does not take this payload: ${listed}`);
  }
  try {
    const before = { ...draft.names(), payload };
    if (update.condition?.evaluate(before) === false) {
      return draft.refuse('UPDATE_REFUSED', `the update "${name}" is accepted only if ${update.data.condition}`);
    }
    const set = Object.fromEntries(update.set.map(([variable, value]) => [variable, value.evaluate(before)]));
    const context = { ...draft.context, ...set };
    const reply = update.reply === undefined ? set : update.reply.evaluate({ ...before, context });
    assertFits(context, 'the context of the run');
    assertFits(reply, `the reply of the update "${name}"`);
    draft.context = context;
    const record = { atMs: draft.turn.nowMs, name, payload, set };
    draft.updates = [...draft.updates.slice(1 - UPDATES_KEPT), record];
    draft.answer(reply);
  } catch (error) {
    draft.refuse('UPDATE_REFUSED', `the update "${name}" has no value: ${encodeError(error).message}`);
  }
}
