/**
 * The definitions of the embedded broker's actors: the module that every host loads.
 *
 * Owns: names, durability and limits. Behaviors are in files of their own. All are virtual: they are there when they are spoken to.
 */
import { type Definition, defineBehavior } from '../../kernel/definition.ts';
import { exchangeBehavior } from './embedded-exchange.ts';
import { letterBehavior, lettersBehavior } from './embedded-letters.ts';
import { EXCHANGE, LETTER, LETTERS, QUEUE, REGISTRY, SEGMENT, STREAM } from './embedded-protocol.ts';
import { queueBehavior } from './embedded-queue.ts';
import { registryBehavior } from './embedded-registry.ts';
import { segmentBehavior } from './embedded-segment.ts';
import { streamBehavior } from './embedded-stream.ts';

/** A segment is written once and read once: it leaves the memory as soon as may be. */
const SEGMENT_IDLE_MS = 500;

export const brokerRegistry: Definition = defineBehavior(import.meta.url, REGISTRY, registryBehavior, {
  virtual: true,
});
export const brokerQueue: Definition = defineBehavior(import.meta.url, QUEUE, queueBehavior, { virtual: true });
export const brokerSegment: Definition = defineBehavior(import.meta.url, SEGMENT, segmentBehavior, {
  virtual: true,
  passivateAfterMs: SEGMENT_IDLE_MS,
});
export const brokerLetters: Definition = defineBehavior(import.meta.url, LETTERS, lettersBehavior, { virtual: true });
export const brokerLetter: Definition = defineBehavior(import.meta.url, LETTER, letterBehavior, {
  virtual: true,
  passivateAfterMs: SEGMENT_IDLE_MS,
});
export const brokerStream: Definition = defineBehavior(import.meta.url, STREAM, streamBehavior, { virtual: true });
export const brokerExchange: Definition = defineBehavior(import.meta.url, EXCHANGE, exchangeBehavior, {
  virtual: true,
});
