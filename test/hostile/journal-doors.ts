/** The doors of the journal as a whole: batches of a host that has lost its senses, answers of its thread, the file ahead of the database. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JournalControlClient } from '../../runtime/journal/journal-control-client.ts';
import { MemoryStore } from '../../runtime/journal/memory-store.ts';
import { openAheadStore } from '../../runtime/journal/ahead-store.ts';
import { encodeImage } from '../../runtime/journal/row-codec.ts';
import type { Store } from '../../runtime/journal/store.ts';
import { packNext } from '../../runtime/wire/journal-codec.ts';
import { Rig, turn } from '../runtime/journal/journal-rig.ts';
import { alien, type Door, fault, judgeRefusal, PASSED, REFUSED, type Verdict } from './door.ts';
import { mutate } from './mutations.ts';
import { batchesOf, imagesOf, STORE_CODES } from './row-doors.ts';
import { resealAhead, resealBatch } from './sums.ts';

/** J9 is for a store that failed, not for a host that writes nonsense: the others' batches are committed all the same. */
export function appendDoor(seed: number): Door {
  const corpus = batchesOf(seed, 20);
  return {
    name: 'append',
    share: 0.5,
    async attack(dice) {
      const bytes = mutate(dice.pick(corpus), dice, dice.pick(corpus)).slice();
      if (dice.chance(0.6)) resealBatch(bytes);
      const rig = await Rig.open({ hosts: 2 });
      const hostile = rig.host(0, 1);
      const sound = rig.host(1, 1);
      try {
        hostile.journal.append(1, bytes);
        rig.clock.run();
        sound.write(turn('cell/sound', 1));
        sound.load('cell/sound');
      } catch (error) {
        return fault(`the journal threw ${error instanceof Error ? error.stack : String(error)}`, bytes);
      }
      if (rig.failures.length > 0) return fault(`the journal failed: ${String(rig.failures[0])}`, bytes);
      if (sound.of('committed').length !== 1) return fault('a sound host was not served', bytes);
      const shutOut = hostile.of('fenced').length > 0;
      if (!shutOut && hostile.of('committed').length !== 1) return fault('neither committed nor shut out', bytes);
      return (await reopen(rig, bytes)) ?? (shutOut ? REFUSED : PASSED);
    },
  };
}

/** What was committed must open again, with damage named. */
async function reopen(rig: Rig, bytes: Uint8Array): Promise<Verdict | undefined> {
  try {
    const again = await rig.crash({ hosts: 2 });
    const [cell] = again.host(1, 2).load('cell/sound');
    if (cell?.damage !== undefined && again.report.damaged.length === 0) return fault('damage was not reported', bytes);
    return undefined;
  } catch (error) {
    const verdict = judgeRefusal(error, STORE_CODES, bytes);
    return verdict.kind === 'refused' ? undefined : verdict;
  }
}

export function answerDoor(seed: number): Door {
  const pack = (value: unknown): Uint8Array => {
    const packed = packNext(value);
    return Uint8Array.from(packed.subarray(packed.start, packed.end));
  };
  const answers = pack([
    [1, 1, { ok: true }, null],
    [2, 1, undefined, { name: 'Error', code: 'ERROR', message: 'no' }],
  ]);
  const images = imagesOf(seed, 30).map((image) => Uint8Array.from(encodeImage(image)));
  const client = (bytes: Uint8Array): JournalControlClient =>
    new JournalControlClient((method, ..._args) => {
      const empty = new Uint8Array(4);
      const raw = method === 'recover' ? { end: 1, wake: [], resend: empty, answers: bytes } : bytes;
      return Promise.resolve(raw as never);
    });
  return {
    name: 'answer',
    share: 0.5,
    async attack(dice) {
      const recover = dice.chance(0.6);
      const bytes = recover ? mutate(answers, dice, answers) : mutate(dice.pick(images), dice, dice.pick(images));
      try {
        const value = recover ? await client(bytes).recover(0) : await client(bytes).image('cell/1');
        const strange = alien(value, bytes.length);
        return strange === undefined ? PASSED : fault(strange, bytes);
      } catch (error) {
        return judgeRefusal(error, STORE_CODES, bytes);
      }
    },
  };
}

/** N2: of the file, what is whole from the beginning is taken, and the store opens. */
export function aheadDoor(seed: number, scratch: string): Door {
  const folder = join(scratch, 'ahead');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const corpus = [0, 1, 2].map((i) => aheadFile(folder, seed + i));
  return {
    name: 'ahead',
    share: 0.5,
    async attack(dice) {
      const { bytes: whole, rows } = dice.pick(corpus);
      const bytes = mutate(whole, dice, dice.pick(corpus).bytes).slice();
      const resealed = dice.chance(0.6);
      if (resealed) resealAhead(bytes);
      writeFileSync(join(folder, 'AHEAD'), bytes);
      const below = new MemoryStore();
      let store: Store;
      try {
        store = openAheadStore(below, folder, 'relaxed');
      } catch (error) {
        return judgeRefusal(error, STORE_CODES, bytes);
      }
      const found = [...store.logFrom(0)].map(
        ({ position, bytes: row }) => `${position} ${Buffer.from(row).toString('hex')}`,
      );
      await store.close();
      if (resealed) return PASSED;
      const whenSpliced = corpus.some(({ rows: other }) => isPrefix(found, other));
      return whenSpliced || isPrefix(found, rows)
        ? PASSED
        : fault('a file gave rows that are no beginning of what was written', bytes);
    },
  };
}

const isPrefix = (found: readonly string[], of: readonly string[]): boolean => found.every((row, i) => row === of[i]);

function aheadFile(folder: string, seed: number): { readonly bytes: Uint8Array; readonly rows: readonly string[] } {
  rmSync(join(folder, 'AHEAD'), { force: true });
  const store = openAheadStore(new MemoryStore(), folder, 'relaxed');
  const rows: string[] = [];
  for (let i = 1; i <= 6; i++) {
    const row = Buffer.alloc(20 + ((seed + i) % 30), i + (seed % 100));
    store.commit((writes) => {
      writes.log(i, row);
      if (i % 2 === 0) writes.image(`cell/${i}`, Buffer.alloc(40, i), i % 4 === 0 ? undefined : i);
      if (i === 3) writes.letter('letter', Buffer.alloc(30, i));
      if (i === 4) writes.removeLetter('letter');
      if (i === 5) writes.damage('cell/2', Buffer.alloc(10, i));
      writes.meta('run', i);
    });
    rows.push(`${i} ${row.toString('hex')}`);
  }
  const bytes = Uint8Array.from(readFileSync(join(folder, 'AHEAD')));
  (store as unknown as { end(): void }).end();
  return { bytes, rows };
}
