/** Replacing hosts, with hosts that die when the test says so: at every step of a replacement too. */
import { expect, test } from 'vitest';
import type { Beginning } from '../../../runtime/host/host-shell.ts';
import type { JournalControl, Recovery } from '../../../runtime/journal/journal-control.ts';
import { ControlTimeoutError, DefinitionModuleError, HostLostError } from '../../../runtime/kernel/errors.ts';
import { systemClock } from '../../../runtime/kernel/clock.ts';
import { Fleet, type HostHandle } from '../../../runtime/system/fleet.ts';
import type { HostLoss } from '../../../runtime/system/topology.ts';
import { createLocalFramePorts } from '../../../runtime/transport/local-frame-port.ts';
import { until } from '../../support/until.ts';

type Plan = 'live' | Error;

class FakeHost implements HostHandle<string> {
  readonly slot: number;
  readonly epoch: number;
  readonly outside = createLocalFramePorts(systemClock)[0];
  readonly lost: Promise<HostLoss>;
  die: (loss: HostLoss) => void = () => {};
  begun: Beginning | undefined;
  terminated = false;
  readonly links: string[] = [];
  readonly #plan: Plan;

  constructor(slot: number, epoch: number, plan: Plan) {
    this.slot = slot;
    this.epoch = epoch;
    this.#plan = plan;
    this.lost = new Promise((resolve) => {
      this.die = resolve;
    });
  }

