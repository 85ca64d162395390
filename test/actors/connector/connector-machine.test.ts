/** The connector's chart against a model of it, and as a durable actor: over restarts, under supervision. */
import fc from 'fast-check';
import { createActor, type SnapshotFrom } from 'xstate';
import { describe, expect, test } from 'vitest';
import { connector, connectorChild } from '../../../actors/connector/connector-actor.ts';
import {
  connectorMachine,
  type ConnectorMachineEvent,
  type ConnectorState,
  DEFAULT_SETTINGS,
  stateOf,
  workOf,
} from '../../../actors/connector/connector-machine.ts';
import { SystemConnector } from '../../../actors/connector/system-connector.ts';
import { handlerTransport } from '../../../actors/connector/handler-transport.ts';
import { ActorSystem, type Definition } from '../../../runtime/index.ts';
import { edge } from '../../support/actors/edge.ts';
import { MemoryBroker } from '../../support/memory-broker.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, until } from '../../support/until.ts';

/** XState's own clock for tests, small: the model moves it. */
class Clock {
  nowMs = 0;
  #next = 1;
  readonly #timers = new Map<number, { readonly atMs: number; readonly fire: () => void }>();
  readonly setTimeout = (fire: () => void, ms: number): number => {
    this.#timers.set(this.#next, { atMs: this.nowMs + ms, fire });
    return this.#next++;
  };
  readonly clearTimeout = (id: number): void => void this.#timers.delete(id);

  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const due = [...this.#timers]
        .filter(([, { atMs }]) => atMs <= endMs)
        .sort((a, b) => a[1].atMs - b[1].atMs || a[0] - b[0])[0];
      if (due === undefined) break;
      this.#timers.delete(due[0]);
      this.nowMs = due[1].atMs;
      due[1].fire();
    }
    this.nowMs = endMs;
  }
}

const settings = {
  ...DEFAULT_SETTINGS,
  checkEveryMs: 100,
  checkTimeoutMs: 50,
  connectTimeoutMs: 80,
  lostAfterChecks: 3,
  backoff: { initialMs: 10, maxMs: 40, jitter: 'none' as const },
};

/** What the chart is to be, in a few lines of another kind: written from the documentation, not from the chart. */
class Model {
  state: ConnectorState = 'disconnected';
  round = 0;
  failedTries = 0;
  failedChecks = 0;
  isFaulty = false;
  /** When what goes on by itself does so. */
  wakesMs = Number.POSITIVE_INFINITY;
  checking = false;

  get online(): boolean {
    return this.state === 'connected' || this.state === 'degraded';
  }

  tell(event: ConnectorMachineEvent, nowMs: number): void {
    switch (event.type) {
      case 'STOP':
        return this.#rest('stopped');
      case 'RELEASE':
        if (this.state !== 'stopped') this.#rest('disconnected');
        return;
      case 'ATTACH':
        if (this.state !== 'stopped') this.#rest('disconnected');
        return;
      case 'CONNECT':
        if (!this.online && this.state !== 'connecting') this.#connect(nowMs);
        return;
      case 'OPENED':
        if (this.state === 'connecting' && event.round === this.round) this.#goOnline(nowMs);
        return;
      case 'FAILED':
        if (this.state === 'connecting' && event.round === this.round) this.#backOff(nowMs, event.retryAfterMs);
        return;
      case 'LOST':
        if (this.online) this.#backOff(nowMs, event.retryAfterMs);
        return;
      case 'HEALTHY':
      case 'UNHEALTHY':
        if (this.checking && event.round === this.round) {
          this.#checked(event.type === 'HEALTHY', nowMs, 'retryAfterMs' in event ? event.retryAfterMs : 0);
        }
        return;
      case 'FAULTY':
      case 'CALM':
        if (this.online) this.isFaulty = event.type === 'FAULTY';
        return this.#judge();
    }
  }

  advance(toMs: number): void {
    while (this.wakesMs <= toMs) {
      const nowMs = this.wakesMs;
      if (this.state === 'connecting') this.#backOff(nowMs, 0);
      else if (this.state === 'backingOff') this.#connect(nowMs);
      else if (this.checking) this.#checked(false, nowMs);
      else {
        this.checking = true;
        this.round += 1;
        this.wakesMs = nowMs + settings.checkTimeoutMs;
      }
    }
  }

  #rest(state: ConnectorState): void {
    this.state = state;
    this.checking = false;
    this.wakesMs = Number.POSITIVE_INFINITY;
    if (state === 'disconnected') this.failedTries = 0;
  }

  #connect(nowMs: number): void {
    this.state = 'connecting';
    this.round += 1;
    this.wakesMs = nowMs + settings.connectTimeoutMs;
  }

  #goOnline(nowMs: number): void {
    this.state = 'connected';
    this.failedTries = 0;
    this.failedChecks = 0;
    this.isFaulty = false;
    this.wakesMs = nowMs + settings.checkEveryMs;
  }

  #backOff(nowMs: number, retryAfterMs = 0): void {
    this.state = 'backingOff';
    this.checking = false;
    this.failedTries += 1;
    this.wakesMs = nowMs + Math.max(retryAfterMs, Math.min(40, 10 * 2 ** (this.failedTries - 1)));
  }

  #checked(passed: boolean, nowMs: number, retryAfterMs = 0): void {
    this.checking = false;
    this.failedChecks = passed ? 0 : this.failedChecks + 1;
    if (this.failedChecks >= settings.lostAfterChecks) return this.#backOff(nowMs, retryAfterMs);
    this.wakesMs = nowMs + settings.checkEveryMs;
    this.#judge();
  }

  #judge(): void {
    if (this.online) this.state = this.failedChecks > 0 || this.isFaulty ? 'degraded' : 'connected';
  }
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant('tell' as const),
    type: fc.constantFrom('CONNECT', 'CONNECT', 'STOP', 'RELEASE', 'ATTACH', 'FAULTY', 'CALM', 'LOST'),
  }),
  fc.record({
    kind: fc.constant('answer' as const),
    type: fc.constantFrom('OPENED', 'OPENED', 'FAILED', 'HEALTHY', 'UNHEALTHY'),
    late: fc.integer({ min: 0, max: 3 }).map((n) => n === 3),
    retryAfterMs: fc.constantFrom(0, 0, 70),
  }),
  fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 130 }) }),
);

