/** One trace through publish, handler, follow-up and reply, as a real OpenTelemetry SDK sees it. */
import { context, metrics, SpanKind, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { TracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { afterEach, expect, test } from 'vitest';
import { ActorSystem, MessageBroker } from '../../../runtime/index.ts';
import { until } from '../../support/until.ts';

afterEach(() => {
  trace.disable();
  context.disable();
  metrics.disable();
});

test('publish, process, what follows and the reply are one trace, named by the conventions', async () => {
  const spans = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: measured, exportIntervalMillis: 60_000 });
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));

  await using system = await ActorSystem.start({ threads: 0 });
  await using broker = await MessageBroker.start({ system, env: {} });
  let followed = '';
  await broker.subscribe('invoice.wanted', ({ traceparent = '' }) => void (followed = traceparent), { name: 'i' });
  await broker.subscribe(
    '$command.billing.pay',
    async (_message, { publish }) => {
      await publish({ type: 'invoice.wanted' });
      return 'paid';
    },
    { name: 'b' },
  );
  const outer = trace.getTracer('test').startSpan('request');
  const id = 'pay-1';
  const reply = await context.with(trace.setSpan(context.active(), outer), () =>
    broker.request({ type: 'pay', target: 'billing', id }),
  );
  outer.end();
  expect(reply).toBe('paid');
  await until('the invoice is wanted', () => followed !== '');
  await until('all spans have ended', () => spans.getFinishedSpans().length >= 6);

  const all = spans.getFinishedSpans();
  const { traceId } = outer.spanContext();
  for (const span of all) expect([span.name, span.spanContext().traceId]).toEqual([span.name, traceId]);
  const named = (name: string) => {
    const found = all.find((span) => span.name === name);
    if (found === undefined) throw new Error(`no span ${name} among ${all.map((span) => span.name).join(', ')}`);
    return found;
  };
  const send = named('send $command.billing.pay');
  const process = named('process $command.billing.pay');
  const follow = named('send invoice.wanted');
  expect(send.kind).toBe(SpanKind.PRODUCER);
  expect(process.kind).toBe(SpanKind.CONSUMER);
  expect(send.parentSpanContext?.spanId).toBe(outer.spanContext().spanId);
  expect(process.parentSpanContext?.spanId).toBe(send.spanContext().spanId);
  expect(follow.parentSpanContext?.spanId).toBe(process.spanContext().spanId);
  expect(followed).toContain(follow.spanContext().spanId);
  named('process invoice.wanted');
  named('send $reply');
  expect(process.attributes).toMatchObject({
    'messaging.system.name': 'embedded',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': '$command.billing.pay',
    'messaging.message.id': id,
    'messaging.message.conversation_id': id,
    'messaging.consumer.group.name': 'b',
  });

  await reader.forceFlush();
  const names = measured
    .getMetrics()
    .flatMap(({ scopeMetrics }) =>
      scopeMetrics.flatMap((scope) => scope.metrics.map(({ descriptor }) => descriptor.name)),
    );
  expect(new Set(names.filter((name) => name.startsWith('messaging.')))).toEqual(
    new Set([
      'messaging.client.sent.messages',
      'messaging.client.consumed.messages',
      'messaging.client.operation.duration',
      'messaging.process.duration',
    ]),
  );
});

test('with tracing off there is no span, and a carried trace passes through', async () => {
  const spans = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] }));
  await using system = await ActorSystem.start({ threads: 0 });
  await using broker = await MessageBroker.start({ system, env: { DISTRIBUTED_TRACING_ENABLED: 'false' } });
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  let got = '';
  await broker.subscribe('x', (message) => void (got = message.traceparent ?? ''), { name: 'x' });
  await (await broker.publish({ type: 'x', traceparent })).settled();
  expect(got).toBe(traceparent);
  expect(spans.getFinishedSpans()).toEqual([]);
});
