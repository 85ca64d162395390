/**
 * Loaded into every thread of the flooded process before anything else (`--import`): when asked, the thread gives back what it does
 * not need, and says what is alive on its heap.
 *
 * Owns: the thread's end of the question. Who asks is `process-memory.ts`.
 *
 * Invariants:
 * TM1. A thread that starts while a question is open hears it: it says that it is there, and is asked again.
 */
import { threadId } from 'node:worker_threads';

export const CHANNEL = 'what threads hold';

export type Asked = { readonly kind: 'ask'; readonly number: number };
export type Said =
  | { readonly kind: 'here' }
  | { readonly kind: 'heap'; readonly number: number; readonly thread: number; readonly usedBytes: number };

/** With --expose-gc. The last resort is what V8 does before it gives up: it keeps no free page, and no code that was not used lately. */
type Collect = (how: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;
const { gc } = globalThis as { gc?: Collect };

const channel = new BroadcastChannel(CHANNEL);
const say = (said: Said): void => channel.postMessage(said);
channel.onmessage = ({ data }): void => {
  const asked = data as Asked | Said;
  if (asked.kind !== 'ask') return;
  gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  const usedBytes = process.memoryUsage().heapUsed;
  say({ kind: 'heap', number: asked.number, thread: threadId, usedBytes });
};
channel.unref();
say({ kind: 'here' });
