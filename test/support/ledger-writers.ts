/** Writers that keep ledgers busy, and what must be true of the ledgers whatever happened meanwhile. */
import type { ActorSystem } from '../../runtime/index.ts';
import { ledger, type LedgerState } from './actors/ledger.ts';
import { until } from './until.ts';

export class LedgerWriters {
  readonly #system: ActorSystem;
  readonly #count: number;
  readonly acknowledged: number[];
  readonly failures: unknown[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #stopping = false;

  private constructor(system: ActorSystem, count: number) {
    this.#system = system;
    this.#count = count;
    this.acknowledged = Array.from({ length: count }, () => 0);
  }

  static async create(system: ActorSystem, count = 8): Promise<LedgerWriters> {
    const writers = new LedgerWriters(system, count);
    await Promise.all(writers.acknowledged.map((_, i) => system.spawn(ledger, { id: `l${i}`, ifExists: 'attach' })));
    return writers;
  }

  get total(): number {
    return this.acknowledged.reduce((sum, n) => sum + n, 0);
  }

  /** One tell after the other to each ledger, until `stop`. */
  run(timeoutMs = 30_000): void {
    this.#stopping = false;
    this.#running = Promise.all(this.acknowledged.map((_, i) => this.#write(i, timeoutMs)));
  }

  /** Every call has settled. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  /** Writes on until every ledger has `more` further acknowledged numbers. */
  async more(more: number): Promise<void> {
    const wanted = this.acknowledged.map((n) => n + more);
    await until(`${more} more acknowledged numbers for each ledger`, () => {
      if (this.failures.length > 0) throw this.failures[0];
      return wanted.every((n, i) => (this.acknowledged[i] ?? 0) >= n);
    });
  }

  /** After `stop`: nothing missing, nothing doubled, at the writers' ledgers and at their neighbours'. */
  async faults(): Promise<string[]> {
    const states = await until('the neighbours to have everything', async () => {
      const found = await Promise.all(this.acknowledged.map((_, i) => this.#stateOf(i)));
      const settled = found.every((state, i) => state.peer >= (found[this.#before(i)]?.n ?? 0));
      return settled || this.#isBroken(found) ? found : undefined;
    });
    return states.flatMap((state, i) => {
      const expected = { n: this.acknowledged[i], peer: states[this.#before(i)]?.n, gaps: 0, doubles: 0 };
      return JSON.stringify(state) === JSON.stringify(expected)
        ? []
        : [`l${i}: ${JSON.stringify(state)}, expected ${JSON.stringify(expected)}`];
    });
  }

  #isBroken(states: readonly LedgerState[]): boolean {
    return states.some((state) => state.gaps > 0 || state.doubles > 0);
  }

  #before(i: number): number {
    return (i + this.#count - 3) % this.#count;
  }

  #stateOf(i: number): Promise<LedgerState> {
    return this.#system.ref(ledger, `l${i}`).ask({ type: 'GET' });
  }

  async #write(i: number, timeoutMs: number): Promise<void> {
    const ref = this.#system.ref(ledger, `l${i}`);
    const to = `ledger/l${(i + 3) % this.#count}`;
    while (!this.#stopping) {
      const n = (this.acknowledged[i] ?? 0) + 1;
      try {
        await ref.tell({ type: 'ADD', n, to }, { timeoutMs });
      } catch (error) {
        this.failures.push(error);
        return;
      }
      this.acknowledged[i] = n;
    }
  }
}
