/** The door of a link: blocks on its port, in any order and shape, with the frames and ends of a real peer to begin from. */
import type { FramePort } from '../../runtime/transport/frame-port.ts';
import { Link, type LinkLoss } from '../../runtime/transport/link.ts';
import { endPacket, PACKET_HEADER_BYTES } from '../../runtime/transport/link-packet.ts';
import { firstDifference } from '../../runtime/cell/same-value.ts';
import { alien, type Door, fault, PASSED, REFUSED, type Verdict } from './door.ts';
import type { Dice } from './dice.ts';
import { mutate } from './mutations.ts';
import { envelopesOf, valuesOf } from './value-doors.ts';

/** A port that keeps what is posted, for a link that has its turns when the test says so. */
class HeldPort implements FramePort {
  readonly posted: Uint8Array[] = [];
  closed = false;
  message: (bytes: Uint8Array) => void = () => {};
  ended: () => void = () => {};
  post(bytes: Uint8Array): void {
    this.posted.push(bytes);
  }
  onMessage(listener: (bytes: Uint8Array) => void): void {
    this.message = listener;
  }
  onClose(listener: () => void): void {
    this.ended = listener;
  }
  close(): void {
    this.closed = true;
  }
  ref(): void {}
  unref(): void {}
}

const idleClock = { defer: (): void => {}, wait: () => ({ cancel: (): void => {} }) };

class Side {
  readonly port = new HeldPort();
  readonly frames: (readonly unknown[])[] = [];
  readonly losses: LinkLoss[] = [];
  readonly link: Link;

  constructor() {
    this.link = new Link({
      port: this.port,
      clock: idleClock,
      onFrame: (items, accept) => {
        this.frames.push(items);
        accept();
      },
      onLost: (loss) => this.losses.push(loss),
      onRefused: () => {},
    });
  }
}

interface Talk {
  readonly blocks: readonly Uint8Array[];
  readonly frames: readonly (readonly unknown[])[];
}

/** What a peer says in its life: some frames, and an end with a reason. */
function talkOf(values: readonly unknown[]): Talk {
  const peer = new Side();
  const frames = values.map((value, i) => [value, { i, note: 'as before' }]);
  for (const items of frames) {
    for (const item of items) peer.link.push(item);
    peer.link.flush();
  }
  peer.link.close({ why: values[0] });
  return { blocks: peer.port.posted, frames };
}

/** Ends and acceptances that no link would send. */
function oddBlock(dice: Dice): Uint8Array {
  const reason = dice.pick<unknown>([
    { $broken: { toString: 5, valueOf: 5 } },
    { $broken: new Map([['a', 1]]) },
    { $broken: undefined },
    { constructor: 1, $broken: 'x' },
    [],
    null,
  ]);
  const bytes = dice.chance(0.5) ? endPacket(0, reason) : new Uint8Array(PACKET_HEADER_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (dice.chance(0.5))
    view.setFloat64(8, dice.pick([Number.NaN, -1, 0.5, 1, 2 ** 53, Infinity, -Infinity, 1e300, -0]));
  if (bytes.length === PACKET_HEADER_BYTES) view.setUint8(0, dice.pick([0, 1, 2, 3, 4, 255]));
  return bytes;
}

/** The blocks as they arrive, and how many of the first are as they were sent. */
function tampered(dice: Dice, talk: Talk, other: Talk): { readonly blocks: Uint8Array[]; readonly good: number } {
  const blocks = [...talk.blocks];
  const at = dice.below(blocks.length);
  switch (dice.below(6)) {
    case 0:
      blocks.splice(at, 1);
      break;
    case 1:
      blocks.splice(at, 0, blocks[dice.below(blocks.length)] as Uint8Array);
      break;
    case 2:
      blocks.splice(at, 0, oddBlock(dice));
      break;
    case 3:
      blocks.splice(at, 1, dice.pick(other.blocks));
      break;
    default:
      blocks.splice(at, 1, mutate(blocks[at] as Uint8Array, dice, dice.pick(other.blocks)));
  }
  return { blocks: blocks.map((block) => Uint8Array.from(block)), good: at };
}

export function linkDoor(seed: number): Door {
  const values = [...valuesOf(seed, 60), ...envelopesOf(seed, 90)];
  const talks = Array.from({ length: 50 }, (_, i) => talkOf([values[i], values[50 + i], values[100 + i]]));
  return { name: 'link', share: 15, attack: (dice) => attack(dice, talks) };
}

function attack(dice: Dice, talks: readonly Talk[]): Verdict {
  const talk = dice.pick(talks);
  const { blocks, good } = tampered(dice, talk, dice.pick(talks));
  const side = new Side();
  if (dice.chance(0.3)) {
    side.link.push({ of: 'our own' });
    side.link.flush();
  }
  for (const [i, block] of blocks.entries()) {
    const framesBefore = side.frames.length;
    const lostBefore = side.losses.length;
    const size = block.length;
    try {
      side.port.message(block);
    } catch (error) {
      return fault(`the link threw at its port: ${error instanceof Error ? error.stack : String(error)}`, block);
    }
    const delivered = side.frames.length - framesBefore;
    if (delivered > 1 || (delivered === 1 && lostBefore > 0)) return fault('a frame came after the end', block);
    const strange = delivered === 1 ? alien(side.frames.at(-1), size) : undefined;
    if (strange !== undefined) return fault(strange, block);
    if (i < good && (lostBefore > 0 || side.losses.length > 0) && i < talk.frames.length)
      return fault(`the link ended at a good block: ${JSON.stringify(side.losses)}`, block);
  }
  const known = Math.min(good, talk.frames.length);
  const difference = firstDifference(side.frames.slice(0, known), talk.frames.slice(0, known));
  if (difference !== undefined) return fault(`good frames came otherwise: ${difference}`);
  side.port.ended();
  const [loss] = side.losses;
  if (side.losses.length !== 1 || loss === undefined) return fault(`the end was told ${side.losses.length} times`);
  if (!side.port.closed) return fault('the port was left open after the end');
  const last = side.port.posted.at(-1);
  if (last?.[0] !== 3) return fault('the peer was not told of the end');
  return loss.kind === 'broken' ? REFUSED : PASSED;
}
