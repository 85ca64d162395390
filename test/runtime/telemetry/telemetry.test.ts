import { AsyncLocalStorage } from 'node:async_hooks';
import { execFileSync } from 'node:child_process';
import { cp, mkdir } from 'node:fs/promises';
import {
  type Context,
  context,
  type ContextManager,
  type Meter,
  type MeterProvider,
  metrics,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanOptions as ApiSpanOptions,
  SpanKind,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { afterEach, describe, expect, test } from 'vitest';
import { INSTRUMENTS, isMeasuring, measure } from '../../../runtime/telemetry/instruments.ts';
import { runInSpan } from '../../../runtime/telemetry/spans.ts';
import {
  currentTrace,
  formatTraceparent,
  parseTraceparent,
  runInTrace,
} from '../../../runtime/telemetry/trace-carrier.ts';
import { tmpDir } from '../../support/tmp-dir.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;

class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();
  active = (): Context => this.#storage.getStore() ?? ROOT_CONTEXT;
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    run: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(active, () => run.call(self as never, ...args));
  }
  bind = <T>(_active: Context, target: T): T => target;
  enable = (): this => this;
  disable = (): this => this;
}

interface Recorded {
  name: string;
  options: ApiSpanOptions;
  parent: SpanContext | undefined;
  ended: boolean;
  exceptions: unknown[];
  status?: unknown;
}

/** Just enough of a tracer to see what was asked of it. */
const registerTracer = (): Recorded[] => {
  const spans: Recorded[] = [];
  const startSpan = (name: string, options: ApiSpanOptions = {}, parentContext: Context = context.active()): Span => {
    const parent = trace.getSpanContext(parentContext);
    const record: Recorded = { name, options, parent, ended: false, exceptions: [] };
    spans.push(record);
    const own: SpanContext = {
      traceId: parent?.traceId ?? TRACE_ID,
      spanId: spans.length.toString(16).padStart(16, '0'),
      traceFlags: 1,
      ...(parent?.traceState === undefined ? {} : { traceState: parent.traceState }),
    };
    return {
      spanContext: () => own,
      end: () => void (record.ended = true),
      recordException: (error: unknown) => void record.exceptions.push(error),
      setStatus: (status: unknown) => void (record.status = status),
    } as unknown as Span;
  };
  const tracer = {
    startSpan,
    startActiveSpan: (name: string, options: ApiSpanOptions, run: (span: Span) => unknown) => {
      const span = startSpan(name, options);
      return context.with(trace.setSpan(context.active(), span), () => run(span));
    },
  } as unknown as Tracer;
  context.setGlobalContextManager(new AsyncContexts());
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
  return spans;
};

afterEach(() => {
  trace.disable();
  context.disable();
  metrics.disable();
});

