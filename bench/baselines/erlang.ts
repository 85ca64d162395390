/**
 * Erlang/OTP, where it is installed: the runtime whose semantics we follow, on the same work.
 *
 * Owns: starting `erlang.escript` once a sample, with as many schedulers as we have threads, and reading what it prints.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Contender } from '../contract.ts';
import { onPath } from '../peers/server.ts';

const SCRIPT = fileURLToPath(new URL('erlang.escript', import.meta.url));

const run = promisify(execFile);

export function erlang(
  kind: 'tell' | 'orders' | 'call' | 'spawn' | 'heap',
  schedulers: number,
  label: string,
): Contender {
  return {
    name: 'erlang',
    kind: 'baseline',
    label,
    note: `${schedulers} scheduler${schedulers > 1 ? 's' : ''}`,
    missing: () => (onPath('escript') ? undefined : 'Erlang (escript) is not on the PATH'),
    async open({ sampleMs }) {
      const env = { ...process.env, ERL_FLAGS: `+S ${schedulers}:${schedulers}` };
      return {
        async sample() {
          const { stdout } = await run('escript', [SCRIPT, kind, String(sampleMs)], { env, timeout: 60_000 });
          const lines = stdout
            .trim()
            .split('\n')
            .map((line) => line.split(' '));
          return Object.fromEntries(lines.map(([name, value]) => [name as string, Number(value)]));
        },
        close: async () => {},
      };
    },
  };
}
