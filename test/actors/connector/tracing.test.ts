/** One trace through connector, broker, HTTP, the other broker, handler, event and reply, as a real OpenTelemetry SDK sees it. */
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterEach, expect, test } from 'vitest';
import { ConnectorServer, httpTransport, SystemConnector } from '../../../actors/index.ts';
import { ActorSystem, MessageBroker } from '../../../runtime/index.ts';
import { until } from '../../support/until.ts';

afterEach(() => {
  trace.disable();
  context.disable();
});

test('a command to a remote system, its event and its reply are one trace', async () => {
  const spans = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] }));
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  await using system = await ActorSystem.start({ threads: 0 });
  await using near = await MessageBroker.start({ system, name: 'near', env: {} });
  await using far = await MessageBroker.start({ system, name: 'far', env: {} });
  await using billing = await SystemConnector.start('billing', { broker: far });
  await billing.onCommand('charge', async () => {
    await billing.publishEvent('billing.charged');
    return 'charged';
  });
  let heard = false;
  await billing.onEvent('billing.>', () => {
    heard = true;
  });
  await using server = await ConnectorServer.start({ broker: far });
  const transport = httpTransport({ url: server.url });
  await using _bridge = await SystemConnector.start('billing', { broker: near, transport });
  await using orders = await SystemConnector.start('orders', { broker: near });

  const outer = trace.getTracer('test').startSpan('request');
  const reply = await context.with(trace.setSpan(context.active(), outer), () =>
    orders.sendCommand('billing', 'charge', {}, { reply: true }),
  );
  outer.end();
  expect(reply).toBe('charged');
  await until('the event', () => heard);
  const named = (name: string): number => spans.getFinishedSpans().filter((span) => span.name === name).length;
  await until('the last span', () => named('process billing.charged') === 1);
  // Here and there.
  expect(named('send $command.billing.charge')).toBe(2);
  expect(named('process $command.billing.charge')).toBe(2);
  expect(named('send billing.charged')).toBe(1);
  const { traceId } = outer.spanContext();
  for (const span of spans.getFinishedSpans()) {
    expect([span.name, span.spanContext().traceId]).toEqual([span.name, traceId]);
  }
});
