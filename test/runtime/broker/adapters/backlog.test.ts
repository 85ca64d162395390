/**
 * A backlog on Redis costs the process that works on it no memory: more bytes wait than it may ever have. A process of its own, so that
 * what it needs is its own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ownName } from '../../../support/adapter-bench.ts';
import { dropKeys, noRedis, REDIS_URL } from '../../../support/redis-server.ts';

const PROCESS = fileURLToPath(new URL('../../../support/backlog-process.ts', import.meta.url));
const MESSAGES = 12_000;
const MESSAGE_BYTES = 4_096;
/** V8 sweeps buffers beside the program: until it is done they count as used, 0.3 MB that live were read as 3 to 15 MB. */
const NODE_ARGS = ['--expose-gc', '--no-concurrent-array-buffer-sweeping'];

test.skipIf(noRedis !== undefined)(
  `redis: a backlog costs bounded memory${noRedis === undefined ? '' : ` [skipped: ${noRedis}]`}`,
  async () => {
    const name = ownName('backlog');
    try {
      const args = [...NODE_ARGS, PROCESS, REDIS_URL, name, String(MESSAGES), String(MESSAGE_BYTES)];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      let said = '';
      child.stdout.on('data', (data: Buffer) => (said += data.toString()));
      expect(await once(child, 'exit')).toEqual([0, null]);
      const { handled, grownBytes } = JSON.parse(said) as { handled: number; grownBytes: number };
      expect(handled).toBe(MESSAGES);
      expect(grownBytes).toBeLessThan((MESSAGES * MESSAGE_BYTES) / 16);
    } finally {
      await dropKeys(REDIS_URL, name);
    }
  },
  120_000,
);
