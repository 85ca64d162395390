/**
 * What must be true of a disk that was cut: everything promised before, as far as the sync mode of that life promised it.
 *
 * Owns: the meaning of the promises' words (`load.ts`), and of the lives before.
 *
 * Invariants checked with it:
 *   PW1. Every state opens, without a word of damage.
 *   PW2. What was acknowledged is there. In a relaxed life: what was acknowledged before the last flush of the database began.
 *   PW3. No turn that was not written in this history: its text says which life it is of.
 */
import { ACCOUNTS } from './account.ts';
import type { Promised, Recording } from './recording.ts';

/** A recording, and the cut of an earlier one that it began with. */
export interface Lived {
  readonly recording: Recording;
  readonly before: { readonly claims: Claims } | undefined;
}

interface LifeStart {
  readonly life: number;
  readonly after: number;
}

export class Claims {
  /** Per account, the last message acknowledged. */
  readonly told: number[];
  readonly spawned: boolean[];
  checkpoint = 0;
  /** Per backup: what had been acknowledged when it began, and whether it was said to be done. */
  readonly backups: Map<string, { readonly claims: Claims; readonly done: boolean }>;
  readonly #lives: LifeStart[][];

  constructor(before?: Claims) {
    this.told = before?.told.slice() ?? Array.from({ length: ACCOUNTS }, () => 0);
    this.spawned = before?.spawned.slice() ?? Array.from({ length: ACCOUNTS }, () => false);
    this.checkpoint = before?.checkpoint ?? 0;
    this.backups = new Map(before?.backups);
    this.#lives =
      before === undefined ? Array.from({ length: ACCOUNTS }, () => []) : before.#lives.map((l) => l.slice());
  }

  /** The life of which message `n` of an account must be; undefined when none has sent so many. */
  lifeOf(account: number, n: number): number | undefined {
    return this.#lives[account]?.findLast((start) => start.after < n)?.life;
  }

  began(account: number, life: number, after: number): void {
    this.#lives[account]?.push({ life, after });
  }

  keep(words: readonly string[]): void {
    const [word, first = '', second = ''] = words;
    const account = Number(first);
    switch (word) {
      case 'SPAWNED':
        this.spawned[account] = true;
        break;
      case 'FOUND':
      case 'TOLD':
        this.told[account] = Math.max(this.told[account] ?? 0, Number(second));
        break;
      case 'CHECKPOINT':
        this.checkpoint = Math.max(this.checkpoint, account);
        break;
      default:
        break;
    }
  }
}

/** What can be claimed at a cut. */
export function claimsAt({ recording, before }: Lived, cut: number): Claims {
  const claims = new Claims(before?.claims);
  let life = 0;
  for (const promise of recording.promises) {
    if (promise.at >= cut) break;
    const [word, first = '', second = ''] = promise.words;
    if (word === 'RUN') life = Number(first);
    if (word === 'FOUND') claims.began(Number(first), life, Number(second));
    if (word === 'BACKUP') {
      const begun = claims.backups.get(second)?.claims ?? new Claims(claims);
      claims.backups.set(second, { claims: begun, done: first === 'done' });
    }
    if (claimedFrom(recording, promise) < cut) claims.keep(promise.words);
  }
  return claims;
}

/** The event after which a promise holds: its own, or with `sync: 'relaxed'` the end of the flush that came after it. */
export function claimedFrom(recording: Recording, promise: Promised): number {
  return (known.get(recording) ?? measure(recording)).get(promise) ?? Infinity;
}

const known = new WeakMap<Recording, Map<Promised, number>>();

function measure(recording: Recording): Map<Promised, number> {
  const { promises } = recording;
  const commits = commitsOf(recording);
  const from = new Map<Promised, number>();
  let sync = 'group';
  for (const [i, promise] of promises.entries()) {
    if (promise.words[0] === 'RUN') sync = promise.words[2] ?? 'group';
    if (sync === 'group') {
      from.set(promise, promise.at);
      continue;
    }
    const flushed = commits.find(({ begins }) => begins > promise.at)?.ends ?? Infinity;
    const stopped = promises.slice(i).find(({ words }) => words[0] === 'STOPPED')?.at ?? Infinity;
    from.set(promise, Math.min(flushed, stopped));
  }
  known.set(recording, from);
  return from;
}

/** The database's commits: from the first write of pages to the end of the write of a meta page. */
function commitsOf({ changes, paths }: Recording): { readonly begins: number; readonly ends: number }[] {
  const commits: { begins: number; ends: number }[] = [];
  let begins: number | undefined;
  for (const change of changes) {
    if (change.kind !== 'data' || paths.get(change.inode)?.endsWith('data/data.mdb') !== true) continue;
    begins ??= change.at;
    if (change.bytes.length >= 512) continue;
    commits.push({ begins, ends: change.safeFrom });
    begins = undefined;
  }
  return commits;
}
