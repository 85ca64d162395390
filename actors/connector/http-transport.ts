/**
 * A system reached by HTTP: messages are posted to it as CloudEvents with `fetch`.
 *
 * Owns: the requests, their limits, and what their answers mean. When to try again is the connector's.
 *
 * Invariants:
 * HT1. A request carries the message's id, and its idempotency key as the header `idempotency-key`: the same for every try.
 * HT2. No more than `replyLimitBytes` of an answer is kept, and a message above `bodyLimitBytes` is not sent.
 */
import { payloadOfBytes } from '../../runtime/broker/cloud-event-data.ts';
import { binaryHttpOf, structuredHttpOf } from '../../runtime/broker/cloud-events-http.ts';
import type { Message } from '../../runtime/broker/contract/message.ts';
import { isPlainObject, OptionFaults } from '../../runtime/kernel/option-faults.ts';
import { type Clock, systemClock } from '../../runtime/kernel/clock.ts';
import {
  BlocksError,
  ConnectorUnavailableError,
  InvalidOptionsError,
  MessageTooLargeError,
  RemoteFailedError,
  RemoteRefusedError,
  RequestTimeoutError,
} from '../../runtime/kernel/errors.ts';
import { MESSAGE_BYTES_LIMIT } from '../../runtime/kernel/limits.ts';
import { retryAfterOf } from './call-guard.ts';
import { errorOf, type HttpAnswer } from './http-failure.ts';
import { timedCall } from './timed-call.ts';
import type { ConnectorTransport, DeliverOptions, TransportContext } from './transport.ts';

type Headers = Readonly<Record<string, string>>;

export interface HttpTransportOptions {
  /** Where messages are posted: `http:` or `https:`. */
  readonly url: string | URL;
  /** Asked with GET to see whether the other side is well; false: never. Default: `url` with `/health` behind its path. */
  readonly healthUrl?: string | URL | false;
  /** Attributes in headers (`binary`, default), or all in the body (`structured`). */
  readonly mode?: 'binary' | 'structured';
  /** Of every request; a function is asked each time (for tokens that change). */
  readonly headers?: Headers | (() => Headers | Promise<Headers>);
  /** Of one request, ms. Default 30,000. */
  readonly timeoutMs?: number;
  /** A message's body. Default 1 MiB. */
  readonly bodyLimitBytes?: number;
  /** An answer's body. Default 1 MiB. */
  readonly replyLimitBytes?: number;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
}

const TIMEOUT_MS = 30_000;
const KNOWN: readonly (keyof HttpTransportOptions)[] = [
  'url',
  'healthUrl',
  'mode',
  'headers',
  'timeoutMs',
  'bodyLimitBytes',
  'replyLimitBytes',
  'fetch',
];

/**
 * A transport to a system by HTTP. To callers it is like any other system of the broker.
 *
 * @throws InvalidOptionsError
 * @example await SystemConnector.start('billing', { broker, system, transport: httpTransport({ url: 'https://billing.example/' }) })
 */
export function httpTransport(options: HttpTransportOptions): ConnectorTransport {
  return new HttpTransport(options);
}

class HttpTransport implements ConnectorTransport {
  readonly kind = 'http';
  readonly #options: HttpTransportOptions;
  readonly #url: URL;
  readonly #healthUrl: URL | undefined;
  #clock: Clock = systemClock;

  constructor(options: HttpTransportOptions) {
    assertOptions(options);
    this.#options = options;
    this.#url = urlOf('url', options.url);
    const { healthUrl } = options;
    if (healthUrl === undefined) {
      this.#healthUrl = new URL(this.#url);
      this.#healthUrl.pathname = `${this.#url.pathname.replace(/\/$/, '')}/health`;
    } else this.#healthUrl = healthUrl === false ? undefined : urlOf('healthUrl', healthUrl);
  }

  async open({ clock, signal }: TransportContext): Promise<void> {
    this.#clock = clock;
    await this.check(signal);
  }

