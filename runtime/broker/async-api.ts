/**
 * An AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0) of what a system sends and receives.
 *
 * Owns: the document, as a plain object: `JSON.stringify` makes its text. What there is to describe comes from contracts and from
 * whoever knows the operations.
 *
 * A subject or pattern is a channel, each version of a contract a message. Wildcards are parameters of the address, since AsyncAPI has
 * no word for them: `orders.*.paid` is `orders.{token2}.paid`, `orders.>` is `orders.{rest}`.
 *
 * Invariants:
 * AA1. The document satisfies the specification's own JSON Schema, whatever types, subjects and descriptions are named.
 * AA2. References inside of a contract's schema lead to where they led: they are written anew for their place in the document.
 */
import { InvalidOptionsError } from '../kernel/errors.ts';
import type { MessageKind } from './contract/message.ts';
import type { Contract } from './contracts/contract-registry.ts';
import { isSchemaObject, type JsonSchema, schemasIn } from './contracts/json-schema.ts';
import { ANY_REST, ANY_TOKEN, assertPattern } from './subjects.ts';

/** Something that the system does. */
export interface DescribedOperation {
  /** `send`: it publishes; `receive`: it subscribes. */
  readonly action: 'send' | 'receive';
  readonly kind: MessageKind;
  /** Subject, or pattern of a subscription. */
  readonly subject: string;
  /** Types of its messages. Those without a contract are described without a payload. */
  readonly types: readonly string[];
  /** Type of the answer: of a query, and of a command that has one. */
  readonly replyType?: string;
  readonly description?: string;
}

export interface AsyncApiOptions {
  readonly title: string;
  /** Of the application, as `1.4.0`. */
  readonly version: string;
  readonly description?: string;
  /** As `contracts.list()` gives them. */
  readonly contracts: readonly Contract[];
  readonly operations: readonly DescribedOperation[];
  /** Where the broker is, by name: `{ main: { host: 'nats.example:4222', protocol: 'nats' } }`. */
  readonly servers?: Readonly<Record<string, { readonly host: string; readonly protocol: string }>>;
}

type Json = Record<string, unknown>;

/** A document: plain JSON. */
export interface AsyncApiDocument {
  readonly asyncapi: '3.0.0';
  readonly info: Json;
  readonly servers?: Json;
  readonly channels: Readonly<Record<string, Json>>;
  readonly operations: Readonly<Record<string, Json>>;
  readonly components: Json;
}

/** 3.0 requires draft 07 of tools, and lets others be named. */
const SCHEMA_FORMAT = 'application/schema+json;version=2020-12';

/**
 * Describes a system.
 *
 * ```ts
 * asyncApiOf({ title: 'Shop', version: '1.0.0', contracts: contracts.list(), operations: [
 *   { action: 'send', kind: 'EVENT', subject: 'order.placed', types: ['order.placed'] },
 * ] });
 * ```
 *
 * @throws InvalidOptionsError with all faults, InvalidSubjectError
 */
export function asyncApiOf(options: AsyncApiOptions): AsyncApiDocument {
  assertOptions(options);
  return new Description(options).document();
}

class Description {
  readonly #options: AsyncApiOptions;
  readonly #versions = new Map<string, Contract[]>();
  readonly #messages: Record<string, Json> = {};
  readonly #schemas: Record<string, Json> = {};
  readonly #channels: Record<string, Json> = {};
  readonly #operations: Record<string, Json> = {};
  readonly #names = { channels: new Names(), messages: new Names(), operations: new Names() };

  constructor(options: AsyncApiOptions) {
    this.#options = options;
    for (const contract of options.contracts) {
      const versions = this.#versions.get(contract.type) ?? [];
      versions.push(contract);
      this.#versions.set(contract.type, versions);
    }
  }

  document(): AsyncApiDocument {
    const { contracts, description, operations, servers, title, version } = this.#options;
    // Also those that no operation names: they are what may be sent here.
    for (const contract of contracts) this.#message(contract.type, contract);
    for (const operation of operations) this.#describe(operation);
    return {
      asyncapi: '3.0.0',
      info: { title, version, ...(description === undefined ? {} : { description }) },
      ...(servers === undefined ? {} : { servers: structuredClone(servers) }),
      channels: this.#channels,
      operations: this.#operations,
      components: { messages: this.#messages, schemas: this.#schemas },
    };
  }

  #describe(operation: DescribedOperation): void {
    const { action, description, kind, replyType, subject, types } = operation;
    const channel = this.#channel(subject);
    const messages = types.flatMap((type) => this.#inChannel(channel, type, action));
    const name = this.#names.operations.of(
      `${action} ${kind} ${subject}`,
      `${action}.${kind.toLowerCase()}.${subject}`,
    );
    const known = this.#operations[name];
    if (known !== undefined) {
      // Two subscriptions of one pattern are one operation.
      const all = known['messages'] as { readonly $ref: string }[];
      all.push(...messages.filter(({ $ref }) => !all.some((one) => one.$ref === $ref)));
      return;
    }
    this.#operations[name] = {
      action,
      channel: { $ref: `#/channels/${channel}` },
      ...(description === undefined ? {} : { description }),
      messages,
      ...(kind === 'QUERY' || replyType !== undefined ? { reply: this.#reply(name, replyType) } : {}),
      'x-message-kind': kind,
    };
  }

  /** Answers go where the question says: the channel has no address of its own. */
  #reply(operation: string, type: string | undefined): Json {
    const name = this.#names.channels.of(`reply to ${operation}`, `reply.${operation}`);
    this.#channels[name] = { address: null, messages: {} };
    const messages = type === undefined ? [] : this.#inChannel(name, type, 'receive');
    return {
      address: { location: '$message.header#/replyTo' },
      channel: { $ref: `#/channels/${name}` },
      ...(messages.length === 0 ? {} : { messages }),
    };
  }

