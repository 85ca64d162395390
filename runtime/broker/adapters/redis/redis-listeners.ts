/**
 * Hearing messages at most once: Redis's publish and subscribe.
 *
 * Owns: one subscription at the server for each pattern, whoever hears it in this process; of those with one queue, letting one hear.
 *
 * Invariants:
 * RH1. A message is heard by one of a queue over all processes: who claims it first. A claim is kept for a minute.
 */
import type { CarriedMessage } from '../../broker-adapter.ts';
import { hasWildcard, matchesSubject } from '../../subjects.ts';
import { decodeFrame, encodeFrame } from './redis-frame.ts';
import { globOf, messageChannel } from './redis-keys.ts';
import type { RedisSession } from './redis-session.ts';

type Hear = (message: CarriedMessage) => void;

interface Heard {
  readonly pattern: string;
  readonly alone: Set<Hear>;
  readonly queues: Map<string, Hear[]>;
  stop: Promise<() => Promise<void>> | undefined;
}

const CLAIM_MS = 60_000;

/** `<token>\t<frame>`, as the accept script writes it. */
export function noticeOf(token: string, message: CarriedMessage): Uint8Array {
  return Buffer.concat([Buffer.from(`${token}\t`), encodeFrame(message)]);
}

function readNotice(notice: Uint8Array): { readonly token: string; readonly message: CarriedMessage } | undefined {
  const bytes = Buffer.from(notice.buffer, notice.byteOffset, notice.byteLength);
  const end = bytes.indexOf('\t');
  if (end < 0) return undefined;
  const { header, payload } = decodeFrame(bytes.subarray(end + 1));
  return header === undefined ? undefined : { token: bytes.toString('latin1', 0, end), message: { header, payload } };
}

export class RedisListeners {
  readonly #session: RedisSession;
  readonly #failed: (error: Error) => void;
  readonly #heard = new Map<string, Heard>();
  /** Channels are entered and left one after another: leaving one must not undo entering it again. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(session: RedisSession, failed: (error: Error) => void) {
    this.#session = session;
    this.#failed = failed;
  }

  async listen(pattern: string, queue: string | undefined, hear: Hear): Promise<() => Promise<void>> {
    const heard = this.#heard.get(pattern) ?? {
      pattern,
      alone: new Set<Hear>(),
      queues: new Map<string, Hear[]>(),
      stop: undefined,
    };
    this.#heard.set(pattern, heard);
    // One function may be given twice.
    const one: Hear = (message) => hear(message);
    if (queue === undefined) heard.alone.add(one);
    else heard.queues.set(queue, [...(heard.queues.get(queue) ?? []), one]);
    heard.stop ??= this.#inTurn(() => this.#subscribe(heard));
    try {
      await heard.stop;
    } catch (error) {
      if (this.#heard.get(pattern) === heard) this.#heard.delete(pattern);
      throw error;
    }
    return () => this.#leave(heard, queue, one);
  }

  #subscribe(heard: Heard): Promise<() => Promise<void>> {
    const { prefix } = this.#session;
    const hear = (notice: Uint8Array): void => this.#hear(heard, notice);
    return hasWildcard(heard.pattern)
      ? this.#session.subscribePattern(globOf(prefix, heard.pattern), hear)
      : this.#session.subscribe(messageChannel(prefix, heard.pattern), hear);
  }

  #hear(heard: Heard, notice: Uint8Array): void {
    const read = readNotice(notice);
    if (read === undefined) {
      this.#failed(new Error(`something that is no message was published to ${heard.pattern}`));
      return;
    }
    const { token, message } = read;
    if (!matchesSubject(heard.pattern, message.header.subject)) return;
    for (const hear of heard.alone) hear(message);
    for (const [queue, members] of heard.queues) void this.#claim(heard, queue, members, token, message);
  }

  async #claim(heard: Heard, queue: string, members: Hear[], token: string, message: CarriedMessage): Promise<void> {
    const key = `${this.#session.prefix}g:${queue}\t${heard.pattern}:${token}`;
    try {
      const claimed = await this.#session.command(['SET', key, '1', 'NX', 'PX', String(CLAIM_MS)]);
      if (claimed === null) return;
      // One after another: whoever has heard goes to the end.
      const member = members.shift();
      if (member === undefined) return;
      members.push(member);
      member(message);
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  async #leave(heard: Heard, queue: string | undefined, one: Hear): Promise<void> {
    heard.alone.delete(one);
    const members = queue === undefined ? undefined : heard.queues.get(queue);
    const place = members?.indexOf(one) ?? -1;
    if (place >= 0) members?.splice(place, 1);
    if (queue !== undefined && members?.length === 0) heard.queues.delete(queue);
    if (heard.alone.size + heard.queues.size > 0 || this.#heard.get(heard.pattern) !== heard) return;
    this.#heard.delete(heard.pattern);
    const stop = await heard.stop;
    await this.#inTurn(async () => stop?.());
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }
}
