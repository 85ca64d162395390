/**
 * The actors behind workflows, as definitions: list `workflowActors` in the `actors` of the system.
 *
 * Their versions are those of the code behind them. A run's turns are repeated after a crash: whoever changes what the planner asks for,
 * or how an expression is evaluated, raises the version of `sagaRun` and names the old one in `previous` (decision 0009).
 */
import { defineBehavior } from '../../runtime/kernel/definition.ts';
import { BOARD_DEFINITION, boardBehavior } from './adaptation-board.ts';
import { OUTBOX_DEFINITION, outboxBehavior } from './outbox.ts';
import { runBehavior } from './run-behavior.ts';
import { RUN_DEFINITION } from './run-commands.ts';
import { INDEX_DEFINITION, indexBehavior } from './run-index.ts';

/** The module that every thread loads: `ActorSystem.start({ actors: [workflowActors, …] })`. */
export const workflowActors: string = import.meta.url;

/** A run of a workflow. */
export const sagaRun = defineBehavior(import.meta.url, RUN_DEFINITION, runBehavior, { version: 1 });

/** Commands on their way to systems. */
export const sagaOutbox = defineBehavior(import.meta.url, OUTBOX_DEFINITION, outboxBehavior, {
  version: 1,
  virtual: true,
});

/** Metrics of targets, and which adaptation rules are engaged. */
export const sagaBoard = defineBehavior(import.meta.url, BOARD_DEFINITION, boardBehavior, {
  version: 1,
  virtual: true,
  snapshotEveryTurns: 10_000,
});

/** Which runs there are. Its state is stored whole, so not often. */
export const sagaIndex = defineBehavior(import.meta.url, INDEX_DEFINITION, indexBehavior, {
  version: 1,
  virtual: true,
  snapshotEveryTurns: 10_000,
});
