/**
 * Workflows of the Open Workflow Specification (formerly CNCF Serverless Workflow, DSL 1.0) as workflows of ours.
 *
 * Owns: the document around the tasks. Tasks are `open-workflow-tasks.ts`, durations and errors `open-workflow-terms.ts`, expressions
 * `jq-to-cel.ts`. What has no equal here is refused by name and place, all of it at once.
 */
import { invalidWorkflow } from './compiled-workflow.ts';
import { TaskTranslation } from './open-workflow-tasks.ts';
import { durationMs, onlyKnown, type Report } from './open-workflow-terms.ts';
import type { CallTarget } from './open-workflow-values.ts';
import { isRecord, type ValueShape } from './value-shape.ts';
import { WorkflowDefinition } from './workflow-definition.ts';
import { documentOf } from './workflow-text.ts';

export interface OpenWorkflowOptions {
  /**
   * Who does what `call` names: functions, and `http`, `grpc`, `openapi`, `asyncapi`, which no workflow does by itself. What stands in
   * `with` are the parameters. A function that is not named here, and is not in the document, is read as `<system>.<action>`.
   */
  readonly calls?: Readonly<Record<string, CallTarget>>;
}

const DOCUMENT = ['document', 'input', 'use', 'do', 'timeout', 'output', 'evaluate', 'metadata'];
const ABOUT = ['dsl', 'namespace', 'name', 'version', 'title', 'summary', 'tags', 'metadata'];
const USE = ['errors', 'functions', 'retries', 'timeouts'];

/**
 * A definition from a document of the Open Workflow Specification. Its id is `<namespace>.<name>`, its version of the semantic one:
 * 1.2.3 is 1002003.
 *
 * @throws InvalidWorkflowError with everything that is wrong or not supported, each with its place
 * @example const order = openWorkflowFromDocument(document, { calls: { http: { systemTarget: 'web', action: 'request' } } })
 */
export function openWorkflowFromDocument(document: unknown, options: OpenWorkflowOptions = {}): WorkflowDefinition {
  if (!isRecord(document)) throw invalidWorkflow(undefined, ['the document is no object']);
  const faults: string[] = [];
  const report: Report = (path, message) => void faults.push(`${path}: ${message}`);
  onlyKnown(document, DOCUMENT, 'document root', report);
  const about = isRecord(document['document']) ? document['document'] : {};
  if (about !== document['document']) report('document', 'is missing: give { dsl, namespace, name, version }');
  onlyKnown(about, ABOUT, 'document', report);
  const { dsl, namespace = 'default', name, title } = about;
  if (!String(dsl).startsWith('1.0.')) report('document.dsl', `${JSON.stringify(dsl)} is not supported: 1.0.x is`);
  const language = Object(document['evaluate'] ?? {}).language as unknown;
  if (language !== undefined && language !== 'jq')
    report('evaluate.language', `${JSON.stringify(language)}: only jq is`);
  const use = isRecord(document['use']) ? document['use'] : {};
  onlyKnown(use, USE, 'use', report);
  const id = `${String(namespace)}.${String(name)}`;
  const translation = new TaskTranslation({ calls: options.calls ?? {}, use, about: { ...about, namespace }, report });
  const output = translation.workflow(document['do'], document['input'], document['output']);
  const definition = new WorkflowDefinition(id, typeof title === 'string' ? title : id, {
    version: versionOf(about['version'], report),
    ...timeoutOf(document['timeout'], use, report),
    ...inputOf(document['input'], report),
    output,
  });
  if (faults.length > 0) throw invalidWorkflow(id, faults);
  for (const step of translation.steps) definition.addStep(step);
  definition.compile();
  return definition;
}

/**
 * The same from text, JSON or YAML (with the package `yaml`).
 *
 * @throws InvalidWorkflowError, MissingPackageError
 */
export async function parseOpenWorkflow(text: string, options: OpenWorkflowOptions = {}): Promise<WorkflowDefinition> {
  return openWorkflowFromDocument(await documentOf(text), options);
}

function versionOf(given: unknown, report: Report): number {
  const [, major, minor, patch] = /^(\d+)\.(\d{1,3})\.(\d{1,3})$/.exec(String(given)) ?? [];
  const version = Number(major) * 1_000_000 + Number(minor) * 1_000 + Number(patch);
  if (version >= 1) return version;
  report('document.version', `${JSON.stringify(given)} is no version from 0.0.1 on, without suffix`);
  return 1;
}

function timeoutOf(given: unknown, use: Record<string, unknown>, report: Report): { readonly timeoutMs?: number } {
  if (given === undefined) return {};
  const named = typeof given === 'string' ? (Object(use['timeouts']) as Record<string, unknown>)[given] : given;
  if (!isRecord(named)) {
    report('timeout', `${JSON.stringify(given)} is no timeout, nor one of use.timeouts`);
    return {};
  }
  onlyKnown(named, ['after'], 'timeout', report);
  const timeoutMs = durationMs(named['after'], 'timeout.after', report);
  return timeoutMs === undefined ? {} : { timeoutMs };
}

function inputOf(given: unknown, report: Report): { readonly input?: ValueShape } {
  if (given === undefined) return {};
  if (!isRecord(given)) {
    report('input', `${JSON.stringify(given)} is no object`);
    return {};
  }
  onlyKnown(given, ['schema', 'from'], 'input', report);
  const { schema } = given;
  if (schema === undefined) return {};
  if (!isRecord(schema) || !isRecord(schema['document'])) {
    report('input.schema', 'only a JSON Schema in the document itself is supported: schema.document');
    return {};
  }
  onlyKnown(schema, ['format', 'document'], 'input.schema', report);
  return { input: schema['document'] };
}
