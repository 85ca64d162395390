/** Bringing one actor back from its turns alone, and a whole system from a long journal. */
import { lmdbScan } from '../baselines/lmdb-put.ts';
import { packedFold } from '../baselines/packed-fold.ts';
import { sizeOf } from '../actors/messages.ts';
import { type Contender, type Setting, TURNS, type Workload } from '../contract.ts';
import { comeBack, leaveBehind } from '../left-behind.ts';
import { type Past, WRITER_ID } from '../past.ts';

/** Milliseconds of starting a system on what was left, and of the first answer after that. */
const restart = (dir: string, past: Past): Promise<{ startMs: number; answerMs: number }> =>
  comeBack('past-reader', dir, past);

const turnsOfOne = ({ quick }: Setting): number => (quick ? 10_000 : 100_000);
const turnsOfMany = ({ quick }: Setting): number => (quick ? 30_000 : 1_000_000);

export const replay: Workload = {
  name: 'replay',
  title: 'Replay of one actor from its turns',
  what:
    'A killed process left 100,000 turns (quick: 10,000) of one reducer actor and no stored state. From the first question to its ' +
    'answer, in a fresh process.',
  conditions: { durability: 'journal, fsync', messageBytes: sizeOf('order'), concurrency: '1 actor', hosts: 1 },
  metrics: [TURNS],
  inOtherProcesses: true,
  limitMs: 180_000,
  contenders: [
    {
      name: 'first-answer',
      kind: 'ours',
      label: 'load and replay',
      async open(setting) {
        const past: Past = { turns: turnsOfOne(setting), actors: 1, threads: 1, stored: false };
        await leaveBehind('past-writer', setting.dir, past);
        return {
          sample: async () => ({ rate: past.turns / ((await restart(setting.dir, past)).answerMs / 1_000) }),
          close: async () => {},
        };
      },
    },
    packedFold,
  ],
};

export const restartOf = (
  name: string,
  label: string,
  checkpointEveryTurns: number | undefined,
  turns?: number,
): Contender => ({
  name,
  kind: 'ours',
  label,
  async open(setting) {
    const past: Past = {
      turns: turns ?? turnsOfMany(setting),
      actors: 1_000,
      threads: 2,
      stored: true,
      ...(checkpointEveryTurns === undefined ? {} : { checkpointEveryTurns }),
    };
    await leaveBehind('past-writer', setting.dir, past);
    return {
      async sample() {
        const { answerMs, startMs } = await restart(setting.dir, past);
        return { first: startMs + answerMs };
      },
      close: async () => {},
    };
  },
});

export const restartAll: Workload = {
  name: 'restart',
  title: 'Restart after a kill, to the first answer',
  what:
    'A killed process left 1,000,000 turns (quick: 30,000) of 1,000 actors. From ActorSystem.start to the first answer of actor ' +
    `${WRITER_ID}0, in a fresh process; loading Node and the modules is not measured.`,
  conditions: { durability: 'journal, fsync', messageBytes: sizeOf('order'), concurrency: '1,000 actors', hosts: 2 },
  metrics: [{ name: 'first', unit: 'ms', better: 'lower' }],
  inOtherProcesses: true,
  limitMs: 300_000,
  contenders: [
    restartOf('default', 'checkpoints as by default', undefined),
    restartOf('no-checkpoint', 'never checkpointed: the whole journal is read', 1e12),
    lmdbScan(turnsOfMany),
  ],
};
