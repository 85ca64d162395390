/**
 * The broker's own records, by kind and name: subscriptions, schedules, retention.
 *
 * Owns: keeping them. What is in them is others' matter.
 */
import type { Behavior } from '../../kernel/behavior.ts';
import type { RegistryMessage } from './embedded-protocol.ts';

type Records = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export const registryBehavior: Behavior<Records> = {
  init: () => ({}),
  receive(records, message, turn) {
    const told = message as RegistryMessage;
    const kind = records[told.kind] ?? {};
    switch (told.type) {
      case 'PUT':
        turn.reply(true);
        return { ...records, [told.kind]: { ...kind, [told.name]: told.value } };
      case 'LIST':
        turn.reply(Object.entries(kind));
        return records;
      case 'DELETE': {
        const { [told.name]: removed, ...rest } = kind;
        turn.reply(removed !== undefined);
        return { ...records, [told.kind]: rest };
      }
    }
  },
  save: (records) => records,
  load: (saved) => saved as Records,
  view: (records) => records,
};
