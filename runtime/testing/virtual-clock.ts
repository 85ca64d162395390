/**
 * A virtual clock with threads: the event loops of a simulated process, run one task at a time, in an order drawn from a seed.
 *
 * Owns: virtual time, the deferred runs and waits of every simulated thread, and the choice of what runs next. Runs nothing by
 * itself: a driver calls `runOne` and `moveToNext`.
 *
 * Invariants:
 * VC1. Within a thread, deferred runs keep their order, and waits come in the order of their due times, as in Node's event loop.
 *      Between threads, and between the two queues of one thread, the seed decides.
 * VC2. Time moves only when nothing is runnable; reading the monotonic clock costs a moment too, so that a loop that waits for its
 *      own slice to be over ends.
 * VC3. A thread that has ended runs nothing more, and nothing that it asks for happens.
 */
import type { Clock, Wait } from '../kernel/clock.ts';
import type { Random } from '../kernel/random.ts';

/** What every reading of the monotonic clock costs. */
const READING_COST_MS = 0.05;

/** 2030-01-01T00:00:00Z: where virtual time begins when nobody says otherwise. */
export const VIRTUAL_EPOCH_MS = 1_893_456_000_000;

interface DueWait {
  readonly dueMs: number;
  readonly fire: () => void;
  cancelled: boolean;
}

export interface VirtualClockOptions {
  readonly random: Random;
  /** Wall clock at the start. */
  readonly startMs?: number | undefined;
  /** Told of every task, for a trace. */
  readonly onTask?: ((thread: string, kind: 'run' | 'wait') => void) | undefined;
  /** A task threw. Without it the error passes to whoever drives. */
  readonly onError?: ((thread: VirtualThread, error: unknown) => void) | undefined;
}

export class VirtualClock {
  readonly #options: VirtualClockOptions;
  #threads: VirtualThread[] = [];
  #nowMs = 0;
  #jumpedMs = 0;
  #holds = 0;
  #current: VirtualThread | undefined;
  #onHoldsGone: (() => void)[] = [];

  constructor(options: VirtualClockOptions) {
    this.#options = options;
  }

