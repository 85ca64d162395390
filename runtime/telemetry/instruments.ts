/**
 * The metrics of the runtime: one table, one function.
 *
 * Owns: names, units and meanings, and the OpenTelemetry instruments behind them, made when first measured. Without a registered
 * meter provider a measurement is one look into a global and nothing more. What is measured per turn should be added up first and
 * told once a batch.
 *
 * Names are our own, below `blocks.`, but for those of messages between systems, which have conventions: `messaging.ts`.
 */
import type { Attributes, Counter, Gauge, Histogram, MeterProvider } from '@opentelemetry/api';
import { openTelemetry, SCOPE } from './open-telemetry.ts';

export interface InstrumentSpec {
  /** `counter`: what is measured is added. `histogram`: each one counts. `gauge`: the last one holds. */
  readonly kind: 'counter' | 'histogram' | 'gauge';
  /** In UCUM: `s`, `By`, or `{thing}`. */
  readonly unit: string;
  readonly description: string;
}

export const INSTRUMENTS = {
  'blocks.turns': { kind: 'counter', unit: '{turn}', description: 'Turns committed' },
  'blocks.turn.failures': { kind: 'counter', unit: '{turn}', description: 'Turns whose behavior threw' },
  'blocks.step.duration': { kind: 'histogram', unit: 's', description: 'Time in one step of a behavior' },
  'blocks.messages.sent': {
    kind: 'counter',
    unit: '{message}',
    description: 'Messages sent by cells and from outside',
  },
  'blocks.messages.dead': { kind: 'counter', unit: '{message}', description: 'Messages that became dead letters' },
  'blocks.messages.waiting': { kind: 'gauge', unit: '{message}', description: 'Messages waiting in mailboxes' },
  'blocks.cells.resident': { kind: 'gauge', unit: '{cell}', description: 'Cells in memory' },
  'blocks.cells.blocked': { kind: 'gauge', unit: '{cell}', description: 'Cells that cannot repeat their past' },
  'blocks.commit.duration': {
    kind: 'histogram',
    unit: 's',
    description: 'From a batch being handed over to its being durable',
  },
  'blocks.commit.turns': { kind: 'histogram', unit: '{turn}', description: 'Turns of one batch' },
  'blocks.journal.position': { kind: 'gauge', unit: '{turn}', description: 'Next position of the journal' },
  'blocks.journal.size': { kind: 'gauge', unit: 'By', description: 'Bytes of the data file' },
  'blocks.link.queued': { kind: 'gauge', unit: 'By', description: 'Bytes sent or waiting on a link and not accepted' },
  'blocks.effects.started': { kind: 'counter', unit: '{effect}', description: 'Attempts of effects' },
  'blocks.effects.failed': { kind: 'counter', unit: '{effect}', description: 'Attempts of effects that failed' },
  'blocks.effect.duration': { kind: 'histogram', unit: 's', description: 'Time of one attempt of an effect' },
  'blocks.ask.duration': { kind: 'histogram', unit: 's', description: 'From an ask from outside to its reply' },
  'messaging.client.sent.messages': {
    kind: 'counter',
    unit: '{message}',
    description: 'Messages that a producer tried to send',
  },
  'messaging.client.consumed.messages': {
    kind: 'counter',
    unit: '{message}',
    description: 'Messages that were handed to a handler',
  },
  'messaging.client.operation.duration': { kind: 'histogram', unit: 's', description: 'Time of sending a message' },
  'messaging.process.duration': { kind: 'histogram', unit: 's', description: 'Time of handling a message' },
  'blocks.workflow.started': { kind: 'counter', unit: '{run}', description: 'Runs of workflows that were started' },
  'blocks.workflow.ended': {
    kind: 'counter',
    unit: '{run}',
    description: 'Runs of workflows that are over, by status',
  },
  'blocks.workflow.duration': { kind: 'histogram', unit: 's', description: 'From the start of a run to its end' },
  'blocks.workflow.step_duration': { kind: 'histogram', unit: 's', description: 'Time of one try of a step' },
  'blocks.host.restarts': { kind: 'counter', unit: '{restart}', description: 'Hosts that were lost and replaced' },
  'blocks.host.loop_delay': { kind: 'gauge', unit: 's', description: 'How late the event loop of a host is' },
} as const satisfies Readonly<Record<string, InstrumentSpec>>;

export type InstrumentName = keyof typeof INSTRUMENTS;

type Instrument = (value: number, attributes?: Attributes) => void;

/** Of one provider; another one registered later starts over. */
let provider: MeterProvider | undefined;
let made = new Map<InstrumentName, Instrument>();

/** Whether anybody listens; to be asked before a measurement that costs something to make. */
export function isMeasuring(): boolean {
  return openTelemetry('metrics') !== undefined;
}

/** One measurement. */
export function measure(
  name: InstrumentName,
  value: number,
  attributes?: Readonly<Record<string, string | number | boolean>>,
): void {
  const api = openTelemetry('metrics');
  if (api === undefined) return;
  const current = api.metrics.getMeterProvider();
  if (current !== provider) {
    provider = current;
    made = new Map();
  }
  let instrument = made.get(name);
  if (instrument === undefined) {
    instrument = make(current, name);
    made.set(name, instrument);
  }
  instrument(value, attributes);
}

function make(meters: MeterProvider, name: InstrumentName): Instrument {
  const { kind, unit, description }: InstrumentSpec = INSTRUMENTS[name];
  const meter = meters.getMeter(SCOPE);
  switch (kind) {
    case 'counter': {
      const counter: Counter = meter.createCounter(name, { unit, description });
      return (value, attributes) => counter.add(value, attributes);
    }
    case 'histogram': {
      const histogram: Histogram = meter.createHistogram(name, { unit, description });
      return (value, attributes) => histogram.record(value, attributes);
    }
    case 'gauge': {
      const gauge: Gauge = meter.createGauge(name, { unit, description });
      return (value, attributes) => gauge.record(value, attributes);
    }
  }
}
