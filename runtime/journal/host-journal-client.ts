/**
 * A host's journal over anything that carries bytes: requests numbered, loaded cells decoded, batches built.
 *
 * Owns: what `HostJournal` promises beyond the session: answers find their callback, values come decoded.
 */
import type { CellKey } from '../kernel/address.ts';
import type { ReviveReference } from '../wire/journal-codec.ts';
import { type BatchOrigin, BatchWriter } from './batch-builder.ts';
import { decodeParcels } from './cell-parcel.ts';
import type { BatchBuilder, HostJournal } from './host-journal.ts';
import type { HostSession } from './journal-ports.ts';
import type { LoadedCell } from './turn-record.ts';

export interface HostOrigin extends BatchOrigin {
  /** What references in loaded values become; default: plain `Reference`s. */
  readonly revive?: ReviveReference | undefined;
}

export class HostJournalClient implements HostJournal {
  readonly #session: HostSession;
  readonly #origin: HostOrigin;
  readonly #requests = new Map<number, (cells: readonly LoadedCell[]) => void>();
  #request = 0;

  constructor(session: HostSession, origin: HostOrigin) {
    this.#session = session;
    this.#origin = origin;
  }

  newBatch(): BatchBuilder {
    return new BatchWriter(this.#origin);
  }

  append(number: number, bytes: Uint8Array, forwards?: boolean): void {
    this.#session.append(number, bytes, forwards);
  }

  load(keys: readonly CellKey[], loaded: (cells: readonly LoadedCell[]) => void): void {
    const request = ++this.#request;
    this.#requests.set(request, loaded);
    this.#session.load(request, keys);
  }

  clean(round: number): void {
    this.#session.clean(round);
  }

  close(): void {
    this.#requests.clear();
    this.#session.close();
  }

  /** The answer to `load`. */
  loaded(request: number, parcels: Uint8Array): void {
    const loaded = this.#requests.get(request);
    this.#requests.delete(request);
    loaded?.(decodeParcels(parcels, this.#origin.revive));
  }
}
