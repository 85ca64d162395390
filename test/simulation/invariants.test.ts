/** The model itself: a good history passes, and each way of being bad is found by the rule that is there for it. */
import { expect, test } from 'vitest';
import type { Envelope } from '../../runtime/kernel/message.ts';
import type { History, LoggedTurn, OutsideEvent } from '../../runtime/testing/history.ts';
import { checkHistory } from '../../runtime/testing/invariants.ts';

const RUN = 1;
const OUTSIDE = 65_536 + RUN;

/** A turn with what is left out filled in. Positions begin at 1. */
function turn(
  position: number,
  key: string,
  sequence: number,
  part: Partial<LoggedTurn> & { envelope: Envelope },
): LoggedTurn {
  return {
    key,
    sequence,
    position,
    slot: 0,
    timeMs: 1_000 + position,
    outcome: 'handled',
    intents: [],
    version: 1,
    obliged: false,
    ...part,
  };
}

const told = (to: string, call: number, message: unknown): Envelope => ({
  to,
  message,
  id: { stream: OUTSIDE, position: call, index: 0 },
});
const sent = (to: string, position: number, index: number, message: unknown): Envelope => ({
  to,
  message,
  from: 'a/1',
  id: { stream: 0, position, index },
});
const outsideSent = (call: number, to: string, ask = false, idempotencyKey?: string): OutsideEvent => ({
  kind: 'sent',
  run: RUN,
  call,
  atMs: 0,
  to,
  ask,
  control: undefined,
  idempotencyKey,
});

/** Call 1 tells a/1, which sends to b/1 twice; call 2 asks b/1 under a key; a/1 has set a timer and started an effect, and asked b/1. */
function good(): History {
  const turns: LoggedTurn[] = [
    turn(1, 'a/1', 1, {
      envelope: told('a/1', 1, 'go'),
      intents: [
        { kind: 'send', envelope: { to: 'b/1', message: 'one', from: 'a/1' }, durable: true },
        { kind: 'send', envelope: { to: 'b/1', message: 'two', from: 'a/1' }, durable: true },
        { kind: 'timer.set', id: 't', dueMs: 1_002, payload: null },
        { kind: 'effect.start', id: 'e', source: 'call', input: null },
        {
          kind: 'send',
          envelope: { to: 'b/1', message: 'ask', from: 'a/1', replyTo: { kind: 'cell', key: 'a/1', ask: 'q' } },
          durable: true,
        },
      ],
    }),
    turn(2, 'b/1', 1, { envelope: sent('b/1', 1, 0, 'one') }),
    turn(3, 'b/1', 2, { envelope: sent('b/1', 1, 1, 'two') }),
    turn(4, 'a/1', 2, { envelope: { to: 'a/1', message: undefined, control: { kind: 'timer', id: 't', armed: 1 } } }),
    turn(5, 'a/1', 3, {
      envelope: { to: 'a/1', message: undefined, control: { kind: 'effect.done', id: 'e', output: 1 } },
    }),
    turn(6, 'b/1', 3, {
      envelope: sent('b/1', 1, 2, 'ask'),
      intents: [
        {
          kind: 'send',
          envelope: { to: 'a/1', message: undefined, control: { kind: 'reply', ask: 'q', value: 7 }, from: 'b/1' },
          durable: true,
        },
      ],
    }),
    turn(7, 'a/1', 4, {
      envelope: {
        to: 'a/1',
        message: undefined,
        control: { kind: 'reply', ask: 'q', value: 7 },
        from: 'b/1',
        id: { stream: 0, position: 6, index: 0 },
      },
    }),
    turn(8, 'b/1', 4, {
      envelope: { ...told('b/1', 2, 'pay'), idempotencyKey: 'k' },
      intents: [{ kind: 'reply', to: { kind: 'outside', call: 2, run: RUN }, value: 'paid', idempotencyKey: 'k' }],
    }),
  ];
  return {
    outside: [
      outsideSent(1, 'a/1'),
      { kind: 'receipt', run: RUN, call: 1, atMs: 1 },
      outsideSent(2, 'b/1', true, 'k'),
      { kind: 'reply', run: RUN, call: 2, atMs: 2, value: 'paid' },
    ],
    turns,
    actors: [
      { key: 'a/1', status: 'running', sequence: 4, view: { n: 4 } },
      { key: 'b/1', status: 'running', sequence: 4, view: { n: 4 } },
    ],
    folded: [
      { key: 'a/1', status: 'running', sequence: 4, view: { n: 4 } },
      { key: 'b/1', status: 'running', sequence: 4, view: { n: 4 } },
    ],
    deadLetters: [],
    settled: true,
    endMs: 1_000_000,
    isDurable: () => true,
    isCall: () => true,
  };
}

/** The good history with the turn at `position` changed; null takes it out, and what follows moves up. */
function withTurn(position: number, change: Partial<LoggedTurn> | null): History {
  const history = good();
  const turns = history.turns.flatMap((one) =>
    one.position !== position ? [one] : change === null ? [] : [{ ...one, ...change }],
  );
  return { ...history, turns };
}

test('a good history is good', () => {
  expect(checkHistory(good())).toEqual([]);
});

const at = (position: number): LoggedTurn => good().turns[position - 1] as LoggedTurn;

