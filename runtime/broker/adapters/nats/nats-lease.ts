/**
 * Which consumer of a subscription has its messages, where only one may: the one whose name is in the lease.
 *
 * Owns: taking the lease, keeping it while there is a connection, giving it back, and finding out that whoever has it is gone. JetStream
 * gives messages to any who ask; order over processes is kept by letting only the holder ask.
 *
 * Invariants:
 * NS2. A lease changes hands by a write that names the one before it: of two that take it at once one does.
 * NS3. The holder is gone when for `graceMs` nobody has listened in its process's name, which the server says at once; or when it has not
 *      answered for `goneMs`.
 * NS4. Nobody takes it before it wants messages: who has joined and asks for none does not keep others from theirs.
 * NS5. Whoever was without a connection has nothing until it has looked at the lease again.
 */
import type { Subscription } from '@nats-io/transport-node';
import type { Wait } from '../../../kernel/clock.ts';
import type { NatsSession } from './nats-session.ts';

export interface LeaseOptions {
  readonly subscription: string;
  /** Unlike that of any other consumer. */
  readonly member: string;
  /** The process that it is in. */
  readonly process: string;
  readonly graceMs: number;
  readonly goneMs: number;
  /** What the holder before had is to be had: the lease is held when this resolves. */
  readonly taken: () => Promise<void>;
  readonly held: () => void;
  readonly lost: () => void;
  readonly failed: (error: Error) => void;
}

/** `unsure`: it was held before the connection was lost. */
export type LeaseStanding = 'held' | 'unsure' | 'away';

/** As it is kept. */
interface Holder {
  readonly member: string;
  readonly process: string;
}

interface Watched {
  readonly member: string;
  answeredMs: number;
  absentMs: number | undefined;
}

const LOOK_MS = 1_000;
const ANSWER_MS = 1_000;

export class NatsLease {
  readonly #session: NatsSession;
  readonly #options: LeaseOptions;
  readonly #subject: string;
  readonly #heard: Subscription;
  #state: LeaseStanding | 'closed' = 'away';
  /** The holder, and what was seen of it. */
  #watched: Watched | undefined;
  #sequence = 0;
  /** Our name is in it, by what was last read or written. */
  #isOurs = false;
  #looking: Promise<void> | undefined;
  #isWanted = false;
  #again = false;
  #wait: Wait | undefined;

  constructor(session: NatsSession, options: LeaseOptions) {
    this.#session = session;
    this.#options = options;
    this.#subject = session.names.lease(options.subscription);
    this.#heard = session.connection.subscribe(this.#subject, { callback: () => this.look() });
  }

  get standing(): LeaseStanding {
    return this.#state === 'closed' ? 'away' : this.#state;
  }

  /** Who wants nothing does not take it. */
  want(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.look();
  }

  /** The connection was lost, and is there again. */
  recover(): void {
    if (this.#state === 'held') this.#state = 'unsure';
    this.look();
  }

  /** Looks who has it, and takes it if nobody does. */
  look(): void {
    if (!this.#isWanted) return;
    if (this.#looking !== undefined) {
      this.#again = true;
      return;
    }
    this.#looking = this.#look()
      .catch((error: unknown) => {
        if (this.#state !== 'closed' && this.#session.isUp) this.#options.failed(error as Error);
      })
      .then(() => {
        this.#looking = undefined;
        if (this.#state === 'closed') return;
        const isAgain = this.#again;
        this.#again = false;
        this.#wait?.cancel();
        const lookMs = isAgain ? 0 : Math.min(LOOK_MS, this.#options.graceMs / 3);
        this.#wait = this.#session.clock.wait(lookMs, () => this.look());
      });
  }

  /** Gives it back, for whoever wants it. */
  async close(): Promise<void> {
    this.#state = 'closed';
    this.#wait?.cancel();
    this.#heard.unsubscribe();
    // It may be taking it.
    await this.#looking;
    if (this.#isOurs && this.#session.isUp) await this.#write('');
  }

  async #look(): Promise<void> {
    if (!this.#session.isUp) return;
    const kept = await this.#session.last(this.#session.names.table, this.#subject);
    const holder = kept === null || kept.data.length === 0 ? undefined : kept.json<Holder>();
    this.#sequence = kept?.seq ?? 0;
    this.#isOurs = holder?.member === this.#options.member;
    if (this.#state === 'closed') return;
    if (this.#isOurs) {
      if (this.#state === 'away') await this.#options.taken();
      return this.#hold();
    }
    if (this.#state === 'held' || this.#state === 'unsure') {
      this.#state = 'away';
      this.#options.lost();
    }
    if (holder !== undefined && !(await this.#isGone(holder))) return;
    const { member, process } = this.#options;
    if ((this.#state as string) === 'closed' || !(await this.#write(JSON.stringify({ member, process })))) return;
    await this.#options.taken();
    this.#hold();
  }

  #hold(): void {
    if (this.#state === 'held' || this.#state === 'closed') return;
    this.#state = 'held';
    this.#options.held();
  }

  /** False: somebody else was first. */
  async #write(text: string): Promise<boolean> {
    try {
      const expect = { lastSubjectSequence: this.#sequence };
      const { seq } = await this.#session.client.publish(this.#subject, text, { expect });
      this.#sequence = seq;
      this.#isOurs = text !== '';
      return true;
    } catch (error) {
      if (/wrong last sequence/i.test((error as Error).message)) return false;
      throw error;
    }
  }

  async #isGone({ member, process }: Holder): Promise<boolean> {
    const { graceMs, goneMs } = this.#options;
    const { connection, names, clock } = this.#session;
    if (this.#watched?.member !== member)
      this.#watched = { member, answeredMs: clock.monotonicMs(), absentMs: undefined };
    const watched = this.#watched;
    try {
      await connection.request(names.presence(process), '', { timeout: ANSWER_MS });
      watched.answeredMs = clock.monotonicMs();
      watched.absentMs = undefined;
      return false;
    } catch (error) {
      if (!this.#session.isUp) {
        this.#watched = undefined;
        return false;
      }
      const nowMs = clock.monotonicMs();
      if (!/no responders/i.test(`${(error as Error).name} ${(error as Error).message}`)) {
        watched.absentMs = undefined;
        return nowMs - watched.answeredMs > goneMs;
      }
      watched.absentMs ??= nowMs;
      return nowMs - watched.absentMs >= graceMs;
    }
  }
}
