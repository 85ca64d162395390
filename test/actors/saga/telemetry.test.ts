/** Runs as a real OpenTelemetry SDK sees them: one trace from the caller to the handler, spans of tries, waits and undos, figures. */
import { context, metrics, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterEach, expect, test } from 'vitest';
import { SystemConnector } from '../../../actors/index.ts';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { ActorSystem, MessageBroker } from '../../../runtime/index.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { until } from '../../support/until.ts';

afterEach(() => {
  trace.disable();
  context.disable();
  metrics.disable();
});

const order = defineSaga('order')
  .step('reserve', {
    systemTarget: 'stock',
    action: 'reserve',
    compensation: { systemTarget: 'stock', action: 'release' },
  })
  .step('go', { signal: 'go', dependencies: ['reserve'] })
  .step('charge', {
    systemTarget: 'stock',
    action: 'charge',
    dependencies: ['go'],
    retryPolicy: { maxAttempts: 2, initialMs: 1 },
  });

function observe() {
  const spans = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] }));
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  const figures = async () => {
    await reader.forceFlush();
    const scopes = exporter.getMetrics().at(-1)?.scopeMetrics ?? [];
    return scopes.flatMap((scope) =>
      scope.metrics.map(({ descriptor, dataPoints }) => ({ name: descriptor.name, dataPoints })),
    );
  };
  return { spans, figures };
}

async function world(dataDir: string) {
  const system = await ActorSystem.start({ dataDir, threads: 0, actors: [workflowActors] });
  const broker = await MessageBroker.start({ system, env: {} });
  const stock = await SystemConnector.start('stock', { broker });
  await stock.onCommand('reserve', () => 'reserved');
  await stock.onCommand('release', () => 'released');
  await stock.onCommand('charge', () => {
    throw new Error('declined');
  });
  const engine = new WorkflowCoordinationEngine(system, { broker }).defineWorkflow(order);
  const end = async (): Promise<void> => {
    await engine.close();
    await stock[Symbol.asyncDispose]();
    await broker.close();
    await system.stop();
  };
  return { engine, end };
}

test('one trace from the caller through command, connector, handler and reply, over a restart', async () => {
  const { spans, figures } = observe();
  await using folder = await tmpDir('run-telemetry');
  const outer = trace.getTracer('test').startSpan('request');
  const first = await world(folder.at('data'));
  await context.with(trace.setSpan(context.active(), outer), () => first.engine.start('order', null, { runId: 'o-1' }));
  outer.end();
  await until('the first step', async () => (await first.engine.query('o-1')).steps['reserve']?.status === 'completed');
  await first.end();

  const second = await world(folder.at('data'));
  await second.engine.signal('o-1', 'go');
  await expect(second.engine.executeWorkflow('order', null, { runId: 'o-1' })).rejects.toThrow('declined');
  const finished = (name: string) => spans.getFinishedSpans().filter((span) => span.name === name);
  await until('the span of the run', () => finished('run order').length === 1);
  await second.end();

  const { traceId, spanId } = outer.spanContext();
  const [started] = finished('start order').filter((span) => span.spanContext().traceId === traceId);
  expect(started?.parentSpanContext?.spanId).toBe(spanId);
  const [run] = finished('run order');
  expect(run).toMatchObject({
    parentSpanContext: { spanId: started?.spanContext().spanId },
    attributes: { 'blocks.run': 'o-1', 'blocks.workflow.status': 'failed' },
    status: { message: 'declined' },
  });
  // Who asked for it again, without a trace of its own.
  expect(run?.links).toEqual([]);
  const within = spans
    .getFinishedSpans()
    .filter((span) => span.parentSpanContext?.spanId === run?.spanContext().spanId);
  expect(within.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['step reserve', 'wait go', 'step charge', 'wait charge', 'step charge', 'undo reserve']),
  );
  expect(within).toHaveLength(6);
  for (const name of [
    'send $command.stock.charge',
    'process $command.stock.charge',
    'process $command.stock.reserve',
  ]) {
    expect(finished(name).length, name).toBeGreaterThan(0);
    for (const span of finished(name)) expect([name, span.spanContext().traceId]).toEqual([name, traceId]);
  }
  const measured = await figures();
  const points = (name: string): readonly unknown[] => measured.find((one) => one.name === name)?.dataPoints ?? [];
  expect(points('blocks.workflow.started')).toMatchObject([{ value: 1 }]);
  expect(points('blocks.workflow.ended')).toMatchObject([
    { value: 1, attributes: { 'blocks.workflow.status': 'failed' } },
  ]);
  expect(points('blocks.workflow.duration')).toHaveLength(1);
  expect(points('blocks.workflow.step_duration')).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        attributes: expect.objectContaining({ 'blocks.step': 'charge', 'blocks.target': 'stock charge' }),
        value: expect.objectContaining({ count: 2 }),
      }),
    ]),
  );
});

test('RT1: without a provider a run carries no trace', async () => {
  await using folder = await tmpDir('no-telemetry');
  const { engine, end } = await world(folder.at('data'));
  await engine.start('order', null, { runId: 'o-1' });
  expect('traceparent' in (await engine.query('o-1'))).toBe(false);
  await end();
});
