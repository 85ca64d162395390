/**
 * A script that is killed amid its work, and started again until it is done.
 *
 * Owns: its process, and the two lines between it and the test: `up` when its work begins, and one of JSON, an object, when all is done.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';

export interface Kills {
  readonly times: number;
  /** How long after `up`; asked before each start. */
  readonly afterMs: () => number;
}

/** What the script says when it is left alone, after it was killed so often. At least one kill must have hit it amid its work. */
export async function runThroughKills<T>(
  script: string,
  args: readonly string[],
  kills: Kills,
): Promise<T | undefined> {
  let cutOff = 0;
  for (let kill = 0; kill < kills.times; kill++) {
    if ((await run(script, args, kills.afterMs())) === undefined) cutOff++;
  }
  expect(cutOff, 'processes killed amid their work').toBeGreaterThan(0);
  return (await run(script, args, undefined)) as T | undefined;
}

/** Undefined when it was killed before it was done. */
async function run(script: string, args: readonly string[], killAfterMs: number | undefined): Promise<unknown> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let said: unknown;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'up' && killAfterMs !== undefined) void pause(killAfterMs).then(() => child.kill('SIGKILL'));
    if (line.startsWith('{')) said = JSON.parse(line);
  }
  await ended;
  return said;
}
