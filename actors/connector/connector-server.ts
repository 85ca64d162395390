/**
 * `ConnectorServer`: lets systems elsewhere reach the systems of a broker by HTTP.
 *
 * Owns: the HTTP server. POST takes one CloudEvent: a command is accepted (202 with its receipt) or, with `prefer: wait=<s>`, handled
 * (200 with the reply); a query is answered (200); an event is published (202). GET on `<path>/health` says whether it is well.
 *
 * Invariants:
 * CV1. 202 is sent once the message is accepted: on disk, for AT_LEAST_ONCE and EXACTLY_ONCE.
 * CV2. Whatever comes gets an answer with a reason, unless the client is gone; no request makes the server fail.
 * CV3. `close` takes no more, finishes what is under way, and after `drainTimeoutMs` ends what is left.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dataOf } from '../../runtime/broker/cloud-event-data.ts';
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';
import type { MessageDraft } from '../../runtime/broker/contract/message.ts';
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import { type Clock, systemClock } from '../../runtime/kernel/clock.ts';
import {
  BrokerClosedError,
  ConnectorUnavailableError,
  InvalidMessageError,
  InvalidOptionsError,
  UnknownTargetError,
} from '../../runtime/kernel/errors.ts';
import { MESSAGE_BYTES_LIMIT } from '../../runtime/kernel/limits.ts';
import { show } from '../../runtime/kernel/option-faults.ts';
import { directoryOf } from './connector-directory.ts';
import { failureOf } from './http-failure.ts';
import { readBody, readDraft } from './http-intake.ts';
import { assertTaken, explainNobody } from './nobody-there.ts';
import { pause } from './timed-call.ts';

export interface ConnectorServerOptions {
  readonly broker: Broker;
  /** The actor system whose connectors are known as targets, beside those of this process. */
  readonly system?: ActorHost;
  /** Default 127.0.0.1: reachable from this machine alone. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  /** Where messages are posted. Default `/`. */
  readonly path?: string;
  /** Systems that may be reached, and whether events may be published. Default: all. */
  readonly targets?: readonly string[];
  readonly events?: boolean;
  /** Whether a request may come in. What it throws, or false, is answered with 401. Default: every request. */
  readonly authorize?: (request: IncomingMessage) => boolean | Promise<boolean>;
  /** What health checks are told beside `status`; throwing makes them fail. */
  readonly health?: () => Readonly<Record<string, unknown>>;
  /** Default 1 MiB. */
  readonly bodyLimitBytes?: number;
  /** Within what time a request must have come in whole, ms. Default 10,000; slower ones get 408. */
  readonly requestTimeoutMs?: number;
  /** Longest wait for a reply, whatever the client prefers, ms. Default 30,000. */
  readonly replyTimeoutMs?: number;
  /** Requests under way at a time; beyond it 503. Default 1,000. */
  readonly requestsLimit?: number;
  /** How long `close` waits for what is under way, ms. Default 10,000. */
  readonly drainTimeoutMs?: number;
}

export interface ServerFigures {
  readonly requests: number;
  readonly underWay: number;
  /** By status. */
  readonly answers: Readonly<Record<string, number>>;
  /** Requests whose client was gone before the answer. */
  readonly abandoned: number;
}

const DEFAULTS = {
  host: '127.0.0.1',
  port: 0,
  path: '/',
  events: true,
  bodyLimitBytes: MESSAGE_BYTES_LIMIT,
  requestTimeoutMs: 10_000,
  replyTimeoutMs: 30_000,
  requestsLimit: 1_000,
  drainTimeoutMs: 10_000,
};
const KNOWN = new Set(['broker', 'system', 'targets', 'authorize', 'health', ...Object.keys(DEFAULTS)]);
/** How often connections are looked at for requests that are too slow, at most. */
const LOOK_MS_LIMIT = 1_000;
/** Of a query whose client does not say how long it waits. */
const QUERY_WAIT_MS = 5_000;

type Answer = {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body?: string | Uint8Array;
};

