/**
 * What the adapter keeps in Redis, and where. All of it is under one prefix with a hash tag, so that it is in one slot of a cluster.
 *
 * | key, after `cb:{<broker>}:` | is |
 * |---|---|
 * | `ver` | a number that changes with the table below |
 * | `subs` | hash: durable subscription → its spec as JSON |
 * | `keeps` | hash: retained pattern → its limits as JSON |
 * | `q:<sub>` | stream with group `g`: everything of a subscription that is not settled. Fields: `a` (for this subscription alone) or `m` with the key, which has the frame; `b`: not before |
 * | `y:<sub>` | sorted set of entry ids that are to be handed out before new ones, in their order |
 * | `d:<sub>` | sorted set of entry ids that wait, by the time they are due |
 * | `a:<sub>` | hash: entry id → attempt, first delivery, redrives, whether it holds its key, how often it was lost |
 * | `l:<sub>` | hash: key → who has messages of it, how many, how many are held back, how many wait for their next try |
 * | `h:<sub>:<key>` | sorted set of entry ids that are held back, in their order |
 * | `c:<sub>` | hash: consumer → when it was seen, its epoch, whether its presence can be seen; of nobody: when anyone was seen, and since when without a gap |
 * | `ep` | the last epoch |
 * | `e` | sorted set of `subscription entry`, by the time they expire |
 * | `g:<queue>…` | a message that one of a queue has claimed |
 * | `r`, `r-` | hashes: message id → its record; `r-` is the one before `r` |
 * | `o` | hash: the same, of those that are not settled everywhere, and were in an `r-` that is dropped |
 * | `v`, `v-` | hashes: message id and subscription → reply |
 * | `i`, `i-` | hashes: idempotency key → the id that was accepted under it |
 * | `age` | hash: how long `r`, `v` and `i` are kept, when they were begun, and how far `r-` has been looked through |
 * | `b:<process>` | hash: its last calls that accepted messages, with their answers |
 * | `w` | hash: message id → processes that wait until it is settled |
 * | `k:<pattern>`, `pos` | retained messages, and the position of the last one |
 * | `x`, `xc` | stream of dead letters; hash: subscription → how many |
 * | `t:<kind>` | records |
 *
 * Entries that are handed out are pending for their consumer, all others that were read are pending for `#`. The number of deliveries
 * tells one hand-out from the next. In sorted sets ids are padded, so that their order as text is their order.
 *
 * Records, replies and idempotency keys have no time to live of their own: they are in a hash that takes what is new for as long as one is
 * to be known, is then kept as the one before for as long again, and is dropped as a whole, without the records of what is not settled. One
 * command writes or looks up those of many messages.
 */

export const keyPrefix = (broker: string): string => `cb:{${broker}}:`;

/** Channels: messages that anyone may hear, work for a subscription, settled messages for a process, and that a process is there. */
export const messageChannel = (prefix: string, subject: string): string => `${prefix}!m:${subject}`;
export const workChannel = (prefix: string, subscription: string): string => `${prefix}!w:${subscription}`;
export const settledChannel = (prefix: string, process: string): string => `${prefix}!s:${process}`;
export const presenceChannel = (prefix: string, process: string): string => `${prefix}!p:${process}`;

/** A pattern of subjects as a glob: it lets too much through, and never too little. */
export const globOf = (prefix: string, pattern: string): string => {
  const plain = (text: string): string => text.replaceAll(/[\\?[\]*]/g, String.raw`\$&`);
  const tokens = pattern.split('.').map((token) => (token === '*' || token === '>' ? '*' : plain(token)));
  return plain(messageChannel(prefix, '')) + tokens.join('.');
};
