/** What the compiler must accept and refuse of typed references. Checked by `npm run typecheck`: an unmet expectation is an error. */
import { assign, setup } from 'xstate';
import { type ActorRef, type ActorSystem, defineActor } from '../../runtime/index.ts';

type Light = { type: 'GO' } | { type: 'DIM'; to: number };

const machine = setup({
  types: { context: {} as { level: number }, events: {} as Light, input: {} as { level: number } },
}).createMachine({
  context: ({ input }) => ({ level: input.level }),
  on: { DIM: { actions: assign({ level: ({ event }) => event.to }) } },
});

export const light = defineActor(import.meta.url, 'light', { machine });

export const counter = defineActor(import.meta.url, 'counter', {
  reducer: {
    init: (input: { start: number }) => ({ n: input.start }),
    receive: (state: { n: number }, message: { add: number }) => ({ n: state.n + message.add }),
  },
});

export async function uses(system: ActorSystem): Promise<void> {
  const ref = await system.spawn(light, { id: 'l', input: { level: 3 } });
  await ref.tell({ type: 'DIM', to: 4 });
  // @ts-expect-error no such event
  await ref.tell({ type: 'OFF' });
  // @ts-expect-error the event lacks its number
  await ref.tell({ type: 'DIM' });
  // @ts-expect-error it cannot begin without an input
  await system.spawn(light, { id: 'n' });
  // @ts-expect-error nor can a reducer
  await system.spawn(counter, { id: 'd' });
  // @ts-expect-error the input lacks its level
  await system.spawn(light, { id: 'm', input: {} });
  const snapshot = await ref.snapshot();
  const level: number = snapshot.view.context.level;
  // @ts-expect-error the context's level is a number
  const text: string = snapshot.view.context.level;
  const many = await system.spawn(counter, { id: 'c', input: { start: level } });
  many.send({ add: 1 });
  // @ts-expect-error a counter adds numbers
  many.send({ add: text });
  const reply = await many.ask<number>({ add: 1 });
  const anything: ActorRef = system.refOf('counter/c');
  await anything.tell({ whatever: reply });
}
