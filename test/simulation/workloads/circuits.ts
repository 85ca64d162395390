/**
 * Circuit breakers used by effects on every host and by the application, through crashes, deaths and late frames: tickets are never more
 * than there are, generations follow each other, and no circuit stays open beyond its time.
 */
import { CircuitBreaker } from '../../../actors/index.ts';
import type { CircuitContext } from '../../../actors/circuit-breaker/circuit-breaker-machine.ts';
import type { ActorSystem } from '../../../runtime/index.ts';
import { breakerUser, type Calls, hasty, shared } from '../../support/actors/guarded.ts';
import { attempt, fault, insist, pick, type Workload } from './workload.ts';

const USERS = 3;
const BREAKERS = ['hasty', 'shared'] as const;

interface Circuit {
  readonly value: string;
  readonly context: CircuitContext;
}

export const circuits: Workload = {
  name: 'circuits',
  actors: [new URL('../../support/actors/guarded.ts', import.meta.url).href],
  // Every state of the past is looked at in the end.
  system: { retention: 'keep' },
  async run(sim) {
    for (let i = 0; i < USERS; i++) {
      await insist(sim, (system) => system.spawn(breakerUser, { id: String(i), ifExists: 'attach' }));
    }
    const calls = (): Calls => ({
      type: 'CALL',
      breaker: BREAKERS[pick(sim, 2)] as string,
      outcomes: Array.from({ length: 1 + pick(sim, 8) }, () => (sim.random.next() < 0.4 ? 'badly' : 'well')),
    });
    const ownCall = async (system: ActorSystem): Promise<void> => {
      const breaker = await CircuitBreaker.of(system, sim.random.next() < 0.5 ? hasty : shared);
      if (sim.random.next() < 0.1) await breaker.isolate('by hand');
      if (sim.random.next() < 0.2) await breaker.reset();
      const isWell = sim.random.next() < 0.6;
      await breaker.execute(() => {
        if (!isWell) throw Object.assign(new Error('the dependency is ill'), { code: 'ill' });
      });
    };
    for (let i = 0; i < 24; i++) {
      const system = await sim.up();
      const what = sim.random.next();
      // Some are awaited, others go on beside what follows.
      const done =
        what < 0.6
          ? attempt(() => system.refOf(`breaker-user/${pick(sim, USERS)}`).ask(calls(), { timeoutMs: 10_000 }))
          : attempt(() => ownCall(system));
      if (sim.random.next() < 0.5) await done;
      else await sim.advance(pick(sim, 100));
    }
    await sim.advance(5_000);
    sim.atEnd(async (system) => {
      for (const name of BREAKERS) {
        const ref = system.refOf(`${name}/breaker`);
        if ((await ref.snapshot()).status === 'absent') continue;
        const history = system.history(ref);
        let before: CircuitContext | undefined;
        for (const { sequence } of await history.turns()) {
          const { value, context } = (await history.at(sequence)).view as Circuit;
          const { probing, settings, generation } = context;
          const tickets = probing.out.length + probing.succeeded + probing.failed;
          const where = `${name} after turn ${sequence}`;
          if (tickets > (settings?.halfOpen.probes ?? 0)) fault(sim, 'tickets', `${where} has ${tickets} tickets`);
          if (tickets > 0 && value !== 'half_open') fault(sim, 'tickets', `${where} is ${value} and has tickets`);
          const step = generation - (before?.generation ?? 0);
          // A turn may open a circuit whose last probe it closed, never more.
          if (step < 0 || step > 1) fault(sim, 'generation', `${where} is ${step} generations on`);
          before = context;
        }
        const { value, context } = (await ref.snapshot()).view as Circuit;
        if (value === 'open' && (context.openUntilMs ?? 0) < Date.now() - 1_000) {
          fault(sim, 'stranded', `${name} is open beyond ${context.openUntilMs}`);
        }
      }
    });
  },
};
