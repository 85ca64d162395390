/** Turns of every shape that the journal keeps, for properties. */
import fc from 'fast-check';
import type { TurnRecord } from '../../../runtime/journal/turn-record.ts';
import type { Intent } from '../../../runtime/kernel/intent.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';
import { Reference } from '../../../runtime/kernel/reference.ts';

const name = fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' });
const key = fc.tuple(fc.constantFrom('order', 'stock'), fc.integer({ min: 0, max: 5 })).map(([d, i]) => `${d}/${i}`);
const carried = fc.oneof(
  // `__proto__` is refused, and -0 becomes 0.
  fc
    .jsonValue({ maxDepth: 3 })
    .map((json) => JSON.parse(JSON.stringify(json).replaceAll('__proto__', 'proto')) as unknown),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 20 }),
  fc.array(fc.tuple(name, fc.integer())).map((pairs) => new Map(pairs)),
  fc.array(fc.integer()).map((items) => new Set(items)),
  key.map((to) => new Reference(to)),
);
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const u32 = fc.nat({ max: 0xffff_ffff });
const replyTo = fc.oneof(
  fc.record({ kind: fc.constant('outside' as const), call: count, run: u32 }),
  fc.record(
    { kind: fc.constant('cell' as const), key, ask: name, idempotencyKey: name },
    { requiredKeys: ['kind', 'key', 'ask'] },
  ),
);
const control = fc.constantFrom<NonNullable<Envelope['control']>>(
  { kind: 'stop', reason: { kind: 'shutdown' } },
  { kind: 'timer', id: 't', armed: 3 },
  { kind: 'terminated', key: 'a/b', reason: { kind: 'normal', output: 5 } },
);
const envelope = (to: string) =>
  fc.record(
    {
      to: fc.constant(to),
      message: carried,
      control,
      id: fc.record({ stream: u32, position: count, index: u32 }),
      from: key,
      replyTo,
      idempotencyKey: name,
      expiresAtMs: count,
      unstashed: fc.boolean(),
      traceparent: name,
    },
    { requiredKeys: ['to', 'message'] },
  );
const encodedError = fc.record({ name, code: name, message: name });
const intent: fc.Arbitrary<Intent> = fc.oneof(
  key.chain((to) =>
    fc.record({
      kind: fc.constant('send' as const),
      // The id of a send is not recorded: its position gives it.
      envelope: envelope(to).map(({ id: _, ...rest }) => rest),
      durable: fc.boolean(),
    }),
  ),
  fc.record({ kind: fc.constant('reply' as const), to: replyTo, value: carried }),
  fc.record({ kind: fc.constant('fail' as const), to: replyTo, error: encodedError, idempotencyKey: name }),
  fc.record({ kind: fc.constant('effect.start' as const), id: name, source: name, input: carried }),
  fc.record({ kind: fc.constant('effect.cancel' as const), id: name }),
  fc.record({ kind: fc.constant('effect.send' as const), id: name, message: carried }),
  fc.record({ kind: fc.constant('timer.set' as const), id: name, dueMs: count, payload: carried }),
  fc.record({ kind: fc.constant('timer.cancel' as const), id: name }),
  fc.record({ kind: fc.constant('emit' as const), event: carried }),
  fc.constant({ kind: 'stash' as const }),
  fc.constant({ kind: 'unstash' as const }),
  fc.record({ kind: fc.constant('exit' as const), reason: fc.constant({ kind: 'killed' as const }) }),
);
/** Any turn that the journal takes. */
export const anyTurn: fc.Arbitrary<TurnRecord> = key.chain((to) =>
  fc.record(
    {
      key: fc.constant(to),
      sequence: fc.integer({ min: 1, max: 2 ** 47 }),
      timeMs: count,
      envelope: fc.oneof(envelope(to), key.chain(envelope)),
      outcome: fc.constantFrom('handled' as const, 'parked' as const, 'refused' as const),
      intents: fc.array(intent, { maxLength: 6 }),
      version: fc.integer({ min: 1, max: 0xffff_ffff }),
      obliged: fc.boolean(),
      state: carried,
    },
    { requiredKeys: ['key', 'sequence', 'timeMs', 'envelope', 'outcome', 'intents', 'version', 'obliged'] },
  ),
);
