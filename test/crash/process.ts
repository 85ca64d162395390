/**
 * The process that is killed: starts a system on the data folder, says what it finds, and works until it dies. Told to, it stops
 * in good order, copies the folder meanwhile, or lets its own threads die. With `settle` it adds nothing, waits until all that was
 * begun is finished, says what there is, and ends.
 *
 * It speaks in lines on standard output, each written at once: what it is about to ask, and what was answered. What a killed process
 * has said was true.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { ActorSystem } from '../../runtime/index.ts';
import type { SystemOptions } from '../../runtime/system/options.ts';
import type { DeathOrder } from '../threads/deaths.ts';
import { Workload } from './workload.ts';
import type { Census } from './world.ts';
import { writeLine } from './write-line.ts';

export interface ProcessOrder {
  readonly options: SystemOptions & { readonly dataDir: string };
  readonly sink: string;
  readonly census: Census;
  /** Per toiler, the last message that was to break it. */
  readonly broken: readonly number[];
  readonly task: 'work' | 'stop' | 'backup' | 'settle' | 'deaths';
  /** For copies of the folder. */
  readonly copies: string;
  /** With the task `deaths`: which of its threads die, and how. */
  readonly deaths?: DeathOrder | undefined;
}

/** The code of a process whose threads did not get to run for ten seconds: its start is refused, and may be tried again. */
const STARVED = 75;
/** How long a process that is to stop works before. */
const WORK_BEFORE_STOP_MS = 60;
const BETWEEN_COPIES_MS = 10;
const MODULES = ['journey', 'ledger', 'vault', 'toilers', 'gossip'];

const say = (word: string, value: unknown): void => writeLine(`${word} ${JSON.stringify(value)}`);

const order = JSON.parse(process.argv[2] ?? '{}') as ProcessOrder;

const system = await ActorSystem.start({
  ...order.options,
  actors: MODULES.map((name) => new URL(`../support/actors/${name}.ts`, import.meta.url)),
}).catch((error: unknown) => {
  if ((error as { code?: string }).code !== 'CONTROL_TIMEOUT') throw error;
  process.exit(STARVED);
});
const mayLoseThreads = order.task === 'deaths';
system.on('host_lost', (event) => say(mayLoseThreads ? 'LOST' : 'TROUBLE', { host_lost: event }));
system.on('failed', (event) => say(mayLoseThreads ? 'FAILED' : 'TROUBLE', { failed: String(event.error.stack) }));
system.on('blocked', (event) => say('TROUBLE', { blocked: event.error.message }));
system.on('dead_letter', (event) => {
  if (!event.key.startsWith('toiler/')) say('TROUBLE', { dead_letter: event.error.message });
});
if (system.opened.damaged.length > 0) say('TROUBLE', { damaged: system.opened.damaged });

const workload = await Workload.create(system, order, say);
say('FOUND', workload.found);

const copy = async (): Promise<never> => {
  for (let i = 1; ; i++) {
    await pause(BETWEEN_COPIES_MS);
    await system.backup(`${order.copies}/${system.opened.run}-${i}`);
  }
};

switch (order.task) {
  case 'work':
    await workload.run();
    break;
  case 'backup':
    await Promise.all([workload.run(), copy()]);
    break;
  case 'stop':
    await Promise.all([
      workload.run(),
      pause(WORK_BEFORE_STOP_MS).then(() => {
        workload.end();
        return system.stop();
      }),
    ]);
    break;
  case 'settle':
    await workload.askAgain();
    say('FINAL', await workload.settle());
    await system.stop();
    break;
  case 'deaths': {
    const { letThreadsDie } = await import('../threads/death-task.ts');
    await letThreadsDie(system, workload, order.deaths as DeathOrder, say);
    break;
  }
}