  /** A new event loop. */
  thread(name: string): VirtualThread {
    const thread = new VirtualThread(name, {
      nowMs: () => this.#nowMs,
      wallMs: () => Math.floor((this.#options.startMs ?? VIRTUAL_EPOCH_MS) + this.#nowMs + this.#jumpedMs),
      read: () => {
        this.#nowMs += READING_COST_MS;
        return this.#nowMs;
      },
      ended: (ended) => {
        this.#threads = this.#threads.filter((other) => other !== ended);
      },
    });
    this.#threads.push(thread);
    return thread;
  }

  /** Virtual milliseconds since the start. */
  get elapsedMs(): number {
    return this.#nowMs;
  }

  /** The thread of the task that ran last, whose promises are settling now. */
  get current(): VirtualThread | undefined {
    return this.#current;
  }

  /** Sets the wall clock forward or back. The monotonic clock goes on. */
  jump(ms: number): void {
    this.#jumpedMs += ms;
  }

  /** While something real is under way (a module is being loaded), nothing virtual runs. Returns what ends the hold. */
  hold(): () => void {
    this.#holds += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holds -= 1;
      if (this.#holds > 0) return;
      const waiters = this.#onHoldsGone;
      this.#onHoldsGone = [];
      for (const resume of waiters) resume();
    };
  }

  /** Resolves when nothing real is under way. */
  async unheld(): Promise<void> {
    while (this.#holds > 0) {
      await new Promise<void>((resolve) => {
        this.#onHoldsGone.push(resolve);
      });
    }
  }

  get held(): boolean {
    return this.#holds > 0;
  }

  /** Runs one task of one thread; false when nothing is runnable at this moment. */
  runOne(): boolean {
    const runnable = this.#threads.filter((thread) => thread.isRunnable);
    if (runnable.length === 0) return false;
    const { random, onTask, onError } = this.#options;
    const thread = runnable[runnable.length === 1 ? 0 : Math.floor(random.next() * runnable.length)] as VirtualThread;
    const task = thread.take(random);
    this.#current = thread;
    onTask?.(thread.name, task.kind);
    try {
      task.run();
    } catch (error) {
      if (onError === undefined) throw error;
      onError(thread, error);
    }
    return true;
  }

  /** When the next thing can run, in elapsed time; undefined when nothing ever will. */
  nextMs(): number | undefined {
    let next: number | undefined;
    for (const thread of this.#threads) {
      const at = thread.nextMs;
      if (at !== undefined && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  /** Moves time to `elapsedMs`, not back. */
  moveTo(elapsedMs: number): void {
    if (elapsedMs > this.#nowMs) this.#nowMs = elapsedMs;
  }
}

interface ThreadPorts {
  nowMs(): number;
  wallMs(): number;
  read(): number;
  ended(thread: VirtualThread): void;
}

/** One simulated event loop, and the clock of everything on it. */
export class VirtualThread implements Clock {
  readonly name: string;
  readonly #ports: ThreadPorts;
  #runs: (() => void)[] = [];
  #waits: DueWait[] = [];
  #busyUntilMs = 0;
  #ended = false;

  constructor(name: string, ports: ThreadPorts) {
    this.name = name;
    this.#ports = ports;
  }

  now(): number {
    return this.#ports.wallMs();
  }

  monotonicMs(): number {
    return this.#ports.read();
  }

  wait(ms: number, fire: () => void): Wait {
    return this.waitUntil(this.#ports.nowMs() + Math.max(0, ms), fire);
  }

  /** Calls `fire` when so much virtual time has passed since the start. */
  waitUntil(dueMs: number, fire: () => void): Wait {
    const wait: DueWait = { dueMs, fire, cancelled: false };
    if (this.#ended || dueMs === Number.POSITIVE_INFINITY) return { cancel: () => {} };
    let low = 0;
    let high = this.#waits.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#waits[middle] as DueWait).dueMs <= wait.dueMs) low = middle + 1;
      else high = middle;
    }
    this.#waits.splice(low, 0, wait);
    return {
      cancel: () => {
        if (wait.cancelled) return;
        wait.cancelled = true;
        const at = this.#waits.indexOf(wait);
        if (at !== -1) this.#waits.splice(at, 1);
      },
    };
  }

  defer(run: () => void): void {
    if (!this.#ended) this.#runs.push(run);
  }

  /** The thread stands still for so long: a slow disk, a long collection of garbage, a stopped process. */
  stall(ms: number): void {
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#ports.nowMs()) + ms;
  }

  /** Virtual milliseconds since the start. */
  get elapsedMs(): number {
    return this.#ports.nowMs();
  }

  /** When what is done now has an effect on others: at once, or when the stall is over. */
  get doneMs(): number {
    return Math.max(this.#busyUntilMs, this.#ports.nowMs());
  }

  /** Drops everything; nothing is taken any more. */
  end(): void {
    this.#ended = true;
    this.#runs = [];
    this.#waits = [];
    this.#ports.ended(this);
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  get isRunnable(): boolean {
    const nowMs = this.#ports.nowMs();
    if (this.#busyUntilMs > nowMs) return false;
    return this.#runs.length > 0 || (this.#waits.length > 0 && (this.#waits[0] as DueWait).dueMs <= nowMs);
  }

  get nextMs(): number | undefined {
    const first = this.#runs.length > 0 ? this.#ports.nowMs() : this.#waits[0]?.dueMs;
    return first === undefined ? undefined : Math.max(first, this.#busyUntilMs);
  }

  /** The next task. Call only when runnable. */
  take(random: Random): { readonly kind: 'run' | 'wait'; readonly run: () => void } {
    const due = this.#waits[0];
    const isDue = due !== undefined && due.dueMs <= this.#ports.nowMs();
    if (isDue && (this.#runs.length === 0 || random.next() < 0.5)) {
      this.#waits.shift();
      due.cancelled = true;
      return { kind: 'wait', run: due.fire };
    }
    return { kind: 'run', run: this.#runs.shift() as () => void };
  }
}
