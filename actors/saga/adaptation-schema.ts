/**
 * The JSON Schema of adaptation rules, for `workflow-schema.ts`.
 *
 * Owns: the form alone, as definitions under `$defs`. That names exist and conditions are sound is said when a workflow is defined.
 */
const whole = { type: 'integer', minimum: 1 } as const;
const time = { type: 'number', minimum: 0 } as const;

export const adaptationSchema = {
  adaptation: {
    type: 'object',
    description: 'While metrics are so, runs do that.',
    properties: {
      ruleId: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_.-]{0,127}$' },
      when: { type: 'string', description: 'CEL over metrics: systems.payments.p99Ms > 800' },
      until: { type: 'string', description: 'Lets it go; default: that "when" does not hold.' },
      steps: { type: 'array', items: { type: 'string' } },
      systemTarget: { type: 'string', description: 'Steps that call this system.' },
      actor: { type: 'string', description: 'Steps that call actors of this definition.' },
      action: { type: 'string', minLength: 1 },
      change: { $ref: '#/$defs/adaptationChange' },
      windowMs: { type: 'number', minimum: 5_000, maximum: 60_000, default: 60_000 },
      minimumCalls: { ...time, default: 10 },
      forMs: { ...time, default: 0 },
      releaseForMs: { ...time, default: 10_000 },
      cooldownMs: { ...time, default: 0 },
      priority: { type: 'number', default: 0 },
    },
    required: ['ruleId', 'when', 'change'],
    additionalProperties: false,
  },
  adaptationChange: {
    type: 'object',
    minProperties: 1,
    properties: {
      route: {
        type: 'object',
        properties: {
          systemTarget: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,128}$' },
          actor: {
            type: 'object',
            properties: { definition: { type: 'string' }, id: { type: 'string', description: "Default: the step's." } },
            required: ['definition'],
            additionalProperties: false,
          },
          action: { type: 'string', minLength: 1 },
          parameters: { description: "Default: the step's." },
          compensation: { oneOf: [{ enum: ['moves', 'stays'] }, { $ref: '#/$defs/call' }], default: 'moves' },
        },
        oneOf: [{ required: ['systemTarget'] }, { required: ['actor'] }],
        additionalProperties: false,
      },
      retryPolicy: { $ref: '#/$defs/retryPolicy' },
      attemptTimeoutMs: { type: 'number', minimum: 1 },
      timeoutMs: { type: 'number', minimum: 1 },
      parallelism: whole,
      concurrency: whole,
      targetConcurrency: whole,
      skip: { type: 'boolean' },
    },
    additionalProperties: false,
  },
} as const;
