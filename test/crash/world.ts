/**
 * What the killed process claimed, and what must therefore be true afterwards.
 *
 * Invariants checked:
 *   K1. What was acknowledged is there.
 *   K2. No message is missing in between, none is handled twice, between actors neither.
 *   K3. A request repeated under its key gets the same reply, and is handled once.
 *   K4. Every durable timer fires once, not early.
 *   K5. An `at_most_once` effect is done at most once; one that reported success was done. An `idempotent` one is done, always under the
 *       same key.
 */
import type { LedgerState } from '../support/actors/ledger.ts';
import type { EffectTally, VaultState } from '../support/actors/vault.ts';

export interface World {
  readonly ledgers: readonly LedgerState[];
  readonly vaults: readonly VaultState[];
}

export class Claims {
  readonly faults: string[] = [];
  acknowledged = 0;
  readonly #written: number[];
  readonly #replies: Map<number, string>[];

  constructor(ledgers: number, vaults: number) {
    this.#written = Array.from({ length: ledgers }, () => 0);
    this.#replies = Array.from({ length: vaults }, () => new Map<number, string>());
  }

  get repliesRepeated(): number {
    return this.#repeated;
  }
  #repeated = 0;

  /** One line of the process. */
  hear(word: string, value: unknown): void {
    switch (word) {
      case 'WRITTEN': {
        const { i, n } = value as { i: number; n: number };
        this.#written[i] = Math.max(this.#written[i] ?? 0, n);
        this.acknowledged += 1;
        break;
      }
      case 'SERVED': {
        const { i, n, reply } = value as { i: number; n: number; reply: { serial: number } };
        const text = JSON.stringify(reply);
        const before = this.#replies[i]?.get(n);
        if (before !== undefined) this.#repeated += 1;
        if (before !== undefined && before !== text)
          this.#fault(`K3 v${i}: key ${n} was answered ${before}, then ${text}`);
        if (reply.serial !== n) this.#fault(`K3 v${i}: request ${n} was handled as number ${reply.serial}`);
        this.#replies[i]?.set(n, text);
        this.acknowledged += 1;
        break;
      }
      case 'TROUBLE':
        this.#fault(`trouble: ${JSON.stringify(value)}`);
        break;
      default:
        break;
    }
  }

  /** What a new process found. */
  found(world: World): void {
    for (const [i, ledger] of world.ledgers.entries()) {
      const { n, peer, gaps, doubles } = ledger;
      const writes = this.#written[i] ?? 0;
      const passed = world.ledgers[this.#before(i)]?.n ?? 0;
      if (n < writes) this.#fault(`K1 l${i}: ${writes} was acknowledged, found ${n}`);
      if (gaps > 0 || doubles > 0) this.#fault(`K2 l${i}: ${JSON.stringify(ledger)}`);
      if (peer > passed) this.#fault(`K2 l${i}: has ${peer} of its neighbour's ${passed}`);
    }
    for (const [i, { served, timers, moves, copies }] of world.vaults.entries()) {
      const last = Math.max(0, ...(this.#replies[i]?.keys() ?? []));
      if (served < last) this.#fault(`K1 v${i}: request ${last} was answered, found ${served} handled`);
      if (timers.early > 0 || timers.strange > 0) this.#fault(`K4 v${i}: ${JSON.stringify(timers)}`);
      for (const tally of [moves, copies]) {
        if (tally.failed.length > 0) this.#fault(`K5 v${i}: failed: ${tally.failed[0]}`);
        if (tally.done + tally.unknown.length > tally.started)
          this.#fault(`K5 v${i}: more ends than starts: ${JSON.stringify(tally)}`);
      }
    }
  }

  /** After everything has come to its end; `sink`: what was done outside. */
  final(world: World, sink: string): void {
    this.found(world);
    for (const [i, { peer }] of world.ledgers.entries()) {
      const passed = world.ledgers[this.#before(i)]?.n ?? 0;
      if (peer !== passed) this.#fault(`K2 l${i}: has ${peer} of its neighbour's ${passed} in the end`);
    }
    const done = new Map<string, string[]>();
    for (const line of sink.split('\n').filter((text) => text !== '')) {
      const [cell, id, key] = line.split(' ');
      const keys = done.get(`${cell} ${id}`) ?? [];
      done.set(`${cell} ${id}`, [...keys, key ?? '']);
    }
    for (const [i, { timers, moves, copies }] of world.vaults.entries()) {
      if (timers.fired !== timers.set) this.#fault(`K4 v${i}: ${timers.fired} of ${timers.set} timers fired`);
      this.#outcomes(i, moves);
      this.#outcomes(i, copies);
      if (copies.unknown.length > 0) this.#fault(`K5 v${i}: idempotent effects with an unknown outcome`);
      for (let n = 1; n <= moves.started; n++) {
        const times = done.get(`vault/v${i} move-${n}`)?.length ?? 0;
        if (times > 1) this.#fault(`K5 v${i}: at_most_once effect ${n} was done ${times} times`);
        if (times === 0 && !moves.unknown.includes(n))
          this.#fault(`K5 v${i}: effect ${n} reported success and was not done`);
      }
      for (let n = 1; n <= copies.started; n++) {
        const keys = new Set(done.get(`vault/v${i} copy-${n}`));
        if (keys.size !== 1) this.#fault(`K5 v${i}: idempotent effect ${n} was done under ${keys.size} keys`);
      }
    }
  }

  #outcomes(i: number, { started, done, unknown }: EffectTally): void {
    if (done + unknown.length !== started)
      this.#fault(`K5 v${i}: ${done} done + ${unknown.length} unknown of ${started} effects`);
  }

  #before(i: number): number {
    return (i + this.#written.length - 3) % this.#written.length;
  }

  #fault(text: string): void {
    this.faults.push(text);
  }
}
