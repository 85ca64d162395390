/**
 * Running a simulation: one at a time in a process, since it takes the thread's globals.
 */
import { InvalidOptionsError } from '../kernel/errors.ts';
import { enterOutside } from './simulated-outside.ts';
import { Simulation } from './simulation.ts';
import type { SimulateOptions, SimulationReport } from './simulation-options.ts';

let running = false;

/** Runs a simulation to its end and judges it. Throws only when it cannot be run at all. One at a time in a process. */
export async function simulate(options: SimulateOptions): Promise<SimulationReport> {
  if (!Number.isSafeInteger(options.seed))
    throw new InvalidOptionsError(`seed: ${String(options.seed)} is not a whole number`);
  if (running)
    throw new InvalidOptionsError(
      'a simulation is running already: they share the globals of the thread, so run one after the other',
    );
  running = true;
  const { stackTraceLimit } = Error;
  try {
    const simulation = new Simulation(options);
    return await simulation.execute();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    enterOutside(undefined);
    running = false;
  }
}
