/**
 * This process's copy of the table of subscriptions and retained patterns, of one version.
 *
 * Owns: for whom a subject is, by that copy. Whether it is still the right one, the accept script says.
 */
import { SubjectTrie } from '../../subject-trie.ts';
import { listOf, type RedisReply, textOf } from './redis-link.ts';

export interface NamedSubscription {
  readonly n: string;
  /** Messages that may wait. */
  readonly l: number;
}

export interface NamedRetention {
  readonly n: string;
  readonly m?: number;
  readonly a?: number;
}

/** For whom a subject is. */
export interface Targets {
  readonly subscriptions: readonly NamedSubscription[];
  readonly keeps: readonly NamedRetention[];
  readonly names: readonly string[];
}

/** What the script is told before it has said a version. */
const NONE = '-';
const CACHED_LIMIT = 10_000;

export class SubscriptionTable {
  version = NONE;
  #subscriptions = new SubjectTrie<NamedSubscription>();
  #keeps = new SubjectTrie<NamedRetention>();
  #cached = new Map<string, Targets>();

  /** Takes over what a stale call was answered with: version, subscriptions, retained patterns. */
  replace(version: string, subscriptions: RedisReply | undefined, keeps: RedisReply | undefined): void {
    this.version = version;
    this.#subscriptions = new SubjectTrie();
    this.#keeps = new SubjectTrie();
    this.#cached = new Map();
    for (const [name, json] of pairsOf(subscriptions)) {
      const { pattern, waitingLimit } = JSON.parse(json) as { pattern: string; waitingLimit: number };
      this.#subscriptions.add(pattern, { n: name, l: waitingLimit });
    }
    for (const [pattern, json] of pairsOf(keeps)) {
      const { messages, ageMs } = JSON.parse(json) as { messages?: number; ageMs?: number };
      const limits = {
        ...(messages === undefined ? {} : { m: messages }),
        ...(ageMs === undefined ? {} : { a: ageMs }),
      };
      this.#keeps.add(pattern, { n: pattern, ...limits });
    }
  }

  targetsOf(subject: string): Targets {
    let targets = this.#cached.get(subject);
    if (targets === undefined) {
      const subscriptions = this.#subscriptions.match(subject);
      targets = { subscriptions, keeps: this.#keeps.match(subject), names: subscriptions.map(({ n }) => n) };
      if (this.#cached.size >= CACHED_LIMIT) this.#cached.clear();
      this.#cached.set(subject, targets);
    }
    return targets;
  }
}

/** Of a hash, as texts. */
export function* pairsOf(reply: RedisReply | undefined): Generator<readonly [string, string]> {
  const list = listOf(reply);
  for (let i = 0; i + 1 < list.length; i += 2) yield [textOf(list[i]), textOf(list[i + 1])];
}
