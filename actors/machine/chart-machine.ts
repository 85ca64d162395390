/**
 * A statechart given as data, as an XState machine: for parts that draw what they do.
 */
import { type AnyStateMachine, assign, createMachine } from 'xstate';

type Context = Readonly<Record<string, unknown>>;
type Arguments = {
  readonly context: Context;
  readonly event: { readonly type: string } & Readonly<Record<string, unknown>>;
};

export interface ChartImplementations {
  /** By name; true lets the transition be taken. */
  readonly guards: Readonly<Record<string, (given: Arguments, parameters: never) => boolean>>;
  /** By name; each gives the context anew. */
  readonly changes: Readonly<Record<string, (given: Arguments, parameters: never) => Context>>;
}

/** An executable machine; its configuration stays the data that it was made of. */
export function machineOfChart(
  config: Readonly<Record<string, unknown>>,
  chart: ChartImplementations,
): AnyStateMachine {
  const actions = Object.fromEntries(
    Object.entries(chart.changes).map(([name, change]) => [name, assign(change as never)]),
  );
  return createMachine(config as never, { guards: chart.guards, actions } as never);
}