  #channel(subject: string): string {
    assertPattern(subject);
    const name = this.#names.channels.of(subject, subject);
    if (this.#channels[name] !== undefined) return name;
    const parameters: Json = {};
    const address = subject.split('.').map((token, index) => {
      if (token !== ANY_TOKEN && token !== ANY_REST) return token;
      const parameter = token === ANY_REST ? 'rest' : `token${index + 1}`;
      parameters[parameter] = { description: token === ANY_REST ? 'One token or more.' : 'One token.' };
      return `{${parameter}}`;
    });
    this.#channels[name] = {
      address: address.join('.'),
      messages: {},
      ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
    };
    return name;
  }

  /** Messages of `type` as references into a channel: all versions where they are received, the newest where they are sent. */
  #inChannel(channel: string, type: string, action: 'send' | 'receive'): { readonly $ref: string }[] {
    const versions: readonly (Contract | undefined)[] = this.#versions.get(type) ?? [undefined];
    return (action === 'send' ? versions.slice(-1) : versions).map((contract) => {
      const message = this.#message(type, contract);
      const messages = this.#channels[channel]?.['messages'] as Json;
      messages[message] = { $ref: `#/components/messages/${message}` };
      return { $ref: `#/channels/${channel}/messages/${message}` };
    });
  }

  #message(type: string, contract: Contract | undefined): string {
    const version = contract === undefined ? '' : `.v${contract.version}`;
    const name = this.#names.messages.of(`${type} ${version}`, type + version);
    if (this.#messages[name] !== undefined) return name;
    if (contract?.jsonSchema !== undefined) {
      const schema = relocated(contract.jsonSchema, `#/components/schemas/${name}/schema`);
      this.#schemas[name] = { schemaFormat: SCHEMA_FORMAT, schema };
    }
    this.#messages[name] = {
      name: type,
      title: contract === undefined ? type : `${type}, version ${contract.version}`,
      contentType: 'application/json',
      correlationId: { location: '$message.header#/correlationId' },
      ...(contract?.description === undefined ? {} : { description: contract.description }),
      ...(contract?.jsonSchema === undefined ? {} : { payload: { $ref: `#/components/schemas/${name}` } }),
      ...(contract === undefined
        ? {}
        : { 'x-contract-version': contract.version, 'x-compatibility': contract.compatibility }),
    };
    return name;
  }
}

/** Keys of a document: letters, digits, dots, dashes and underscores. Two names never get the same key. */
class Names {
  readonly #keys = new Map<string, string>();
  readonly #given = new Set<string>();

  of(name: string, wanted: string): string {
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const plain = wanted
      .replaceAll('*', 'any')
      .replaceAll('>', 'rest')
      .replaceAll(/[^\w.-]/g, '_');
    // `constructor` and the like are there in every object.
    const base = plain in Object.prototype ? `${plain}_` : plain;
    let key = base;
    for (let i = 2; this.#given.has(key); i++) key = `${base}-${i}`;
    this.#given.add(key);
    this.#keys.set(name, key);
    return key;
  }
}

/** `schema` for a place in another document: its own references begin there, and its own address is gone. */
function relocated(schema: JsonSchema, place: string): JsonSchema {
  const copy = structuredClone(schema);
  const open: unknown[] = [copy];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (!isSchemaObject(next)) continue;
    const own: Json = next;
    const reference = own['$ref'];
    if (typeof reference === 'string' && (reference === '#' || reference.startsWith('#/')))
      own['$ref'] = place + reference.slice(1);
    for (const [, inner] of schemasIn(next)) open.push(inner);
  }
  if (isSchemaObject(copy)) {
    const own: Json = copy;
    delete own['$id'];
  }
  return copy;
}

function assertOptions({ contracts, operations, title, version }: AsyncApiOptions): void {
  const faults: string[] = [];
  if (typeof title !== 'string' || title === '') faults.push('title: the document needs one');
  if (typeof version !== 'string' || version === '') faults.push('version: the application needs one, as "1.0.0"');
  if (!Array.isArray(contracts)) faults.push('contracts: must be a list: give registry.list()');
  if (!Array.isArray(operations)) faults.push('operations: must be a list');
  else
    for (const [index, { action, types }] of operations.entries()) {
      if (action !== 'send' && action !== 'receive')
        faults.push(`operations[${index}].action: must be send or receive`);
      if (!Array.isArray(types)) faults.push(`operations[${index}].types: must be a list`);
    }
  if (faults.length > 0) throw new InvalidOptionsError(`AsyncAPI: ${faults.join('; ')}`, { details: { faults } });
}
