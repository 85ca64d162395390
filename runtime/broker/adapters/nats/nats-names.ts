/**
 * What the adapter keeps in JetStream, and under which subjects. Everything of a broker begins with `cb.<broker>`.
 *
 * | stream | subjects | is |
 * |---|---|---|
 * | `CB_<broker>` | `.d.m.<subject>`, `.d.k.<subject>` | messages; `k`: of retained subjects |
 * | | `.s.m.<subject>`, `.s.k.<subject>` | those of the system's subjects, which no leading wildcard matches |
 * | | `.q.<subscription>` | dead letters sent again, for one subscription |
 * | `CB_<broker>_TABLE` | `.t.sub.<name>`, `.t.keep.<pattern>` | the table of subscriptions and retained patterns |
 * | | `.t.rec.<kind>.<name>` | records |
 * | | `.t.try.<subscription>.<sequence>` | how often a message was tried and lost |
 * | | `.t.lease.<subscription>` | which consumer has it, where only one may |
 * | `CB_<broker>_RECEIPTS` | `.r.<id>.all`, `.r.<id>.at.<subscription>` | receipts |
 * | `CB_<broker>_DEAD` | `.x.<subscription>` | dead letters |
 * | none | `.b.<subject>` | broadcasts |
 * | none | `.n.<process>` | for a sender: what became of its messages |
 * | none | `.p.<process>` | whether a process is there: it answers |
 *
 * Names are base64url where they are tokens. Subjects keep their form: behind our prefix a `$` is none of the server's.
 */
import { isSystemSubject } from '../../subjects.ts';

export const tokenOf = (name: string): string => Buffer.from(name).toString('base64url');
export const nameOf = (token: string): string => Buffer.from(token, 'base64url').toString();

export class NatsNames {
  readonly prefix: string;
  readonly stream: string;
  readonly table: string;
  readonly receipts: string;
  readonly dead: string;

  constructor(broker: string) {
    const token = /^[A-Za-z0-9_-]+$/.test(broker) ? broker : tokenOf(broker);
    this.prefix = `cb.${token}`;
    this.stream = `CB_${token}`;
    this.table = `CB_${token}_TABLE`;
    this.receipts = `CB_${token}_RECEIPTS`;
    this.dead = `CB_${token}_DEAD`;
  }

  message(subject: string, retained: boolean): string {
    return `${this.prefix}.${isSystemSubject(subject) ? 's' : 'd'}.${retained ? 'k' : 'm'}.${subject}`;
  }

  /** All messages of a pattern, retained or not. */
  filter(pattern: string): string {
    return `${this.prefix}.${isSystemSubject(pattern) ? 's' : 'd'}.*.${pattern}`;
  }

  broadcast(subject: string): string {
    return `${this.prefix}.b.${subject}`;
  }

  /** The part behind the prefix and two tokens. */
  subjectOf(subject: string): string {
    return subject.slice(this.prefix.length + 5);
  }

  isRetained(subject: string): boolean {
    return subject.startsWith('k.', this.prefix.length + 3);
  }

  again(subscription: string): string {
    return `${this.prefix}.q.${tokenOf(subscription)}`;
  }

  entry(kind: 'sub' | 'keep', name: string): string {
    return `${this.prefix}.t.${kind}.${tokenOf(name)}`;
  }

  record(kind: string, name: string): string {
    return `${this.prefix}.t.rec.${tokenOf(kind)}.${tokenOf(name)}`;
  }

  tries(subscription: string, lane: string, sequence: number): string {
    return `${this.prefix}.t.try.${tokenOf(subscription)}.${lane}${sequence}`;
  }

  lease(subscription: string): string {
    return `${this.prefix}.t.lease.${tokenOf(subscription)}`;
  }

  presence(process: string): string {
    return `${this.prefix}.p.${process}`;
  }

  receipt(id: string): string {
    return `${this.prefix}.r.${tokenOf(id)}.all`;
  }

  receiptAt(id: string, subscription: string): string {
    return `${this.prefix}.r.${tokenOf(id)}.at.${tokenOf(subscription)}`;
  }

  letters(subscription: string): string {
    return `${this.prefix}.x.${tokenOf(subscription)}`;
  }

  notices(process: string): string {
    return `${this.prefix}.n.${process}`;
  }
}

/** Names of a subscription's two consumers: of its messages, and of dead letters sent again. */
export const consumerName = (subscription: string, lane: 'main' | 'again'): string =>
  `${lane === 'main' ? 'S' : 'Q'}_${tokenOf(subscription)}`;
