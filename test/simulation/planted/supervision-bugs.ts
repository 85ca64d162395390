/** Planted in supervisors: a definition gets the behavior of a spec that is not the one that the book knows. */
import { supervisorBehavior } from '../../../supervisors/supervisor.ts';
import type { SupervisorSpec } from '../../../supervisors/index.ts';
import { Bereavements } from '../../../runtime/host/bereavements.ts';
import { Releaser } from '../../../runtime/host/release.ts';
import { all, impatient, rest, SPECS } from '../workloads/tree-actors.ts';
import type { PlantedBug, Replace } from './planted-bug.ts';

const SUPERVISORS = { all, rest, impatient };
const SHOWS = { workload: 'tree', plan: 'calm' };

/** Lets the supervisors of a definition go by another spec. */
function goBy(
  replace: Replace,
  name: keyof typeof SUPERVISORS,
  change: (spec: SupervisorSpec) => SupervisorSpec,
): undefined {
  const wrong = supervisorBehavior(change(SPECS[name] as SupervisorSpec));
  const behavior = SUPERVISORS[name].behavior as unknown as ReturnType<typeof supervisorBehavior>;
  replace(behavior, 'init', () => wrong.init);
  replace(behavior, 'receive', () => wrong.receive);
  replace(behavior, 'signal', () => wrong.signal);
  return undefined;
}

export const SUPERVISION_BUGS: readonly PlantedBug[] = [
  {
    name: 'one-for-all-restarts-one',
    what: 'a one_for_all supervisor restarts only the child that failed',
    shows: SHOWS,
    plant: (replace) => goBy(replace, 'all', (spec) => ({ ...spec, strategy: 'one_for_one' })),
  },
  {
    name: 'rest-for-one-restarts-all',
    what: 'a rest_for_one supervisor restarts those before the child that failed too',
    shows: SHOWS,
    plant: (replace) => goBy(replace, 'rest', (spec) => ({ ...spec, strategy: 'one_for_all' })),
  },
  {
    name: 'never-gives-up',
    what: 'a supervisor allows one restart more than its intensity',
    shows: SHOWS,
    plant: (replace) => goBy(replace, 'impatient', (spec) => ({ ...spec, intensity: 3 })),
  },
  {
    name: 'transient-restarted',
    what: 'a transient child that has finished is started again',
    shows: SHOWS,
    plant: (replace) =>
      goBy(replace, 'impatient', (spec) => ({
        ...spec,
        children: spec.children.map((child) => ({ ...child, restart: 'permanent' })),
      })),
  },
  {
    name: 'started-in-reverse',
    what: 'a supervisor starts its children in reverse order',
    shows: SHOWS,
    plant: (replace) => goBy(replace, 'rest', (spec) => ({ ...spec, children: spec.children.toReversed() })),
  },
  {
    name: 'deaths-not-asked-after',
    what: 'an actor that comes back does not ask after its children in memory',
    shows: { workload: 'tree', plan: 'deaths' },
    plant(replace) {
      replace(Bereavements.prototype, 'arrived', () => () => {});
    },
  },
  {
    name: 'ends-not-sent',
    what: 'an actor that ends by itself does not tell who started it, every fifth time',
    shows: SHOWS,
    plant(replace) {
      let ends = 0;
      replace(
        Releaser.prototype,
        'route',
        (before) =>
          function (this: Releaser, envelope, position, sender) {
            if (envelope.control?.kind === 'terminated' && ++ends % 5 === 0) return;
            before.call(this, envelope, position, sender);
          },
      );
    },
  },
];
