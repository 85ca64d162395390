/**
 * A real process with an embedded broker in full traffic, killed again and again at moments that nobody chose. What it wrote down outside
 * is held against the promises: nothing accepted is lost, nothing settled begins again, messages of a source are finished in order.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { tmpDir } from '../../support/tmp-dir.ts';

const PROCESS = fileURLToPath(new URL('../../support/broker-process.ts', import.meta.url));
const KILLS = 5;

interface Verdict {
  readonly accepted: number;
  readonly faults: readonly string[];
}

/** What the lines say, in their order. */
export const judge = (lines: readonly string[]): Verdict => {
  const accepted = new Set<string>();
  const ended = new Set<string>();
  const settled = new Set<string>();
  const faults: string[] = [];
  /** Of each source, how many are finished without a gap. */
  const next = new Map<string, number>();
  for (const line of lines) {
    const [what = '', id = ''] = line.split(' ');
    if (what === 'accepted') accepted.add(id);
    if (what === 'settled') settled.add(id);
    if (what === 'begin') {
      if (settled.has(id)) faults.push(`${id} began again after it was settled`);
      const [source = '', n = ''] = id.split('-');
      for (let earlier = next.get(source) ?? 0; earlier < Number(n); earlier++) {
        const before = `${source}-${earlier}`;
        if (accepted.has(before) && !ended.has(before)) faults.push(`${id} began before ${before} was finished`);
      }
    }
    if (what === 'end') {
      ended.add(id);
      const [source = ''] = id.split('-');
      while (ended.has(`${source}-${next.get(source) ?? 0}`)) next.set(source, (next.get(source) ?? 0) + 1);
    }
  }
  for (const id of accepted) if (!ended.has(id)) faults.push(`${id} was lost`);
  return { accepted: accepted.size, faults };
};

const start = async (args: readonly string[]): Promise<ReturnType<typeof spawn>> => {
  const child = spawn(process.execPath, [PROCESS, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout !== null) await once(child.stdout, 'data');
  return child;
};

test.each([0, 1])(
  'kill -9 in full traffic, threads: %i',
  async (threads) => {
    await using dir = await tmpDir('broker-kill');
    const [data, file] = [dir.at('data'), dir.at('history')];
    for (let kill = 0; kill < KILLS; kill++) {
      const child = await start([data, file, String(threads), 'work']);
      await pause(100 + Math.random() * 400);
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    const last = await start([data, file, String(threads), 'drain']);
    const [code] = await once(last, 'exit');
    expect(code).toBe(0);
    const { accepted, faults } = judge(readFileSync(file, 'utf8').split('\n'));
    expect(faults).toEqual([]);
    expect(accepted).toBeGreaterThan(KILLS);
  },
  120_000,
);

test('the judge finds what is lost, what is handled again, and what is out of order', () => {
  const ends = (id: string): string[] => [`accepted ${id}`, `begin ${id}`, `end ${id}`, `settled ${id}`];
  expect(judge([...ends('s-0'), ...ends('s-1')]).faults).toEqual([]);
  expect(judge(['accepted s-0']).faults).toEqual(['s-0 was lost']);
  expect(judge([...ends('s-0'), 'begin s-0', 'end s-0']).faults).toHaveLength(1);
  expect(judge(['accepted s-0', ...ends('s-1'), 'begin s-0', 'end s-0']).faults).toHaveLength(1);
});
