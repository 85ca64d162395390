/**
 * The table of durable subscriptions and retained patterns, as this process knows it.
 *
 * Owns: reading it, hearing its changes, writing it. The truth is the stream; consumers at the server get their messages whether or not
 * a publisher knows of them: the table says for whom a message is, and what may wait.
 */
import type { Subscription } from '@nats-io/transport-node';
import { SubjectTrie } from '../../subject-trie.ts';
import { nameOf } from './nats-names.ts';
import type { NatsSession } from './nats-session.ts';

export interface KnownSubscription {
  readonly name: string;
  readonly pattern: string;
  readonly waitingLimit: number;
  /** The stream's last sequence when it was made: what is not retained and older is not for it. */
  readonly born: number;
  /** How many wait, as last seen, and how many were accepted here since. */
  waiting: number;
  since: number;
}

export interface Keep {
  readonly pattern: string;
  readonly messages?: number;
  readonly ageMs?: number;
}

export class NatsTable {
  readonly #session: NatsSession;
  readonly #failed: (error: Error) => void;
  readonly subscriptions = new Map<string, KnownSubscription>();
  readonly keeps = new Map<string, Keep>();
  #trie = new SubjectTrie<KnownSubscription>();
  #kept = new SubjectTrie<Keep>();
  #heard: Subscription | undefined;

  constructor(session: NatsSession, failed: (error: Error) => void) {
    this.#session = session;
    this.#failed = failed;
  }

  async open(): Promise<void> {
    const { prefix } = this.#session.names;
    this.#heard = this.#session.connection.subscribe(`${prefix}.t.>`, {
      callback: (error, message) => (error === null ? this.#learn(message.subject, message.data) : this.#failed(error)),
    });
    await this.load();
  }

  async load(): Promise<void> {
    const { names } = this.#session;
    for (const kind of ['sub', 'keep'])
      await this.#session.read(
        names.table,
        `${names.prefix}.t.${kind}.*`,
        { lastPerSubject: true },
        ({ subject, data }) => {
          this.#learn(subject, data);
          return 'go on';
        },
      );
  }

  /** After this, what was in the table when it was called is known here. */
  async catchUp(): Promise<void> {
    await this.#session.again(() => this.#session.connection.flush());
  }

  matching(subject: string): readonly KnownSubscription[] {
    return this.#trie.match(subject);
  }

  isRetained(subject: string): boolean {
    return this.#kept.match(subject).length > 0;
  }

  async putSubscription(name: string, entry: Omit<KnownSubscription, 'name' | 'waiting' | 'since'>): Promise<void> {
    await this.#put(this.#session.names.entry('sub', name), JSON.stringify(entry));
  }

  async putKeep(keep: Keep): Promise<void> {
    await this.#put(this.#session.names.entry('keep', keep.pattern), JSON.stringify(keep));
  }

  async deleteSubscription(name: string): Promise<void> {
    await this.#put(this.#session.names.entry('sub', name), '');
  }

  close(): void {
    this.#heard?.unsubscribe();
  }

  async #put(subject: string, text: string): Promise<void> {
    await this.#session.again(() => this.#session.client.publish(subject, text));
    this.#learn(subject, Buffer.from(text));
  }

  #learn(subject: string, data: Uint8Array): void {
    const [kind, token = ''] = subject.slice(this.#session.names.prefix.length + 3).split('.');
    if (kind !== 'sub' && kind !== 'keep') return;
    const name = nameOf(token);
    const text = Buffer.from(data).toString();
    try {
      if (kind === 'sub') this.#learnSubscription(name, text);
      else this.#learnKeep(name, text);
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  #learnSubscription(name: string, text: string): void {
    const old = this.subscriptions.get(name);
    if (old !== undefined) {
      this.#trie.remove(old.pattern, old);
      this.subscriptions.delete(name);
    }
    if (text === '') return;
    const entry = JSON.parse(text) as Omit<KnownSubscription, 'name' | 'waiting' | 'since'>;
    const known = { ...entry, name, waiting: old?.waiting ?? 0, since: old?.since ?? 0 };
    this.subscriptions.set(name, known);
    this.#trie.add(known.pattern, known);
  }

  #learnKeep(pattern: string, text: string): void {
    const old = this.keeps.get(pattern);
    if (old !== undefined) this.#kept.remove(pattern, old);
    const keep = JSON.parse(text) as Keep;
    this.keeps.set(pattern, keep);
    this.#kept.add(pattern, keep);
  }
}
