/**
 * Workflows in files: JSON, or YAML where the package `yaml` is installed.
 *
 * Owns: the door to `yaml`. What the text means is `workflow-definition.ts`.
 */
import { MissingPackageError } from '../../runtime/kernel/errors.ts';
import { invalidWorkflow } from './compiled-workflow.ts';
import { type WorkflowDefinition, workflowFromDocument } from './workflow-definition.ts';

/** Aliases that one document may use: what is small in YAML must not be huge in memory. */
const ALIASES_LIMIT = 100;

/**
 * A definition from text: JSON if it begins with "{", else YAML 1.2. See `workflowSchema`.
 *
 * @throws InvalidWorkflowError with everything that is wrong, MissingPackageError (YAML without `yaml`)
 * @example const checkout = await parseWorkflow(await readFile('checkout.yaml', 'utf8'))
 */
export async function parseWorkflow(text: string): Promise<WorkflowDefinition> {
  return workflowFromDocument(await documentOf(text));
}

/** What the text says. @throws as `parseWorkflow` */
export async function documentOf(text: string): Promise<unknown> {
  return text.trimStart().startsWith('{') ? fromJson(text) : await fromYaml(text);
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw invalidWorkflow(undefined, [`not JSON: ${(error as Error).message}`]);
  }
}

async function fromYaml(text: string): Promise<unknown> {
  let yaml: typeof import('yaml');
  try {
    yaml = await import('yaml');
  } catch (cause) {
    throw new MissingPackageError('workflows in YAML need the package "yaml": npm install yaml, or write JSON', {
      cause,
    });
  }
  const document = yaml.parseDocument(text, { version: '1.2', uniqueKeys: true });
  if (document.errors.length > 0)
    throw invalidWorkflow(
      undefined,
      document.errors.map(({ message }) => `YAML: ${message}`),
    );
  try {
    return document.toJS({ maxAliasCount: ALIASES_LIMIT }) as unknown;
  } catch (error) {
    throw invalidWorkflow(undefined, [`YAML: ${(error as Error).message}`]);
  }
}
