/**
 * The workflows of the bench, whose steps are commands to journaled desks on the other host.
 *
 * Owns: the definitions, and doing the work of one run: by the engine, or as far as an application could by itself.
 */
import { defineSaga, workflowActors, WorkflowCoordinationEngine, type WorkflowDefinition } from '../actors/index.ts';
import { type ActorSystem, WorkflowFailedError } from '../runtime/index.ts';
import { keyOf, placementOf } from '../runtime/kernel/address.ts';
import { type DeskCommand, echoDesk } from './actors/echo-desk.ts';
import { idsOn } from './own-system.ts';

export const HOSTS = 2;
/** For `startSystem`. */
export const WORKFLOW_ACTORS = [workflowActors, new URL('actors/echo-desk.ts', import.meta.url)];
/** Desks a host. */
const DESKS = 16;

/** Does the work of one run, the number of which it is given. */
export type DoOne = (n: number) => Promise<unknown>;

const to = (action: DeskCommand['type']) => ({
  actor: { definition: echoDesk.name, id: '${input.desk}' },
  action,
  parameters: { order: '${input.order}' },
});

export const threeSteps = defineSaga('three-steps')
  .step('a', to('DO'))
  .step('b', { ...to('DO'), dependencies: ['a'] })
  .step('c', { ...to('DO'), dependencies: ['b'] });

/** Its third step fails, and what the first two did is undone. */
export const declinedSaga = defineSaga('declined')
  .step('a', { ...to('DO'), compensation: to('UNDO') })
  .step('b', { ...to('DO'), dependencies: ['a'], compensation: to('UNDO') })
  .step('c', { ...to('DECLINE'), dependencies: ['b'], retryPolicy: { maxAttempts: 1 } });

/** Runs of `workflow`, from the application. */
export function runsOf(system: ActorSystem, workflow: WorkflowDefinition): DoOne {
  const engine = new WorkflowCoordinationEngine(system).defineWorkflow(workflow);
  const desks = [0, 1].map((slot) => idsOn(slot, HOSTS, echoDesk.name, DESKS));
  return (n) => {
    const runId = `r${n}`;
    const slot = placementOf(keyOf('saga-run', runId), HOSTS);
    return engine.executeWorkflow(workflow.id, { desk: desks[1 - slot]?.[n % DESKS], order: n }, { runId });
  };
}

/** Runs that are to fail, and be undone. */
export function declinedRuns(system: ActorSystem): DoOne {
  const one = runsOf(system, declinedSaga);
  return async (n) => {
    const error = await one(n).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    const steps = error instanceof WorkflowFailedError ? error.details['steps'] : undefined;
    const { a } = (steps ?? {}) as { readonly a?: { readonly compensation: string } };
    if (a?.compensation !== 'undone') throw new Error('a run was not undone', { cause: error });
  };
}

/** What a run asks for, asked by the application: nothing is kept of how far it is. */
export function asksOf(system: ActorSystem, commands: readonly DeskCommand['type'][]): DoOne {
  const refs = [0, 1].flatMap((slot) => idsOn(slot, HOSTS, echoDesk.name, DESKS)).map((id) => system.ref(echoDesk, id));
  return async (n) => {
    const ref = refs[n % refs.length];
    for (const type of commands) {
      const asked = ref?.ask({ type, order: n });
      await (type === 'DECLINE' ? asked?.catch(() => undefined) : asked);
    }
  };
}
