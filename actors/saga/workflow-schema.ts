/**
 * The JSON Schema of a workflow's document, for editors and for those who write documents by program.
 *
 * Owns: the form alone. That dependencies exist and expressions are sound is said by `workflowFromDocument`.
 */
import { adaptationSchema } from './adaptation-schema.ts';

const call = {
  systemTarget: {
    type: 'string',
    pattern: '^[A-Za-z0-9_-]{1,128}$',
    description: 'A system: the command goes to $command.<systemTarget>.<action>.',
  },
  actor: {
    type: 'object',
    description: 'An actor: it is asked { type: action, ...parameters, workflow }.',
    properties: { definition: { type: 'string' }, id: { type: 'string', description: 'May have ${…}.' } },
    required: ['definition', 'id'],
    additionalProperties: false,
  },
  action: { type: 'string', minLength: 1 },
  parameters: { description: 'Any JSON; texts may have ${…}.' },
  retryPolicy: { $ref: '#/$defs/retryPolicy' },
  attemptTimeoutMs: { type: 'number', minimum: 1, default: 30_000 },
  heartbeatTimeoutMs: { type: 'number', minimum: 1, description: 'Longest silence of a handler.' },
} as const;

/** JSON Schema, draft 2020-12, of what `workflowFromDocument` and `parseWorkflow` read. */
export const workflowSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Workflow',
  type: 'object',
  properties: {
    workflow: { type: 'string', pattern: '^[A-Za-z][A-Za-z0-9_.-]{0,127}$', description: 'Id of the definition.' },
    name: { type: 'string', minLength: 1 },
    version: { type: 'integer', minimum: 1, default: 1 },
    input: { type: 'object', description: 'A JSON Schema of the input.' },
    context: { type: 'object', description: 'Variables of a run at its start.' },
    timeoutMs: { type: 'number', minimum: 1 },
    parallelism: { type: 'integer', minimum: 1, default: 64 },
    onFailure: { enum: ['compensate', 'park'], default: 'compensate' },
    output: { description: 'The result of a run; texts may have ${…}.' },
    updates: {
      type: 'object',
      propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_.-]{0,127}$' },
      additionalProperties: { $ref: '#/$defs/update' },
    },
    steps: { type: 'array', minItems: 1, items: { $ref: '#/$defs/step' } },
    adaptations: { type: 'array', items: { $ref: '#/$defs/adaptation' } },
  },
  required: ['workflow', 'steps'],
  additionalProperties: false,
  $defs: {
    retryPolicy: {
      type: 'object',
      properties: {
        maxAttempts: { type: 'integer', minimum: 1, default: 3 },
        initialMs: { type: 'number', minimum: 0, default: 100 },
        maxMs: { type: 'number', minimum: 0, default: 30_000 },
        factor: { type: 'number', minimum: 1, default: 2 },
        jitter: { enum: ['full', 'none'], default: 'full' },
        nonRetryable: { type: 'array', items: { type: 'string' } },
      },
      additionalProperties: false,
    },
    update: {
      type: 'object',
      properties: {
        payload: { type: 'object', description: 'A JSON Schema of the payload.' },
        condition: { type: 'string' },
        set: {
          type: 'object',
          minProperties: 1,
          description: 'Variables of the context, with their new values; texts may have ${…}.',
        },
        reply: { description: 'What the caller is answered; texts may have ${…}.' },
      },
      required: ['set'],
      additionalProperties: false,
    },
    ...adaptationSchema,
    call: { type: 'object', properties: call, required: ['action'], additionalProperties: false },
    step: {
      type: 'object',
      properties: {
        stepId: { type: 'string', pattern: '^(?!__)[A-Za-z_][A-Za-z0-9_.-]{0,127}$' },
        ...call,
        workflow: { type: 'string', description: 'A child workflow; parameters are its input.' },
        detached: { type: 'boolean', default: false, description: 'The child workflow is not waited for.' },
        promise: { const: true, description: 'Waits until somebody settles its token: ${steps.<id>.token}.' },
        signal: {
          oneOf: [
            { type: 'string', minLength: 1 },
            { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
          ],
        },
        sleep: { type: ['number', 'string'], minimum: 0, description: 'Milliseconds, or ${…}.' },
        until: { type: ['number', 'string'], minimum: 0, description: 'A time: ISO 8601, or ms since 1970, or ${…}.' },
        value: { description: 'The result; texts may have ${…}.' },
        raise: {
          type: 'object',
          description: 'It fails with this error; texts may have ${…}.',
          properties: { code: { type: 'string' }, message: { type: 'string' }, details: { type: 'object' } },
          required: ['code'],
          additionalProperties: false,
        },
        dependencies: { type: 'array', items: { type: 'string' }, uniqueItems: true },
        join: { oneOf: [{ enum: ['all', 'any'] }, { type: 'integer', minimum: 1 }], default: 'all' },
        condition: { type: 'string' },
        skipDependents: { type: 'boolean', default: false },
        forEach: {
          oneOf: [
            { type: 'string' },
            {
              type: 'object',
              properties: {
                items: { type: ['string', 'array'] },
                concurrency: { type: 'integer', minimum: 1, default: 16 },
              },
              required: ['items'],
              additionalProperties: false,
            },
          ],
        },
        timeoutMs: { type: 'number', minimum: 1 },
        pivot: { type: 'boolean', default: false },
        onFailure: { enum: ['fail', 'continue'], default: 'fail' },
        compensation: { $ref: '#/$defs/call' },
        result: { type: 'object', description: 'A JSON Schema of the result.' },
      },
      required: ['stepId'],
      additionalProperties: false,
      oneOf: ['systemTarget', 'actor', 'workflow', 'signal', 'promise', 'sleep', 'until', 'value', 'raise'].map(
        (kind) => ({
          required: [kind],
        }),
      ),
    },
  },
} as const;
