/**
 * Drops what nobody needs any more from the stream of messages: it has no limits of its own, so that nothing that waits is lost.
 *
 * Owns: up to where all subscriptions have settled everything, what the deduplication window and retained subjects keep beyond that.
 * Every process does it; dropping twice is dropping once.
 *
 * Invariants:
 * NW1. Nothing is dropped that a subscription has not settled, or that is younger than the deduplication window.
 */
import type { ConsumerInfo } from '@nats-io/jetstream';
import type { Wait } from '../../../kernel/clock.ts';
import type { NatsSession } from './nats-session.ts';
import type { Keep, NatsTable } from './nats-table.ts';

const SWEEP_MS = 15_000;

export class NatsSweeper {
  readonly #session: NatsSession;
  readonly #table: NatsTable;
  readonly #windowMs: number;
  readonly #failed: (error: Error) => void;
  /** The stream's last sequence at past times, oldest first. */
  readonly #past: { readonly atMs: number; readonly sequence: number }[] = [];
  #wait: Wait | undefined;
  #closed = false;

  constructor(session: NatsSession, table: NatsTable, windowMs: number, failed: (error: Error) => void) {
    this.#session = session;
    this.#table = table;
    this.#windowMs = windowMs;
    this.#failed = failed;
  }

  start(): void {
    if (this.#closed) return;
    this.#wait = this.#session.clock.wait(SWEEP_MS, () => {
      const swept = this.#session.isUp ? this.sweep() : Promise.resolve();
      void swept.catch((error: unknown) => this.#failed(error as Error)).then(() => this.start());
    });
  }

  close(): void {
    this.#closed = true;
    this.#wait?.cancel();
  }

  async sweep(): Promise<void> {
    const { manager, names, clock } = this.#session;
    const { state } = await manager.streams.info(names.stream);
    const nowMs = clock.now();
    this.#past.push({ atMs: nowMs, sequence: state.last_seq });
    while (this.#past.length > 1 && (this.#past[1]?.atMs ?? nowMs) <= nowMs - this.#windowMs) this.#past.shift();
    const old = this.#past[0];
    if (old === undefined || old.atMs > nowMs - this.#windowMs) return;
    let settled = state.last_seq;
    for await (const info of manager.consumers.list(names.stream))
      settled = Math.min(settled, floorOf(info, state.last_seq));
    const sequence = Math.min(settled, old.sequence) + 1;
    for (const part of ['d.m', 's.m', 'q'])
      await manager.streams.purge(names.stream, { filter: `${names.prefix}.${part}.>`, seq: sequence });
    for (const keep of this.#table.keeps.values()) await this.#trim(keep, settled >= state.last_seq, sequence);
  }

  async #trim({ pattern, messages, ageMs }: Keep, allSettled: boolean, sequence: number): Promise<void> {
    const { manager, names, clock, jetstream } = this.#session;
    const filter = names.filter(pattern).replace('.*.', '.k.');
    if (messages !== undefined && allSettled) await manager.streams.purge(names.stream, { filter, keep: messages });
    if (ageMs === undefined) return;
    const since = new Date(clock.now() - ageMs).toISOString();
    const consumer = await this.#session.client.consumers.get(names.stream, {
      filter_subjects: filter,
      deliver_policy: jetstream.DeliverPolicy.StartTime,
      opt_start_time: since,
    });
    const { delivered } = await consumer.info();
    await manager.streams.purge(names.stream, { filter, seq: Math.min(sequence, delivered.stream_seq + 1) });
  }
}

/** Everything up to this sequence is settled there. */
const floorOf = (info: ConsumerInfo, lastSequence: number): number =>
  info.num_pending === 0 && info.num_ack_pending === 0 ? lastSequence : info.ack_floor.stream_seq;
