/**
 * The body of one request, within its bound.
 *
 * Owns: reading it, and the three ways in which it does not come: too large, given up by the client, malformed.
 *
 * Invariants:
 * HI1. Never more than `limitBytes` are kept; a length that is announced above it is refused before the first byte.
 */
import type { IncomingMessage } from 'node:http';
import { BlocksError, ConnectorUnavailableError, MessageTooLargeError } from '../../runtime/kernel/errors.ts';

export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Uint8Array> {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > limitBytes) throw tooLarge(announced, limitBytes);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > limitBytes) throw tooLarge(bytes, limitBytes);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof BlocksError) throw error;
    throw new ConnectorUnavailableError('the client went away in the middle of its request', { cause: error });
  }
  return Buffer.concat(chunks);
}

function tooLarge(bytes: number, limitBytes: number): MessageTooLargeError {
  return new MessageTooLargeError(`the body has ${bytes} bytes or more, above the ${limitBytes} that are taken here`, {
    details: { bytes, limitBytes },
  });
}
