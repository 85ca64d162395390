/**
 * Our contenders whose load is made by drivers inside the hosts.
 *
 * Owns: a system, one driver a host that drives, its targets, and the check that every message was handled.
 */
import type { ActorRef, ActorSystem, SystemOptions } from '../runtime/index.ts';
import type { Definition } from '../runtime/kernel/definition.ts';
import { driver, type Run } from './actors/driver.ts';
import { BREAKER_CYCLE, type MessageKind, OPENINGS_PER_CYCLE } from './actors/messages.ts';
import type { Contestant, Setting } from './contract.ts';
import { idOn, idsOn, startSystem } from './own-system.ts';
import { Pace } from './pace.ts';

export interface DrivenLoad {
  readonly system: Omit<SystemOptions, 'actors'> & { readonly threads: number };
  readonly target: Definition;
  readonly kind: MessageKind;
  /** Size of an order. */
  readonly bytes?: number;
  /** Targets of each driver. */
  readonly width: number;
  /** Which host drives which: `[0, 1]` is a driver on host 0 with targets on host 1. */
  readonly routes: readonly (readonly [from: number, to: number])[];
}

interface Route {
  readonly driver: ActorRef;
  readonly targets: readonly string[];
}

/** Messages handled a second, over all drivers. */
export async function drivenLoad(load: DrivenLoad, { sampleMs }: Pick<Setting, 'sampleMs'>): Promise<Contestant> {
  const system = await startSystem(load.system);
  const routes: Route[] = [];
  for (const [index, route] of load.routes.entries()) routes.push(await build(system, load, route, index));
  // Each target gets whole cycles, so that it is known what all of them report in the end.
  const step = load.routes.length * load.width * BREAKER_CYCLE.length;
  let told = 0;
  const pace = new Pace(
    sampleMs,
    async (size) => {
      const steps = Math.max(1, Math.round(size / step));
      const total = steps * load.width * BREAKER_CYCLE.length;
      const run = (route: Route): Run => ({
        type: 'RUN',
        total,
        kind: load.kind,
        targets: route.targets,
        ...(load.bytes === undefined ? {} : { bytes: load.bytes }),
      });
      const reports = await Promise.all(routes.map((route) => route.driver.ask<number>(run(route))));
      told += total * routes.length;
      const expected = load.kind === 'breaker' ? (told / BREAKER_CYCLE.length) * OPENINGS_PER_CYCLE : told;
      const reported = reports.reduce((sum, report) => sum + report, 0);
      if (reported !== expected) throw new Error(`the targets report ${reported} where ${expected} was expected`);
      return total * routes.length;
    },
    { first: step },
  );
  await pace.warmUp();
  return { sample: async () => ({ rate: await pace.rate() }), close: () => system.stop() };
}

async function build(
  system: ActorSystem,
  load: DrivenLoad,
  [from, to]: readonly [number, number],
  index: number,
): Promise<Route> {
  const hosts = load.system.threads;
  const ids = idsOn(to, hosts, load.target.name, load.width, `r${index}-`);
  const targets = await Promise.all(ids.map((id) => system.spawn(load.target, { id })));
  const own = await system.spawn(driver, { id: idOn(from, hosts, 'driver', `d${index}-`) });
  return { driver: own, targets: targets.map(({ key }) => key) };
}
