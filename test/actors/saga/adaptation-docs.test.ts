/** The example of `workflows.md` is run, not believed. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import type { SagaDefinition } from '../../../actors/saga/define-saga.ts';
import { formatTrace } from '../../../actors/saga/run-trace.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { createTestSystem } from '../../../runtime/testing/test-system.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { ScriptedBroker } from './scripted-broker.ts';

const REPOSITORY = join(import.meta.dirname, '..', '..', '..');

test('adaptation rules: the example does what is said of it', async () => {
  const text = await readFile(join(REPOSITORY, 'runtime/docs/workflows.md'), 'utf8');
  const section = text.slice(text.indexOf('## Adaptation rules'));
  const code = /```ts\n([\s\S]*?)```/.exec(section)?.[1];
  const saga = pathToFileURL(join(REPOSITORY, 'actors/saga/define-saga.ts')).href;
  await mkdir(join(REPOSITORY, '.tmp'), { recursive: true });
  await using folder = await tmpDir('docs', join(REPOSITORY, '.tmp'));
  const file = folder.at('example.ts');
  await writeFile(file, `import { defineSaga } from '${saga}';\n${code}\nexport { payment };\n`);
  const { payment } = (await import(pathToFileURL(file).href)) as { payment: SagaDefinition };

  const broker = new ScriptedBroker({ payments: () => 'at home', 'payments-b': () => 'elsewhere' });
  const breaker = { state: 'open' };
  await using bench = await createTestSystem({ actors: [workflowActors] });
  const engine = new WorkflowCoordinationEngine(bench.system, {
    broker,
    clock: bench.clock,
    metrics: { breakers: { payments: breaker } },
  });
  engine.defineWorkflow(payment);
  await bench.settle();
  expect(await engine.executeWorkflow('payment', { cents: 990 }, { runId: 'p-1' })).toEqual({ charge: 'elsewhere' });
  breaker.state = 'closed';
  await bench.advance(1_000);
  // Let go after the time that it is held for: asked before, and after.
  expect(await engine.executeWorkflow('payment', { cents: 990 }, { runId: 'p-2' })).toEqual({ charge: 'elsewhere' });
  await bench.advance(10_000);
  expect(await engine.executeWorkflow('payment', { cents: 990 }, { runId: 'p-3' })).toEqual({ charge: 'at home' });
  const [title, ...rows] = formatTrace(await engine.trace('p-1')).split('\n');
  expect(title).toMatch(/^ +time {2}what +of +try {2}detail$/);
  expect(rows.map((row) => row.trim().replaceAll(/ {2,}/g, '  '))).toEqual([
    '+0 ms  run started',
    '+0 ms  adapted  charge  by slow-payments, route: payments-b, systems.payments.p99Ms = 0, systems.payments.calls = 0, systems.payments.breaker = open',
    '+0 ms  adapted  charge  by slow-payments, attemptTimeoutMs: 2000, systems.payments.p99Ms = 0, systems.payments.calls = 0, systems.payments.breaker = open',
    '+0 ms  step started  charge  payments charge',
    '+0 ms  try started  charge  1  by slow-payments',
    '+0 ms  try done  charge  1',
    '+0 ms  step over  charge  completed',
    '+0 ms  run over  completed',
  ]);
  await engine.close();
});