describe('traceparent', () => {
  test('TC2: parsed and formatted', () => {
    expect(parseTraceparent(PARENT)).toEqual({ traceId: TRACE_ID, spanId: 'b7ad6b7169203331', flags: 1 });
    const parsed = parseTraceparent(PARENT);
    expect(parsed && formatTraceparent(parsed)).toBe(PARENT);
    expect(parseTraceparent(`01-${TRACE_ID}-b7ad6b7169203331-00-more`)).toMatchObject({ flags: 0 });
  });

  test.each([
    '',
    'x',
    PARENT.toUpperCase(),
    `${PARENT}-more`,
    `ff${PARENT.slice(2)}`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-${TRACE_ID}-${'0'.repeat(16)}-01`,
    PARENT.slice(0, -1),
  ])('refused: %j', (text) => {
    expect(parseTraceparent(text)).toBe(undefined);
  });
});

test('TC1: without a provider nothing happens but the call', async () => {
  expect(currentTrace()).toBe(undefined);
  expect(runInTrace({ traceparent: PARENT }, () => 5)).toBe(5);
  expect(runInSpan('step', { kind: 'consumer' }, () => 6)).toBe(6);
  await expect(runInSpan('step', {}, async () => 7)).resolves.toBe(7);
  expect(isMeasuring()).toBe(false);
  measure('blocks.turns', 1);
});

test('a trace goes from thread to thread in a carrier', () => {
  const spans = registerTracer();
  expect(currentTrace()).toBe(undefined);
  const carrier = runInTrace({ traceparent: PARENT, tracestate: 'vendor=1' }, () =>
    runInSpan('send', { kind: 'producer', attributes: { to: 'order/1' } }, currentTrace),
  );
  expect(carrier).toEqual({ traceparent: `00-${TRACE_ID}-0000000000000001-01`, tracestate: 'vendor=1' });
  expect(spans).toMatchObject([
    {
      name: 'send',
      parent: { spanId: 'b7ad6b7169203331', isRemote: true },
      options: { kind: SpanKind.PRODUCER, attributes: { to: 'order/1' } },
      ended: true,
    },
  ]);
  runInSpan('handle', { kind: 'consumer', parent: carrier }, () => undefined);
  expect(spans[1]).toMatchObject({ name: 'handle', parent: { spanId: '0000000000000001' } });
  expect(runInTrace({ traceparent: 'nonsense' }, currentTrace)).toBe(undefined);
});

test('spans end with what they are about, and say how it failed', async () => {
  const spans = registerTracer();
  const failure = new Error('no');
  expect(() =>
    runInSpan('throws', {}, () => {
      throw failure;
    }),
  ).toThrow(failure);
  const { promise, resolve } = Promise.withResolvers<number>();
  const pending = runInSpan('later', {}, () => promise);
  expect(spans[1]?.ended).toBe(false);
  resolve(3);
  await expect(pending).resolves.toBe(3);
  await expect(runInSpan('rejects', {}, () => Promise.reject(failure))).rejects.toBe(failure);
  expect(spans).toMatchObject([
    { ended: true, exceptions: [failure], status: { message: 'no' } },
    { ended: true, exceptions: [] },
    { ended: true, exceptions: [failure] },
  ]);
});

/** A provider that notes what is made and measured. */
const meterProvider = (): { provider: MeterProvider; made: string[]; measured: unknown[] } => {
  const made: string[] = [];
  const measured: unknown[] = [];
  const make =
    (kind: string) =>
    (name: string, { unit }: { unit: string }) => {
      made.push(`${kind} ${name} ${unit}`);
      const note = (value: number, attributes?: unknown): void =>
        void measured.push(attributes === undefined ? [name, value] : [name, value, attributes]);
      return { add: note, record: note };
    };
  const meter = { createCounter: make('counter'), createHistogram: make('histogram'), createGauge: make('gauge') };
  return { provider: { getMeter: () => meter as unknown as Meter }, made, measured };
};

test('instruments are made when first measured, once for each provider', () => {
  const first = meterProvider();
  metrics.setGlobalMeterProvider(first.provider);
  expect(isMeasuring()).toBe(true);
  measure('blocks.turns', 5);
  measure('blocks.turns', 6, { host: 1 });
  measure('blocks.commit.duration', 0.2);
  measure('blocks.journal.size', 4096);
  expect(first.made).toEqual([
    'counter blocks.turns {turn}',
    'histogram blocks.commit.duration s',
    'gauge blocks.journal.size By',
  ]);
  expect(first.measured).toEqual([
    ['blocks.turns', 5],
    ['blocks.turns', 6, { host: 1 }],
    ['blocks.commit.duration', 0.2],
    ['blocks.journal.size', 4096],
  ]);
  metrics.disable();
  measure('blocks.turns', 7);
  const second = meterProvider();
  metrics.setGlobalMeterProvider(second.provider);
  measure('blocks.turns', 8);
  expect([first.measured.length, second.measured]).toEqual([4, [['blocks.turns', 8]]]);
});

test('the table is complete and in one style', () => {
  for (const [name, { unit, description }] of Object.entries(INSTRUMENTS)) {
    // Those of messages between systems have the names that OpenTelemetry gave them.
    expect(name).toMatch(/^(?:blocks\.[a-z_]+(?:\.[a-z_]+)?|messaging(?:\.[a-z]+)+)$/);
    expect(unit).toMatch(/^(s|By|\{[a-z]+\})$/);
    expect(description).toMatch(/^[A-Z].*[^.]$/);
  }
});

test('without the package installed, and with a provider of an unreachable copy, everything loads and runs', async () => {
  await using dir = await tmpDir('telemetry');
  await mkdir(dir.at('telemetry'));
  for (const file of ['open-telemetry', 'trace-carrier', 'spans', 'instruments'])
    await cp(new URL(`../../../runtime/telemetry/${file}.ts`, import.meta.url), dir.at('telemetry', `${file}.mts`));
  const code = `
    globalThis[Symbol.for('opentelemetry.js.api.1')] = { version: '1.9.0', trace: {}, metrics: {} };
    const { registerHooks } = await import('node:module');
    registerHooks({ resolve: (specifier, context, next) => next(specifier.endsWith('.ts') ? specifier.slice(0, -3) + '.mts' : specifier, context) });
    const { currentTrace } = await import('./trace-carrier.mts');
    const { runInSpan } = await import('./spans.mts');
    const { measure, isMeasuring } = await import('./instruments.mts');
    measure('blocks.turns', 1);
    console.log(currentTrace(), runInSpan('x', {}, () => 5), isMeasuring());
  `;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd: dir.at('telemetry') });
  expect(String(output).trim()).toBe('undefined 5 false');
});
