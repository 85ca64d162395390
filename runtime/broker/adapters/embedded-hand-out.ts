/**
 * Hand-outs as the runner gets them: a message that is read where its bytes are.
 *
 * Owns: finding the bytes (they came with the hand-out, or this process has kept them), and reading them. The header is read at once, the
 * payload by the runner, once.
 */
import { decodePart } from '../../wire/value-codec.ts';
import type { CarriedMessage, HandOut } from '../broker-adapter.ts';
import { type PackedHandOuts, type PackedParts, RUN } from './embedded-batch.ts';
import { type Block, blockOf, MessageReader } from './embedded-frame.ts';
import type { KeptMessages } from './embedded-kept.ts';

type Header = CarriedMessage['header'];

/** Where a message's payload is, and everything else of it. */
export interface ReadMessage {
  readonly header: Header;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Reads what was packed; `redriven`: it is handled although its time is over. */
export type ReadHandOut = (block: Block, start: number, end: number, redriven: boolean) => ReadMessage;

/** For the messages of a broker: one reader a consumer, since it keeps what they have in common. */
export function readsMessages(): ReadHandOut {
  const reader = new MessageReader();
  return (block, start, end, redriven) => {
    const { header, payloadStart } = reader.read(block, start, redriven);
    return { header, bytes: block.bytes, start: payloadStart, end };
  };
}

/** Stands in until the bytes are there. */
const UNREAD = { header: {} as Header, bytes: new Uint8Array(0), start: 0, end: 0 } satisfies ReadMessage;

/** A message that was handed out; it is its own `CarriedMessage`, for there are tens of thousands a second. */
export class EmbeddedHandOut implements HandOut, CarriedMessage {
  readonly seq: number;
  readonly lease: number;
  readonly attempt: number;
  readonly lost: number;
  readonly firstDeliveredMs: number;
  readonly token = undefined;
  readonly redrives: number;
  header: Header = UNREAD.header;
  #bytes: Uint8Array = UNREAD.bytes;
  #start = 0;
  #end = 0;

  constructor(run: readonly number[], from: number, at: number) {
    this.seq = (run[from] as number) + at;
    this.lease = (run[from + 1] as number) + at;
    this.attempt = run[from + 3] as number;
    this.firstDeliveredMs = run[from + 4] as number;
    this.redrives = run[from + 5] as number;
    this.lost = run[from + 6] as number;
  }

  get message(): CarriedMessage {
    return this;
  }

  get payload(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  readPayload(): unknown {
    return decodePart(this.#bytes, this.#start, this.#end);
  }

  /** Its bytes are found. */
  found({ header, bytes, start, end }: ReadMessage): void {
    this.header = header;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }
}

/** Hand-outs in their order, and those of them whose bytes are neither with them nor `kept`. */
export function handOutsOf(
  { runs, sizes, bytes }: PackedHandOuts,
  kept: KeptMessages,
  read: ReadHandOut,
): { readonly handOuts: readonly EmbeddedHandOut[]; readonly missing: readonly EmbeddedHandOut[] } {
  const block = blockOf(bytes);
  const handOuts: EmbeddedHandOut[] = [];
  const missing: EmbeddedHandOut[] = [];
  let offset = 0;
  let next = 0;
  for (let from = 0; from < runs.length; from += RUN) {
    const count = runs[from + 2] as number;
    const isKept = runs[from + 7] === 1;
    for (let at = 0; at < count; at++) {
      const handOut = new EmbeddedHandOut(runs, from, at);
      handOuts.push(handOut);
      if (isKept) {
        const known = kept.take(handOut.seq);
        if (known === undefined) missing.push(handOut);
        else handOut.found(read(known.block, known.start, known.end, handOut.redrives > 0));
      } else {
        const end = offset + (sizes[next] as number);
        handOut.found(read(block, offset, end, handOut.redrives > 0));
        offset = end;
        next += 1;
      }
    }
  }
  return { handOuts, missing };
}

/** Gives hand-outs the bytes that were asked for. Returns those that have none: they are handed out no more. */
export function withBytes(
  handOuts: readonly EmbeddedHandOut[],
  { sizes, bytes }: PackedParts,
  read: ReadHandOut,
): readonly EmbeddedHandOut[] {
  const block = blockOf(bytes);
  const gone: EmbeddedHandOut[] = [];
  let offset = 0;
  for (const [at, handOut] of handOuts.entries()) {
    const end = offset + (sizes[at] ?? 0);
    if (end === offset) gone.push(handOut);
    else handOut.found(read(block, offset, end, handOut.redrives > 0));
    offset = end;
  }
  return gone;
}
