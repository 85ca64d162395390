/** Timers and effects on virtual time: fired once, not early; an idempotent effect with one key, an at-most-once effect begun once. */
import { type AlarmState, worker } from './clockwork-actors.ts';
import { attempt, fault, insist, parkedTimers, pick, type Workload } from './workload.ts';

const WORKERS = 4;
const ALARMS = 3;

export const clockwork: Workload = {
  name: 'clockwork',
  actors: [new URL('./clockwork-actors.ts', import.meta.url).href],
  async run(sim) {
    for (let i = 0; i < WORKERS; i++) {
      const key = `worker/${i}`;
      await insist(sim, (system) => system.spawn(worker, { id: String(i), input: { rounds: 2 }, ifExists: 'attach' }));
      await insist(sim, (system) => system.refOf(key).tell({ type: 'START' }, { idempotencyKey: 'start' }));
    }
    for (let i = 0; i < 12; i++) {
      await attempt(async () =>
        (await sim.up()).refOf(`alarm/${pick(sim, ALARMS)}`).tell({ type: 'SET', delayMs: pick(sim, 20_000) }),
      );
      if (sim.random.next() < 0.3) await sim.advance(pick(sim, 2_000));
      if (sim.random.next() < 0.3)
        await attempt(async () => (await sim.up()).refOf(`worker/${pick(sim, WORKERS)}`).tell({ type: 'NUDGE' }));
    }
    await sim.advance(5_000);
    sim.atEnd(async (system) => {
      if (sim.lostCommits > 0) return;
      for (let i = 0; i < WORKERS; i++) {
        const view = (await system.refOf(`worker/${i}`).snapshot()).view as { readonly value: unknown };
        if (view.value !== 'done') fault(sim, 'clockwork', `worker/${i} is in ${JSON.stringify(view.value)}`);
      }
      for (let i = 0; i < ALARMS; i++) {
        const { view } = await system.refOf(`alarm/${i}`).snapshot();
        if (view === undefined) continue;
        const { set, rung } = view as AlarmState;
        const numbers = rung.map(({ number }) => number).sort((a, b) => a - b);
        const each = numbers.every((number, at) => number < set && number !== numbers[at - 1]);
        const lost = each && numbers.length < set ? await parkedTimers(system, `alarm/${i}`) : 0;
        if (!each || numbers.length + lost !== set)
          fault(sim, 'clockwork', `alarm/${i} set ${set} timers, rung: ${numbers.join()}`);
      }
      const begun = new Map<string, number>();
      for (const { name, idempotencyKey } of sim.outside.calls) {
        if (name === 'once') begun.set(idempotencyKey, (begun.get(idempotencyKey) ?? 0) + 1);
      }
      for (const [key, times] of begun)
        if (times > 1) fault(sim, 'clockwork', `the at-most-once effect ${key} was begun ${times} times`);
      for (const name of ['charge', 'once'] as const) {
        const inputs = new Map<string, string>();
        for (const call of sim.outside.calls.filter((one) => one.name === name)) {
          const what = `${call.self} ${String(call.input)}`;
          if ((inputs.get(what) ?? call.idempotencyKey) !== call.idempotencyKey)
            fault(sim, 'clockwork', `${what} was called under two keys`);
          inputs.set(what, call.idempotencyKey);
        }
      }
    });
  },
};
