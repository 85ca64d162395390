/** The public names of `collaborative-blocks/testing`, one by one. */
export type { FaultPlan } from './fault-plan.ts';
export type { FinalActor, History, LoggedTurn, OutsideEvent } from './history.ts';
export { checkHistory, type Violation } from './invariants.ts';
export { ManualClock } from './manual-clock.ts';
export { probe, type Probed, probeModule, TestProbe } from './probe.ts';
export { simulate } from './simulate.ts';
export type { Simulation } from './simulation.ts';
export type { SimulateOptions, SimulationReport } from './simulation-options.ts';
export { type StoreCase, storeContract, type StoreFixture } from './store-contract.ts';
export { createTestSystem, type TestSystem } from './test-system.ts';
export {
  type MakeTransportPair,
  type TransportCase,
  transportContract,
  type TransportPair,
} from './transport-contract.ts';