test('the chart does what the model does, through any events, late answers and times', () => {
  const seen = new Set<ConnectorState>();
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const clock = new Clock();
      let actor = createActor(connectorMachine, { input: { id: 'billing', ...settings }, clock });
      actor.start();
      const model = new Model();
      for (const one of steps) {
        if (one.kind === 'advance') {
          clock.advance(one.ms);
          model.advance(clock.nowMs);
        } else {
          const round = model.round - (one.kind === 'answer' && one.late ? 1 : 0);
          const event = { reason: 'r', settings, ...one, kind: undefined, round } as unknown as ConnectorMachineEvent;
          actor.send(event);
          model.tell(event, clock.nowMs);
        }
        const snapshot: SnapshotFrom<typeof connectorMachine> = actor.getSnapshot();
        const view = { tags: [...snapshot.tags], context: snapshot.context };
        const work = workOf(view);
        expect({ state: stateOf(view), round: view.context.round, work: work.kind }).toEqual({
          state: model.state,
          round: model.round,
          work: model.state === 'connecting' ? 'open' : model.checking ? 'check' : 'none',
        });
        seen.add(model.state);
      }
      actor.stop();
      actor = undefined as never;
    }),
    { numRuns: 400 },
  );
  expect([...seen].sort()).toEqual(['backingOff', 'connected', 'connecting', 'degraded', 'disconnected', 'stopped']);
});

describe('as a durable actor', () => {
  const MODULES = [connector.module, edge.module];

  test('one that was stopped stays stopped over a restart; one that was connected connects again', async () => {
    await using dir = await tmpDir('connector');
    const broker = new MemoryBroker();
    {
      await using system = await ActorSystem.start({ dataDir: dir.path, threads: 1, actors: MODULES });
      await using orders = await SystemConnector.start('orders', { broker, system });
      await using billing = await SystemConnector.start('billing', { broker, system });
      await billing.onCommand('charge', () => 'charged');
      expect([orders.state, billing.state]).toEqual(['connected', 'connected']);
      await billing.disconnect();
    }
    await using system = await ActorSystem.start({ dataDir: dir.path, threads: 1, actors: MODULES });
    await using orders = await SystemConnector.start('orders', { broker, system });
    await using billing = await SystemConnector.start('billing', { broker, system });
    expect([orders.state, billing.state]).toEqual(['connected', 'stopped']);
    expect(await codeOf(billing.onQuery('balance', () => 7))).toBe('CONNECTOR_UNAVAILABLE');
    await billing.connect();
    await billing.onCommand('charge', () => 'charged');
    expect(await orders.sendCommand('billing', 'charge', {}, { reply: true })).toBe('charged');
    const turns = await system.history({ key: 'connector/billing' }).turns();
    expect(turns.length).toBeGreaterThan(5);
  });

  test('a target that has an actor is known, though nobody takes its commands', async () => {
    const broker = new MemoryBroker();
    await using system = await ActorSystem.start({ threads: 0, actors: MODULES });
    await system.spawn(connector as Definition, { id: 'archive' });
    await using orders = await SystemConnector.start('orders', { broker, system });
    expect(await codeOf(orders.sendCommand('archive', 'store'))).toBe('NO_SUBSCRIBER');
    expect(await codeOf(orders.sendCommand('attic', 'store'))).toBe('UNKNOWN_TARGET');
  });

  test('in a supervision tree: found there, and looked after when its actor is started anew', async () => {
    const broker = new MemoryBroker();
    await using system = await ActorSystem.start({ threads: 1, actors: MODULES });
    await system.spawn(edge, { id: 'edge' });
    const child = await until('the child', async () => {
      const sight = await system.refOf('connector/billing').snapshot();
      return sight.status !== 'absent' && sight;
    });
    expect(stateOf(child.view as never)).toBe('disconnected');
    const transport = handlerTransport({ commands: { charge: () => 'charged' } });
    await using billing = await SystemConnector.start('billing', { broker, system, transport });
    await using orders = await SystemConnector.start('orders', { broker, system });
    expect(await orders.sendCommand('billing', 'charge', {}, { reply: true })).toBe('charged');
    const gone: string[] = [];
    void (async () => {
      for await (const event of billing.events()) gone.push(event.kind === 'state' ? event.to : event.kind);
    })();
    await system.refOf('connector/billing').stop({ kill: true });
    await until('the end', () => gone.includes('disconnected') && gone.includes('trouble'));
    await until('the return', () => billing.state === 'connected');
    expect(await orders.sendCommand('billing', 'charge', {}, { reply: true })).toBe('charged');
    expect(billing.health().connections).toBe(2);
  });

  test('the child spec has its faults named', () => {
    expect(() => connectorChild('a.b')).toThrow(/is no id of a system/);
    expect(connectorChild('billing', { checkEveryMs: 1_000, restart: 'transient' })).toMatchObject({
      id: 'billing',
      restart: 'transient',
      actor: { id: 'billing', input: { checkEveryMs: 1_000 } },
    });
  });
});
