/**
 * Sums made right again after a mutation: what a fault of the writer, or somebody with a hex editor, would leave.
 *
 * Owns: where the sums of batches, rows and the file ahead of the database are. Does as much as the lies in the bytes allow.
 */
import {
  H_BODY_BYTES,
  H_BODY_START,
  H_SENDS,
  H_SENDS_START,
  H_SUM,
  HEADER_BYTES,
  P_BODIES_BYTES,
  P_EPOCH,
  P_KEYS_BYTES,
  P_NUMBER,
  P_RUN,
  P_SEAT,
  P_SENDS,
  P_SLOT,
  P_SUM,
  P_TABLE_SUM,
  P_TURNS,
  PRELUDE_BYTES,
  SEND_BYTES,
} from '../../runtime/journal/batch-layout.ts';
import { batchSeed, turnSeed } from '../../runtime/journal/batch-seed.ts';
import { crc32Of, viewOf } from '../../runtime/journal/crc32.ts';

export function resealBatch(bytes: Uint8Array): void {
  if (bytes.length < PRELUDE_BYTES) return;
  const view = viewOf(bytes);
  const headers = PRELUDE_BYTES + view.getUint32(P_KEYS_BYTES, true);
  const turns = view.getUint32(P_TURNS, true);
  const sends = headers + turns * HEADER_BYTES;
  const bodies = sends + view.getUint32(P_SENDS, true) * SEND_BYTES;
  const end = bodies + view.getUint32(P_BODIES_BYTES, true);
  if (end > bytes.length) return;
  const [slot, epoch, run, number] = [P_SLOT, P_EPOCH, P_RUN, P_NUMBER].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
  ];
  const seed = batchSeed(slot, epoch, run, number);
  for (let at = headers; at < sends; at += HEADER_BYTES) {
    const bodyStart = bodies + view.getUint32(at + H_BODY_START, true);
    const bodyEnd = bodyStart + view.getUint32(at + H_BODY_BYTES, true);
    const sendsStart = sends + view.getUint32(at + H_SENDS_START, true) * SEND_BYTES;
    const sendsEnd = sendsStart + view.getUint32(at + H_SENDS, true) * SEND_BYTES;
    if (bodyEnd > end || sendsEnd > bodies) continue;
    let sum = crc32Of(bytes, view, at + H_SUM + 4, at + HEADER_BYTES, turnSeed(seed, at - headers));
    if (sendsEnd > sendsStart) sum = crc32Of(bytes, view, sendsStart, sendsEnd, sum);
    view.setUint32(at + H_SUM, crc32Of(bytes, view, bodyStart, bodyEnd, sum), true);
  }
  view.setUint32(P_TABLE_SUM, crc32Of(bytes, view, headers, bodies), true);
  // The seat counts as zero in the prelude's sum.
  view.setUint32(P_SEAT, 0, true);
  view.setUint32(P_SUM, crc32Of(bytes, view, P_SUM + 4, headers), true);
}

/** Of an image, a dead letter or a damage note. */
export function resealRow(key: string, row: Uint8Array): void {
  if (row.length < 4) return;
  const name = Buffer.from(key);
  const view = viewOf(row);
  view.setUint32(0, crc32Of(row, view, 4, row.length, crc32Of(name, viewOf(name), 0, name.length)), true);
}

/** Of every frame that can still be found. */
export function resealAhead(bytes: Uint8Array): void {
  const view = viewOf(bytes);
  // Behind the file's own header.
  for (let at = 16; at + 16 <= bytes.length; ) {
    const end = at + view.getUint32(at, true);
    if (end > bytes.length || end < at + 16) return;
    view.setUint32(at + 4, crc32Of(bytes, view, at + 8, end), true);
    at = end;
  }
}
