/** The door to XState's insides: what a version of XState asks of us, written down, so that a new one that asks for more is noticed. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import {
  type AnyActorLogic,
  assign,
  createActor,
  createMachine,
  fromCallback,
  fromEventObservable,
  fromObservable,
  fromPromise,
  fromTransition,
  setup,
} from 'xstate';
import { expect, test } from 'vitest';
import { effect } from '../../actors/machine/effect-logic.ts';
import { hostedSystem } from '../../actors/machine/hosted-system.ts';
import { adopt, MachineRef } from '../../actors/machine/machine-ref.ts';
import { fired, NO_TIMERS, timerIdFor, timerOf, withoutTimer, withTimer } from '../../actors/machine/pending-timers.ts';
import { kindOfLogic } from '../../actors/machine/xstate-internals.ts';
import { Reference } from '../../runtime/kernel/reference.ts';

test('the version is the one that this was written for', () => {
  const path = createRequire(import.meta.url).resolve('xstate/package.json');
  expect((JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version).toMatch(/^5\.33\./);
});

/** What is read of an object, by name. */
function watched<TObject extends object>(object: TObject): { proxy: TObject; read: Set<string> } {
  const read = new Set<string>();
  const proxy = new Proxy(object, {
    get: (target, name, receiver) => {
      if (typeof name === 'string') read.add(name);
      return Reflect.get(target, name, receiver) as unknown;
    },
  });
  return { proxy, read };
}

test('a child asks of its parent and the system what we know, and is ours before it has a state', () => {
  const initial = { asked: false };
  const logic = {
    ...fromTransition((state: object) => state, {}),
    getInitialSnapshot: () => {
      initial.asked = true;
      return { status: 'active', output: undefined, error: undefined, context: {} };
    },
  };
  const system = watched({
    ...hostedSystem,
    _bookId: () => 'x:7',
    _sendInspectionEvent: ({ type, actorRef }: { type: string; actorRef?: unknown }) => {
      expect(type).toBe('@xstate.actor');
      adopt(actorRef as never, 'def/1~kid');
    },
  });
  const parent = watched({ system: system.proxy });
  const child = createActor(
    logic as unknown as AnyActorLogic,
    { id: 'kid', parent: parent.proxy, systemId: 's', src: 'kid', input: 1 } as never,
  );
  expect([...system.read].sort()).toEqual(['_bookId', '_clock', '_logger', '_sendInspectionEvent']);
  expect([...parent.read]).toEqual(['system']);
  expect(initial.asked).toBe(false);
  expect(child).toBeInstanceOf(MachineRef);
  expect(child).toBeInstanceOf(Reference);
  expect(Object.entries(child)).toEqual([
    ['key', 'def/1~kid'],
    ['id', 'kid'],
  ]);
});

test('a machine asks of its scope what we know', () => {
  const kid = createMachine({ id: 'kid' });
  const machine = setup({ actors: { kid } }).createMachine({
    id: 'm',
    context: ({ self, spawn }) => ({ self, kid: spawn('kid', { id: 'a' }) }),
    invoke: { id: 'b', src: 'kid' },
    on: { GO: { actions: assign({ self: ({ self }) => self }) } },
  });
  const system = { ...hostedSystem, _bookId: () => 'x:0', _sendInspectionEvent: () => {} };
  const self = watched({ key: 'def/1', id: '1', sessionId: 'def/1', system, _parent: undefined });
  const scope = watched({
    self: self.proxy,
    id: '',
    sessionId: '',
    system,
    logger: () => {},
    defer: () => {},
    emit: () => {},
    stopChild: () => {},
    actionExecutor: () => {},
  });
  const first = machine.getInitialSnapshot(scope.proxy as never, undefined);
  machine.transition(first, { type: 'GO' }, scope.proxy as never);
  expect([...scope.read].sort()).toEqual(['actionExecutor', 'defer', 'self', 'system']);
  expect([...self.read]).toEqual(['system']);
});

test('kinds of logic are told apart', () => {
  const kinds = {
    machine: createMachine({}),
    transition: fromTransition((state: number) => state, 0),
    promise: fromPromise(async () => 1),
    source: fromCallback(() => {}),
  };
  expect(Object.values(kinds).map(kindOfLogic)).toEqual(Object.keys(kinds));
  expect(kindOfLogic(effect(async () => 1))).toBe('promise');
  for (const logic of [fromObservable(() => ({}) as never), fromEventObservable(() => ({}) as never)])
    expect(kindOfLogic(logic)).toBe('source');
  for (const none of [undefined, null, 1, {}, () => {}, { transition: () => {} }])
    expect(kindOfLogic(none)).toBeUndefined();
});

test('waiting timers: the newest of an id can be cancelled, until any of them has fired', () => {
  let booked = 0;
  const book = (): number => booked++;
  let timers = NO_TIMERS;
  const set = (id: string): string => {
    const timerId = timerIdFor(timers, id, book);
    timers = withTimer(timers, timerId, id);
    return timerId;
  };
  const [first, second] = [set('a'), set('a')];
  expect([first, second, timerOf(timers, 'a')]).toEqual(['a', 'a:0', 'a:0']);
  timers = withoutTimer(timers, second);
  expect(timerOf(timers, 'a')).toBeUndefined();
  const third = set('a');
  expect(third).toBe('a:1');
  timers = fired(timers, first, 'a');
  expect(timerOf(timers, 'a')).toBeUndefined();
  // Its key is still taken: it waits.
  expect([...timers.keys()]).toEqual(['a:1']);
  expect(set('a')).toBe('a');
  timers = fired(fired(timers, 'a', 'a'), third, 'a');
  expect(timers).toBe(NO_TIMERS);
});
