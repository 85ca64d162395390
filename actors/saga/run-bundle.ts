/**
 * What a run carries of definitions: its own and those of its child workflows, as text.
 *
 * Owns: the text, its hash, and the compiled form that each thread keeps of it.
 *
 * Invariants:
 * RBU1. A run stays with the definitions that it began with, or was moved to: they are in its record, and nothing else is looked at.
 * RBU2. The compiled form follows from the text alone; keeping it saves time and changes nothing.
 */
import { InvalidWorkflowError, UnknownWorkflowError } from '../../runtime/kernel/errors.ts';
import { MESSAGE_BYTES_LIMIT } from '../../runtime/kernel/limits.ts';
import { type CompiledWorkflow, compileWorkflow } from './compiled-workflow.ts';
import { hashOfJson, type WorkflowData } from './workflow-data.ts';

/** Definitions of one run: text of JSON, by id. */
export interface RunBundle {
  readonly hash: string;
  readonly source: string;
}

/** Half of a message: the input of a run is beside it. A thousand steps have about 400,000. */
const SOURCE_BYTES_LIMIT = MESSAGE_BYTES_LIMIT >> 1;
/** Definitions that a thread keeps compiled. */
const COMPILED_LIMIT = 1_000;

const compiled = new Map<string, ReadonlyMap<string, CompiledWorkflow>>();

/** The bundle of a definition; `find` gives the definitions of child workflows. */
export function bundleOf(root: WorkflowData, find: (id: string) => WorkflowData | undefined): RunBundle {
  const all: Record<string, WorkflowData> = {};
  const open = [root];
  for (let data = open.pop(); data !== undefined; data = open.pop()) {
    if (all[data.id] !== undefined) continue;
    all[data.id] = data;
    for (const { id, work } of data.steps) {
      if (work.kind !== 'workflow') continue;
      const child = find(work.workflow);
      if (child === undefined) {
        throw new UnknownWorkflowError(
          `workflow "${data.id}", step "${id}": no workflow "${work.workflow}" is defined: define it before a run of this one is started`,
          { details: { workflow: work.workflow, parent: data.id, step: id } },
        );
      }
      open.push(child);
    }
  }
  const source = JSON.stringify(all);
  if (source.length > SOURCE_BYTES_LIMIT) {
    throw new InvalidWorkflowError(
      `workflow "${root.id}", with its child workflows, has ${source.length} bytes, and each run carries them: at most ${SOURCE_BYTES_LIMIT}`,
    );
  }
  return { hash: hashOfJson(all), source };
}

/** The definition `id` of a bundle, ready to run. */
export function workflowOf(bundle: RunBundle, id: string): CompiledWorkflow {
  let workflows = compiled.get(bundle.hash);
  if (workflows === undefined) {
    const all = JSON.parse(bundle.source) as Record<string, WorkflowData>;
    if (hashOfJson(all) !== bundle.hash)
      throw new InvalidWorkflowError(`the definition of workflow "${id}" is not the one that its hash names`);
    workflows = new Map(Object.entries(all).map(([name, data]) => [name, compileWorkflow(data)]));
    if (compiled.size >= COMPILED_LIMIT) compiled.delete(compiled.keys().next().value as string);
    compiled.set(bundle.hash, workflows);
  }
  const workflow = workflows.get(id);
  if (workflow === undefined) throw new UnknownWorkflowError(`no workflow "${id}" among those of the run`);
  return workflow;
}
