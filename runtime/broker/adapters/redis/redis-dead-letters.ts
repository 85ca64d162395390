/**
 * Dead letters on Redis: one stream for all subscriptions, oldest first; a letter's id is its entry's.
 *
 * Owns: reading and filtering. Putting them there is the settle script's, sending again the redrive script's.
 */
import type { DeadLetterNotice, DeadLetterQuery, DeadLetterRecord, DeadReason } from '../../broker-adapter.ts';
import { decodeError, EXPIRED, isWanted, strayMessage } from '../carried-bytes.ts';
import { EXPIRE_SCRIPT, EXPIRED_SCRIPT } from './expiry-scripts.ts';
import { decodeFrame } from './redis-frame.ts';
import { listOf, type RedisReply, textOf } from './redis-link.ts';
import type { RedisSession } from './redis-session.ts';

const READ = 200;

export async function readDeadLetters(
  session: RedisSession,
  query: DeadLetterQuery,
): Promise<readonly DeadLetterRecord[]> {
  const found: DeadLetterRecord[] = [];
  // No letter has such an id, and none comes behind it.
  if (query.after !== undefined && !/^\d{1,20}-\d{1,20}$/.test(query.after)) return found;
  let start = query.after === undefined ? '-' : `(${query.after}`;
  while (found.length < query.limit) {
    const reply = await session.command(['XRANGE', `${session.prefix}x`, start, '+', 'COUNT', String(READ)]);
    const entries = listOf(reply);
    for (const entry of entries) {
      const [id, fields] = listOf(entry);
      const letter = letterOf(textOf(id), fields);
      if (letter !== undefined && found.length < query.limit && isWanted(letter, query)) found.push(letter);
    }
    if (entries.length < READ) break;
    start = `(${textOf(listOf(entries.at(-1))[0])}`;
  }
  return found;
}

/** Sets aside what has expired and is in nobody's hands. */
export async function expireOn(session: RedisSession, dead: (notice: DeadLetterNotice) => void): Promise<void> {
  const due = listOf(await session.once(EXPIRED_SCRIPT, [])).map(textOf);
  const bySubscription = new Map<string, { readonly order: string; readonly entries: string[] }>();
  for (let i = 0; i + 2 < due.length; i += 3) {
    const [name, entry, order] = due.slice(i, i + 3) as [string, string, string];
    const of = bySubscription.get(name) ?? { order, entries: [] };
    of.entries.push(entry);
    bySubscription.set(name, of);
  }
  for (const [subscription, { order, entries }] of bySubscription) {
    const args = [subscription, '', order, JSON.stringify(EXPIRED), ...entries];
    const letters = listOf(await session.once(EXPIRE_SCRIPT, args)).map(textOf);
    for (let i = 0; i + 2 < letters.length; i += 3) {
      const [id, messageId, attempts] = letters.slice(i, i + 3) as [string, string, string];
      dead({ id, messageId, subscription, reason: 'expired', error: EXPIRED, attempts: Number(attempts) });
    }
  }
}

function letterOf(id: string, reply: RedisReply | undefined): DeadLetterRecord | undefined {
  const fields = new Map<string, RedisReply>();
  const list = listOf(reply);
  for (let i = 0; i + 1 < list.length; i += 2) fields.set(textOf(list[i]), list[i + 1] as RedisReply);
  const text = (name: string): string => textOf(fields.get(name));
  const frame = fields.get('m');
  // Something else that was written into the stream is no dead letter.
  if (!fields.has('s') || !(frame instanceof Uint8Array)) return undefined;
  const deadMs = Number(text('t'));
  const { header, payload } = decodeFrame(frame);
  return {
    id,
    subscription: text('s'),
    message: header === undefined ? strayMessage(text('i') || id, 'undecodable', deadMs, payload) : { header, payload },
    reason: text('r') as DeadReason,
    error: decodeError(text('e')),
    attempts: Number(text('a')),
    firstDeliveredMs: Number(text('f')),
    deadMs,
    redrives: Number(text('d')),
  };
}
