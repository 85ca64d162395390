/** A turn's header and body as they lie in a batch: the arguments of `decodeTurn` behind the key. */
import { viewOf } from '../../runtime/journal/crc32.ts';

export const placedTurn = (
  header: Uint8Array,
  body: Uint8Array,
): [bytes: Uint8Array, view: DataView, at: number, start: number, end: number] => {
  const bytes = new Uint8Array(header.length + body.length);
  bytes.set(header);
  bytes.set(body, header.length);
  return [bytes, viewOf(bytes), 0, header.length, bytes.length];
};
