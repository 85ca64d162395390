/** The door of the control plane: what comlink would do for whoever holds the other end of the port. */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { type HostControl, serveControl } from '../../runtime/host/control-plane.ts';
import { type Door, fault, PASSED, REFUSED } from './door.ts';
import type { Dice } from './dice.ts';

const NAMES: readonly unknown[] = [
  'stats',
  'stop',
  'load',
  'begin',
  'linkDown',
  '__proto__',
  'constructor',
  'prototype',
  'polluted',
  'call',
  'apply',
  'bind',
  'toString',
  0,
  null,
  {},
];

const TYPES: readonly unknown[] = ['GET', 'SET', 'APPLY', 'CONSTRUCT', 'ENDPOINT', 'RELEASE', 'apply', 5, undefined];

const ARGUMENTS: readonly unknown[] = [
  { type: 'RAW', value: 'globalThis.hostileCode = true' },
  { type: 'RAW', value: { a: 1 } },
  { type: 'HANDLER', name: 'throw', value: { isError: true, value: { message: 'x' } } },
  { type: 'HANDLER', name: 'proxy', value: 5 },
  { type: 'HANDLER', name: '__proto__', value: 5 },
  null,
  5,
];

function hostileCall(dice: Dice): unknown {
  if (dice.chance(0.05)) return dice.pick([null, undefined, 0, 'APPLY', [], {}, { type: 'APPLY' }]);
  const path: unknown = dice.chance(0.1)
    ? dice.pick([5, 'stats', null, { length: 2 }])
    : Array.from({ length: dice.below(4) }, () => dice.pick(NAMES));
  const list: unknown = dice.chance(0.1)
    ? dice.pick([5, {}, 'x'])
    : Array.from({ length: dice.below(3) }, () => dice.pick(ARGUMENTS));
  return {
    id: dice.pick(['1', 1, {}, undefined]),
    type: dice.pick(TYPES),
    path,
    argumentList: list,
    value: dice.pick(ARGUMENTS),
  };
}

/** A port that delivers at once, and keeps what is answered. */
class HeldControlPort {
  readonly answers: unknown[] = [];
  #listener: ((message: unknown) => void) | undefined;
  on(_event: string, listener: (message: unknown) => void): void {
    this.#listener = listener;
  }
  off(): void {}
  start(): void {}
  postMessage(message: unknown): void {
    // A port clones: what cannot be cloned throws here too.
    this.answers.push(structuredClone(message));
  }
  deliver(message: unknown): void {
    this.#listener?.(message);
  }
}

export function controlDoor(): Door {
  return {
    name: 'control',
    share: 0.5,
    async attack(dice) {
      const port = new HeldControlPort();
      const called: string[] = [];
      const control = Object.fromEntries(
        ['load', 'linkUp', 'linkDown', 'begin', 'drained', 'stats', 'stop'].map((name) => [
          name,
          () => void called.push(name),
        ]),
      ) as unknown as HostControl;
      serveControl(port as unknown as MessagePort, control);
      const message = hostileCall(dice);
      try {
        port.deliver(message);
      } catch (error) {
        return fault(`the control plane threw ${String(error)} at ${JSON.stringify(message)}`);
      }
      await turnOfTheLoop();
      if ('hostileCode' in globalThis) {
        Reflect.deleteProperty(globalThis, 'hostileCode');
        return fault(`text from the port was run: ${JSON.stringify(message)}`);
      }
      // Whoever holds the port may make the calls, and nothing else: neither read nor write nor construct.
      const answered = port.answers.some((answer) => !isAnswerOfCall(answer));
      if (answered) return fault(`it answered ${JSON.stringify(port.answers)} to ${JSON.stringify(message)}`);
      // The next caller is served as before.
      const before = called.length;
      port.deliver({ id: 'sound', type: 'APPLY', path: ['stats'], argumentList: [] });
      await turnOfTheLoop();
      if (called.length !== before + 1) return fault(`nothing is served after ${JSON.stringify(message)}`);
      return before > 0 ? PASSED : REFUSED;
    },
  };
}

/** `serveControl` answers every call with `{ value }` or `{ error }`. */
function isAnswerOfCall(answer: unknown): boolean {
  const { type, value } = answer as { readonly type?: unknown; readonly value?: unknown };
  return type === 'RAW' && typeof value === 'object' && value !== null && ('value' in value || 'error' in value);
}
