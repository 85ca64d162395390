/**
 * Measures the systems that commands go to, and tells the board: latencies and outcomes of commands, and what breakers, bulkheads and
 * queues say.
 *
 * Owns: the figures of this process since they were last told, and when they are. Without rules to measure for nothing is kept and nothing
 * is told.
 *
 * Invariants:
 * TM1. What is told is at most `FLUSH_MS` old, and one message however many commands there were.
 * TM2. Gauges are told when they change, and otherwise often enough not to go out of date; those of systems that no rule reads never.
 */
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import type { Clock, Wait } from '../../runtime/kernel/clock.ts';
import { BOARD_KEY, type BoardMessage, GAUGES_VALID_MS, type TargetCalls } from './adaptation-board.ts';
import type { RuleData } from './adaptation-data.ts';
import {
  addCall,
  type CallBatch,
  type CallOutcome,
  NO_CALLS,
  SYSTEM_METRICS,
  type SystemGauges,
} from './call-metrics.ts';
import { compileMetricCondition } from './metric-condition.ts';

/** Where adaptation rules learn of breakers and bulkheads. */
export interface MetricSources {
  /** Circuit breakers, by the system that they guard. */
  readonly breakers?: Readonly<Record<string, { readonly state: string }>>;
  /** Connectors that call systems: their bulkheads, and their breakers where `breakers` has none. */
  readonly connectors?: readonly ConnectorFigures[];
  /** How often they and the broker's queues are looked at, ms. Default 1,000. */
  readonly everyMs?: number;
}

/** The least that is needed of a connector; `SystemConnector` has it. */
export interface ConnectorFigures {
  health(): {
    readonly dependencies: Readonly<
      Record<string, { readonly running: number; readonly waiting: number; readonly breaker?: string }>
    >;
  };
}

export interface MeterPorts {
  readonly host: ActorHost;
  readonly clock: Clock;
  readonly broker: Broker | undefined;
  readonly sources: MetricSources;
}

const FLUSH_MS = 50;
const EVERY_MS = 1_000;
const RENEW_MS = GAUGES_VALID_MS / 3;

export class TargetMeter {
  readonly #ports: MeterPorts;
  readonly #batches = new Map<string, TargetCalls>();
  readonly #inFlight = new Map<string, number>();
  readonly #gauged = new Set<string>();
  readonly #told = new Map<string, { readonly text: string; readonly atMs: number }>();
  readonly #waits = new Set<Wait>();
  #isOn = false;
  #isFlushing = false;
  #isClosed = false;

  constructor(ports: MeterPorts) {
    this.#ports = ports;
  }

  /** From now on there is somebody who wants to know. */
  watch(rules: readonly RuleData[]): void {
    if (rules.length === 0 || this.#isClosed) return;
    this.#isOn = true;
    const before = this.#gauged.size;
    for (const { when, until } of rules) {
      for (const written of [when, until]) {
        const outcome = written === undefined ? undefined : compileMetricCondition(written, undefined);
        if (outcome === undefined || 'faults' in outcome) continue;
        for (const { kind, target, metric } of outcome.compiled.reads) {
          if (kind === 'systems' && metric in SYSTEM_METRICS) this.#gauged.add(target);
        }
      }
    }
    if (before === 0 && this.#gauged.size > 0) this.#look();
  }

  /** A command goes out. Call what it returns when the answer is there; undefined: nobody wants to know. */
  began(system: string, action: string): ((outcome: CallOutcome) => void) | undefined {
    if (!this.#isOn) return undefined;
    const { clock } = this.#ports;
    const beganMs = clock.monotonicMs();
    this.#inFlight.set(system, (this.#inFlight.get(system) ?? 0) + 1);
    return (outcome) => {
      this.#inFlight.set(system, (this.#inFlight.get(system) ?? 1) - 1);
      const key = `${system} ${action}`;
      const batch: CallBatch = this.#batches.get(key)?.batch ?? NO_CALLS;
      const added = addCall(batch, clock.monotonicMs() - beganMs, outcome);
      this.#batches.set(key, { kind: 'systems', target: system, action, batch: added });
      if (this.#isFlushing) return;
      this.#isFlushing = true;
      this.#after(FLUSH_MS, () => this.#flush());
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#isOn = false;
    for (const wait of this.#waits) wait.cancel();
  }

  #flush(): void {
    this.#isFlushing = false;
    const of = [...this.#batches.values()];
    this.#batches.clear();
    this.#tell({ type: 'calls', of });
  }

  #look(): void {
    const { sources } = this.#ports;
    void this.#tellGauges().finally(() => this.#after(sources.everyMs ?? EVERY_MS, () => this.#look()));
  }

  async #tellGauges(): Promise<void> {
    const nowMs = this.#ports.clock.monotonicMs();
    const waiting = await this.#waiting();
    const changed: Record<string, SystemGauges> = {};
    for (const system of this.#gauged) {
      const gauges = this.#gaugesOf(system, waiting);
      const text = JSON.stringify(gauges);
      const told = this.#told.get(system);
      if (told?.text === text && nowMs - told.atMs < RENEW_MS) continue;
      this.#told.set(system, { text, atMs: nowMs });
      changed[system] = gauges;
    }
    if (Object.keys(changed).length > 0) this.#tell({ type: 'gauges', of: changed });
  }

  #gaugesOf(system: string, waiting: ReadonlyMap<string, number>): SystemGauges {
    const { breakers = {}, connectors = [] } = this.#ports.sources;
    let bulkheadRunning = 0;
    let bulkheadWaiting = 0;
    let breaker = Object.hasOwn(breakers, system) ? breakers[system]?.state : undefined;
    for (const connector of connectors) {
      const { dependencies } = connector.health();
      const figures = Object.hasOwn(dependencies, system) ? dependencies[system] : undefined;
      bulkheadRunning += figures?.running ?? 0;
      bulkheadWaiting += figures?.waiting ?? 0;
      breaker ??= figures?.breaker;
    }
    return {
      inFlight: this.#inFlight.get(system) ?? 0,
      waiting: waiting.get(system) ?? 0,
      bulkheadRunning,
      bulkheadWaiting,
      ...(breaker === undefined ? {} : { breaker }),
    };
  }

  /** Commands in the queues of systems, where the broker can tell. */
  async #waiting(): Promise<ReadonlyMap<string, number>> {
    const waiting = new Map<string, number>();
    const rows = await this.#ports.broker?.subscriptions?.().catch(() => undefined);
    for (const { pattern, waiting: count = 0 } of (rows ?? new Map()).values() as Iterable<{
      readonly pattern: string;
      readonly waiting?: number;
    }>) {
      const [, system] = /^\$command\.([^.]+)\./.exec(pattern) ?? [];
      if (system !== undefined) waiting.set(system, (waiting.get(system) ?? 0) + count);
    }
    return waiting;
  }

  #tell(message: BoardMessage): void {
    if (!this.#isClosed) this.#ports.host.refOf(BOARD_KEY).send(message);
  }

  #after(ms: number, run: () => void): void {
    if (this.#isClosed) return;
    const wait = this.#ports.clock.wait(ms, () => {
      this.#waits.delete(wait);
      run();
    });
    this.#waits.add(wait);
  }
}
