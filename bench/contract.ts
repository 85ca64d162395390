/**
 * What the harness asks of a workload: who contends, what each is asked to do, what is counted.
 *
 * Owns: the words of a bench. A workload is one question; its contenders answer it with the same messages, on the same machine, in
 * the same run: `ours` is this library, a `baseline` is what the work costs without it. Measures nothing itself.
 *
 * Invariants:
 * BN1. Each contender runs in a process of its own, so that nobody is measured with another's garbage or another's compiled code.
 * BN2. Rounds are interleaved: one sample of each contender, then the next round. What disturbs the machine disturbs all of them.
 */

/** One number of a sample. */
export interface Metric {
  /** Key in a sample: `rate`, `p50`. */
  readonly name: string;
  readonly unit: 'msg/s' | 'turns/s' | 'runs/s' | 'spawns/s' | 'ns' | 'µs' | 'ms' | 'B' | 'MB';
  readonly better: 'higher' | 'lower';
}

/** Numbers by metric name. */
export type Sample = Readonly<Record<string, number>>;

/** What a contender is given. */
export interface Setting {
  /** How long a sample of a rate should take, ms. */
  readonly sampleMs: number;
  /** A short run: smaller data sets. */
  readonly quick: boolean;
  /** A folder of the contender's own, on the project's disk. Removed afterwards. */
  readonly dir: string;
}

/** A contender that has been set up and warmed up. */
export interface Contestant {
  /** What only a running one can say: version and settings of the server it talks to. */
  readonly note?: string;
  sample(): Promise<Sample>;
  close(): Promise<void>;
}

/** One of several contenders that differ in a number only. */
export interface Point {
  readonly series: string;
  readonly x: number;
}

/** What that number is. */
export interface Axis {
  readonly label: string;
  readonly scale: 'linear' | 'log';
}

export interface Contender {
  readonly name: string;
  /** Where it stands, in a workload with an axis. */
  readonly point?: Point;
  readonly kind: 'ours' | 'baseline';
  /** For the table. */
  readonly label: string;
  /** Of ours: the baselines that do the same work. Default: all of the workload's. */
  readonly beside?: readonly string[];
  /** What differs from the workload's conditions: `fsync: none`, `1 scheduler`. */
  readonly note?: string;
  /** Flags for the Node of its process. */
  readonly execArgv?: readonly string[];
  /** Why it cannot run here, or not in a quick run, in plain words; undefined when it can. */
  readonly missing?: (quick: boolean) => string | undefined | Promise<string | undefined>;
  open(setting: Setting): Promise<Contestant>;
}

/** Under what the figures were taken. */
export interface Conditions {
  readonly durability: string;
  /** Size of one message, encoded as JSON. */
  readonly messageBytes: number;
  readonly concurrency: string;
  readonly hosts: number;
}

export interface Workload {
  readonly name: string;
  /** For the table. */
  readonly title: string;
  /** One or two sentences: what happens between the first and the last moment that is measured. */
  readonly what: string;
  readonly conditions: Conditions;
  readonly metrics: readonly Metric[];
  readonly contenders: readonly Contender[];
  /** Its contenders are points of series. */
  readonly axis?: Axis;
  /** Each contender is measured and closed before the next one is opened: where what others hold would be in the way. */
  readonly oneAtATime?: true;
  /** Its contenders start processes of their own: the CPU time of theirs says nothing. */
  readonly inOtherProcesses?: true;
  /** Longest time for opening a contender, or for one of its samples. Default `LIMIT_MS`. */
  readonly limitMs?: number;
}

/** A contender that takes longer has failed. */
export const LIMIT_MS = 60_000;

export const RATE: Metric = { name: 'rate', unit: 'msg/s', better: 'higher' };
export const TURNS: Metric = { name: 'rate', unit: 'turns/s', better: 'higher' };
export const RUNS: Metric = { name: 'rate', unit: 'runs/s', better: 'higher' };
export const P50: Metric = { name: 'p50', unit: 'µs', better: 'lower' };
export const P99: Metric = { name: 'p99', unit: 'µs', better: 'lower' };