export class ConnectorServer implements AsyncDisposable {
  readonly #options: ConnectorServerOptions & typeof DEFAULTS;
  readonly #clock: Clock;
  readonly #server: Server;
  readonly #answers = new Map<string, number>();
  #requests = 0;
  #underWay = 0;
  #abandoned = 0;
  #url = '';
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  private constructor(options: ConnectorServerOptions & typeof DEFAULTS, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    const { requestTimeoutMs } = options;
    this.#server = createServer(
      {
        requestTimeout: requestTimeoutMs,
        headersTimeout: requestTimeoutMs,
        connectionsCheckingInterval: Math.min(LOOK_MS_LIMIT, Math.ceil(requestTimeoutMs / 2)),
      },
      (request, response) => void this.#take(request, response),
    );
  }

  /**
   * Listens.
   *
   * @throws InvalidOptionsError with all faults, ConnectorUnavailableError (the port is taken)
   * @example await using server = await ConnectorServer.start({ broker, port: 8080 })
   */
  static async start(options: ConnectorServerOptions): Promise<ConnectorServer> {
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    const resolved = { ...DEFAULTS, ...given } as ConnectorServerOptions & typeof DEFAULTS;
    assertOptions(resolved);
    const server = new ConnectorServer(resolved, systemClock);
    await server.#listen();
    return server;
  }

  /** Where messages are posted. */
  get url(): string {
    return this.#url;
  }

  figures(): ServerFigures {
    return {
      requests: this.#requests,
      underWay: this.#underWay,
      answers: Object.fromEntries(this.#answers),
      abandoned: this.#abandoned,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void =>
        reject(new ConnectorUnavailableError(`cannot listen on ${host}:${port}: ${error.message}`, { cause: error }));
      this.#server.once('error', fail);
      this.#server.listen(port, host, () => {
        this.#server.removeListener('error', fail);
        const { address, port: given, family } = this.#server.address() as AddressInfo;
        this.#url = `http://${family === 'IPv6' ? `[${address}]` : address}:${given}${this.#options.path}`;
        // What comes later concerns one connection, which Node ends.
        this.#server.on('error', () => {});
        resolve();
      });
    });
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeIdleConnections();
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
      if (this.#underWay === 0) resolve();
    });
    const late = new AbortController();
    await Promise.race([idle, pause(this.#options.drainTimeoutMs, this.#clock, late.signal).catch(() => {})]);
    late.abort(new Error('closed'));
    this.#server.closeAllConnections();
    await closed;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#requests += 1;
    this.#underWay += 1;
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new ConnectorUnavailableError('the client is gone'));
    });
    let answer: Answer;
    try {
      answer = await this.#answer(request, gone.signal);
    } catch (error) {
      answer = failureOf(error);
    }
    try {
      await this.#send(request, response, answer, gone.signal);
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#idle?.();
    }
  }

  #send(request: IncomingMessage, response: ServerResponse, answer: Answer, gone: AbortSignal): Promise<void> {
    if (gone.aborted || response.destroyed) {
      this.#abandoned += 1;
      return Promise.resolve();
    }
    const { status, headers, body } = answer;
    this.#answers.set(String(status), (this.#answers.get(String(status)) ?? 0) + 1);
    // A body that was not read would be taken for the next request; one that is still coming may be endless.
    const ends = this.#closing !== undefined || !request.complete;
    return new Promise((resolve) => {
      response.once('close', resolve);
      response.once('finish', resolve);
      response.writeHead(status, { ...headers, ...(ends ? { connection: 'close' } : {}) });
      response.end(body);
    });
  }

  async #answer(request: IncomingMessage, gone: AbortSignal): Promise<Answer> {
    const { path, authorize, requestsLimit } = this.#options;
    const at = new URL(request.url ?? '/', 'http://host').pathname;
    const healthPath = `${path.replace(/\/$/, '')}/health`;
    if (at === healthPath) return this.#health(request);
    if (at !== path) return failureOf(new InvalidMessageError(`nothing is at ${at}: post messages to ${path}`), 404);
    if (request.method !== 'POST') return methodNotAllowed(request.method, 'POST');
    if (this.#closing !== undefined) throw new BrokerClosedError('the server is closing');
    if (this.#underWay > requestsLimit) {
      throw new ConnectorUnavailableError(`${requestsLimit} requests are under way, as many as may`);
    }
    if (authorize !== undefined && !(await isAuthorized(authorize, request))) {
      return failureOf(new InvalidMessageError('the request is not authorized'), 401);
    }
    const body = await readBody(request, this.#options.bodyLimitBytes);
    const draft = this.#draft(request, body);
    return this.#handle(draft, request, gone);
  }

  #health(request: IncomingMessage): Answer {
    if (request.method !== 'GET' && request.method !== 'HEAD') return methodNotAllowed(request.method, 'GET');
    try {
      if (this.#closing !== undefined) throw new BrokerClosedError('the server is closing');
      return json(200, { status: 'ok', ...this.#options.health?.() });
    } catch (error) {
      return failureOf(error, 503);
    }
  }

  #draft(request: IncomingMessage, body: Uint8Array): MessageDraft {
    const draft = readDraft(request.headers, body, this.#clock.now());
    const { targets, events } = this.#options;
    if (draft.target !== undefined && targets !== undefined && !targets.includes(draft.target)) {
      throw new UnknownTargetError(`system "${draft.target}" cannot be reached here`, {
        details: { target: draft.target },
      });
    }
    if (draft.kind === 'EVENT' && !events) throw new InvalidMessageError('events are not taken here');
    const key = request.headers['idempotency-key'];
    const { traceparent, tracestate } = request.headers;
    return {
      ...draft,
      // The id itself is no key beyond what it is: two senders may have the same.
      ...(typeof key === 'string' && key !== draft.id ? { idempotencyKey: key } : {}),
      ...(draft.traceparent === undefined && typeof traceparent === 'string' ? { traceparent } : {}),
      ...(draft.tracestate === undefined && typeof tracestate === 'string' ? { tracestate } : {}),
    };
  }

  async #handle(draft: MessageDraft, request: IncomingMessage, gone: AbortSignal): Promise<Answer> {
    const { broker, system, replyTimeoutMs } = this.#options;
    const waitMs = waitOf(request.headers['prefer']);
    const directory = directoryOf(broker);
    if (draft.kind === 'COMMAND' && draft.target !== undefined) assertTaken(draft.target, draft.type, directory);
    try {
      if (draft.kind === 'QUERY' || waitMs !== undefined) {
        const timeoutMs = Math.min(waitMs ?? QUERY_WAIT_MS, replyTimeoutMs);
        const reply = await broker.request(draft, { timeoutMs, signal: gone });
        return replyAnswer(reply);
      }
      const { id, duplicate, subscriptions } = await broker.publish(draft);
      return json(202, { id, duplicate, subscriptions });
    } catch (error) {
      throw await explainNobody(error, draft, { broker, directory, host: system });
    }
  }
}

function assertOptions(options: ConnectorServerOptions & typeof DEFAULTS): void {
  const faults = Object.keys(options)
    .filter((name) => !KNOWN.has(name))
    .map((name) => `${name}: no such option (known: ${[...KNOWN].join(', ')})`);
  if (typeof (options.broker as Broker | undefined)?.publish !== 'function') faults.push('broker: is no broker');
  for (const name of ['bodyLimitBytes', 'requestTimeoutMs', 'replyTimeoutMs', 'requestsLimit'] as const) {
    if (!(options[name] > 0)) faults.push(`${name}: ${String(options[name])} is not a number above 0`);
  }
  const { targets } = options;
  if (targets !== undefined && !(Array.isArray(targets) && targets.every((target) => typeof target === 'string')))
    faults.push(`targets: ${show(targets)} is no list of systems`);
  if (!(options.drainTimeoutMs >= 0))
    faults.push(`drainTimeoutMs: ${options.drainTimeoutMs} is not a number of 0 or more`);
  if (!Number.isInteger(options.port) || options.port < 0 || options.port > 65_535)
    faults.push(`port: ${options.port} is no port`);
  if (!/^\/[^?#\s]*$/.test(options.path)) faults.push(`path: ${JSON.stringify(options.path)} does not begin with "/"`);
  if (faults.length === 0) return;
  throw new InvalidOptionsError(`ConnectorServer: ${faults.map((fault) => `\n  - ${fault}`).join('')}`, {
    details: { faults },
  });
}

async function isAuthorized(
  authorize: NonNullable<ConnectorServerOptions['authorize']>,
  request: IncomingMessage,
): Promise<boolean> {
  try {
    return await authorize(request);
  } catch {
    return false;
  }
}

/** RFC 7240: `prefer: wait=5`, seconds. */
function waitOf(prefer: string | string[] | undefined): number | undefined {
  const seconds = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})/i.exec(String(prefer ?? ''))?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}

function replyAnswer(reply: unknown): Answer {
  const data = dataOf(reply, undefined);
  if (data.kind === 'none') return { status: 204, headers: {} };
  const headers = { 'content-type': data.contentType };
  if (data.kind === 'bytes') return { status: 200, headers, body: data.bytes };
  return { status: 200, headers, body: data.kind === 'json' ? JSON.stringify(data.value) : data.text };
}

function json(status: number, value: unknown): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

function methodNotAllowed(method: string | undefined, allow: string): Answer {
  const failure = failureOf(new InvalidMessageError(`${method} is not taken here, but ${allow}`), 405);
  return { ...failure, headers: { ...failure.headers, allow } };
}
