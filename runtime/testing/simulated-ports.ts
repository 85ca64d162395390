/**
 * What connects simulated threads: pipes that deliver late but in order, and frame ports on top of them with faults.
 *
 * Owns: delays, what happens to frames on their way, and the check that a link notices what it must notice.
 *
 * Invariants:
 * SP1. A pipe delivers in order, each once; cut, it delivers a prefix. The receiving thread runs what is delivered.
 * SP2. A frame port is a `FramePort` (O1 … O4) unless a fault hits a frame: then the link on the receiving side must end with the
 *      first frame that cannot be right. One that does not is reported.
 */
import type { FramePort } from '../transport/frame-port.ts';
import type { VirtualThread } from './virtual-clock.ts';

/** What becomes of one frame. */
export type FrameFate = 'delivered' | 'lost' | 'doubled' | 'overtaken';

export class Pipe {
  readonly #from: VirtualThread;
  readonly #to: VirtualThread;
  readonly #delayMs: () => number;
  #under: { readonly cancel: () => void }[] = [];
  #lastMs = 0;
  #cut = false;

  constructor(from: VirtualThread, to: VirtualThread, delayMs: () => number) {
    this.#from = from;
    this.#to = to;
    this.#delayMs = delayMs;
  }

  /** Runs `deliver` on the other thread, after everything sent before it. */
  send(deliver: () => void): void {
    if (this.#cut || this.#from.hasEnded) return;
    this.#schedule(Math.max(this.#lastMs, this.#from.doneMs + this.#delayMs()), deliver);
  }

  /** Things on their way. */
  get length(): number {
    return this.#under.length;
  }

  /** Takes nothing more; of what is on its way only the first `keep` arrive, and then `last`. */
  cut(keep: number, last: () => void): void {
    if (this.#cut) return;
    this.#cut = true;
    for (const wait of this.#under.splice(keep)) wait.cancel();
    this.#schedule(this.#lastMs, last);
  }

  #schedule(atMs: number, deliver: () => void): void {
    this.#lastMs = atMs;
    const wait = this.#to.waitUntil(atMs, () => {
      this.#under.shift();
      deliver();
    });
    this.#under.push(wait);
  }
}

export interface FramePortRules {
  readonly delayMs: () => number;
  /** Asked for every frame; words about acceptance and ends are never touched. */
  fate(): FrameFate;
  /** A frame was lost, doubled or overtaken. */
  hit(fate: FrameFate): void;
  /** A link took a frame that could not be right. */
  undetected(what: string): void;
  /** A block is about to be posted by `thread`: throwing is a death in the middle of a release. */
  beforePost(thread: VirtualThread): void;
  readonly note: (line: string) => void;
  /** A seam for planted bugs: what is posted in place of a block. */
  readonly rewrite?: ((bytes: Uint8Array<ArrayBuffer>, way: string) => readonly Uint8Array<ArrayBuffer>[]) | undefined;
}

/** Kind of a link's block that carries items. */
const FRAME_KIND = 1;

/** A connected pair between two threads. */
export function createSimulatedFramePorts(
  a: VirtualThread,
  b: VirtualThread,
  rules: FramePortRules,
): readonly [SimulatedFramePort, SimulatedFramePort] {
  const ab = new Pipe(a, b, () => rules.delayMs());
  const ba = new Pipe(b, a, () => rules.delayMs());
  const portA = new SimulatedFramePort(a, ab, rules, `${a.name}>${b.name}`);
  const portB = new SimulatedFramePort(b, ba, rules, `${b.name}>${a.name}`);
  portA.connect(portB);
  portB.connect(portA);
  return [portA, portB];
}

