/**
 * Waiting for what is to happen, instead of sleeping: a condition that is asked again, and events that are kept until they are wanted.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { ActorSystem, SystemEvents } from '../../runtime/index.ts';

const ASK_AGAIN_MS = 10;
const GIVE_UP_MS = 20_000;

/** Asks until `condition` gives something other than undefined or false; `what` names it when it never does. */
export const until = async <T>(
  what: string,
  condition: () => T | Promise<T>,
  giveUpMs = GIVE_UP_MS,
): Promise<Exclude<T, undefined | false>> => {
  const endMs = performance.now() + giveUpMs;
  for (;;) {
    const found = await condition();
    if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
    if (performance.now() > endMs) throw new Error(`waited ${giveUpMs} ms for: ${what}`);
    await pause(ASK_AGAIN_MS);
  }
};

/** Everything that a system says of one kind, from now on. */
export const recordEvents = <K extends keyof SystemEvents>(system: ActorSystem, kind: K): SystemEvents[K][] => {
  const events: SystemEvents[K][] = [];
  system.on(kind, (event) => void events.push(event));
  return events;
};

/** The code of what a promise is rejected with; undefined when it is not. */
export const codeOf = async (promise: Promise<unknown>): Promise<string | undefined> => {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

/** The error that a promise is rejected with; throws when it is not. */
export const errorOf = async (
  promise: Promise<unknown>,
): Promise<Error & { code?: string; details?: Record<string, unknown> }> => {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error(`rejected with something that is no error: ${String(error)}`, { cause: error });
  }
  throw new Error(`expected a rejection, got ${JSON.stringify(value)}`);
};
