/**
 * Giving a new subscription what was retained before it.
 *
 * Owns: where in the past it begins, and reading streams page by page into its queue, while what is new waits behind. How far it has come
 * is written down after each page: what is given twice around a crash is known by its id.
 */
import type { ActorHandle } from '../../kernel/actor-host.ts';
import { InvalidOptionsError, QueueFullError } from '../../kernel/errors.ts';
import type { StartFrom } from '../contract/broker-contract.ts';
import { matchesSubject } from '../subjects.ts';
import { unpackMessage } from './embedded-frame.ts';
import type { SegmentMessage, StreamMessage, StreamPage, WireMessage, WireRetained } from './embedded-protocol.ts';
import type { Route } from './embedded-route.ts';

/** What is still to be given: by the stream's pattern, the next position. */
export interface Seeding {
  readonly positions: Readonly<Record<string, number>>;
  /** Nothing that was accepted earlier. */
  readonly fromMs: number;
}

export interface SeedingPorts {
  readonly stream: (pattern: string) => Route | undefined;
  readonly segment: (stream: Route, number: number) => ActorHandle;
  /** Writes down what is left; undefined: nothing. */
  readonly progress: (left: Seeding | undefined) => Promise<void>;
}

const TIMEOUT_MS = 30_000;

/** @throws InvalidOptionsError for a position where several streams have one */
export function seedingOf(name: string, from: Exclude<StartFrom, 'now'>, streams: readonly Route[]): Seeding {
  const isPosition = typeof from === 'object' && 'position' in from;
  if (isPosition && streams.length > 1) {
    const patterns = streams.map(({ pattern }) => `"${pattern}"`).join(', ');
    throw new InvalidOptionsError(
      `subscription "${name}": from.position: its subjects are retained by ${patterns}, and a position is one in one of them: begin by { timeMs }`,
    );
  }
  const position = isPosition ? from.position : 1;
  return {
    positions: Object.fromEntries(streams.map(({ pattern }) => [pattern, position])),
    fromMs: typeof from === 'object' && 'timeMs' in from ? from.timeMs : 0,
  };
}

/** Fills the queue of `route`, which is held. */
export async function seed(route: Route, seeding: Seeding, ports: SeedingPorts): Promise<void> {
  const positions: Record<string, number> = { ...seeding.positions };
  for (const pattern of Object.keys(positions)) {
    const stream = ports.stream(pattern);
    if (stream === undefined) continue;
    let end: number | undefined;
    for (;;) {
      const position = positions[pattern] ?? 1;
      const page = await stream.queue.ask<StreamPage>({ type: 'READ', position } satisfies StreamMessage, {
        timeoutMs: TIMEOUT_MS,
      });
      // What is accepted from now on waits behind the hold as well.
      end ??= page.next;
      if (page.position >= end) break;
      const entries = await entriesOf(page, stream, ports);
      const messages = entries
        .filter(([at, atMs]) => at >= page.position && atMs >= Math.max(page.leastMs, seeding.fromMs))
        .map(([, , message]) => message)
        .filter((message) => matchesSubject(route.pattern, unpackMessage(message[5]).header.subject));
      await fill(route, messages);
      positions[pattern] = page.after;
      await ports.progress({ ...seeding, positions });
    }
  }
  await ports.progress(undefined);
}

async function entriesOf(page: StreamPage, stream: Route, ports: SeedingPorts): Promise<readonly WireRetained[]> {
  if (page.segment < 0) return page.entries;
  const taken = await ports
    .segment(stream, page.segment)
    .ask<readonly WireRetained[]>({ type: 'TAKE' } satisfies SegmentMessage, { timeoutMs: TIMEOUT_MS });
  return taken;
}

async function fill(route: Route, messages: readonly WireMessage[]): Promise<void> {
  if (messages.length === 0) return;
  const refused = await route.fill(messages);
  if (refused === 0) return;
  throw new QueueFullError(
    `subscription "${route.name}": more is retained than may wait for it: raise its waitingLimit, or let it begin later`,
  );
}

/** Whether some subject matches both patterns. */
export function patternsMeet(a: string, b: string): boolean {
  const [left, right] = [a.split('.'), b.split('.')];
  for (let at = 0; ; at++) {
    const [one, other] = [left[at], right[at]];
    if (one === '>' || other === '>') return one !== undefined && other !== undefined;
    if (one === undefined || other === undefined) return one === other;
    if (one !== other && one !== '*' && other !== '*') return false;
  }
}
