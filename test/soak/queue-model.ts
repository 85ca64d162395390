/**
 * A store used as a queue, with a model of what is in it: rows of many sizes come and go in order, letters in no order, images are
 * written over and over.
 *
 * Owns: the load and the check of every row that leaves. The load is seeded: how long the queue is goes up and down, so that the list
 * of free pages does too.
 */
import type { Store, StoreWrites } from '../../runtime/journal/store.ts';
import type { Dice } from '../hostile/dice.ts';

/** Rows and letters of one commit, at most: many commits of a few, a few of many. */
const ROWS_A_COMMIT = 400;
/** How long the queue gets before it is emptied again. */
const LONGEST = 6_000;
const IMAGES = 500;
/** Longest row of its kind: within a page, over some pages. */
const SHORT_BYTES = 400;
const LONG_BYTES = 30_000;

export interface QueueFaults {
  /** Nothing is taken off. */
  readonly noTrim?: boolean | undefined;
  /** Now and then a row disappears that nobody took. */
  readonly lostRow?: boolean | undefined;
}

export class QueueModel {
  readonly #dice: Dice;
  readonly #faults: QueueFaults;
  readonly #ballast: Buffer;
  /** Length of the row at each position from `#head` on. */
  readonly #rows: number[] = [];
  readonly #letters = new Map<string, number>();
  readonly #images = new Map<string, number>();
  #head = 1;
  #end = 1;
  #isFilling = true;
  #letter = 0;
  operations = 0;
  commits = 0;
  readonly wrong: string[] = [];

  constructor(dice: Dice, faults: QueueFaults) {
    this.#dice = dice;
    this.#faults = faults;
    this.#ballast = Buffer.alloc(LONG_BYTES + 256);
    for (let i = 0; i < this.#ballast.length; i++) this.#ballast[i] = dice.below(256);
  }

  /** One commit: something is put on, something taken off, and what is taken off was looked at. */
  step(store: Store): void {
    const dice = this.#dice;
    const length = this.#end - this.#head;
    if (length > LONGEST) this.#isFilling = false;
    else if (length < LONGEST / 20) this.#isFilling = true;
    const some = 1 + dice.below(dice.chance(0.3) ? 8 : ROWS_A_COMMIT);
    const most = 1 + dice.below(Math.max(1, some >> 2));
    const off = this.#faults.noTrim === true ? 0 : Math.min(length, this.#isFilling ? most : some);
    for (let i = 0; i < off; i += 16) this.#look(store, this.#head + i);
    store.commit((writes) => {
      this.#putOn(writes, this.#isFilling ? some : most);
      this.#takeOff(writes, off);
      this.#writeLetters(writes, dice.below(8));
      this.#writeImages(writes, dice.below(12));
    });
    this.commits++;
  }

  /** Everything that must be in the store, and nothing else. */
  check(store: Store): void {
    let expected = this.#head;
    for (const { position, bytes } of store.logFrom(0)) {
      if (position !== expected) this.#fault(`row ${position} where ${expected} was expected`);
      this.#compare(position, bytes);
      expected = position + 1;
      if (this.wrong.length > 5) return;
    }
    if (expected !== this.#end) this.#fault(`the queue ends at ${expected}, and should at ${this.#end}`);
    const ids = store.letterIds({ limit: 1e9 });
    if (ids.length !== this.#letters.size) this.#fault(`${ids.length} letters, expected ${this.#letters.size}`);
    for (const [id, size] of this.#letters)
      if (!this.#isRow(store.letter(id), size, id.length)) this.#fault(`letter ${id} is not as it was written`);
    for (const [key, size] of this.#images)
      if (!this.#isRow(store.image(key), size, key.length)) this.#fault(`image ${key} is not as it was written`);
  }

  #putOn(writes: StoreWrites, count: number): void {
    for (let i = 0; i < count; i++) {
      const position = this.#end++;
      const size = 20 + this.#dice.below(this.#dice.chance(0.004) ? LONG_BYTES : SHORT_BYTES);
      this.#rows.push(size);
      writes.log(position, this.#row(size, position & 0xff));
    }
    this.operations += count;
  }

  #takeOff(writes: StoreWrites, count: number): void {
    for (let i = 0; i < count; i++) {
      this.#rows.shift();
      writes.removeLog(this.#head++);
    }
    this.operations += count;
    if (this.#faults.lostRow === true && this.commits % 5 === 4) writes.removeLog(this.#end - 1);
  }

  #writeLetters(writes: StoreWrites, count: number): void {
    for (let i = 0; i < count; i++) {
      const id = `${(this.#dice.below(1e9) * 7_919) % 1e9}-${this.#letter++}`;
      const size = 50 + this.#dice.below(2_000);
      this.#letters.set(id, size);
      writes.letter(id, this.#row(size, id.length));
    }
    const [oldest] = this.#letters.keys();
    if (this.#letters.size > 300 && oldest !== undefined) {
      for (const id of [...this.#letters.keys()].slice(0, count + 2)) {
        this.#letters.delete(id);
        writes.removeLetter(id);
        this.operations++;
      }
    }
    this.operations += count;
  }

  #writeImages(writes: StoreWrites, count: number): void {
    for (let i = 0; i < count; i++) {
      const key = `cell/${this.#dice.below(IMAGES)}`;
      const size = 30 + this.#dice.below(this.#dice.chance(0.05) ? 9_000 : 500);
      this.#images.set(key, size);
      writes.image(key, this.#row(size, key.length), this.#dice.chance(0.5) ? undefined : this.#dice.below(1e6));
    }
    this.operations += count;
  }

  #look(store: Store, position: number): void {
    const row = store.logAt(position);
    if (row?.position === position) this.#compare(position, row.bytes);
    else this.#fault(`row ${position} is not there`);
  }

  #compare(position: number, bytes: Uint8Array): void {
    const size = this.#rows[position - this.#head] ?? -1;
    if (!this.#isRow(bytes, size, position & 0xff)) this.#fault(`row ${position} is not as it was written`);
  }

  #row(size: number, from: number): Buffer {
    return this.#ballast.subarray(from, from + size);
  }

  #isRow(bytes: Uint8Array | undefined, size: number, from: number): boolean {
    return bytes !== undefined && size >= 0 && Buffer.compare(bytes, this.#row(size, from)) === 0;
  }

  #fault(what: string): void {
    if (this.wrong.length < 10) this.wrong.push(what);
  }
}
