/**
 * Lets threads of this process die, one after the other, under load: what every one of them must leave behind is a system that goes
 * on, and calls that settle.
 *
 * Owns: bringing each death about, waiting until it is over, and saying how long it took.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { ActorSystem } from '../../runtime/index.ts';
import { placementOf } from '../../runtime/kernel/address.ts';
import type { HostLoss } from '../../runtime/system/topology.ts';
import type { Say, Workload } from '../crash/workload.ts';
import { recordEvents, until } from '../support/until.ts';
import { deathRow, workers } from './death-places.ts';
import type { Death, DeathOrder, Way } from './deaths.ts';

/** For one that goes on beside its successor: what a fence keeps out cannot be waited for. */
const BESIDE_MS = 2_000;

const KINDS: Readonly<Record<Way, readonly HostLoss['kind'][]>> = {
  terminate: ['exit'],
  exit: ['exit'],
  throw: ['error'],
  rejection: ['error'],
  // The collector may keep a thread busy for longer than it takes to be given up.
  arrays: ['out_of_memory', 'hung'],
  maps: ['out_of_memory', 'hung'],
  loop: ['hung'],
  pause: ['hung'],
  // Of whoever refuses the frame.
  garble: ['error'],
};

export async function letThreadsDie(
  system: ActorSystem,
  workload: Workload,
  { deaths, patienceMs }: DeathOrder,
  say: Say,
): Promise<void> {
  const row = deathRow();
  const hosts = (await system.stats()).hosts.length;
  const lost = recordEvents(system, 'host_lost');
  const replaced = recordEvents(system, 'host_replaced');
  const failed = recordEvents(system, 'failed');
  const working = workload.run();
  await until('work', workload.watchProgress(), patienceMs);

  const slotsOf = ({ victim, moment }: Death, number: number): number[] => {
    if (victim === 'hosts') return Array.from({ length: hosts }, (_, slot) => slot);
    // One that has effects and turns in plenty.
    return [placementOf(moment === 'turn' ? `ledger/l${number % 4}` : `vault/v${number % 2}`, hosts)];
  };

  const dieOnce = async (death: Death, number: number): Promise<void> => {
    const { victim, way, moment } = death;
    const slots = slotsOf(death, number);
    const before = { lost: lost.length, replaced: replaced.length };
    const startMs = performance.now();
    if (victim === 'journal') workload.expectStop();
    row.arm(death, slots);
    // One that is to die while it starts needs a predecessor that dies.
    if (moment === 'starting') for (const slot of slots) await workers.named(`host ${slot}`)?.terminate();
    const threads = victim === 'journal' ? 1 : slots.length;
    const endThoseThatWait = async (): Promise<void> => {
      for (const slot of slots) if (row.waits(slot)) await workers.named(`host ${slot}`)?.terminate();
    };
    await until('the death', () => row.died >= threads, patienceMs);
    if (victim === 'journal') {
      say('DEATH', { death, ms: Math.round(performance.now() - startMs), kinds: [] });
      await until('the system to say so', () => failed.length > 0, patienceMs);
      return;
    }
    await until(
      'the successor',
      async () => {
        await endThoseThatWait();
        return lost.length >= before.lost + slots.length && replaced.length >= before.replaced + slots.length;
      },
      patienceMs,
    );
    const losses = lost.slice(before.lost);
    const isKind = losses.some(({ kind }) => KINDS[way].includes(kind));
    if (moment !== 'starting' && !isKind) say('TROUBLE', { death, losses });
    say('DEATH', { death, ms: Math.round(performance.now() - startMs), kinds: losses.map(({ kind }) => kind) });
    // Only now that it has a successor; and what it does then must be seen too.
    row.goOn();
    if (way === 'pause') await pause(BESIDE_MS);
    await until('every actor to go on', workload.watchProgress(), patienceMs);
  };

  try {
    for (const [number, death] of deaths.entries()) {
      await dieOnce(death, number);
    }
    workload.end();
    const journalDied = deaths.some(({ victim }) => victim === 'journal');
    await settled(working, patienceMs);
    if (!journalDied) {
      say('FINAL', await workload.settle());
      if (failed.length > 0) say('TROUBLE', { failed: String(failed[0]?.error) });
      const { callsUnderWay } = await system.stats();
      if (callsUnderWay > 0) say('TROUBLE', { callsUnderWay });
    }
    await settled(system.stop(), patienceMs);
  } catch (error) {
    say('TROUBLE', { hangs: (error as Error).message });
  }
  // A thread that hangs would keep the process.
  process.exit(0);
}

async function settled(work: Promise<unknown>, patienceMs: number): Promise<void> {
  let isOver = false;
  void work.finally(() => {
    isOver = true;
  });
  await until('every call to settle', () => isOver, patienceMs);
}
