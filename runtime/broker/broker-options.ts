/**
 * Options of a broker: defaults, environment, validation.
 *
 * Owns: the option names, which of the environment's variables stand behind them, and saying everything that is wrong at once.
 */
import type { ActorHost } from '../kernel/actor-host.ts';
import type { Clock } from '../kernel/clock.ts';
import { BrokerConfigurationError, InvalidOptionsError } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import type { BrokerAdapter } from './broker-adapter.ts';
import type { RetryPolicy } from './contract/message.ts';
import type { ContractRegistry } from './contracts/contract-registry.ts';

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
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionsError('MessageBroker.start: give it an object of options');
  }
  const faults: string[] = [];
  const env = options.env ?? process.env;
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) faults.push(`${name}: no such option (known: ${[...KNOWN].join(', ')})`);
  }
  const number = (name: string, value: unknown, fallback: number, least: number): number => {
    if (value === undefined) return fallback;
    if (typeof value === 'number' && value >= least) return value;
    faults.push(`${name}: ${show(value)} is not a number of ${least} or more`);
    return fallback;
  };
  const fromEnv = (name: string, least: number): number | undefined => {
    const text = env[name];
    if (text === undefined || text === '') return undefined;
    const value = Number(text);
    if (value >= least && Number.isFinite(value)) return value;
    faults.push(`${name} (environment): ${show(text)} is not a number of ${least} or more`);
    return undefined;
  };
  const name = options.name ?? 'main';
  if (typeof name !== 'string' || !NAME.test(name)) {
    faults.push(`name: ${show(name)} is not 1 to 64 letters, digits, "-" or "_"`);
  }
  const ttlSeconds = fromEnv('MESSAGE_TTL_SECONDS', 0.001);
  const envAttempts = fromEnv('MAX_RETRY_ATTEMPTS', 1);
  const { retry = {}, adapter, system } = options;
  const maxAttempts = number('retry.maxAttempts', retry.maxAttempts, envAttempts ?? ATTEMPTS, 1);
  const ttlMs = options.ttlMs === undefined ? undefined : number('ttlMs', options.ttlMs, 0, 1);
  const { tracing } = options;
  if (tracing !== undefined && typeof tracing !== 'boolean') {
    faults.push(`tracing: ${show(tracing)} is not true or false`);
  }
  const tracingEnv = flagOf('DISTRIBUTED_TRACING_ENABLED', env, faults);
  const url = options.url ?? (adapter === undefined ? env.MESSAGE_BROKER_URL : undefined) ?? '';
  const scheme = adapter === undefined ? schemeOf(url) : 'custom';
  if (adapter !== undefined && options.url !== undefined) faults.push('adapter and url: give one of them');
  if (scheme === 'memory' && system === undefined) {
    faults.push(
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
    retry: { ...retry, maxAttempts },
    contracts: options.contracts,
    tracing: tracing ?? tracingEnv ?? true,
    redrivesLimit: number('redrivesLimit', options.redrivesLimit, REDRIVES_LIMIT, 0),
    deadLettersLimit: number('deadLettersLimit', options.deadLettersLimit, DEAD_LETTERS_LIMIT, 1),
    rememberedLimit: number('rememberedLimit', options.rememberedLimit, REMEMBERED_LIMIT, 1),
    drainTimeoutMs: number('drainTimeoutMs', options.drainTimeoutMs, DRAIN_TIMEOUT_MS, 0),
  };
  if (faults.length > 0) {
    const list = faults.map((line) => `  - ${line}`).join('\n');
    throw new InvalidOptionsError(
      `MessageBroker.start: ${faults.length} invalid option${faults.length > 1 ? 's' : ''}:\n${list}`,
      { details: { faults } },
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

function flagOf(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
  faults: string[],
): boolean | undefined {
  const text = env[name]?.trim().toLowerCase();
  if (text === undefined || text === '') return undefined;
  if (['true', '1', 'yes', 'on'].includes(text)) return true;
  if (['false', '0', 'no', 'off'].includes(text)) return false;
  faults.push(`${name} (environment): ${show(env[name])} is not true or false`);
  return undefined;
}

/** A URL that may be shown. */
export function withoutPassword(url: string): string {
  return url.replace(/^([a-z]+:\/\/[^/@:]*:)[^@]*@/, '$1***@');
}

function show(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
