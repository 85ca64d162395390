/**
 * What the adapters for servers have in common before they talk to one: options, their defaults, names and addresses.
 *
 * Owns: that a name or an address that cannot be used is refused before anything is opened, and that no message shows a password.
 */
import type { Clock } from '../../kernel/clock.ts';
import { BrokerConfigurationError, InvalidOptionsError } from '../../kernel/errors.ts';
import type { Random } from '../../kernel/random.ts';

export interface ServerAdapterOptions {
  /** Name of the broker: those of one name share their messages. */
  readonly name: string;
  /** How long a call is tried again before it is given up. Default 30,000. */
  readonly callTimeoutMs?: number;
  /**
   * How long a consumer whose connection is lost keeps what it has: it is gone then, and its messages go to others. One that keeps its
   * connection and gives no sign of life is gone after `ackTimeoutMs`. Default 3,000.
   */
  readonly reconnectGraceMs?: number;
  readonly clock?: Clock;
  readonly random?: Random;
}

export const CALL_TIMEOUT_MS = 30_000;
export const RECONNECT_GRACE_MS = 3_000;

/** Unlike any other on a server: time and chance. */
export function uniqueToken(clock: Clock, random: Random): string {
  const part = (): string => Math.floor(random.next() * 2 ** 32).toString(36);
  return `${clock.now().toString(36)}${part()}${part()}`;
}

/** What a server cannot keep in a name, and how long one may be. */
export interface NameRule {
  readonly server: string;
  readonly most: number;
  readonly forbidden: RegExp;
  /** `forbidden` in words. */
  readonly without: string;
}

/** @throws BrokerConfigurationError */
export function assertName({ server, most, forbidden, without }: NameRule, what: string, name: string): void {
  if (typeof name === 'string' && name !== '' && name.length <= most && !forbidden.test(name)) return;
  throw new BrokerConfigurationError(
    `the name ${JSON.stringify(name)} of the ${what} cannot be kept in ${server}: 1 to ${most} characters, ${without}`,
  );
}

/**
 * The address without credentials, for messages. `forms`: what may be given.
 *
 * @throws BrokerConfigurationError for one of something else
 */
export function assertAddress(
  url: string | undefined,
  protocols: readonly string[],
  server: string,
  forms: string,
): string {
  const parsed = URL.canParse(url ?? '') ? new URL(url as string) : undefined;
  if (parsed === undefined || !protocols.includes(parsed.protocol) || parsed.hostname === '') {
    const shown = JSON.stringify((url ?? '').replace(/\/\/[^@/]*@/, '//…@'));
    throw new BrokerConfigurationError(`the broker's URL ${shown} is none of ${server}: give ${forms}`);
  }
  return `${parsed.protocol}//${parsed.host}${parsed.pathname === '/' ? '' : parsed.pathname}`;
}

/** What TLS says of a certificate that it does not trust, by the code of its error. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|self-signed certificate|unable to verify/i;

/** The fault that a server's certificate is not trusted; undefined when an error is none of that. */
export function distrustOf(error: unknown, where: string): BrokerConfigurationError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code = '' } = error as { code?: string };
  const { cause } = error;
  if (!CERTIFICATE.test(`${code} ${error.message}`)) return cause === undefined ? undefined : distrustOf(cause, where);
  return new BrokerConfigurationError(
    `the certificate of ${where} is not trusted (${code || error.message}): start the process with NODE_EXTRA_CA_CERTS=<file of its CA>, or hand in a client that was made with it`,
    { cause: error },
  );
}

/** A subscription of this name has another pattern. */
export const otherPattern = (name: string, is: string, wanted: string): InvalidOptionsError =>
  new InvalidOptionsError(
    `subscription ${JSON.stringify(name)} exists with the pattern ${is}, not ${wanted}: take another name, or end it first`,
    { details: { name, pattern: is } },
  );
