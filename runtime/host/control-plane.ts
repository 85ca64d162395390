/**
 * The control plane: calls from the system to a host's thread, over a port of their own.
 *
 * Owns: the only use of comlink, and what comlink lacks: a call pending when the thread dies never settles, and errors lose their
 * class. Every call here is raced against the thread's end and a deadline, and errors travel as data.
 *
 * Invariants:
 * CT1. Every call settles: with its result, its error, `HostLostError` or `ControlTimeoutError`.
 * CT2. Messages never travel here.
 * CT3. Nothing but calls of these methods gets to comlink, which would read, set and construct whatever a path leads to.
 */
import { expose, type Remote, transfer, wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../kernel/clock.ts';
import { ControlTimeoutError, decodeError, type EncodedError, encodeError } from '../kernel/errors.ts';
import type { HostStats } from './host-ports.ts';

/** What a host's thread answers to. */
export interface HostControl {
  /** Loads modules of definitions. */
  load(modules: readonly string[]): Promise<void>;
  linkUp(slot: number, port: MessagePort, from: number): void;
  linkDown(slot: number): void;
  /** An encoded `Beginning`: it holds messages, which structured cloning would not carry whole. */
  begin(beginning: Uint8Array): void;
  drained(): Promise<void>;
  stats(): HostStats;
  stop(): void;
}

type Answer<T> = { readonly value: T } | { readonly error: EncodedError };
type Served = {
  [K in keyof HostControl]: (
    ...args: Parameters<HostControl[K]>
  ) => Promise<Answer<Awaited<ReturnType<HostControl[K]>>>>;
};

const METHODS: readonly (keyof HostControl)[] = ['load', 'linkUp', 'linkDown', 'begin', 'drained', 'stats', 'stop'];

/** Serves `control` on `port`: these methods and nothing else of it. */
export function serveControl(port: MessagePort, control: HostControl): void {
  const served: Record<string, (...args: never[]) => Promise<Answer<unknown>>> = Object.create(null) as Record<
    string,
    never
  >;
  for (const method of METHODS) {
    served[method] = async (...args) => {
      try {
        return { value: (await Reflect.apply(control[method], control, args)) as unknown };
      } catch (error) {
        return { error: encodeError(error) };
      }
    };
  }
  const endpoint = nodeEndpoint(port);
  expose(served, {
    ...endpoint,
    addEventListener: (type, listener, options) => {
      const callsOnly = (event: Event): void => {
        if (!isCall((event as MessageEvent).data)) return;
        if (typeof listener === 'function') listener(event);
        else listener.handleEvent(event);
      };
      endpoint.addEventListener(type, callsOnly, options);
    },
  });
}

/** Whether `data` is a call of one of the methods, with arguments as values. */
function isCall(data: unknown): boolean {
  if (typeof data !== 'object' || data === null) return false;
  const { type, path, argumentList } = data as Readonly<Record<string, unknown>>;
  if (type !== 'APPLY' || !Array.isArray(path) || path.length !== 1) return false;
  return METHODS.includes(path[0] as never) && Array.isArray(argumentList) && argumentList.every(isRawValue);
}

function isRawValue(argument: unknown): boolean {
  return typeof argument === 'object' && argument !== null && (argument as { type?: unknown }).type === 'RAW';
}

/** The system's side. `lost` rejects when the thread ends. */
export class ControlClient {
  readonly #remote: Remote<Served>;
  readonly #clock: Clock;
  readonly #lost: Promise<never>;

  constructor(port: MessagePort, clock: Clock, lost: Promise<never>) {
    this.#remote = wrap<Served>(nodeEndpoint(port));
    this.#clock = clock;
    this.#lost = lost;
  }

  async call<K extends keyof HostControl>(
    method: K,
    args: Parameters<HostControl[K]>,
    options: { readonly timeoutMs: number; readonly transfer?: readonly MessagePort[] },
  ): Promise<Awaited<ReturnType<HostControl[K]>>> {
    const call = this.#remote[method] as unknown as (
      ...args: unknown[]
    ) => Promise<Answer<Awaited<ReturnType<HostControl[K]>>>>;
    // comlink looks at each argument for something to transfer, so each port is marked by itself.
    const marked = args.map((arg) =>
      options.transfer?.includes(arg as never) === true ? transfer(arg, [arg as never]) : arg,
    );
    let expired: () => void = () => {};
    const deadline = new Promise<never>((_resolve, reject) => {
      expired = () => reject(new ControlTimeoutError(`host did not answer ${method}() within ${options.timeoutMs} ms`));
    });
    const wait = Number.isFinite(options.timeoutMs) ? this.#clock.wait(options.timeoutMs, () => expired()) : undefined;
    try {
      const answer = await Promise.race([call(...marked), this.#lost, deadline]);
      if ('error' in answer) throw decodeError(answer.error);
      return answer.value;
    } finally {
      wait?.cancel();
    }
  }
}
