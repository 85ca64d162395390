/**
 * Options of a broker: defaults, environment, validation.
 *
 * Owns: the option names, which of the environment's variables stand behind them, and saying everything that is wrong at once.
 */
import type { ActorHost } from '../kernel/actor-host.ts';
import type { Clock } from '../kernel/clock.ts';
import { flagFrom, numberFrom } from '../kernel/environment.ts';
import { BrokerConfigurationError, InvalidOptionsError } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import type { BrokerAdapter } from './broker-adapter.ts';
import type { RetryPolicy } from './contract/message.ts';
import type { ContractRegistry } from './contracts/contract-registry.ts';
import { isPlainObject, OptionFaults, show } from '../kernel/option-faults.ts';

/** Options of `MessageBroker.start`. All have defaults; those of the environment are read when an option is not given. */
export interface MessageBrokerOptions {
  /** Names the broker, its messages' source, and what it keeps: brokers of one name share their subscriptions. Default `main`. */
  readonly name?: string;
  /** `memory:` or none: embedded, on `system`. `redis:`, `rediss:`, `nats:`: that server. Default: `MESSAGE_BROKER_URL`. */
  readonly url?: string;
  /** The actor system whose journal keeps the messages of an embedded broker. */
  readonly system?: ActorHost;
  /** One of your own, instead of a URL. */
  readonly adapter?: BrokerAdapter;
  /** Time to live of messages that name none, ms. Default: `MESSAGE_TTL_SECONDS`, or for ever. */
  readonly ttlMs?: number;
  /** How messages are tried again that name no policy, nor does their subscription. `maxAttempts`: default `MAX_RETRY_ATTEMPTS`, or 3. */
  readonly retry?: RetryPolicy;
  /** What payloads must be like, by type of message: checked when they are sent and when they are handled. */
  readonly contracts?: ContractRegistry;
  /** Whether there are spans and measurements, where a provider is registered. Default: `DISTRIBUTED_TRACING_ENABLED`, or true. */
  readonly tracing?: boolean;
  /** How often a dead letter may be redriven. Default 10. */
  readonly redrivesLimit?: number;
  /** Dead letters that each subscription keeps: the oldest makes room. Default 10,000. Embedded only. */
  readonly deadLettersLimit?: number;
  /** Messages that each subscription remembers, for duplicates and receipts. Default 20,000. Embedded only. */
  readonly rememberedLimit?: number;
  /** How long `close` waits for handlers, ms. Default 10,000. */
  readonly drainTimeoutMs?: number;
  /** Where the defaults come from. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What a test may put in place of the machine's own. */
export interface BrokerSeams {
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface ResolvedBrokerOptions {
  readonly name: string;
  readonly url: string;
  readonly scheme: 'memory' | 'redis' | 'nats' | 'custom';
  readonly system: ActorHost | undefined;
  readonly adapter: BrokerAdapter | undefined;
  readonly ttlMs: number | undefined;
  readonly retry: RetryPolicy & { readonly maxAttempts: number };
  readonly contracts: ContractRegistry | undefined;
  readonly tracing: boolean;
  readonly redrivesLimit: number;
  readonly deadLettersLimit: number;
  readonly rememberedLimit: number;
  readonly drainTimeoutMs: number;
}

const KNOWN: ReadonlySet<string> = new Set<keyof MessageBrokerOptions>([
  'name',
  'url',
  'system',
  'adapter',
  'ttlMs',
  'retry',
  'contracts',
  'tracing',
  'redrivesLimit',
  'deadLettersLimit',
  'rememberedLimit',
  'drainTimeoutMs',
  'env',
]);
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const ATTEMPTS = 3;
const REDRIVES_LIMIT = 10;
const DEAD_LETTERS_LIMIT = 10_000;
const REMEMBERED_LIMIT = 20_000;
const DRAIN_TIMEOUT_MS = 10_000;

/** @throws InvalidOptionsError with all faults, BrokerConfigurationError for a URL that no adapter is for */
export function resolveBrokerOptions(options: MessageBrokerOptions): ResolvedBrokerOptions {
  if (!isPlainObject(options)) {
    throw new InvalidOptionsError(`MessageBroker.start: ${show(options)} is not an object of options`);
  }
  const faults = new OptionFaults();
  faults.unknown(options, KNOWN);
  const env = options.env ?? process.env;
  if (!isPlainObject(env)) faults.add('env', env, 'an object of variables');
  const name = options.name ?? 'main';
  if (typeof name !== 'string' || !NAME.test(name)) {
    faults.add('name', name, '1 to 64 letters, digits, "-" or "_"');
  }
  const ttlSeconds = numberFrom(env, 'MESSAGE_TTL_SECONDS', { least: 0.001 }, faults.found);
  const envAttempts = numberFrom(env, 'MAX_RETRY_ATTEMPTS', { least: 1, whole: true }, faults.found);
  const { adapter, system, contracts } = options;
  const retry = faults.retry('retry', options.retry);
  const ttlMs = faults.number('ttlMs', options.ttlMs, undefined, { least: 1 });
  const { tracing } = options;
  if (tracing !== undefined && typeof tracing !== 'boolean') faults.add('tracing', tracing, 'true or false');
  const tracingEnv = flagFrom(env, 'DISTRIBUTED_TRACING_ENABLED', faults.found);
  if (options.url !== undefined && typeof options.url !== 'string') faults.add('url', options.url, 'a text');
  if (system !== undefined && !has(system, 'spawn', 'refOf')) faults.add('system', system, 'an ActorSystem');
  if (contracts !== undefined && !has(contracts, 'checkSent', 'checkReceived')) {
    faults.add('contracts', contracts, 'a ContractRegistry');
  }
  if (
    adapter !== undefined &&
    !has(adapter, 'open', 'accept', 'broadcast', 'listen', 'subscribe', 'settled', 'close')
  ) {
    faults.add('adapter', adapter, 'a BrokerAdapter');
  }
  const url = String(options.url ?? (adapter === undefined ? env['MESSAGE_BROKER_URL'] : undefined) ?? '');
  const scheme = adapter === undefined ? schemeOf(url) : 'custom';
  if (adapter !== undefined && options.url !== undefined) faults.found.push('adapter and url: give one of them');
  if (scheme === 'memory' && system === undefined) {
    faults.found.push(
      'system: an embedded broker keeps its messages in the journal of an actor system: give it one, or set url (MESSAGE_BROKER_URL) to a Redis or NATS server',
    );
  }
  const resolved: ResolvedBrokerOptions = {
    name,
    url,
    scheme: scheme ?? 'memory',
    system,
    adapter,
    ttlMs: ttlMs ?? (ttlSeconds === undefined ? undefined : ttlSeconds * 1_000),
    retry: { ...retry, maxAttempts: retry.maxAttempts ?? envAttempts ?? ATTEMPTS },
    contracts,
    tracing: tracing ?? tracingEnv ?? true,
    redrivesLimit: faults.number('redrivesLimit', options.redrivesLimit, REDRIVES_LIMIT, { least: 0, whole: true }),
    deadLettersLimit: faults.number('deadLettersLimit', options.deadLettersLimit, DEAD_LETTERS_LIMIT, {
      least: 1,
      whole: true,
    }),
    rememberedLimit: faults.number('rememberedLimit', options.rememberedLimit, REMEMBERED_LIMIT, {
      least: 1,
      whole: true,
    }),
    drainTimeoutMs: faults.number('drainTimeoutMs', options.drainTimeoutMs, DRAIN_TIMEOUT_MS, {
      least: 0,
      endless: true,
    }),
  };
  const { found } = faults;
  if (found.length > 0) {
    const list = found.map((line) => `  - ${line}`).join('\n');
    throw new InvalidOptionsError(
      `MessageBroker.start: ${found.length} invalid option${found.length > 1 ? 's' : ''}:\n${list}`,
      { details: { faults: found } },
    );
  }
  if (scheme === undefined) {
    throw new BrokerConfigurationError(
      `${show(withoutPassword(url))} is not the URL of a broker: memory:, redis://host:6379, rediss://host or nats://host:4222`,
      { details: { url: withoutPassword(url) } },
    );
  }
  return resolved;
}

function schemeOf(url: string): 'memory' | 'redis' | 'nats' | undefined {
  if (url === '' || url.startsWith('memory:')) return 'memory';
  if (!URL.canParse(url)) return undefined;
  const { protocol, hostname } = new URL(url);
  if (hostname === '') return undefined;
  if (protocol === 'redis:' || protocol === 'rediss:') return 'redis';
  return protocol === 'nats:' || protocol === 'tls:' ? 'nats' : undefined;
}

/** Whether it has these methods. */
function has(value: unknown, ...methods: readonly string[]): boolean {
  return methods.every((method) => typeof (value as Readonly<Record<string, unknown>> | null)?.[method] === 'function');
}

/** A URL that may be shown. */
export function withoutPassword(url: string): string {
  return url.replace(/^([a-z]+:\/\/[^/@:]*:)[^@]*@/, '$1***@');
}
