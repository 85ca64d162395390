/**
 * Two processes, each with a broker and a connector of its own, talk over one server by commands, events and queries; one after the other
 * is killed in mid-traffic and started again. What they wrote down outside is held against the promises: what was accepted is handled and
 * its receipt says so, also to a process that did not send it; what was settled does not begin again.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ownName } from '../../../support/adapter-bench.ts';
import { dropStreams, NATS_URL, noNats } from '../../../support/nats-server.ts';
import { dropKeys, noRedis, REDIS_URL } from '../../../support/redis-server.ts';
import { tmpDir } from '../../../support/tmp-dir.ts';
import { until } from '../../../support/until.ts';

const PROCESS = fileURLToPath(new URL('../../../support/two-systems-process.ts', import.meta.url));
const IDS = ['shop', 'bank'] as const;
/** Messages that are settled between one kill and the next. */
const BETWEEN = 60;

type Id = (typeof IDS)[number];

interface Judged {
  readonly accepted: number;
  readonly faults: readonly string[];
  /** Of each system, how many of its own are settled, and how many of its queries were answered. */
  readonly settled: Readonly<Record<string, number>>;
  readonly answered: Readonly<Record<string, number>>;
}

const judge = (lines: readonly string[]): Judged => {
  const accepted = new Set<string>();
  const ended = new Set<string>();
  const settled = new Set<string>();
  const faults: string[] = [];
  const counts = { settled: {} as Record<string, number>, answered: {} as Record<string, number> };
  for (const line of lines) {
    const [what = '', id = ''] = line.split(' ');
    const [system = ''] = id.split('-');
    if (what === 'accepted') accepted.add(id);
    else if (what === 'end') ended.add(id);
    else if (what === 'settled') {
      if (settled.has(id)) faults.push(`${id} was settled twice`);
      if (!ended.has(id)) faults.push(`${id} was settled before it was handled`);
      settled.add(id);
      counts.settled[system] = (counts.settled[system] ?? 0) + 1;
    } else if (what === 'answered') counts.answered[system] = (counts.answered[system] ?? 0) + 1;
    else if (what === 'begin' && settled.has(id)) faults.push(`${id} began again after it was settled`);
    else if (['dead', 'open', 'wrong', 'refused'].includes(what)) faults.push(line);
  }
  for (const id of accepted) if (!ended.has(id)) faults.push(`${id} was lost`);
  return { accepted: accepted.size, faults, ...counts };
};

const SERVERS = [
  { kind: 'redis', url: REDIS_URL, drop: (name: string) => dropKeys(REDIS_URL, name), missing: noRedis },
  { kind: 'nats', url: NATS_URL, drop: (name: string) => dropStreams(NATS_URL, name), missing: noNats },
];

for (const { kind, url, drop, missing } of SERVERS) {
  const title = `${kind}: two systems talk, and are killed in mid-traffic`;
  test.skipIf(missing !== undefined)(
    missing === undefined ? title : `${title} [skipped: ${missing}]`,
    async () => {
      await using dir = await tmpDir('two-systems');
      const file = dir.at('history');
      const name = ownName('two');
      const running = new Map<Id, Awaited<ReturnType<typeof start>>>();
      const start = async (id: Id) => {
        const args = [PROCESS, url, name, id, IDS.find((one) => one !== id) ?? '', file];
        const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
        const said: string[] = [];
        child.stdout.on('data', (data: Buffer) => said.push(...data.toString().split('\n').filter(Boolean)));
        await until(`${id} is up`, () => said.includes('up'));
        return { child, said };
      };
      const tell = (id: Id, line: string): void => void running.get(id)?.child.stdin.write(`${line}\n`);
      const now = (): Judged => judge(readFileSync(file, 'utf8').split('\n'));
      try {
        await Promise.all(IDS.map(async (id) => running.set(id, await start(id))));
        for (const id of IDS) tell(id, 'go');
        for (const victim of ['bank', 'shop', 'bank'] as const) {
          const { settled } = now();
          const isBusy = (id: Id): boolean => (now().settled[id] ?? 0) >= (settled[id] ?? 0) + BETWEEN;
          await until('both are busy', () => IDS.every(isBusy), 60_000);
          const exited = once(running.get(victim)?.child ?? expect.fail(), 'exit');
          running.get(victim)?.child.kill('SIGKILL');
          await exited;
          running.set(victim, await start(victim));
          tell(victim, 'go');
        }
        const { answered } = now();
        await until('both are answered', () => IDS.every((id) => (now().answered[id] ?? 0) > (answered[id] ?? 0)));
        for (const id of IDS) tell(id, 'stop');
        for (const id of IDS) await until('it has stopped', () => running.get(id)?.said.includes('stopped'), 90_000);
        for (const id of IDS) {
          const { child } = running.get(id) ?? expect.fail();
          const exited = once(child, 'exit');
          tell(id, 'end');
          expect(await exited).toEqual([0, null]);
        }
      } finally {
        for (const { child } of running.values()) if (child.exitCode === null) child.kill('SIGKILL');
        await drop(name);
      }
      const { accepted, faults } = now();
      expect(faults).toEqual([]);
      expect(accepted).toBeGreaterThan(IDS.length * BETWEEN * 3);
    },
    180_000,
  );
}

test('the judge finds what is lost, what is settled twice, and what begins again', () => {
  const ends = ['accepted s-0', 'begin s-0', 'end s-0', 'settled s-0'];
  expect(judge(ends).faults).toEqual([]);
  expect(judge(ends.slice(0, 2)).faults).toEqual(['s-0 was lost']);
  expect(judge([...ends, 'begin s-0']).faults).toHaveLength(1);
  expect(judge([...ends, 'settled s-0']).faults).toHaveLength(1);
  expect(judge([ends[0] ?? '', 'settled s-0', 'end s-0']).faults).toHaveLength(1);
});
