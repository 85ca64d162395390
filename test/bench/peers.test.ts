/** What the bench does so that other products can be measured: servers that end with whoever started them, packages that may be absent. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { PEERS } from '../../bench/peers/peer-list.ts';
import { answers, freePort, onPath, Server } from '../../bench/peers/server.ts';
import { ALL, contenderOf } from '../../bench/workload-list.ts';
import { tmpDir } from '../support/tmp-dir.ts';

const listening = (port: number): string => `require('node:net').createServer().listen(${port}, '127.0.0.1')`;

const until = async (wanted: boolean, port: number): Promise<void> => {
  while ((await answers(port)) !== wanted) await setTimeout(10);
};

describe('servers', () => {
  test('one that is stopped is gone', async () => {
    await using dir = await tmpDir('bench');
    const port = await freePort();
    const server = await Server.start({
      command: process.execPath,
      args: ['-e', listening(port)],
      dir: dir.path,
      ready: () => answers(port),
    });
    await server.stop();
    await server.stop();
    await until(false, port);
  });

  test('one whose contender is killed is gone too', async () => {
    await using dir = await tmpDir('bench');
    const port = await freePort();
    await mkdir(dir.at('server'));
    const module = new URL('../../bench/peers/server.ts', import.meta.url).href;
    const options = { command: process.execPath, args: ['-e', listening(port)], dir: dir.at('server') };
    const script =
      `const { answers, Server } = await import(${JSON.stringify(module)});` +
      `await Server.start({ ...${JSON.stringify(options)}, ready: () => answers(${port}) });`;
    const contender = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
    await until(true, port);
    contender.kill('SIGKILL');
    await once(contender, 'exit');
    await until(false, port);
  });

  test('a command is on the PATH or not', () => {
    expect(onPath('sh')).toBe(true);
    expect(onPath('no-such-command')).toBe(false);
  });
});

describe('peers', () => {
  test('each workload has one of ours and a peer, and is found by name', () => {
    for (const { contenders, name } of PEERS) {
      expect(new Set(contenders.map(({ kind }) => kind))).toEqual(new Set(['ours', 'baseline']));
      for (const contender of contenders) expect(contenderOf(name, contender.name)).toBe(contender);
    }
    expect(new Set(ALL.map(({ name }) => name)).size).toBe(ALL.length);
  });

  test('durable ones say what the class of durability is', () => {
    const durable = PEERS.filter(({ name }) => name.startsWith('peer-durable'));
    expect(durable).toHaveLength(2);
    for (const { conditions } of durable) expect(conditions.durability).toBe('synced to disk');
  });
});
