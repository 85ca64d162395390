/**
 * The process of one contender: opens it, and gives a sample whenever the harness asks.
 *
 * Owns: the far side of `contender-client.ts`. Started with the workload's and the contender's name and the setting as JSON; ends with
 * its parent.
 */
import type { Contestant, Sample, Setting } from './contract.ts';
import { contenderOf } from './workload-list.ts';

export type ToContender = 'sample' | 'close';
export type FromContender =
  | { readonly kind: 'opened'; readonly note?: string }
  | { readonly kind: 'sample'; readonly sample: Sample; readonly cpuMs: number; readonly tookMs: number }
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed'; readonly message: string };

const [workload = '', name = '', json = '{}'] = process.argv.slice(2);

const tell = (message: FromContender): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(message, () => resolve());
  });

const fail = async (error: unknown): Promise<void> => {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  await tell({ kind: 'failed', message });
  process.exit(1);
};

const answer = async (order: ToContender, contestant: Contestant): Promise<void> => {
  if (order === 'sample') {
    const [before, startMs] = [process.cpuUsage(), performance.now()];
    const sample = await contestant.sample();
    const { system, user } = process.cpuUsage(before);
    await tell({ kind: 'sample', sample, cpuMs: (system + user) / 1_000, tookMs: performance.now() - startMs });
    return;
  }
  await contestant.close();
  await tell({ kind: 'closed' });
  process.disconnect();
};

process.on('uncaughtException', (error) => void fail(error));
process.on('unhandledRejection', (error) => void fail(error));

try {
  const contestant = await contenderOf(workload, name).open(JSON.parse(json) as Setting);
  process.on('message', (order: ToContender) => {
    answer(order, contestant).catch(fail);
  });
  // A harness that is gone asks for nothing more.
  process.on('disconnect', () => setTimeout(() => process.exit(0), 2_000).unref());
  await tell({ kind: 'opened', ...(contestant.note === undefined ? {} : { note: contestant.note }) });
} catch (error) {
  await fail(error);
}
