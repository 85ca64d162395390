/**
 * A process in which permits are dealt with until it is killed, or until all are: `node permit-process.ts <data> <books> <cases>`.
 *
 * Each case is a saga over the connectors of its departments. What departments do is written to the books, a file that only grows, as an
 * outside system's would be; it knows what it has done and does nothing twice. Prints `up`, and one line of JSON at the end.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { defineSaga, SystemConnector, WorkflowCoordinationEngine, workflowActors } from '../../../actors/index.ts';
import type { WorkflowDefinition } from '../../../actors/index.ts';
import { ActorSystem, brokerActors, MessageBroker } from '../../../runtime/index.ts';
import { actionOf, mishapOf, type PermitCase, refusedAt } from './permit-log.ts';

interface Order {
  readonly id: string;
  readonly event: number;
  readonly run: string;
  readonly activity: string;
  readonly refused: boolean;
}

class DepartmentError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(`the department says ${code}`);
    this.code = code;
  }
}

const [dataDir = '', books = '', casesFile = ''] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(casesFile, 'utf8')) as readonly PermitCase[];

const lines = existsSync(books) ? readFileSync(books, 'utf8').split('\n') : [];
// A line that was cut off was not written: a killed process takes nothing back of what it has handed to the system.
const known = new Set(lines);
const tried = new Set<string>();

function enter(line: string): void {
  if (known.has(line)) return;
  known.add(line);
  appendFileSync(books, `${line}\n`);
}

function handle(department: string, { id, event, run, activity, refused }: Order): { readonly done: string } {
  if (refused) throw new DepartmentError('REFUSED');
  const mishap = tried.has(`${run} ${event}`) ? 'none' : mishapOf(run, event);
  tried.add(`${run} ${event}`);
  if (mishap === 'busy') throw new DepartmentError('BUSY');
  enter(JSON.stringify(['do', id, run, event, department, activity]));
  if (mishap === 'no answer') throw new DepartmentError('LINE_DROPPED');
  return { done: activity };
}

function undo(department: string, { id, event, run, activity }: Order): null {
  enter(JSON.stringify(['undo', id, run, event, department, activity]));
  return null;
}

/** The events of a case, one after the other; `refused` is the one that fails when the input says so. */
function routeOf({ events }: PermitCase): WorkflowDefinition {
  const name = actionOf(JSON.stringify(events)).slice(0, 60);
  const known = routes.get(JSON.stringify(events));
  if (known !== undefined) return known;
  let route: WorkflowDefinition = defineSaga(`route-${routes.size}`, { name });
  for (const [event, { department, activity }] of events.entries()) {
    const parameters = {
      id: '${input.id}',
      run: '${input.run}',
      event,
      activity,
      refused: `\${input.refusedAt == ${event}}`,
    };
    const compensation = { systemTarget: department, action: 'undo', parameters, retryPolicy: { initialMs: 5 } };
    const step = {
      stepId: `e${event}`,
      systemTarget: department,
      action: actionOf(activity),
      parameters,
      compensation,
      dependencies: event === 0 ? [] : [`e${event - 1}`],
      retryPolicy: { maxAttempts: 5, initialMs: 5, nonRetryable: ['REFUSED'] },
    };
    route = route.addStep(step);
  }
  routes.set(JSON.stringify(events), route);
  return route;
}

const routes = new Map<string, WorkflowDefinition>();
const system = await ActorSystem.start({ dataDir, threads: 1, actors: [workflowActors, brokerActors] });
const broker = await MessageBroker.start({ system });
const departments = new Map<string, Set<string>>();
for (const { events } of cases) {
  for (const { department, activity } of events) {
    const activities = departments.get(department) ?? new Set();
    departments.set(department, activities.add(actionOf(activity)));
  }
}
const connectors: SystemConnector[] = [];
for (const [department, activities] of departments) {
  const connector = new SystemConnector(department, broker, { commands: { concurrency: 64 } });
  for (const activity of activities) await connector.onCommand(activity, (order: Order) => handle(department, order));
  await connector.onCommand('undo', (order: Order) => undo(department, order));
  connectors.push(connector);
}
const engine = new WorkflowCoordinationEngine(system, { broker });
const definitions = cases.map(routeOf);
for (const route of routes.values()) engine.defineWorkflow(route);
process.stdout.write('up\n');

async function outcomeOf(route: string, id: string, run: string, refused: number): Promise<string> {
  try {
    await engine.executeWorkflow(route, { id, run, refusedAt: refused }, { runId: run, timeoutMs: 120_000 });
    return 'completed';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const outcomes = await Promise.all(
  cases.map(async (one, i) => {
    const route = definitions[i]?.id as string;
    const refused = refusedAt(one);
    const first = await outcomeOf(route, one.id, one.id, refused ?? -1);
    return refused === undefined ? [first] : [first, await outcomeOf(route, one.id, `${one.id}-again`, -1)];
  }),
);
process.stdout.write(`${JSON.stringify({ outcomes })}\n`);
await engine.close();
for (const connector of connectors) await connector[Symbol.asyncDispose]();
await broker.close();
await system.stop();
