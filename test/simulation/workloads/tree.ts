/** A tree of supervisors under random failures, ends and requests: what each of them does is by the book, and nobody is orphaned. */
import type { ActorSystem } from '../../../runtime/system/actor-system.ts';
import type { Simulation } from '../../../runtime/testing/simulation.ts';
import type { SupervisorView } from '../../../supervisors/index.ts';
import { checkBook } from '../supervision-book.ts';
import { SPECS, top } from './tree-actors.ts';
import { attempt, fault, insist, pick, type Workload } from './workload.ts';

const TOP = 'top/t';
const SUPERVISORS: Readonly<Record<string, readonly string[]>> = {
  [`all/${TOP}/all`]: ['leaf:a', 'lingerer:b', 'leaf:c', 'leaf:d'],
  [`rest/${TOP}/rest`]: ['leaf:a', 'leaf:b', 'lingerer:c', 'leaf:d', 'spark:e'],
  [`impatient/${TOP}/impatient`]: ['leaf:a', 'leaf:b'],
  [`brief/${TOP}/brief`]: ['leaf:a', 'leaf:b'],
};
const KEYS = Object.keys(SUPERVISORS);
const POOL = `pool/${TOP}/pool`;

function childOf(supervisor: string, child: string): string {
  const [definition, id] = child.split(':') as [string, string];
  return `${definition}/${supervisor}/${id}`;
}

export const tree: Workload = {
  name: 'tree',
  actors: [new URL('./tree-actors.ts', import.meta.url).href],
  async run(sim) {
    await insist(sim, (system) => system.spawn(top, { id: 't', ifExists: 'attach' }));
    for (let client = 0; client < 2; client++) {
      sim.client(async () => {
        for (let i = 0; i < 14; i++) {
          await disturb(sim);
          if (sim.random.next() < 0.6) await sim.advance(pick(sim, 250));
        }
      });
    }
    sim.client(async () => {
      for (let i = 0; i < 8; i++) {
        await request(sim, i);
        if (sim.random.next() < 0.5) await sim.advance(pick(sim, 400));
      }
    });
    sim.atEnd(lookAtSupervisors(sim));
  },
  judge: (history) => checkBook(history, SPECS),
};

/** Something happens to a child of some supervisor. */
async function disturb(sim: Simulation): Promise<void> {
  const supervisor = KEYS[pick(sim, KEYS.length)] as string;
  const children = SUPERVISORS[supervisor] as readonly string[];
  const key =
    sim.random.next() < 0.15
      ? `leaf/${POOL}/p${pick(sim, 4)}`
      : childOf(supervisor, children[pick(sim, children.length)] as string);
  const type = (['WORK', 'FAIL', 'FAIL', 'FINISH'] as const)[pick(sim, 4)];
  await attempt(async () => (await sim.up()).refOf(key).tell({ type }, { timeoutMs: 1_000 }));
}

/** Somebody asks a supervisor to change. */
async function request(sim: Simulation, number: number): Promise<void> {
  const options = { idempotencyKey: `request ${number}`, timeoutMs: 1_000 };
  if (sim.random.next() < 0.3) {
    const id = `p${pick(sim, 4)}`;
    const type = sim.random.next() < 0.7 ? 'start_child' : 'terminate_child';
    await attempt(async () => (await sim.up()).refOf(POOL).ask({ type, id }, options));
    return;
  }
  const supervisor = KEYS[pick(sim, KEYS.length)] as string;
  const children = SUPERVISORS[supervisor] as readonly string[];
  const id = (children[pick(sim, children.length)] as string).split(':')[1] as string;
  const requests = [
    { type: 'terminate_child', id },
    { type: 'restart_child', id },
    { type: 'delete_child', id },
    { type: 'start_child', spec: { id: `x${number}`, actor: { definition: 'leaf' }, restart: 'transient' } },
    { type: 'which_children' },
  ];
  const message = requests[pick(sim, requests.length)];
  await attempt(async () => (await sim.up()).refOf(supervisor).ask(message, options));
}

/** In the end every supervisor runs, but for the one that may end by itself, and so does every child that it says is running. */
function lookAtSupervisors(sim: Simulation) {
  return async (system: ActorSystem): Promise<void> => {
    for (const key of [TOP, ...KEYS, POOL]) {
      const { status, view } = await system.refOf(key).snapshot();
      if (status !== 'running') {
        if (!key.startsWith('brief')) fault(sim, 'tree', `${key} is ${status}`);
        continue;
      }
      const { phase, children } = view as SupervisorView;
      if (!Array.isArray(children)) continue;
      if (phase !== 'running') fault(sim, 'tree', `${key} is ${phase}`);
      for (const child of children as SupervisorView['children']) {
        const { status: found } = await system.refOf(child.key).snapshot();
        const isRight =
          child.status === 'running' ? found === 'running' : child.status === 'stopped' && found !== 'running';
        if (!isRight) fault(sim, 'tree', `${child.key} is ${found}, its supervisor says ${child.status}`);
      }
    }
  };
}
