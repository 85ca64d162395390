/**
 * The folders that are damaged: made by real systems, once a run.
 *
 * Owns: what the actors have done before, and the state of the folder at the end: stopped, killed, trimmed, or killed
 * before the file ahead was taken into the database, in each sync mode.
 */
import { join } from 'node:path';
import { ActorSystem, type SystemOptions } from '../../runtime/index.ts';
import { crashCopy, settledCrashCopy } from '../support/crash-copy.ts';
import { citizen, clerk, lamp } from './citizens.ts';

export const CITIZENS = Array.from(
  { length: 40 },
  (_, i) => `c${i}${i % 5 === 0 ? '-of-the-long-name'.repeat(3) : ''}`,
);
export const CLERKS = ['k0', 'k1', 'k2', 'k3'];
export const LAMPS = ['l0', 'l1', 'l2'];
const MODULE = new URL('./citizens.ts', import.meta.url);

/** How a folder was left. */
export const FOLDERS = ['stopped', 'killed', 'ahead', 'trimmed', 'relaxed'] as const;
export type FolderName = (typeof FOLDERS)[number];

export function startTown(dataDir: string, options: Partial<SystemOptions> = {}): Promise<ActorSystem> {
  return ActorSystem.start({ dataDir, threads: 0, actors: [MODULE], onLog: () => {}, ...options });
}

/** Makes all of them within `root`, each under its name. */
export async function buildTown(root: string): Promise<void> {
  const at = (name: string): string => join(root, name);
  {
    await using system = await startTown(at('stopped'));
    await live(system);
    crashCopy(at('stopped'), at('ahead'));
    await settledCrashCopy(at('stopped'), at('killed'));
  }
  {
    crashCopy(at('killed'), at('trimmed-alive'));
    await using system = await startTown(at('trimmed-alive'), { retention: 'trim' });
    await system.checkpoint();
    await rounds(system, 1, 50);
    await settledCrashCopy(at('trimmed-alive'), at('trimmed'));
  }
  await using system = await startTown(at('relaxed-alive'), { sync: 'relaxed' });
  await live(system);
  // Whatever is not in the database yet by now is in the file ahead of it.
  crashCopy(at('relaxed-alive'), at('relaxed'));
}

async function live(system: ActorSystem): Promise<void> {
  const ballasts = [60, 200, 420, 900, 6_000];
  await Promise.all([
    ...CITIZENS.map((id, i) =>
      system.spawn(citizen, { id, input: { ballast: ballasts[i % ballasts.length] as number } }),
    ),
    ...CLERKS.map((id) => system.spawn(clerk, { id, input: { ballast: 100 } })),
    ...LAMPS.map((id) => system.spawn(lamp, { id })),
  ]);
  await rounds(system, 4, 0);
  for (const id of CITIZENS.slice(0, 8)) {
    await system.ref(citizen, id).tell({ type: 'TIMER', id: `${id}-alarm` });
    await system.ref(citizen, id).ask({ type: 'SERVE', n: 1 }, { idempotencyKey: `serve-${id}` });
  }
  for (const id of CITIZENS.slice(8, 14)) await boom(system, id);
  await system.checkpoint();
  await rounds(system, 3, 20);
  for (const id of CITIZENS.slice(12, 16)) {
    await system.ref(citizen, id).ask({ type: 'SERVE', n: 2 }, { idempotencyKey: `late-${id}` });
    await system.ref(citizen, id).tell({ type: 'TIMER', id: `${id}-late` });
    await system.ref(citizen, id).tell({ type: 'KEEP', n: 1 });
  }
  await boom(system, CITIZENS[20] as string);
  // Each of these is some actor's last turn, with a message under way to another.
  for (const [i, id] of CITIZENS.entries()) {
    const to = `citizen/${CITIZENS[(i + 7) % CITIZENS.length]}`;
    if (i % 3 === 0) await system.ref(citizen, id).tell({ type: 'ADD', by: 1, to });
  }
}

async function boom(system: ActorSystem, id: string): Promise<void> {
  await system
    .ref(citizen, id)
    .ask({ type: 'BOOM', n: 1 })
    .catch(() => {});
}

async function rounds(system: ActorSystem, count: number, from: number): Promise<void> {
  for (let round = from; round < from + count; round++) {
    await Promise.all(
      CITIZENS.map((id, i) => {
        const data = (i + round) % 17 === 0 ? 'd'.repeat(9_000) : 'e'.repeat((i * 7) % 90);
        const to = `citizen/${CITIZENS[(i * 3 + round) % CITIZENS.length]}`;
        return system.ref(citizen, id).tell({ type: 'ADD', by: round + 1, data, ...(i % 2 === 0 ? { to } : {}) });
      }),
    );
    await Promise.all([
      ...CLERKS.map((id) => system.ref(clerk, id).tell({ type: 'ADD', by: round })),
      ...LAMPS.map((id) => system.ref(lamp, id).tell({ type: 'ADD', by: round })),
    ]);
    for (const id of CITIZENS.slice(round % 10, (round % 10) + 4)) {
      await system.ref(citizen, id).tell({ type: 'ADD', by: 1, data: 'single'.repeat(round) });
    }
  }
}
