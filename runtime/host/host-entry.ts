/**
 * What runs on a host's thread: a host shell around the ports that the system handed over.
 *
 * Owns: turning worker data into a host, the heartbeat, and the thread's end.
 */
import { type MessagePort, workerData } from 'node:worker_threads';
import { systemClock } from '../kernel/clock.ts';
import { systemRandom } from '../kernel/random.ts';
import { connectHostJournal, type JournalPort } from '../journal/host-journal-port.ts';
import { createPortFramePort } from '../transport/port-frame-port.ts';
import { decodeValue } from '../wire/value-codec.ts';
import { serveControl } from './control-plane.ts';
import { CpuPool } from './cpu-pool.ts';
import { type Beginning, type HostConfig, HostShell } from './host-shell.ts';
import { installTurnGlobals } from './turn-globals.ts';
import { SharedWatch } from './watch.ts';

/** What the system passes to a host's thread. */
export interface HostThreadData {
  readonly config: HostConfig;
  readonly watch: SharedArrayBuffer;
  readonly journal: MessagePort;
  readonly outside: MessagePort;
  readonly control: MessagePort;
}

/** A host whose loop turns beats at least this often, work or not. */
const BEAT_MS = 200;

const { config, watch: memory, journal, outside, control } = workerData as HostThreadData;
const watch = new SharedWatch(memory);
const pool = new CpuPool();
installTurnGlobals();

// A MessagePort's own overloads hide that it is one.
const journalPort: JournalPort = {
  postMessage: (value, transfer) => journal.postMessage(value, transfer),
  on: (_event, listener) => journal.on('message', listener as (message: unknown) => void),
  close: () => journal.close(),
};
const shell = new HostShell(config, {
  clock: systemClock,
  random: systemRandom,
  watch,
  pool: pool.run,
  // A successor has the slot: whatever this thread still does is nobody's business any more.
  onFenced: () => process.exit(0),
  // Uncaught, it ends the thread, and the system is told why.
  onBroken: (error) => {
    throw error;
  },
  connectJournal: (events) =>
    connectHostJournal(journalPort, { slot: config.slot, epoch: config.epoch, run: config.run }, events),
});
shell.connect(createPortFramePort(outside));

const beat = (): void => {
  watch.beat();
  systemClock.wait(BEAT_MS, beat);
};
beat();

serveControl(control, {
  load: (modules) => shell.load(modules),
  linkUp: (slot, port, from) => shell.linkUp(slot, createPortFramePort(port), from),
  linkDown: (slot) => shell.linkDown(slot),
  begin: (beginning) => shell.begin(decodeValue(beginning) as Beginning),
  drained: () => shell.drained(),
  stats: () => shell.stats(),
  stop: () => {
    shell.stop();
    void pool.close().finally(() => {
      // The answer to this call leaves first.
      systemClock.wait(0, () => process.exit(0));
    });
  },
});
