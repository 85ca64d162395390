/**
 * A process for tests to kill: opens a journal, appends through its thread, and writes each acknowledged number into a file.
 *
 * node journal-child.ts <data folder> <ack file> <sync> <turns a batch>
 */
import { openSync, writeSync } from 'node:fs';
import { connectHostJournal, type JournalPort } from '../../../runtime/journal/host-journal-port.ts';
import { JournalThread } from '../../../runtime/journal/journal-thread.ts';
import { systemClock } from '../../../runtime/kernel/clock.ts';
import type { SyncMode } from '../../../runtime/journal/journal-control.ts';

const [dataDir, ackFile, sync, size] = process.argv.slice(2) as [string, string, SyncMode, string];
const acks = openSync(ackFile, 'a');

const thread = new JournalThread({
  dataDir,
  sync,
  retention: 'keep',
  checkpointEveryTurns: 1e9,
  checkpointEveryBytes: 1e12,
  hosts: 1,
  clock: systemClock,
  onFailure: (error) => {
    throw error;
  },
});
const report = await thread.open();
const port = (await thread.connect(0)) as unknown as JournalPort;

let sequence = report.end - 1;
let next = 1;
let inFlight = 0;
const sent = new Map<number, number>();

const fill = (): void => {
  for (; inFlight < 4; inFlight++) {
    for (let i = 0; i < Number(size); i++) {
      sequence++;
      batch.turn({
        key: 'cell/a',
        sequence,
        timeMs: 1,
        envelope: { to: 'cell/a', message: { n: sequence } },
        outcome: 'handled',
        intents: [],
        version: 1,
        obliged: false,
      });
    }
    sent.set(next, sequence);
    journal.append(next++, batch.seal());
  }
};

const journal = connectHostJournal(
  port,
  { slot: 0, epoch: 1, run: report.run },
  {
    accepted: () => {},
    committed: (number) => {
      // A file, since a pipe may lose what is in it.
      writeSync(acks, `${sent.get(number)}\n`);
      sent.delete(number);
      inFlight--;
      fill();
    },
    fenced: () => process.exit(3),
    wake: () => {},
    storage: () => {},
    checkpoint: () => {},
  },
);
const batch = journal.newBatch();
writeSync(acks, `${sequence}\n`);
fill();
