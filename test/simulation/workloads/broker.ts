/**
 * The embedded broker: publishers with messages of their own, a durable subscription whose handler fails now and then, a process that
 * dies at any point. What was accepted is handled, in order per publisher, and nothing that was settled is handled again.
 */
import { MessageBroker } from '../../../runtime/broker/message-broker.ts';
import type { ActorSystem } from '../../../runtime/index.ts';
import type { Simulation } from '../../../runtime/testing/simulation.ts';
import { attempt, fault, insist, pick, type Workload } from './workload.ts';

const SOURCES = 3;
const MESSAGES = 18;
const POLICY = { initialMs: 20, maxMs: 100, maxAttempts: 50 } as const;
const REPEATABLE = ['BROKER_CLOSED', 'QUEUE_FULL'];

/** What is known outside of the process that may die. */
interface Record {
  /** Ids whose publish was answered. */
  readonly accepted: Set<string>;
  /** Ids whose handler has returned at least once, and how often it has begun. */
  readonly handled: Set<string>;
  /** Ids whose receipt said that they are handled. */
  readonly settled: Set<string>;
}

const isAlive = (sim: Simulation, system: ActorSystem): boolean => {
  try {
    return sim.system === system;
  } catch {
    return false;
  }
};

const handle = (sim: Simulation, system: ActorSystem, record: Record, id: string): void => {
  // What a dead process still does in this thread did not happen.
  if (!isAlive(sim, system)) throw new Error('the process is dead');
  const [source = '', n = ''] = id.split('-');
  if (record.settled.has(id)) fault(sim, 'broker', `${id} was handled again after it was settled`);
  for (let before = 0; before < Number(n); before++) {
    const earlier = `${source}-${before}`;
    if (record.accepted.has(earlier) && !record.handled.has(earlier)) {
      fault(sim, 'broker', `${id} was handled before ${earlier}`);
    }
  }
  if (sim.random.next() < 0.15) throw new Error('not this time');
  record.handled.add(id);
};

export const broker: Workload = {
  name: 'broker',
  actors: [new URL('../../../runtime/broker/adapters/embedded-actors.ts', import.meta.url).href],
  async run(sim) {
    const record: Record = { accepted: new Set(), handled: new Set(), settled: new Set() };
    const brokers = new WeakMap<ActorSystem, Promise<MessageBroker>>();
    const start = async (system: ActorSystem): Promise<MessageBroker> => {
      const started = await MessageBroker.start({ system, env: {}, retry: POLICY });
      await started.subscribe('work.>', ({ id }) => handle(sim, system, record, id), { name: 'work', concurrency: 3 });
      return started;
    };
    const brokerOf = (system: ActorSystem): Promise<MessageBroker> => {
      let started = brokers.get(system);
      if (started === undefined) {
        started = start(system);
        brokers.set(system, started);
        started.catch(() => brokers.delete(system));
      }
      return started;
    };
    for (let source = 0; source < SOURCES; source++) {
      sim.client(async () => {
        for (let n = 0; n < MESSAGES; n++) {
          const id = `s${source}-${n}`;
          const draft = {
            type: 'work.done',
            id,
            source: `s${source}`,
            delivery: 'EXACTLY_ONCE',
            payload: 'x'.repeat(100),
          } as const;
          const published = await insist(sim, async (system) => (await brokerOf(system)).publish(draft), REPEATABLE);
          if (published.kind === 'failed') {
            fault(sim, 'broker', `${id} was not accepted: ${published.code}`);
            continue;
          }
          record.accepted.add(id);
          if (sim.random.next() < 0.3) {
            const receipt = published.value;
            sim.client(async () => {
              const settled = await attempt(() => receipt.settled({ timeoutMs: 5_000 }));
              if (settled.kind === 'done' && settled.value.status === 'handled' && sim.lostCommits === 0) {
                record.settled.add(id);
              }
            });
          }
          if (sim.random.next() < 0.3) await sim.advance(pick(sim, 200));
        }
      });
    }
    sim.client(async () => {
      for (let i = 0; i < 2; i++) {
        await sim.advance(200 + pick(sim, 400));
        if (sim.random.next() < 0.5) await attempt(() => sim.restart());
      }
    });
    sim.atEnd(async (system) => {
      const last = await brokerOf(system);
      for (let i = 0; i < 400; i++) {
        if ([...record.accepted].every((id) => record.handled.has(id))) break;
        await sim.advance(100);
      }
      if (sim.lostCommits === 0) {
        for (const id of record.accepted) if (!record.handled.has(id)) fault(sim, 'broker', `${id} was lost`);
        const { letters } = await last.deadLetters.list();
        for (const { message } of letters) fault(sim, 'broker', `${message.id} is a dead letter`);
      }
      await last.close();
    });
  },
};
