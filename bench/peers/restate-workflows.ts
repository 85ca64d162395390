/**
 * Restate: workflows of three steps, and sagas whose third step fails, as handlers of a service.
 *
 * Owns: the contenders. Steps are functions of this process, whose results Restate records one by one.
 */
import type { Contender, Sample, Setting } from '../contract.ts';
import { rateOf, tripOf } from '../numbered-work.ts';
import { missingRestate, type Restate, startRestate, UNDER_WAY } from './restate-server.ts';

interface Context {
  run<Result>(name: string, step: () => Promise<Result>): Promise<Result>;
}

type Measure = (one: (n: number) => Promise<unknown>, setting: Setting) => Promise<() => Promise<Sample>>;

const step = (context: Context, name: string): Promise<unknown> => context.run(name, async () => ({ ok: name }));

const workflows = ({ service, TerminalError }: Restate<Context>): unknown[] => [
  service({
    name: 'workflow',
    handlers: {
      async three(context) {
        for (const name of ['a', 'b', 'c']) await step(context, name);
        return 'completed';
      },
      /** As its documents write one: a list of what is to be undone, in a catch. */
      async declined(context) {
        const undo: string[] = [];
        try {
          for (const name of ['a', 'b']) {
            undo.push(`undo ${name}`);
            await step(context, name);
          }
          const decline = async (): Promise<never> => {
            throw new TerminalError('declined');
          };
          return await context.run('c', decline);
        } catch {
          for (const name of undo.toReversed()) await step(context, name);
          return undo.length;
        }
      },
    },
  }),
];

const contender = (handler: string, expected: unknown, measure: Measure): Contender => ({
  name: 'restate',
  kind: 'baseline',
  label: 'Restate',
  missing: missingRestate,
  async open(setting) {
    const own = await startRestate(setting.dir, workflows);
    const one = async (order: number): Promise<void> => {
      const result = await own.call(`/workflow/${handler}`, { order });
      if (result !== expected) throw new Error(`a workflow answered ${String(result)}`);
    };
    return { note: own.note, sample: await measure(one, setting), close: () => own.stop() };
  },
});

const rate: Measure = (one, { sampleMs }) => rateOf(one, { sampleMs, underWay: UNDER_WAY, most: 5_000 });
const trip: Measure = (one, { sampleMs }) => tripOf(one, { sampleMs, least: 20 });

export const restateThree: Contender = contender('three', 'completed', rate);
export const restateThreeTrip: Contender = contender('three', 'completed', trip);
export const restateDeclined: Contender = contender('declined', 2, rate);
