/**
 * What killed processes said, and what must therefore be true afterwards.
 *
 * Owns: the history that outlives every kill, and its check against what the next process finds and what was done outside.
 *
 * Invariants checked:
 *   K1. What was acknowledged is there.
 *   K2. Effectively once: no message is missing in between, none is handled twice, none that was never sent; between actors neither.
 *   K3. A request repeated under its key gets the same reply, and is handled once; one actor's request to another is answered once.
 *   K4. Every durable timer fires once, not early.
 *   K5. An `at_most_once` effect is done at most once; one that reported success was done. An `idempotent` one is done at least once,
 *       always under the same key.
 *   K6. A message to an actor in memory comes at most once.
 *   K7. A child that broke is started again, once for each break, and nothing that it knew is lost.
 *   K8. A message that cannot be handled is one dead letter, and every such acknowledgement has one.
 */
import type { JourneyState } from '../support/actors/journey.ts';
import type { LedgerState } from '../support/actors/ledger.ts';
import type { ToilerState } from '../support/actors/toilers.ts';
import type { EffectTally, VaultState } from '../support/actors/vault.ts';

/** How many actors of each kind there are. */
export interface Census {
  readonly ledgers: number;
  readonly vaults: number;
  readonly journeys: number;
  readonly toilers: number;
}

export interface World {
  readonly ledgers: readonly LedgerState[];
  readonly vaults: readonly VaultState[];
  readonly journeys: readonly JourneyState[];
  readonly toilers: readonly ToilerState[];
  readonly letters: readonly { readonly to: string; readonly message: unknown }[];
}

/** What the runtime said to an actor, in one word. */
export function controlOf(message: unknown): string | undefined {
  return (message as { readonly control?: { readonly kind: string } } | undefined)?.control?.kind;
}

/** How often `key` was ended by a message. A start that was set aside, since its host had died of it, ended none: it was made again. */
export function endsOf({ letters }: Pick<World, 'letters'>, key: string): number {
  return letters.filter(({ to, message }) => to === key && controlOf(message) === undefined).length;
}

/** One actor's keyed requests. */
type Replies = Map<number, string>;

export class History {
  readonly faults: string[] = [];
  acknowledged = 0;
  repeated = 0;
  readonly #census: Census;
  readonly #sent: number[];
  readonly #written: number[];
  readonly #counted: number[];
  readonly #breaks: number[];
  readonly #broken: Set<number>[];
  readonly #served: Replies[];
  readonly #travelled: Replies[];

  constructor(census: Census) {
    this.#census = census;
    const each = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
    this.#sent = each(census.ledgers, () => 0);
    this.#written = each(census.ledgers, () => 0);
    this.#counted = each(census.toilers, () => 0);
    this.#breaks = each(census.toilers, () => 0);
    this.#broken = each(census.toilers, () => new Set<number>());
    this.#served = each(census.vaults, () => new Map<number, string>());
    this.#travelled = each(census.journeys, () => new Map<number, string>());
  }

  /** Per toiler, the last message that was to break it. */
  get breaks(): readonly number[] {
    return this.#breaks;
  }

  /** One line of the process. */
  hear(word: string, value: unknown): void {
    const { i, n, reply } = value as { i: number; n: number; reply?: unknown };
    switch (word) {
      case 'WRITES':
        this.#sent[i] = Math.max(this.#sent[i] ?? 0, n);
        break;
      case 'WRITTEN':
        this.#acknowledge(this.#written, i, n);
        break;
      case 'COUNTED':
        this.#acknowledge(this.#counted, i, n);
        break;
      case 'BREAKS':
        this.#breaks[i] = n;
        break;
      case 'BROKEN':
        this.#broken[i]?.add(n);
        this.acknowledged += 1;
        break;
      case 'SERVED':
        this.#reply(`v${i}`, this.#served[i] as Replies, n, reply, (reply as { serial: number }).serial);
        break;
      case 'TRAVELLED':
        this.#reply(`j${i}`, this.#travelled[i] as Replies, n, reply, reply as number);
        break;
      case 'UNSETTLED':
        this.faults.push(`K7 ${JSON.stringify(value)}`);
        break;
      case 'TROUBLE':
        this.faults.push(`trouble: ${JSON.stringify(value)}`);
        break;
      default:
        break;
    }
  }

