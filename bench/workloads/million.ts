/** A million actors of which most are on disk: what it costs that few are in memory. */
import type { Definition } from '../../runtime/kernel/definition.ts';
import { counter, journaledCounter } from '../actors/counter.ts';
import { order, sizeOf } from '../actors/messages.ts';
import { type Contender, type Metric, type Setting, type Workload } from '../contract.ts';
import { startSystem } from '../own-system.ts';
import { inFlight, Pace } from '../pace.ts';
import { type Access, skewedAccess, uniformAccess } from '../access.ts';

const HOSTS = 2;
const SPAWNS_UNDER_WAY = 8_000;
const UNDER_WAY = 4_000;
/** Actors that are asked in the end how much they have handled. */
const ASKED = 1_000;

const actorsOf = ({ quick }: Pick<Setting, 'quick'>): number => (quick ? 20_000 : 1_000_000);
const residentOf = ({ quick }: Pick<Setting, 'quick'>): number => (quick ? 200 : 10_000);

const UNIFORM: Metric = { name: 'uniform', unit: 'turns/s', better: 'higher' };
const SKEWED: Metric = { name: 'skewed', unit: 'turns/s', better: 'higher' };

const contender = (
  name: string,
  kind: Contender['kind'],
  label: string,
  definition: Definition,
  resident: (setting: Setting) => number,
): Contender => ({
  name,
  kind,
  label,
  note: 'await ref.tell',
  async open(setting) {
    const count = actorsOf(setting);
    const system = await startSystem({
      threads: HOSTS,
      residentCellsLimit: resident(setting) / HOSTS,
      ...(definition.durability === 'none' ? {} : { dataDir: setting.dir }),
    });
    const id = (actor: number): string => `m${actor}`;
    await inFlight(count, SPAWNS_UNDER_WAY, (actor) => system.spawn(definition, { id: id(actor) }));
    const told = new Uint32Array(count);
    const paceOf = (access: Access): Pace =>
      new Pace(
        setting.sampleMs,
        async (size) => {
          await inFlight(size, UNDER_WAY, (i) => {
            const actor = access();
            told[actor] = (told[actor] as number) + 1;
            return system.ref(definition, id(actor)).tell(order(i));
          });
          return size;
        },
        { first: UNDER_WAY, most: 500_000 },
      );
    const [uniform, skewed] = [paceOf(uniformAccess(count)), paceOf(skewedAccess(count))];
    await uniform.warmUp();
    await skewed.warmUp();
    return {
      sample: async () => ({ uniform: await uniform.rate(), skewed: await skewed.rate() }),
      async close() {
        const access = skewedAccess(count);
        await inFlight(ASKED, ASKED, async () => {
          const actor = access();
          const handled = await system.ref(definition, id(actor)).ask<number>({ type: 'REPORT' });
          if (handled !== told[actor]) throw new Error(`${id(actor)}: ${handled} handled of ${told[actor]} told`);
        });
        await system.stop();
      },
    };
  },
});

const ALL = (setting: Setting): number => actorsOf(setting) * 2;

export const million: Workload = {
  name: 'million-actors',
  title: '1,000,000 actors, 10,000 in memory',
  what:
    'The application tells actors chosen at random, all alike (uniform) or by Zipf’s law (skewed: the first of a million gets one ' +
    'message in 14, the first 10,000 get two thirds). Quick: 20,000 actors, 200 in memory.',
  conditions: {
    durability: 'journal, fsync',
    messageBytes: sizeOf('order'),
    concurrency: `${UNDER_WAY.toLocaleString('en-US')} tells under way`,
    hosts: HOSTS,
  },
  metrics: [UNIFORM, SKEWED],
  limitMs: 300_000,
  contenders: [
    contender('few-resident', 'ours', '10,000 in memory, the others on disk', journaledCounter, residentOf),
    contender('all-resident', 'baseline', 'the same, all 1,000,000 in memory', journaledCounter, ALL),
    contender('not-durable', 'baseline', 'all in memory, durability: none', counter, ALL),
  ],
};
