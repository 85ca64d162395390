/**
 * The file in front of the database, of `sync: 'relaxed'`: the real store and its real format, on a real disk, torn by the simulation.
 *
 * Owns: where each commit ends in the file, and what a killed process or a power failure leaves of it. The database behind it is in
 * memory: what it has is flushed.
 *
 * Invariants:
 * SA1. A killed process leaves every commit that returned, and perhaps the beginning of one that did not.
 * SA2. A power failure leaves the first commits since the last flush, and behind them nothing, a part of the next one, bytes that
 *      make no sense, or later commits behind a damaged one. What comes behind must not be taken.
 */
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AheadStore, openAheadStore } from '../journal/ahead-store.ts';
import type { Store } from '../journal/store.ts';
import type { FaultDice } from './fault-plan.ts';

const GARBAGE_BYTES = 300;

export class SimulatedAhead {
  readonly #folder: string;
  readonly #file: string;
  readonly #dice: FaultDice;
  #store: AheadStore | undefined;
  /** Starts of the machine. */
  #boots = 1;
  /** Where the commits since the last flush end; the first is where the first of them begins. */
  #ends: number[] = [];

  constructor(folder: string, dice: FaultDice) {
    this.#folder = folder;
    this.#file = join(folder, 'AHEAD');
    this.#dice = dice;
  }

  /** Puts the file of the last process, if there was one, into `database`, and begins a new one. */
  open(database: Store): AheadStore {
    this.close();
    this.#store = openAheadStore(database, this.#folder, 'relaxed', this.#boots.toString(16).padStart(16, '0'));
    this.flushed();
    return this.#store;
  }

  /** A commit is in the file. */
  committed(): void {
    this.#ends.push(statSync(this.#file).size);
  }

  /** Everything in the file is in the database. */
  flushed(): void {
    this.#ends = [];
  }

  /** The process is killed as it writes a commit: a part of it is there. */
  cutWrite(): void {
    const begin = this.#ends.at(-1) ?? this.#beginning;
    const size = statSync(this.#file).size;
    truncateSync(this.#file, begin + Math.floor(this.#dice.next() * (size - begin)));
  }

  /** The power fails; `kept` commits since the last flush are there. */
  failPower(kept: number): void {
    this.#boots += 1;
    const ends = [this.#beginning, ...this.#ends];
    const end = ends[kept] as number;
    const next = ends[kept + 1];
    const what = Math.floor(this.#dice.next() * 4);
    if (what === 3 && next !== undefined) {
      this.#spoil(end, next);
      return;
    }
    truncateSync(this.#file, what === 1 && next !== undefined ? this.#within(end, next) : end);
    if (what === 2) this.#addGarbage();
  }

  close(): void {
    this.#store?.end();
    this.#store = undefined;
  }

  /** Behind the file's own header, which is there from the start. */
  get #beginning(): number {
    return 16;
  }

  #within(begin: number, end: number): number {
    return begin + Math.floor(this.#dice.next() * (end - begin));
  }

  /** A sector of the commit between the two was not written, though later ones were. */
  #spoil(begin: number, end: number): void {
    const bytes = readFileSync(this.#file);
    const from = this.#within(begin, end);
    const to = Math.min(bytes.length, from + 1 + Math.floor(this.#dice.next() * 512));
    // Zeros where there were zeros are no damage.
    for (let at = from; at < to; at++) bytes[at] = (bytes[at] as number) ^ 0x5a;
    writeFileSync(this.#file, bytes);
  }

  #addGarbage(): void {
    const bytes = Uint8Array.from({ length: 1 + Math.floor(this.#dice.next() * GARBAGE_BYTES) }, () =>
      Math.floor(this.#dice.next() * 256),
    );
    writeFileSync(this.#file, bytes, { flag: 'a' });
  }
}
