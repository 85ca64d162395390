/**
 * The clock and the randomness that code in a step sees.
 *
 * Owns: `Date`, `Math.random`, `performance.now`, `crypto.randomUUID` and `crypto.getRandomValues` of one thread, which answer
 * from the turn while a step runs and are the real ones otherwise. XState users write `assign({ at: () => Date.now() })`; a
 * replay must get the same value.
 *
 * Invariants:
 * G1. Outside a step nothing changes.
 * G2. In a step every answer is a function of the recorded time, the cell's key and the turn's sequence alone.
 */
import { currentTurn } from '../kernel/ambient.ts';

let installations = 0;
let restore: (() => void) | undefined;

/** Replaces the globals of this thread; the returned function takes one installation back. */
export function installTurnGlobals(): () => void {
  installations += 1;
  if (installations === 1) restore = install();
  let released = false;
  return () => {
    if (released) return;
    released = true;
    installations -= 1;
    if (installations === 0) restore?.();
  };
}

function install(): () => void {
  const RealDate = globalThis.Date;
  const realRandom = Math.random;
  const realNow = RealDate.now;
  const realPerformanceNow = performance.now;
  const crypto = globalThis.crypto;
  const realUUID = crypto.randomUUID;
  const realValues = crypto.getRandomValues;

  const now = (): number => currentTurn()?.nowMs ?? realNow.call(RealDate);
  function TurnDate(this: unknown, ...args: unknown[]): unknown {
    const turn = currentTurn();
    if (new.target === undefined) return turn === undefined ? RealDate() : new RealDate(turn.nowMs).toString();
    const target = new.target === (TurnDate as unknown) ? RealDate : new.target;
    if (args.length === 0 && turn !== undefined) return Reflect.construct(RealDate, [turn.nowMs], target);
    return Reflect.construct(RealDate, args, target);
  }
  Object.setPrototypeOf(TurnDate, RealDate);
  TurnDate.prototype = RealDate.prototype;
  Object.defineProperty(TurnDate, 'name', { value: 'Date' });
  Object.defineProperty(TurnDate, 'length', { value: 7 });
  Object.defineProperty(TurnDate, 'now', { value: now, writable: true, configurable: true });

  globalThis.Date = TurnDate as unknown as DateConstructor;
  Math.random = () => currentTurn()?.random() ?? realRandom();
  performance.now = () => currentTurn()?.nowMs ?? realPerformanceNow.call(performance);
  crypto.randomUUID = () => {
    const turn = currentTurn();
    return turn === undefined ? realUUID.call(crypto) : uuidFrom(() => turn.random());
  };
  crypto.getRandomValues = <T extends Parameters<typeof realValues>[0]>(array: T): T => {
    const turn = currentTurn();
    if (turn === undefined || array === null) return realValues.call(crypto, array) as T;
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(turn.random() * 256);
    return array;
  };
  return () => {
    globalThis.Date = RealDate;
    Math.random = realRandom;
    performance.now = realPerformanceNow;
    crypto.randomUUID = realUUID;
    crypto.getRandomValues = realValues;
  };
}

/** A version 4 UUID (RFC 9562) from a generator of numbers in [0, 1). */
function uuidFrom(random: () => number): `${string}-${string}-${string}-${string}-${string}` {
  const bytes = Array.from({ length: 16 }, () => Math.floor(random() * 256));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
