/** What leaves a host when a turn has its place in the log, and what waits until it is on the disk. */
import { expect, test } from 'vitest';
import { Cell } from '../../../runtime/cell/cell.ts';
import { CommitQueue, type PendingTurn } from '../../../runtime/host/commit-queue.ts';
import type { EffectRunner } from '../../../runtime/host/effect-runner.ts';
import type { HostPeerLink } from '../../../runtime/host/items.ts';
import { Releaser } from '../../../runtime/host/release.ts';
import type { TimerQueue } from '../../../runtime/host/timer-queue.ts';
import { BatchWriter } from '../../../runtime/journal/batch-builder.ts';
import type { HostJournal } from '../../../runtime/journal/host-journal.ts';
import { defineBehavior } from '../../../runtime/kernel/definition.ts';
import type { Intent } from '../../../runtime/kernel/intent.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';

const idle = defineBehavior(import.meta.url, 'idle', {
  init: () => 0,
  receive: (state: number) => state,
  signal: (state: number) => state,
  save: (state: number) => state,
  load: () => 0,
  view: (state: number) => state,
});

function rig(): { commits: CommitQueue; push: (...intents: Intent[]) => void; left: string[]; asked: boolean[] } {
  const left: string[] = [];
  const asked: boolean[] = [];
  const link = {
    writable: true,
    push: (item: unknown) => left.push(`outside ${(item as readonly unknown[])[0] as string}`),
  } as unknown as HostPeerLink;
  const releaser = new Releaser({
    slot: 0,
    hosts: 1,
    outsideStream: 1_000_001,
    effects: { start: (_: Cell, id: string) => left.push(`effect ${id}`) } as unknown as EffectRunner,
    timers: { add: (_: string, id: string) => left.push(`timer ${id}`) } as unknown as TimerQueue,
    deliver: ({ to, id }: Envelope) => {
      left.push(`${to} ${id?.position}.${id?.index}`);
      return undefined;
    },
    isJournaled: (key) => !key.startsWith('unknown'),
    link: () => link,
    outside: () => link,
    pause: () => {},
    audience: () => undefined,
  });
  const journal: HostJournal = {
    newBatch: () => new BatchWriter({ slot: 0, epoch: 1, run: 1 }),
    append: (_number, _bytes, forwards) => asked.push(forwards === true),
    load: () => {},
    clean: () => {},
    close: () => {},
  };
  const commits = new CommitQueue(journal, releaser);
  let sequence = 0;
  const push = (...intents: Intent[]): void => {
    sequence += 1;
    const cell = new Cell('idle/1', idle);
    const envelope: Envelope = { to: cell.key, message: 1 };
    const turn: PendingTurn = { cell, envelope, intents, sequence, view: undefined, refused: false, error: undefined };
    commits.push(turn);
  };
  return { commits, push, left, asked };
}

const send = (to: string, durable: boolean): Intent => ({ kind: 'send', durable, envelope: { to, message: 1 } });
const reply: Intent = { kind: 'reply', to: { kind: 'outside', call: 1, run: 1 }, value: 1 };

test('Q3: messages to journaled actors leave at the acceptance, everything else after the commit, each once', () => {
  const { commits, push, left, asked } = rig();
  push(
    send('a/memory', false),
    send('a/journaled', true),
    { kind: 'effect.start', id: 'e', source: 's', input: undefined },
    { kind: 'timer.set', id: 't', dueMs: 1, payload: undefined },
    send('b/journaled', true),
  );
  commits.seal();
  push(send('c/journaled', true));
  commits.seal();
  expect(asked).toEqual([true, true]);
  expect(left).toEqual([]);

  commits.accepted(1, 10);
  expect(left.splice(0)).toEqual(['a/journaled 10.1', 'b/journaled 10.2']);
  commits.accepted(2, 11);
  expect(left.splice(0)).toEqual(['c/journaled 11.0']);
  commits.committed(1, 10);
  expect(left.splice(0)).toEqual(['a/memory 10.0', 'effect e', 'timer t']);
  commits.committed(2, 11);
  expect(left).toEqual([]);
});

test('a batch of which nothing was said is released whole', () => {
  const { commits, push, left } = rig();
  push(send('a/memory', false), send('a/journaled', true));
  commits.seal();
  commits.committed(1, 7);
  expect(left).toEqual(['a/memory 7.0', 'a/journaled 7.1']);
});

test('a message to actors whose definition is not loaded here waits for the commit: they may be in memory', () => {
  const { commits, push, left } = rig();
  push(send('unknown/1', true), send('a/journaled', true));
  commits.seal();
  commits.accepted(1, 7);
  expect(left.splice(0)).toEqual(['a/journaled 7.1']);
  commits.committed(1, 7);
  expect(left).toEqual(['unknown/1 7.0']);
});

test('nobody has to be told of the acceptance of what has nothing to forward', () => {
  const { commits, push, asked } = rig();
  push(send('a/memory', false), reply);
  commits.seal();
  push(send('a/journaled', true));
  commits.seal();
  push(reply);
  commits.seal();
  expect(asked).toEqual([false, true, false]);
});

test('what must wait for the commits before it waits for the commit, not for the acceptance', () => {
  const { commits, push } = rig();
  let ran = false;
  push(send('a/journaled', true));
  commits.after(() => (ran = true));
  commits.seal();
  commits.accepted(1, 1);
  expect(ran).toBe(false);
  commits.committed(1, 1);
  expect(ran).toBe(true);
});

test('an acceptance that comes twice, or of a batch that never was, is refused', () => {
  const { commits, push } = rig();
  push(send('a/journaled', true));
  commits.seal();
  expect(() => commits.accepted(2, 1)).toThrowError(RangeError);
  commits.accepted(1, 1);
  expect(() => commits.accepted(1, 1)).toThrowError(RangeError);
});
