import specification from '@asyncapi/specs/schemas/3.0.0.json' with { type: 'json' };
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { type AsyncApiDocument, asyncApiOf, type DescribedOperation } from '../../../runtime/broker/async-api.ts';
import { ContractRegistry } from '../../../runtime/broker/contracts/contract-registry.ts';
import { InvalidOptionsError, InvalidSubjectError } from '../../../runtime/kernel/errors.ts';

/** The specification's own; it brings draft 07 along. */
const ajv = new Ajv({ strict: false, logger: false, meta: false, validateSchema: false });
(addFormats as unknown as (one: Ajv) => void)(ajv);
const validate = ajv.compile(specification);

const assertValid = (document: AsyncApiDocument): void => {
  // As its text: it must be plain JSON.
  const plain = JSON.parse(JSON.stringify(document)) as unknown;
  expect(plain).toEqual(document);
  if (validate(plain) !== true) throw new Error(JSON.stringify(validate.errors?.slice(0, 5), undefined, 2));
};

/** Where a reference of the document leads. */
const follow = (document: unknown, reference: string): unknown =>
  reference
    .slice(2)
    .split('/')
    .reduce<unknown>(
      (place, token) =>
        (place as Record<string, unknown> | undefined)?.[token.replaceAll('~1', '/').replaceAll('~0', '~')],
      document,
    );

const references = (value: unknown): string[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, inner]) =>
        key === '$ref' && typeof inner === 'string' ? [inner] : references(inner),
      )
    : [];

const assertWhole = (document: AsyncApiDocument): void => {
  assertValid(document);
  for (const reference of references(document)) expect(follow(document, reference), reference).toBeDefined();
};

const contracts = new ContractRegistry();
contracts.register({
  type: 'order.placed',
  version: 1,
  schema: z.strictObject({ id: z.string() }),
  description: 'An order was placed.',
});
contracts.register({
  type: 'order.placed',
  version: 2,
  schema: z.strictObject({ id: z.string(), note: z.string().optional() }),
});
contracts.register({
  type: 'tree',
  schema: {
    $id: 'https://a.example/tree',
    $ref: '#/$defs/node',
    $defs: {
      node: {
        type: 'object',
        properties: { children: { type: 'array', items: { $ref: '#/$defs/node' } }, root: { $ref: '#' } },
      },
    },
  },
});
contracts.register({ type: 'balance', schema: { type: 'number' } });
contracts.register({ type: 'anything', schema: true });

const operations: readonly DescribedOperation[] = [
  { action: 'send', kind: 'EVENT', subject: 'order.placed', types: ['order.placed'] },
  { action: 'receive', kind: 'EVENT', subject: 'order.placed', types: ['order.placed'], description: 'Books it.' },
  { action: 'receive', kind: 'EVENT', subject: 'shops.*.orders.>', types: ['order.placed', 'tree'] },
  { action: 'receive', kind: 'EVENT', subject: 'shops.*.orders.>', types: ['tree', 'without contract'] },
  { action: 'receive', kind: 'COMMAND', subject: '$command.billing.charge', types: ['charge'] },
  { action: 'send', kind: 'QUERY', subject: '$query.billing.balance', types: ['balance.of'], replyType: 'balance' },
  { action: 'receive', kind: 'QUERY', subject: '$query.shop.stock', types: ['stock'] },
];