  async load(): Promise<void> {
    if (this.#plan !== 'live') throw this.#plan;
  }
  async linkUp(slot: number, _port: string, from: number): Promise<void> {
    this.links.push(`up ${slot} from ${from}`);
  }
  async linkDown(slot: number): Promise<void> {
    this.links.push(`down ${slot}`);
  }
  async begin(beginning: Beginning): Promise<void> {
    this.begun = beginning;
  }
  async drained(): Promise<void> {}
  async stats(): Promise<never> {
    throw new Error('not asked');
  }
  async stop(): Promise<void> {
    this.terminated = true;
  }
  async terminate(): Promise<void> {
    this.terminated = true;
  }
}

const recovery: Recovery = { end: 40, wake: ['a/b'], resend: [], answers: [] };

const rig = (plans: Plan[] = [], recoveries: (Recovery | Promise<never>)[] = []) => {
  const hosts: FakeHost[] = [];
  const told: string[] = [];
  const answered: number[] = [];
  const fenced: string[] = [];
  const journal = {
    fence: async (slot: number, epoch: number) => void fenced.push(`${slot}:${epoch}`),
    recover: async () => recoveries.shift() ?? recovery,
  } as unknown as JournalControl;
  const fleet = new Fleet<string>({
    clock: systemClock,
    hosts: 2,
    journal,
    events: {
      items: () => {},
      refused: () => {},
      replaced(slot, { answers }) {
        told.push(`replaced ${slot}, ${fleet.link(slot) === undefined ? 'no link' : 'link'}`);
        for (const { to } of answers) if (to.kind === 'outside') answered.push(to.call);
      },
      lost: (slot, loss) =>
        void told.push(`lost ${slot} ${loss.kind}, ${fleet.link(slot) === undefined ? 'no link' : 'link'}`),
      failed: (error) => void told.push(`failed ${error.message}`),
    },
    channel: () => ['near', 'far'],
    start: async (slot, epoch) => {
      const host = new FakeHost(slot, epoch, hosts.length < 2 ? 'live' : (plans.shift() ?? 'live'));
      hosts.push(host);
      return host;
    },
  });
  const living = (slot: number): FakeHost => {
    const host = hosts.findLast((each) => each.slot === slot);
    if (host === undefined) throw new Error('no host');
    return host;
  };
  return { fleet, hosts, told, answered, fenced, living };
};

const exit: HostLoss = { kind: 'exit', message: 'gone' };

test('fenced, unlinked, recovered, linked from the end of the recovery on, begun; no link for callers until then', async () => {
  const { fleet, told, fenced, living, hosts } = rig();
  await fleet.start(['file:///m.ts']);
  living(0).die(exit);
  await until('the replacement', () => told.length === 2);
  expect(told).toEqual(['lost 0 exit, no link', 'replaced 0, link']);
  expect(fenced).toEqual(['0:1', '1:1', '0:2']);
  expect(living(1).links).toEqual(['up 0 from 0', 'down 0', 'up 0 from 40']);
  expect(living(0).begun).toMatchObject({ wake: ['a/b'], suspects: [], diedSlots: [0] });
  expect(hosts[0]?.terminated).toBe(true);
  await fleet.stop(0);
});

test.each([
  ['dies', new HostLostError('died while loading')],
  ['does not answer', new ControlTimeoutError('no answer')],
])('a successor that %s while it loads is replaced too', async (_name, error) => {
  const { fleet, told, living, hosts } = rig([error, error]);
  await fleet.start([]);
  living(1).die(exit);
  await until('the replacement', () => told.some((line) => line.startsWith('replaced') || line.startsWith('failed')));
  expect(told).toEqual(['lost 1 exit, no link', 'replaced 1, link']);
  expect(hosts.map(({ slot, epoch }) => `${slot}:${epoch}`)).toEqual(['0:1', '1:1', '1:2', '1:3', '1:4']);
  expect(hosts.slice(1, 4).every(({ terminated }) => terminated)).toBe(true);
  await fleet.stop(0);
});

test('answers that a recovery found are given, though the successor died before it was ready', async () => {
  const answer = (call: number) => ({ to: { kind: 'outside', call, run: 1 }, value: 'yes' }) as const;
  const found = [5, 6].map((call) => ({ ...recovery, answers: [answer(call)] }));
  const { fleet, told, answered, living } = rig(
    [new HostLostError('died while loading')],
    // The first two are of the start.
    [recovery, recovery, ...found],
  );
  await fleet.start([]);
  living(1).die(exit);
  await until('the replacement', () => told.some((line) => line.startsWith('replaced')));
  expect(answered).toEqual([5, 6]);
  await fleet.stop(0);
});

test('a module that does not load on the successor is no death: the system fails with that error', async () => {
  const { fleet, told, living } = rig([new DefinitionModuleError('the file is gone')]);
  await fleet.start([]);
  living(0).die(exit);
  await until('the failure', () => told.length === 2);
  expect(told[1]).toBe('failed the file is gone');
  await fleet.stop(0);
});

test('hosts that cannot live end the system after twenty deaths in a minute', async () => {
  const { fleet, told, living } = rig();
  await fleet.start([]);
  for (let deaths = 1; !told.some((line) => line.startsWith('failed')); deaths++) {
    const before = told.length;
    living(0).die(exit);
    await until('what comes of it', () => told.length >= before + 2);
    expect(deaths).toBeLessThanOrEqual(21);
  }
  expect(told.at(-1)).toMatch(/^failed hosts died 21 times within 60 s; the last, slot 0: gone/);
  await fleet.stop(0);
});

test('suspects: an actor that dies in the same turn again is counted, one that got on is not', async () => {
  const { fleet, told, living } = rig();
  await fleet.start([]);
  const dieIn = async (running: string, sequence: number): Promise<unknown> => {
    const before = told.length;
    living(0).die({ kind: 'hung', message: 'hung', running, sequence });
    await until('the replacement', () => told.length === before + 2);
    return living(0).begun?.suspects;
  };
  expect(await dieIn('a/b', 7)).toEqual([{ key: 'a/b', deaths: 1, sequence: 7, deathsInAll: 1 }]);
  expect(await dieIn('a/b', 7)).toEqual([{ key: 'a/b', deaths: 2, sequence: 7, deathsInAll: 2 }]);
  expect(await dieIn('a/b', 8)).toEqual([{ key: 'a/b', deaths: 1, sequence: 8, deathsInAll: 3 }]);
  expect(await dieIn('a/c', 1)).toEqual([
    { key: 'a/b', deaths: 1, sequence: 8, deathsInAll: 3 },
    { key: 'a/c', deaths: 1, sequence: 1, deathsInAll: 1 },
  ]);
  await fleet.stop(0);
});

test('a stop does not wait for a recovery that waits for room on the disk', async () => {
  const waits = new Promise<never>(() => {});
  // The first two are of the start.
  const { fleet, told, living, hosts } = rig([], [recovery, recovery, waits]);
  await fleet.start([]);
  living(1).die(exit);
  await until('the loss', () => told.length === 1);
  await fleet.stop(0);
  expect(told).toEqual(['lost 1 exit, no link']);
  expect(hosts).toHaveLength(2);
});
