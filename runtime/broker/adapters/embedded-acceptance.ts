/**
 * One message on its way to everything that takes it.
 *
 * Owns: counting who has it, what its publisher is told when all have answered, and the numbers that queues have given it: by them its
 * end is found later. One object for all of that, since tens of thousands are under way.
 */
import type { Accepted, CarriedMessage } from '../broker-adapter.ts';
import type { DeliveryStatus } from '../contract/receipt.ts';
import { encodePayload } from '../message-codec.ts';
import type { BatchBuilder } from './embedded-batch.ts';
import { unpackMessage } from './embedded-frame.ts';
import type { Offering, Route } from './embedded-route.ts';

type Header = CarriedMessage['header'];

/** A message is kept: tells who listens. Returns how many those are. */
export type Tell = (header: Header, payload: () => Uint8Array) => number;

/** Whoever publishes. */
export interface Publishing<T> {
  /** What it gets. */
  readonly done: (header: Header, accepted: Accepted) => T;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** Where a message is on one route. */
interface Place {
  /** What the queue calls it. */
  number: number;
  /** How many messages had ended there when this one was offered. */
  ends: number;
  /** It has ended in the turn that took it. */
  end: DeliveryStatus | undefined;
}

const placeOn = ({ ends }: Route): Place => ({ number: 0, ends, end: undefined });

/** Counts the queues that have a message, until all do. */
export class Acceptance<T = unknown> implements Offering, Accepted {
  readonly header: Header;
  readonly routes: readonly Route[];
  listeners = 0;
  /** On the first route: mostly there is no other. */
  readonly #place: Place | undefined;
  readonly #others: readonly Place[] | undefined;
  readonly #tell: Tell;
  #publishing: Publishing<T> | undefined;
  #payload: unknown;
  #batch: BatchBuilder | undefined;
  #placeInBatch = 0;
  #left: number;
  #accepted = 0;
  #duplicateOf: string | undefined;
  #error: Error | undefined;

  /** `targets`: how many take it; routes, and what has no say in its end. */
  constructor(header: Header, routes: readonly Route[], targets: number, tell: Tell, publishing: Publishing<T>) {
    const [first] = routes;
    this.header = header;
    this.routes = routes;
    this.#place = first === undefined ? undefined : placeOn(first);
    this.#others = routes.length <= 1 ? undefined : routes.slice(1).map(placeOn);
    this.#tell = tell;
    this.#publishing = publishing;
    this.#left = targets;
  }

  /** One that some had and others had not is accepted now: it was published again because of those. */
  get duplicate(): boolean {
    return this.#accepted === 0 && this.#duplicateOf !== undefined;
  }

  get id(): string | undefined {
    return this.duplicate ? this.#duplicateOf : undefined;
  }

  get subscriptions(): readonly string[] {
    return this.routes.map(({ name }) => name);
  }

  get ended(): boolean {
    return this.routes.length > 0 && this.routes.every((_, at) => this.place(at).end !== undefined);
  }

  get token(): this {
    return this;
  }

  /** Where it is on one of the routes. */
  place(at: number): Place {
    return (at === 0 ? this.#place : this.#others?.[at - 1]) as Place;
  }

  numberOn(route: Route): number {
    const at = this.routes.indexOf(route);
    return at === -1 ? 0 : this.place(at).number;
  }

  /** Its payload is in the last message of `batch`. */
  packedIn(batch: BatchBuilder): void {
    this.#batch = batch;
    this.#placeInBatch = batch.count - 1;
  }

  /** Its payload is this. */
  copiedAs(payload: unknown): void {
    this.#payload = payload;
  }

  accepted(route: Route, number: number, duplicateOf: string | undefined): void {
    if (duplicateOf === undefined) this.#accepted += 1;
    else this.#duplicateOf = duplicateOf;
    const at = this.routes.indexOf(route);
    if (at !== -1) this.place(at).number = number;
    this.#one();
  }

  /** It was taken and has ended in one turn. */
  endedAtOnce(route: Route, number: number, end: DeliveryStatus): void {
    this.endedLater(route, end);
    this.accepted(route, number, undefined);
  }

  /** Whoever waited for its end was told, and may ask again. */
  endedLater(route: Route, end: DeliveryStatus): void {
    const at = this.routes.indexOf(route);
    if (at !== -1) this.place(at).end = end;
  }

  refused(error: unknown): void {
    this.#error ??= error instanceof Error ? error : new Error(String(error));
    this.#one();
  }

  #one(): void {
    this.#left -= 1;
    if (this.#left > 0) return;
    const publishing = this.#publishing as Publishing<T>;
    this.#publishing = undefined;
    if (this.#error === undefined) this.#told(publishing);
    else publishing.reject(this.#error);
    // A receipt may be kept for long.
    this.#batch = undefined;
    this.#payload = undefined;
  }

  #told({ done, resolve, reject }: Publishing<T>): void {
    try {
      if (!this.duplicate) this.listeners = this.#tell(this.header, () => this.#carried());
      resolve(done(this.header, this));
    } catch (error) {
      reject(error);
    }
  }

  #carried(): Uint8Array {
    if (this.#batch === undefined) return encodePayload(this.#payload);
    return unpackMessage(this.#batch.packedAt(this.#placeInBatch)).payload;
  }
}