test('AA1, AA2: the whole of a system', () => {
  const document = asyncApiOf({
    title: 'Shop',
    version: '1.4.0',
    description: 'Sells.',
    contracts: contracts.list(),
    operations,
    servers: { main: { host: 'nats.example:4222', protocol: 'nats' } },
  });
  assertWhole(document);
  expect(Object.entries(document.channels).map(([name, { address }]) => [name, address])).toEqual([
    ['order.placed', 'order.placed'],
    ['shops.any.orders.rest', 'shops.{token2}.orders.{rest}'],
    ['_command.billing.charge', '$command.billing.charge'],
    ['_query.billing.balance', '$query.billing.balance'],
    ['reply.send.query._query.billing.balance', null],
    ['_query.shop.stock', '$query.shop.stock'],
    ['reply.receive.query._query.shop.stock', null],
  ]);
  expect(Object.keys(document.components['messages'] as object)).toEqual([
    'order.placed.v1',
    'order.placed.v2',
    'tree.v1',
    'balance.v1',
    'anything.v1',
    'without_contract',
    'charge',
    'balance.of',
    'stock',
  ]);
  const messagesOf = (name: string): unknown =>
    ((document.operations[name]?.['messages'] ?? []) as { $ref: string }[]).map(({ $ref }) => $ref.split('/').at(-1));
  expect(messagesOf('send.event.order.placed')).toEqual(['order.placed.v2']);
  expect(messagesOf('receive.event.order.placed')).toEqual(['order.placed.v1', 'order.placed.v2']);
  expect(messagesOf('receive.event.shops.any.orders.rest')).toEqual([
    'order.placed.v1',
    'order.placed.v2',
    'tree.v1',
    'without_contract',
  ]);
  expect(document.operations['send.query._query.billing.balance']?.['reply']).toEqual({
    address: { location: '$message.header#/replyTo' },
    channel: { $ref: '#/channels/reply.send.query._query.billing.balance' },
    messages: [{ $ref: '#/channels/reply.send.query._query.billing.balance/messages/balance.v1' }],
  });
  expect((document.components['schemas'] as Record<string, { schema: unknown }>)['tree.v1']?.schema).toMatchObject({
    $ref: '#/components/schemas/tree.v1/schema/$defs/node',
    $defs: { node: { properties: { root: { $ref: '#/components/schemas/tree.v1/schema' } } } },
  });
  // What was registered is as it was.
  expect(contracts.find('tree')?.jsonSchema).toHaveProperty('$id');
});

test('AA1: any types, subjects and words', () => {
  const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 });
  const token = fc.oneof(
    fc.stringMatching(/^[a-z$_-]{1,5}$/),
    fc.constantFrom('größe', '*', 'a/b', '~', '%', '{x}', 'any', 'constructor'),
  );
  const subject = fc
    .tuple(fc.array(token, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([tokens, rest]) => [...tokens, ...(rest ? ['>'] : [])].join('.'));
  const operation = fc.record(
    {
      action: fc.constantFrom('send', 'receive'),
      kind: fc.constantFrom('COMMAND', 'EVENT', 'QUERY', 'RESPONSE'),
      subject,
      types: fc.array(fc.oneof(word, fc.constantFrom('order.placed', 'tree', 'balance', '__proto__')), {
        maxLength: 3,
      }),
      replyType: word,
      description: fc.string(),
    },
    { requiredKeys: ['action', 'kind', 'subject', 'types'], noNullPrototype: true },
  ) as fc.Arbitrary<DescribedOperation>;
  fc.assert(
    fc.property(word, fc.array(operation, { maxLength: 6 }), (title, described) => {
      assertWhole(asyncApiOf({ title, version: '1', contracts: contracts.list(), operations: described }));
    }),
    { numRuns: 200 },
  );
});

test('what cannot be described is refused, with all faults', () => {
  const bad = { title: '', version: 1, contracts: [], operations: [{ action: 'shout', types: 'a' }] };
  try {
    asyncApiOf(bad as unknown as Parameters<typeof asyncApiOf>[0]);
    throw new Error('it passed');
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionsError);
    expect((error as InvalidOptionsError).details['faults']).toHaveLength(4);
  }
  const operation: DescribedOperation = { action: 'send', kind: 'EVENT', subject: 'a..b', types: [] };
  expect(() => asyncApiOf({ title: 'a', version: '1', contracts: [], operations: [operation] })).toThrow(
    InvalidSubjectError,
  );
});
