/**
 * Dead letters on NATS: a stream, oldest first; a letter's id is its sequence.
 *
 * Owns: writing, listing, sending again and dropping them.
 */
import type { EncodedError } from '../../../kernel/errors.ts';
import type { CarriedMessage, DeadLetterQuery, DeadLetterRecord, DeadReason } from '../../broker-adapter.ts';
import { decodeHeader, encodeHeader, isWanted, strayMessage } from '../carried-bytes.ts';
import { encodeFrame, joined, parted } from './nats-frame.ts';
import { nameOf } from './nats-names.ts';
import type { NatsReceipts } from './nats-receipts.ts';
import type { NatsSession } from './nats-session.ts';

/** What is kept beside a letter's payload. `H`: its header, as it is or as `encodeHeader` gives it; without one it was no message. */
interface Kept<H> {
  readonly header?: H;
  readonly id: string;
  readonly subject: string;
  readonly process?: string;
  readonly reason: DeadReason;
  readonly error: EncodedError;
  readonly attempts: number;
  readonly firstDeliveredMs: number;
  readonly deadMs: number;
  readonly redrives: number;
}

/** A letter's place in its stream. */
const LETTER_ID = /^\d{1,15}$/;

export class NatsDeadLetters {
  readonly #session: NatsSession;
  readonly #receipts: NatsReceipts;

  constructor(session: NatsSession, receipts: NatsReceipts) {
    this.#session = session;
    this.#receipts = receipts;
  }

  /** `once` names the letter, so that writing it again writes it once. Undefined: somebody else has written it, and tells of it. */
  async write(
    subscription: string,
    { header, ...facts }: Kept<CarriedMessage['header']>,
    payload: Uint8Array,
    once: string,
  ): Promise<string | undefined> {
    const { names } = this.#session;
    const kept: Kept<string> = { ...facts, ...(header === undefined ? {} : { header: encodeHeader(header) }) };
    const bytes = joined(JSON.stringify(kept), payload);
    let tries = 0;
    const ack = await this.#session.again(() => {
      tries += 1;
      return this.#session.client.publish(names.letters(subscription), bytes, { msgID: once });
    });
    // A duplicate of a first try whose answer was lost is ours.
    return ack.duplicate && tries === 1 ? undefined : String(ack.seq);
  }

  async list(query: DeadLetterQuery): Promise<readonly DeadLetterRecord[]> {
    const { names } = this.#session;
    // No letter has such an id, and none comes behind it.
    if (query.after !== undefined && !LETTER_ID.test(query.after)) return [];
    const found = new Map<string, DeadLetterRecord>();
    const filter = query.subscription === undefined ? `${names.prefix}.x.*` : names.letters(query.subscription);
    const from = { sequence: Number(query.after ?? 0) + 1 };
    await this.#session.read(names.dead, filter, from, ({ subject, seq, data }) => {
      const letter = this.#letterOf(subject, seq, data);
      if (letter !== undefined && isWanted(letter, query)) found.set(letter.id, letter);
      return found.size >= query.limit ? 'stop' : 'go on';
    });
    return [...found.values()];
  }

  async count(subscription: string): Promise<number> {
    const { names } = this.#session;
    const filter = names.letters(subscription);
    const info = await this.#session.again(() =>
      this.#session.manager.streams.info(names.dead, { subjects_filter: filter }),
    );
    return Object.values(info.state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
  }

  async redrive(ids: readonly string[], redrivesLimit: number): Promise<number> {
    let count = 0;
    for (const id of ids) if (await this.#redriveOne(id, redrivesLimit)) count += 1;
    return count;
  }

  async purge(ids: readonly string[]): Promise<number> {
    let count = 0;
    for (const id of ids) if (LETTER_ID.test(id) && (await this.#delete(Number(id)))) count += 1;
    return count;
  }

  async #redriveOne(id: string, redrivesLimit: number): Promise<boolean> {
    const { names } = this.#session;
    if (!LETTER_ID.test(id)) return false;
    const stored = await this.#session.again(() =>
      this.#session.manager.streams.getMessage(names.dead, { seq: Number(id) }),
    );
    const parts = stored === null ? undefined : parted(stored.data);
    if (stored === null || parts === undefined) return false;
    const kept = JSON.parse(parts.text) as Kept<string>;
    const header = kept.header === undefined ? undefined : decodeHeader(kept.header);
    if (header === undefined || kept.redrives >= redrivesLimit) return false;
    const subscription = nameOf(stored.subject.slice(stored.subject.lastIndexOf('.') + 1));
    const message = { header, payload: parts.payload };
    const facts = { redrives: kept.redrives + 1, ...(kept.process === undefined ? {} : { process: kept.process }) };
    const atMs = this.#session.clock.now();
    const word = { id: kept.id, subscription, status: 'accepted', atMs, attempt: 0 } as const;
    await this.#receipts.keep(word);
    // A letter is sent again once, however often this is tried.
    await this.#session.again(() =>
      this.#session.client.publish(names.again(subscription), encodeFrame(message, facts), { msgID: `redrive-${id}` }),
    );
    this.#receipts.reopen(kept.id, subscription, atMs);
    if (kept.process !== undefined) this.#receipts.tell(kept.process, word);
    await this.#delete(Number(id));
    return true;
  }

  async #delete(sequence: number): Promise<boolean> {
    const { names } = this.#session;
    try {
      return await this.#session.again(() => this.#session.manager.streams.deleteMessage(names.dead, sequence));
    } catch (error) {
      if (/no message found|not found/i.test((error as Error).message)) return false;
      throw error;
    }
  }

  #letterOf(subject: string, seq: number, data: Uint8Array): DeadLetterRecord | undefined {
    const parts = parted(data);
    if (parts === undefined) return undefined;
    let kept: Kept<string>;
    try {
      kept = JSON.parse(parts.text) as Kept<string>;
    } catch {
      // Something else that was written into the stream is no dead letter.
      return undefined;
    }
    const { header, reason, error, attempts, firstDeliveredMs, deadMs, redrives } = kept;
    const decoded = header === undefined ? undefined : decodeHeader(header);
    return {
      id: String(seq),
      subscription: nameOf(subject.slice(subject.lastIndexOf('.') + 1)),
      message:
        decoded === undefined
          ? strayMessage(kept.id, kept.subject, deadMs, parts.payload)
          : { header: decoded, payload: parts.payload },
      reason,
      error,
      attempts,
      firstDeliveredMs,
      deadMs,
      redrives,
    };
  }
}
