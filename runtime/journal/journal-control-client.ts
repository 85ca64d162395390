/**
 * `JournalControl` over anything that carries calls of `RawJournalControl`.
 *
 * Owns: the decoding of answers and the encoding of images, on the caller's side.
 */
import type { CellKey } from '../kernel/address.ts';
import type { ReplyTo } from '../kernel/message.ts';
import { unpackOne } from '../wire/journal-codec.ts';
import { decodeParcels, decodeTurns } from './cell-parcel.ts';
import type { JournalControl, JournalStats, OpenReport, Recovery } from './journal-control.ts';
import type { RawJournalControl } from './journal-service.ts';
import { decodeImage, decodeLetter, encodeImage } from './row-codec.ts';
import { errorOf, isAbsent, listOf, numberOf } from './shape-fields.ts';
import type { DeadLetter, ImageRow, TurnRecord } from './turn-record.ts';

/** Makes one call; rejects with a typed error. */
export type RawCall = <K extends keyof RawJournalControl>(
  method: K,
  ...args: Parameters<RawJournalControl[K]>
) => Promise<Awaited<ReturnType<RawJournalControl[K]>>>;

export class JournalControlClient implements JournalControl {
  readonly #call: RawCall;

  constructor(call: RawCall) {
    this.#call = call;
  }

  open(): Promise<OpenReport> {
    return this.#call('open');
  }

  fence(slot: number, epoch: number): Promise<void> {
    return this.#call('fence', slot, epoch);
  }

  async recover(slot: number): Promise<Recovery> {
    const raw = await this.#call('recover', slot);
    const resend = decodeParcels(raw.resend).flatMap((cell) => cell.pending);
    resend.sort((a, b) => (a.id?.position ?? 0) - (b.id?.position ?? 0) || (a.id?.index ?? 0) - (b.id?.index ?? 0));
    return { end: raw.end, wake: raw.wake, resend, answers: decodeAnswers(raw.answers) };
  }

  async turns(
    key: CellKey,
    range?: { fromSequence?: number; toSequence?: number; limit?: number },
  ): Promise<readonly (TurnRecord & { readonly position: number })[]> {
    return decodeTurns(await this.#call('turns', key, range), key);
  }

  async image(key: CellKey): Promise<ImageRow | undefined> {
    const row = await this.#call('image', key);
    return row === undefined ? undefined : decodeImage(key, row);
  }

  putImage(row: ImageRow): Promise<void> {
    return this.#call('putImage', row.key, encodeImage(row));
  }

  keys(options: { prefix?: string; after?: CellKey; limit?: number }): Promise<readonly CellKey[]> {
    return this.#call('keys', options);
  }

  async deadLetters(options?: { after?: string; limit?: number }): Promise<readonly DeadLetter[]> {
    return (await this.#call('letters', options)).map(({ id, row }) => decodeLetter(id, row));
  }

  removeDeadLetters(ids: readonly string[]): Promise<number> {
    return this.#call('removeLetters', ids);
  }

  checkpoint(): Promise<number> {
    return this.#call('checkpoint');
  }

  backup(targetDir: string): Promise<void> {
    return this.#call('backup', targetDir);
  }

  stats(): Promise<JournalStats> {
    return this.#call('stats');
  }

  close(): Promise<void> {
    return this.#call('close');
  }
}

function decodeAnswers(bytes: Uint8Array): Recovery['answers'] {
  return listOf(unpackOne(bytes), 'answers').map((answer) => {
    const [call, run, value, error] = listOf(answer, 'answer');
    const to: ReplyTo = { kind: 'outside', call: numberOf(call, 'answer.call'), run: numberOf(run, 'answer.run') };
    return isAbsent(error) ? { to, value } : { to, error: errorOf(error, 'answer.error') };
  });
}
