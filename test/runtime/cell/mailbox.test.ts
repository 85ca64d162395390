/** The mailbox against two plain arrays. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Mailbox } from '../../../runtime/cell/mailbox.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';

const user = (n: number): Envelope => ({ to: 'a/b', message: n });
const signal = (n: number): Envelope => ({ to: 'a/b', message: n, control: { kind: 'watch', watcher: `w/${n}` } });
const result = (n: number): Envelope => ({
  to: 'a/b',
  message: n,
  control: { kind: 'effect.done', id: 'e', output: n },
});

class Model {
  readonly user: Envelope[] = [];
  readonly signal: Envelope[] = [];
}

type Command = fc.Command<Model, Mailbox>;

const agree = (model: Model, real: Mailbox): void => {
  expect(real.length).toBe(model.user.length + model.signal.length);
  expect(real.userLength).toBe(model.user.length);
  expect(real.waiting()).toEqual([...model.signal, ...model.user]);
};

class Push implements Command {
  readonly #make: (n: number) => Envelope;
  readonly #n: number;
  constructor(kind: 'user' | 'signal' | 'result', n: number) {
    this.#make = { user, signal, result }[kind];
    this.#n = n;
  }
  check = (): boolean => true;
  run(model: Model, real: Mailbox): void {
    const envelope = this.#make(this.#n);
    (envelope.control?.kind === 'watch' ? model.signal : model.user).push(envelope);
    real.push(envelope);
    agree(model, real);
  }
  toString = (): string => 'push';
}

class Shift implements Command {
  readonly #back: boolean;
  constructor(back: boolean) {
    this.#back = back;
  }
  check = (): boolean => true;
  run(model: Model, real: Mailbox): void {
    const expected = model.signal.shift() ?? model.user.shift();
    const envelope = real.shift();
    expect(envelope).toBe(expected);
    if (envelope !== undefined && this.#back) {
      (envelope.control?.kind === 'watch' ? model.signal : model.user).unshift(envelope);
      real.putBack(envelope);
    }
    agree(model, real);
  }
  toString = (): string => `shift${this.#back ? ' and put back' : ''}`;
}

class Unshift implements Command {
  readonly #count: number;
  constructor(count: number) {
    this.#count = count;
  }
  check = (): boolean => true;
  run(model: Model, real: Mailbox): void {
    const envelopes = Array.from({ length: this.#count }, (_, i) => user(-i));
    model.user.unshift(...envelopes);
    real.unshift(envelopes);
    agree(model, real);
  }
  toString = (): string => `unshift ${this.#count}`;
}

test('two lanes, first in first out each, signals first; put back and unshift', () => {
  const commands = fc.commands(
    [
      fc
        .tuple(fc.constantFrom('user' as const, 'signal' as const, 'result' as const), fc.nat())
        .map(([kind, n]) => new Push(kind, n)),
      fc.boolean().map((back) => new Shift(back)),
      fc.nat(3).map((count) => new Unshift(count)),
    ],
    { maxCommands: 100 },
  );
  fc.assert(
    fc.property(commands, (list) => fc.modelRun(() => ({ model: new Model(), real: new Mailbox() }), list)),
    { numRuns: 500 },
  );
});

test('a long queue that is emptied from the front keeps its order over every compaction', () => {
  const mailbox = new Mailbox();
  let pushed = 0;
  let shifted = 0;
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 700; i++) mailbox.push(user((pushed += 1)));
    for (let i = 0; i < 650; i++) expect(mailbox.shift()?.message).toBe((shifted += 1));
  }
  expect(mailbox.length).toBe(pushed - shifted);
});
