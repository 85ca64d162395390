/** Whether the rate of turns depends on how many actors share them, while all of them are in memory. */
import type { Definition } from '../../runtime/kernel/definition.ts';
import type { ActorRef } from '../../runtime/index.ts';
import { counter, journaledCounter } from '../actors/counter.ts';
import { driver, type Row, type Run } from '../actors/driver.ts';
import { sizeOf } from '../actors/messages.ts';
import { type Contender, TURNS, type Workload } from '../contract.ts';
import { startSystem } from '../own-system.ts';
import { inFlight, Pace } from '../pace.ts';

const COUNTS = [1, 10, 100, 1_000, 10_000, 100_000];
const QUICK_MOST = 10_000;
const SPAWNS_UNDER_WAY = 2_000;
const PREFIX = 'n';

const at = (definition: Definition, series: string, count: number): Contender => ({
  name: `${definition.name}-${count}`,
  point: { series, x: count },
  kind: 'ours',
  label: `${series}, ${count} actors`,
  missing: (quick) => (quick && count > QUICK_MOST ? 'not in a quick run' : undefined),
  async open({ dir, sampleMs }) {
    const durable = definition.durability !== 'none';
    const system = await startSystem({
      threads: 1,
      residentCellsLimit: 2 * count + 10,
      ...(durable ? { dataDir: dir } : {}),
    });
    await inFlight(count, SPAWNS_UNDER_WAY, (i) => system.spawn(definition, { id: `${PREFIX}${i}` }));
    const sender: ActorRef = await system.spawn(driver, { id: 'd' });
    const targets: Row = { definition: definition.name, prefix: PREFIX, count };
    let told = 0;
    const pace = new Pace(
      sampleMs,
      async (size) => {
        const total = Math.max(1, Math.round(size / count)) * count;
        const reported = await sender.ask<number>({ type: 'RUN', total, kind: 'order', targets } satisfies Run);
        told += total;
        if (reported !== told) throw new Error(`the actors report ${reported} where ${told} was expected`);
        // That an actor reports is a turn too.
        return total + count;
      },
      { first: 2 * count },
    );
    await pace.warmUp();
    return { sample: async () => ({ rate: await pace.rate() }), close: () => system.stop() };
  },
});

export const actors: Workload = {
  name: 'growth-actors',
  title: 'Turns a second by number of actors',
  what: 'One actor sends to so many reducer actors of its host, one message after the other to each; all are in memory.',
  conditions: { durability: 'as said', messageBytes: sizeOf('order'), concurrency: '1 sender', hosts: 1 },
  metrics: [TURNS],
  axis: { label: 'actors', scale: 'log' },
  contenders: COUNTS.flatMap((count) => [at(counter, 'in memory', count), at(journaledCounter, 'durable', count)]),
};
