/**
 * A segment: some messages of a queue, set aside until they are wanted. It sleeps on disk meanwhile.
 *
 * Owns: keeping them between PUT and DROP. Its owner gives each number to one segment at a time.
 */
import type { Behavior } from '../../kernel/behavior.ts';
import type { SegmentMessage } from './embedded-protocol.ts';

export const segmentBehavior: Behavior<readonly unknown[]> = {
  init: () => [],
  receive(entries, message, turn) {
    const told = message as SegmentMessage;
    switch (told.type) {
      case 'PUT':
        return told.entries;
      case 'TAKE':
        turn.reply(entries);
        return entries;
      case 'DROP':
        return [];
    }
  },
  save: (entries) => entries,
  load: (saved) => saved as readonly unknown[],
  view: (entries) => ({ messages: entries.length }),
};
