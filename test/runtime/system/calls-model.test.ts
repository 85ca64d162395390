/**
 * Calls from outside and the gate at a full mailbox, against a model: whatever crosses on the way, calls to one actor are handled in the
 * order in which they were made, each once, and none is left behind.
 *
 * The real `Calls`, `Pressure` and `Cell`, with two queues for the link between them; fast-check decides what moves next.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Cell } from '../../../runtime/cell/cell.ts';
import { Pressure } from '../../../runtime/host/pressure.ts';
import type { HostLink, Inbound, Outbound } from '../../../runtime/host/items.ts';
import { defineBehavior } from '../../../runtime/kernel/definition.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';
import { Calls } from '../../../runtime/system/calls.ts';

const RUN = 1;

const idle = { now: () => 0, monotonicMs: () => 0, wait: () => ({ cancel: () => {} }), defer: () => {} };

class World {
  readonly toHost: Inbound[] = [];
  readonly toOutside: Outbound[] = [];
  readonly handled = new Map<string, number[]>();
  readonly settled = new Set<number>();
  readonly calls: Calls;
  readonly cells = new Map<string, Cell>();
  readonly #pressure = new Pressure(
    () => {},
    () => {},
  );
  readonly #limit: number;
  #resume: (() => void)[] = [];
  #writable = true;
  #made = 0;

  constructor(limit: number) {
    this.#limit = limit;
    const link: HostLink = {
      push: (item) => void this.toHost.push(item as Inbound),
      flush: () => {},
      onceWritable: (resume) => void this.#resume.push(resume),
      oldestUnacknowledgedMark: () => undefined,
      get writable() {
        return isWritable();
      },
    };
    const isWritable = (): boolean => this.#writable;
    this.calls = new Calls({ clock: idle, run: RUN, hosts: 1, outsideStream: 7, limit: 10_000, link: () => link });
  }

  get made(): number {
    return this.#made;
  }

  make(key: string): void {
    this.#made += 1;
    const n = this.#made;
    const settle = { resolve: () => void this.settled.add(n), reject: () => void this.settled.add(-n) };
    this.calls.deliver({ to: key, message: n }, false, { timeoutMs: Number.POSITIVE_INFINITY, settle });
  }

  setWritable(writable: boolean): void {
    this.#writable = writable;
    if (!writable) return;
    const resume = this.#resume;
    this.#resume = [];
    for (const run of resume) run();
  }

  /** The host takes one item. */
  hostTakes(): boolean {
    const item = this.toHost.shift();
    if (item === undefined) return false;
    if (Array.isArray(item)) {
      this.#command(item as unknown as readonly unknown[]);
      return true;
    }
    const envelope = item as Envelope;
    const cell = this.#cell(envelope.to);
    if (this.#pressure.refuses(cell)) this.toOutside.push(['busy', envelope.id?.position ?? 0, cell.key]);
    else cell.mailbox.push(envelope);
    return true;
  }

  /** The outside takes one item. */
  outsideTakes(): boolean {
    const item = this.toOutside.shift();
    if (item === undefined) return false;
    if (item[0] === 'busy') this.calls.busy(item[1], item[2]);
    else if (item[0] === 'ready') this.calls.ready(item[1], item[2], item[3]);
    else if (item[0] === 'receipts') this.calls.receipts(item[1]);
    return true;
  }

  /** One cell handles one message; a watermark drops what is below it, as a cell's does, with a receipt. */
  work(key: string): boolean {
    const cell = this.#cell(key);
    const envelope = cell.mailbox.shift();
    if (envelope === undefined) return false;
    const position = envelope.id?.position;
    if (position !== undefined) {
      const handled = this.handled.get(key) ?? [];
      this.handled.set(key, handled);
      if (position > (handled.at(-1) ?? 0)) handled.push(position);
      this.toOutside.push(['receipts', [position]]);
    }
    this.#pressure.worked(cell);
    return true;
  }

  /** Messages from another actor, which nothing refuses. */
  crowd(key: string): void {
    this.#cell(key).mailbox.push({ to: key, message: 'from within' });
  }

  runToTheEnd(): void {
    for (;;) {
      this.setWritable(true);
      let moved = this.hostTakes();
      moved = this.outsideTakes() || moved;
      for (const key of this.cells.keys()) moved = this.work(key) || moved;
      if (!moved) return;
    }
  }

  #command(item: readonly unknown[]): void {
    const cell = this.#cell(item[1] as string);
    if (item[0] === 'resume') this.#pressure.admit(cell);
    else if (item[0] === 'hold')
      this.#pressure.hold(cell, (room) => this.toOutside.push(['ready', cell.key, item[2] as number, room]));
  }

  #cell(key: string): Cell {
    let cell = this.cells.get(key);
    if (cell === undefined) {
      const never = (): never => {
        throw new Error('not called');
      };
      const behavior = { init: never, receive: never, save: never, load: never, view: never };
      cell = new Cell(key, defineBehavior(import.meta.url, 'model', behavior, { mailboxLimit: this.#limit }));
      this.cells.set(key, cell);
    }
    return cell;
  }
}

const KEYS = ['model/a', 'model/b'] as const;
const key = fc.constantFrom(...KEYS);

const move = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('make' as const), key }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('host' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('outside' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('work' as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crowd' as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('writable' as const), writable: fc.boolean() }) },
);

test('calls to one actor are handled in order, each once, and all of them', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(move, { maxLength: 120 }), (limit, moves) => {
      const world = new World(limit);
      const made = new Map<string, number[]>(KEYS.map((each) => [each, []]));
      for (const each of moves) {
        switch (each.kind) {
          case 'make':
            world.make(each.key);
            made.get(each.key)?.push(world.made);
            break;
          case 'host':
            world.hostTakes();
            break;
          case 'outside':
            world.outsideTakes();
            break;
          case 'work':
            world.work(each.key);
            break;
          case 'crowd':
            world.crowd(each.key);
            break;
          case 'writable':
            world.setWritable(each.writable);
            break;
        }
      }
      world.runToTheEnd();
      for (const [name, numbers] of made) expect(world.handled.get(name) ?? []).toEqual(numbers);
      expect([...world.settled].sort((a, b) => a - b)).toEqual(Array.from({ length: world.made }, (_, i) => i + 1));
      expect(world.calls.size).toBe(0);
    }),
    { numRuns: 2_000 },
  );
});

test('a replaced host gets everything that is not settled, in order', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.array(move, { maxLength: 60 }),
      fc.array(move, { maxLength: 60 }),
      (limit, before, after) => {
        const world = new World(limit);
        const apply = (moves: typeof before): void => {
          for (const each of moves) {
            if (each.kind === 'make') world.make(each.key);
            else if (each.kind === 'host') world.hostTakes();
            else if (each.kind === 'outside') world.outsideTakes();
            else if (each.kind === 'work') world.work(each.key);
          }
        };
        apply(before);
        // The host dies, with its mailboxes and all that was on the way; what it had handled is in the journal.
        world.toHost.length = 0;
        world.toOutside.length = 0;
        for (const cell of world.cells.values()) world.cells.delete(cell.key);
        world.calls.resend(0);
        apply(after);
        world.runToTheEnd();
        const handled = [...world.handled.values()].flat().sort((a, b) => a - b);
        expect(handled).toEqual(Array.from({ length: world.made }, (_, i) => i + 1));
        for (const numbers of world.handled.values()) expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
        expect(world.calls.size).toBe(0);
      },
    ),
    { numRuns: 2_000 },
  );
});