const BAD: readonly (readonly [what: string, rule: string, history: () => History])[] = [
  ['a turn is missing', 'dense', () => withTurn(3, null)],
  ['a turn has the number of another', 'dense', () => withTurn(3, { sequence: 1 })],
  ['a message is handled twice', 'once', () => withTurn(3, { envelope: at(2).envelope })],
  [
    'two messages change places',
    'once',
    () => {
      const history = withTurn(2, { envelope: at(3).envelope });
      return {
        ...history,
        turns: history.turns.map((one) => (one.position === 3 ? { ...one, envelope: at(2).envelope } : one)),
      };
    },
  ],
  ['a message was sent by nobody', 'origin', () => withTurn(2, { envelope: sent('b/1', 1, 9, 'one') })],
  [
    'a message was sent to somebody else',
    'origin',
    () => {
      const history = good();
      return {
        ...history,
        turns: history.turns.map((one) => (one.position === 2 ? { ...one, key: 'c/1', sequence: 1 } : one)),
      };
    },
  ],
  ['a message is not what was sent', 'origin', () => withTurn(2, { envelope: sent('b/1', 1, 0, 'eins') })],
  ['a message is handled before it is sent', 'origin', () => withTurn(2, { envelope: sent('b/1', 6, 0, 'one') })],
  ['a message vanishes', 'lost', () => withTurn(3, { envelope: told('b/1', 9, 'other') })],
  ['a receipt for nothing', 'acknowledged', () => withTurn(1, { envelope: told('a/1', 99, 'go') })],
  [
    'an answer that is in no turn',
    'acknowledged',
    () => {
      const history = good();
      const outside = [
        ...history.outside,
        outsideSent(3, 'a/1', true),
        { kind: 'reply', run: RUN, call: 3, atMs: 3, value: 1 } as const,
      ];
      return { ...history, outside };
    },
  ],
  [
    'an answer that is another than the recorded one',
    'acknowledged',
    () => ({
      ...good(),
      outside: [outsideSent(2, 'b/1', true, 'k'), { kind: 'reply', run: RUN, call: 2, atMs: 2, value: 'not paid' }],
    }),
  ],
  [
    'one key, two answers',
    'answered',
    () => ({
      ...good(),
      outside: [
        ...good().outside,
        outsideSent(4, 'b/1', true, 'k'),
        { kind: 'reply', run: RUN, call: 4, atMs: 4, value: 'paid again' },
      ],
    }),
  ],
  [
    'one key, handled twice',
    'answered',
    () => withTurn(3, { envelope: { ...told('b/1', 1, 'pay'), idempotencyKey: 'k' } }),
  ],
  ['one call, answered twice', 'answered', () => withTurn(3, { intents: at(8).intents })],
  [
    'another state than the turns make',
    'fold',
    () => ({
      ...good(),
      actors: good().actors.map((actor) => ({ ...actor, view: { n: 5 } })),
    }),
  ],
  [
    'turns that the actor does not know of',
    'fold',
    () => ({
      ...good(),
      actors: good().actors.map((actor) => ({ ...actor, sequence: 3 })),
    }),
  ],
  [
    'stopped, though nothing stopped it',
    'fold',
    () => ({
      ...good(),
      actors: good().actors.map((actor) => ({ ...actor, status: 'stopped' as const })),
    }),
  ],
  [
    'blocked in the end',
    'stranded',
    () => ({
      ...good(),
      actors: good().actors.map((actor) => ({ ...actor, status: 'blocked' as const })),
    }),
  ],
  ['a timer fires early', 'timer', () => withTurn(4, { timeMs: 1_001 })],
  ['a timer fires twice', 'timer', () => withTurn(5, { envelope: at(4).envelope })],
  [
    'a timer fires that was set again',
    'timer',
    () =>
      withTurn(4, {
        envelope: { to: 'a/1', message: undefined, control: { kind: 'timer', id: 't', armed: 9 } },
      }),
  ],
  ['a timer never fires', 'timer', () => withTurn(4, { envelope: told('a/1', 9, 'other') })],
  ['an effect ends twice', 'effect', () => withTurn(4, { envelope: at(5).envelope })],
  ['an effect never ends', 'effect', () => withTurn(5, { envelope: told('a/1', 9, 'other') })],
  ['a request is answered twice', 'ask', () => withTurn(5, { envelope: { ...at(7).envelope, id: undefined } })],
  ['a request has no outcome', 'ask', () => withTurn(7, { envelope: told('a/1', 9, 'other') })],
];

test.each(BAD)('%s: %s', (_what, rule, history) => {
  expect(checkHistory(history()).map((violation) => violation.rule)).toContain(rule);
});

test('what was acknowledged before the power failed may be gone, what was said after it may not', () => {
  const lossy = (crashAt: number): History => {
    const history = withTurn(1, { envelope: told('a/1', 99, 'go') });
    const outside: OutsideEvent[] = [...history.outside];
    outside.splice(crashAt, 0, { kind: 'crashed', where: 'a test', lostCommits: 3, atMs: 5 });
    return { ...history, outside };
  };
  expect(checkHistory(lossy(2)).map(({ rule }) => rule)).not.toContain('acknowledged');
  expect(checkHistory(lossy(0)).map(({ rule }) => rule)).toContain('acknowledged');
});

test('before everything has come to rest, nothing can be said to have vanished', () => {
  const history = { ...withTurn(3, { envelope: told('b/1', 9, 'other') }), settled: false };
  expect(checkHistory(history).map(({ rule }) => rule)).not.toContain('lost');
});