  /** What a new process found. */
  found(world: World): void {
    for (const [i, ledger] of world.ledgers.entries()) {
      const { n, peer, gaps, doubles } = ledger;
      const written = this.#written[i] ?? 0;
      const passed = world.ledgers[this.#before(i)]?.n ?? 0;
      if (n < written) this.#fault(`K1 l${i}: ${written} was acknowledged, found ${n}`);
      if (n > (this.#sent[i] ?? 0)) this.#fault(`K2 l${i}: found ${n}, and only ${this.#sent[i]} was sent`);
      if (gaps > 0 || doubles > 0) this.#fault(`K2 l${i}: ${JSON.stringify(ledger)}`);
      if (peer > passed) this.#fault(`K2 l${i}: has ${peer} of its neighbour's ${passed}`);
    }
    for (const [i, { served, timers, moves, copies, advice }] of world.vaults.entries()) {
      this.#remembers(`v${i}`, this.#served[i] as Replies, served);
      if (timers.early > 0 || timers.strange > 0) this.#fault(`K4 v${i}: ${JSON.stringify(timers)}`);
      for (const tally of [moves, copies]) {
        if (tally.failed.length > 0) this.#fault(`K5 v${i}: failed: ${tally.failed[0]}`);
        if (tally.done + tally.unknown.length > tally.started)
          this.#fault(`K5 v${i}: more ends than starts: ${JSON.stringify(tally)}`);
      }
      if (advice.got > advice.sought || advice.failed.length > 0) this.#fault(`K3 v${i}: ${JSON.stringify(advice)}`);
    }
    for (const [i, { asked, done }] of world.journeys.entries()) {
      this.#remembers(`j${i}`, this.#travelled[i] as Replies, asked);
      if (done > asked) this.#fault(`K2 j${i}: ${done} trips done of ${asked}`);
    }
    for (const [i, toiler] of world.toilers.entries()) {
      const counted = this.#counted[i] ?? 0;
      if (toiler.n < counted) this.#fault(`K1 t${i}: ${counted} was acknowledged, found ${toiler.n}`);
      if (toiler.gaps > 0 || toiler.doubles > 0) this.#fault(`K2 t${i}: ${JSON.stringify(toiler)}`);
      this.#letters(world, i);
    }
  }

  /** After everything has come to its end; `sink`: what was done outside. */
  final(world: World, sink: string): void {
    this.found(world);
    const deeds = deedsIn(sink);
    for (const [i, { peer }] of world.ledgers.entries()) {
      const passed = world.ledgers[this.#before(i)]?.n ?? 0;
      if (peer !== passed) this.#fault(`K2 l${i}: has ${peer} of its neighbour's ${passed} in the end`);
    }
    for (const [i, { timers, moves, copies, advice }] of world.vaults.entries()) {
      if (timers.fired !== timers.set) this.#fault(`K4 v${i}: ${timers.fired} of ${timers.set} timers fired`);
      if (advice.got !== advice.sought) this.#fault(`K3 v${i}: ${advice.got} of ${advice.sought} requests answered`);
      this.#outcomes(i, moves);
      this.#outcomes(i, copies);
      if (copies.unknown.length > 0) this.#fault(`K5 v${i}: idempotent effects with an unknown outcome`);
      for (let n = 1; n <= moves.started; n++) this.#once(deeds, `vault/v${i} move-${n}`, moves.unknown.includes(n));
      for (let n = 1; n <= copies.started; n++) this.#atLeastOnce(deeds, `vault/v${i} copy-${n}`);
    }
    const sum = (of: (vault: VaultState) => number): number => world.vaults.reduce((total, one) => total + of(one), 0);
    const given = sum(({ advice }) => advice.given);
    if (given !== sum(({ advice }) => advice.sought)) this.#fault(`K3: ${given} requests between vaults were handled`);
    for (const [i, { asked, done, unknown }] of world.journeys.entries()) {
      if (done !== asked) this.#fault(`K2 j${i}: ${done} of ${asked} trips done in the end`);
      for (let n = 1; n <= done; n++) {
        this.#atLeastOnce(deeds, `journey/j${i} book-${n}`);
        this.#once(deeds, `journey/j${i} board-${n}`, unknown.includes(n));
      }
    }
    for (const [name, keys] of deeds) {
      if (name.startsWith('rumour ') && keys.length > 1) this.#fault(`K6: ${name} came ${keys.length} times`);
    }
    for (const [i, { resumed }] of world.toilers.entries()) {
      const ends = endsOf(world, `toiler/t${i}`);
      if (resumed !== ends) this.#fault(`K7 t${i}: ended ${ends} times and was started again ${resumed} times`);
    }
  }

  #letters(world: World, i: number): void {
    const found = new Map<number, number>();
    for (const { to, message } of world.letters) {
      if (to !== `toiler/t${i}` || controlOf(message) !== undefined) continue;
      const { n } = message as { n: number };
      found.set(n, (found.get(n) ?? 0) + 1);
      if (n > (this.#breaks[i] ?? 0)) this.#fault(`K8 t${i}: a letter for ${n}, which was never sent`);
    }
    for (const [n, letters] of found) if (letters > 1) this.#fault(`K8 t${i}: ${letters} letters for ${n}`);
    for (const n of this.#broken[i] ?? []) if (!found.has(n)) this.#fault(`K8 t${i}: no letter for ${n}`);
  }

  #acknowledge(of: number[], i: number, n: number): void {
    of[i] = Math.max(of[i] ?? 0, n);
    this.acknowledged += 1;
  }

  #reply(who: string, replies: Replies, n: number, reply: unknown, serial: number): void {
    const text = JSON.stringify(reply);
    const before = replies.get(n);
    if (before !== undefined) this.repeated += 1;
    if (before !== undefined && before !== text)
      this.#fault(`K3 ${who}: key ${n} was answered ${before}, then ${text}`);
    if (serial !== n) this.#fault(`K3 ${who}: request ${n} was handled as number ${serial}`);
    replies.set(n, text);
    this.acknowledged += 1;
  }

  #remembers(who: string, replies: Replies, handled: number): void {
    const last = Math.max(0, ...replies.keys());
    if (handled < last) this.#fault(`K1 ${who}: request ${last} was answered, found ${handled} handled`);
  }

  #outcomes(i: number, { started, done, unknown }: EffectTally): void {
    if (done + unknown.length !== started)
      this.#fault(`K5 v${i}: ${done} done + ${unknown.length} unknown of ${started} effects`);
  }

  #once(deeds: Deeds, name: string, isUnknown: boolean): void {
    const times = deeds.get(name)?.length ?? 0;
    if (times > 1) this.#fault(`K5 ${name}: an effect that may happen once was done ${times} times`);
    if (times === 0 && !isUnknown) this.#fault(`K5 ${name}: reported success and was not done`);
  }

  #atLeastOnce(deeds: Deeds, name: string): void {
    const keys = new Set(deeds.get(name));
    if (keys.size !== 1) this.#fault(`K5 ${name}: done under ${keys.size} keys`);
  }

  #before(i: number): number {
    return (i + this.#census.ledgers - 1) % this.#census.ledgers;
  }

  #fault(text: string): void {
    if (!this.faults.includes(text)) this.faults.push(text);
  }
}

/** Who did what, under which keys. */
type Deeds = ReadonlyMap<string, readonly string[]>;

function deedsIn(sink: string): Deeds {
  const deeds = new Map<string, string[]>();
  for (const line of sink.split('\n')) {
    const end = line.lastIndexOf(' ');
    if (end === -1) continue;
    const name = line.slice(0, end);
    const keys = deeds.get(name);
    if (keys === undefined) deeds.set(name, [line.slice(end + 1)]);
    else keys.push(line.slice(end + 1));
  }
  return deeds;
}
