/**
 * What goes over the ports of the journal thread.
 *
 * Owns: the shapes. Arrays that begin with a number: they are posted for every batch, and cloning names costs more than cloning
 * numbers.
 */
import type { CellKey } from '../kernel/address.ts';
import type { EncodedError } from '../kernel/errors.ts';
import type { JournalOptions } from './journal-control.ts';
import type { RawJournalControl } from './journal-service.ts';

export const HELLO = 0;
export const APPEND = 1;
export const LOAD = 2;
export const CLEAN = 3;
export const CLOSE = 4;

/** Host to journal. */
export type HostMessage =
  | readonly [typeof HELLO, epoch: number]
  | readonly [typeof APPEND, number: number, bytes: Uint8Array, forwards: boolean]
  | readonly [typeof LOAD, request: number, keys: readonly CellKey[]]
  | readonly [typeof CLEAN, round: number]
  | readonly [typeof CLOSE];

export const COMMITTED = 0;
export const LOADED = 1;
export const FENCED = 2;
export const WAKE = 3;
export const STORAGE = 4;
export const CHECKPOINT = 5;
export const ACCEPTED = 6;

/** Journal to host. */
export type JournalMessage =
  /** Pairs of number and position: all batches of one commit in one message. */
  | readonly [typeof COMMITTED, ...pairs: number[]]
  | readonly [typeof LOADED, request: number, parcels: Uint8Array]
  | readonly [typeof FENCED]
  | readonly [typeof WAKE, keys: readonly CellKey[]]
  | readonly [typeof STORAGE, state: 'full' | 'ok']
  | readonly [typeof CHECKPOINT, round: number, target: number]
  | readonly [typeof ACCEPTED, pairs: readonly number[]];

/** System to journal thread. */
export type ThreadRequest =
  | { readonly kind: 'connect'; readonly slot: number; readonly port: unknown }
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly method: keyof RawJournalControl;
      readonly args: readonly unknown[];
    };

/** Journal thread to system. */
export type ThreadAnswer =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly error: EncodedError }
  | { readonly kind: 'failed'; readonly error: EncodedError };

/** What the thread is started with. */
export interface ThreadData {
  readonly options: JournalOptions;
}