  async check(signal: AbortSignal): Promise<void> {
    if (this.#healthUrl === undefined) return;
    const answer = await this.#fetch(this.#healthUrl, { method: 'GET', headers: await this.#headers() }, signal);
    if (answer.status < 200 || answer.status > 299) {
      const cause = errorOf(this.#healthUrl.href, answer, this.#clock.now());
      const retryAfterMs = retryAfterOf(cause);
      throw new ConnectorUnavailableError(`${this.#healthUrl.href} answered ${answer.status}`, {
        cause,
        details: { status: answer.status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
      });
    }
  }

  async deliver(message: Message, { signal, replyWithinMs }: DeliverOptions): Promise<unknown> {
    const { replyTo: _replyTo, ...event } = message;
    const { headers, body } = this.#options.mode === 'structured' ? structuredHttpOf(event) : binaryHttpOf(event);
    const limitBytes = this.#options.bodyLimitBytes ?? MESSAGE_BYTES_LIMIT;
    if (body.length > limitBytes) {
      throw new MessageTooLargeError(
        `message "${message.id}" has ${body.length} bytes, more than the ${limitBytes} that ${this.#url.href} is sent`,
        { details: { bytes: body.length, limitBytes } },
      );
    }
    const request = {
      method: 'POST',
      headers: {
        ...(await this.#headers()),
        ...headers,
        'idempotency-key': message.idempotencyKey ?? message.id,
        ...(message.traceparent === undefined ? {} : { traceparent: message.traceparent }),
        ...(message.tracestate === undefined ? {} : { tracestate: message.tracestate }),
        ...(replyWithinMs === undefined ? {} : { prefer: `wait=${Math.ceil(replyWithinMs / 1_000)}` }),
      },
      ...(body.length === 0 ? {} : { body }),
    };
    const answer = await this.#fetch(this.#url, request, signal);
    if (answer.status >= 300) throw this.#failure(answer);
    return answer.status === 200 ? this.#reply(answer) : undefined;
  }

  async close(): Promise<void> {}

  async #headers(): Promise<Headers> {
    const { headers = {} } = this.#options;
    return typeof headers === 'function' ? headers() : headers;
  }

  #failure(answer: HttpAnswer): BlocksError {
    if (answer.status < 400) {
      return new RemoteRefusedError(
        `${this.#url.href} answered ${answer.status}, a redirection: give the url that it leads to`,
        {
          details: { status: answer.status },
        },
      );
    }
    return errorOf(this.#url.href, answer, this.#clock.now());
  }

  #reply({ contentType, body }: HttpAnswer): unknown {
    try {
      return body.length === 0
        ? undefined
        : payloadOfBytes(body, contentType === '' ? 'application/json' : contentType);
    } catch (error) {
      throw new RemoteFailedError(`${this.#url.href} answered with a body that is not what it says: ${contentType}`, {
        cause: error,
      });
    }
  }

  #fetch(url: URL, request: RequestInit, signal: AbortSignal): Promise<HttpAnswer> {
    const { timeoutMs = TIMEOUT_MS, fetch: send = fetch } = this.#options;
    return timedCall(
      async (within) => {
        try {
          const response = await send(url, { ...request, redirect: 'manual', signal: within });
          return {
            status: response.status,
            contentType: response.headers.get('content-type') ?? '',
            retryAfter: response.headers.get('retry-after'),
            body: await this.#read(url, response),
          };
        } catch (error) {
          if (within.aborted || error instanceof BlocksError) throw error;
          throw new ConnectorUnavailableError(`${url.href} cannot be reached: ${messageOf(error)}`, { cause: error });
        }
      },
      {
        clock: this.#clock,
        timeoutMs,
        signal,
        overdue: () =>
          new RequestTimeoutError(`${url.href} did not answer within ${timeoutMs} ms`, { details: { timeoutMs } }),
      },
    );
  }

  async #read(url: URL, response: Response): Promise<Uint8Array> {
    const limitBytes = this.#options.replyLimitBytes ?? MESSAGE_BYTES_LIMIT;
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    if (response.body === null) return new Uint8Array();
    // Leaving the loop cancels the body, and with it the connection.
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > limitBytes) {
        throw new MessageTooLargeError(`${url.href} answered with more than ${limitBytes} bytes`, {
          details: { limitBytes, status: response.status },
        });
      }
      chunks.push(chunk);
    }
    return new Uint8Array(Buffer.concat(chunks));
  }
}

function assertOptions(options: unknown): void {
  const faults = new OptionFaults();
  if (!isPlainObject(options)) {
    faults.add('options', options, 'an object of options: give { url }');
  } else {
    const given = options as { readonly [K in keyof HttpTransportOptions]: unknown };
    faults.unknown(given, KNOWN);
    if (given.mode !== undefined && given.mode !== 'binary' && given.mode !== 'structured') {
      faults.add('mode', given.mode, "'binary' or 'structured'");
    }
    if (given.headers !== undefined && typeof given.headers !== 'function' && !isPlainObject(given.headers)) {
      faults.add('headers', given.headers, 'an object of headers, or a function that gives one');
    }
    if (given.fetch !== undefined && typeof given.fetch !== 'function') faults.add('fetch', given.fetch, 'a function');
    faults.number('timeoutMs', given.timeoutMs, undefined, { least: 1 });
    faults.number('bodyLimitBytes', given.bodyLimitBytes, undefined, { least: 1 });
    faults.number('replyLimitBytes', given.replyLimitBytes, undefined, { least: 1 });
  }
  faults.throwIfAny('httpTransport');
}

function urlOf(name: string, given: string | URL): URL {
  const url = URL.canParse(String(given)) ? new URL(given) : undefined;
  if (url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  const what = given === undefined ? 'is missing' : `${JSON.stringify(String(given))} is no http: or https: URL`;
  throw new InvalidOptionsError(
    `httpTransport: ${name}: ${what}: give the address where the other side takes messages`,
  );
}

/** What fetch says is "fetch failed"; what happened is its cause. */
function messageOf(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  if (!(cause instanceof Error)) return error instanceof Error ? error.message : String(error);
  const { code } = cause as { code?: unknown };
  return typeof code === 'string' ? `${code} ${cause.message}` : cause.message;
}