export class SimulatedFramePort implements FramePort {
  readonly #thread: VirtualThread;
  readonly #out: Pipe;
  readonly #rules: FramePortRules;
  readonly #name: string;
  #peer!: SimulatedFramePort;
  #state: 'open' | 'closed' = 'open';
  #message: ((bytes: Uint8Array) => void) | undefined;
  #close: (() => void) | undefined;
  #early: { readonly bytes: Uint8Array; readonly spoiled: boolean }[] = [];
  #peerClosed = false;
  #overtaken: Uint8Array | undefined;
  /** A frame of the other side was touched: from the first spoiled one on, none may be taken. */
  #spoiled = false;
  /** A frame of this side was lost: the next one is spoiled. */
  #spoilNext = false;

  constructor(thread: VirtualThread, out: Pipe, rules: FramePortRules, name: string) {
    this.#thread = thread;
    this.#out = out;
    this.#rules = rules;
    this.#name = name;
  }

  connect(peer: SimulatedFramePort): void {
    this.#peer = peer;
  }

  post(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#state === 'closed' || this.#thread.hasEnded) return;
    this.#rules.beforePost(this.#thread);
    const blocks = this.#rules.rewrite?.(bytes, this.#name) ?? [bytes];
    for (const block of blocks) this.#post(block);
  }

  #post(bytes: Uint8Array<ArrayBuffer>): void {
    if (bytes[0] !== FRAME_KIND) {
      this.#send(bytes, false);
      return;
    }
    const fate = this.#rules.fate();
    this.#rules.note(`${this.#name} ${bytes.length} ${fate}`);
    switch (fate) {
      case 'delivered': {
        const earlier = this.#overtaken;
        this.#overtaken = undefined;
        this.#send(bytes, earlier !== undefined);
        if (earlier !== undefined) this.#send(earlier, true);
        break;
      }
      case 'doubled':
        this.#send(bytes, false);
        this.#send(bytes.slice(), true);
        break;
      case 'lost':
        this.#spoilNext = true;
        break;
      case 'overtaken':
        this.#overtaken = bytes;
        break;
    }
    if (fate !== 'delivered') this.#rules.hit(fate);
  }

  #send(bytes: Uint8Array, spoiled: boolean): void {
    const isSpoiled = spoiled || (this.#spoilNext && bytes[0] === FRAME_KIND);
    if (isSpoiled) this.#spoilNext = false;
    this.#out.send(() => this.#peer.#arrive(bytes, isSpoiled));
  }

  onMessage(listener: (bytes: Uint8Array) => void): void {
    this.#message = listener;
    if (this.#early.length > 0) this.#thread.defer(() => this.#deliverEarly());
  }

  onClose(listener: () => void): void {
    this.#close = listener;
    if (this.#peerClosed) this.#thread.defer(() => this.#deliverEarly());
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#early = [];
    this.#out.send(() => this.#peer.#ended());
  }

  ref(): void {}
  unref(): void {}

  /** The thread has died: a prefix of what it posted still arrives, then the end. */
  die(keep: (length: number) => number): void {
    this.#state = 'closed';
    this.#out.cut(keep(this.#out.length), () => this.#peer.#ended());
  }

  #arrive(bytes: Uint8Array, spoiled: boolean): void {
    if (this.#state === 'closed') return;
    if (this.#message === undefined || this.#early.length > 0) this.#early.push({ bytes, spoiled });
    else this.#hand(bytes, spoiled);
  }

  #hand(bytes: Uint8Array, spoiled: boolean): void {
    this.#spoiled ||= spoiled;
    const mustEnd = this.#spoiled && bytes[0] === FRAME_KIND;
    this.#message?.(bytes);
    if (mustEnd && this.#state === 'open')
      this.#rules.undetected(`${this.#peer.#name} delivered a frame that is not the next one`);
  }

  #deliverEarly(): void {
    if (this.#message === undefined) return;
    for (let next = this.#early.shift(); next !== undefined && this.#state === 'open'; next = this.#early.shift()) {
      this.#hand(next.bytes, next.spoiled);
    }
    if (this.#peerClosed) this.#ended();
  }

  #ended(): void {
    if (this.#state === 'closed') return;
    this.#peerClosed = true;
    if (this.#close === undefined || this.#early.length > 0) return;
    this.#state = 'closed';
    this.#close();
  }
}
