/** Options of a subscription: defaults and checks. Owns: saying everything that is wrong with them at once. */
import { InvalidOptionsError } from '../kernel/errors.ts';
import { Reference } from '../kernel/reference.ts';
import type { StartFrom, SubscribeOptions } from './contract/broker-contract.ts';
import type { RetryPolicy } from './contract/message.ts';

export interface ResolvedSubscribeOptions {
  readonly name: string | undefined;
  readonly queue: string | undefined;
  readonly from: StartFrom;
  readonly concurrency: number;
  readonly waitingLimit: number;
  readonly retry: RetryPolicy & { readonly maxAttempts: number };
  readonly order: 'hold' | 'pass';
  readonly ackTimeoutMs: number;
}

const NAME = /^[^\s~/$][^\s~/]{0,127}$/;
const KNOWN: ReadonlySet<string> = new Set<keyof SubscribeOptions>([
  'name',
  'queue',
  'from',
  'concurrency',
  'waitingLimit',
  'retry',
  'order',
  'ackTimeoutMs',
]);
const WAITING_LIMIT = 1_000_000;
const ACK_TIMEOUT_MS = 30_000;

/** @throws InvalidOptionsError */
export function resolveSubscribeOptions(
  options: SubscribeOptions,
  handler: unknown,
  retry: RetryPolicy & { readonly maxAttempts: number },
): ResolvedSubscribeOptions {
  const faults: string[] = [];
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionsError(`subscribe: ${String(options)} is not an object of options`);
  }
  if (typeof handler !== 'function' && !(handler instanceof Reference)) {
    faults.push(`handler: ${typeof handler} is neither a function nor a reference to an actor`);
  }
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) faults.push(`${name}: no such option (known: ${[...KNOWN].join(', ')})`);
  }
  const number = (name: string, value: unknown, fallback: number, least: number): number => {
    if (value === undefined) return fallback;
    if (typeof value === 'number' && value >= least) return value;
    faults.push(`${name}: ${JSON.stringify(value)} is not a number of ${least} or more`);
    return fallback;
  };
  const { name, queue, from = 'now', order = 'hold' } = options;
  for (const [what, value] of [['name', name] as const, ['queue', queue] as const]) {
    if (value !== undefined && (typeof value !== 'string' || !NAME.test(value))) {
      faults.push(
        `${what}: ${JSON.stringify(value)} is not 1 to 128 characters without spaces, "/" and "~", not beginning with "$"`,
      );
    }
  }
  if (name !== undefined && queue !== undefined) {
    faults.push('name and queue: subscriptions of one name share their messages already; give one of them');
  }
  if (order !== 'hold' && order !== 'pass') faults.push(`order: ${JSON.stringify(order)} is not 'hold' or 'pass'`);
  if (!isStart(from)) {
    faults.push(`from: ${JSON.stringify(from)} is not 'now', 'beginning', { position } or { timeMs }`);
  } else if (from !== 'now' && name === undefined) {
    faults.push('from: only a subscription with a name can begin in the past');
  }
  const resolved: ResolvedSubscribeOptions = {
    name,
    queue,
    from,
    concurrency: number('concurrency', options.concurrency, 1, 1),
    waitingLimit: number('waitingLimit', options.waitingLimit, WAITING_LIMIT, 1),
    retry: {
      ...retry,
      ...options.retry,
      maxAttempts: number('retry.maxAttempts', options.retry?.maxAttempts, retry.maxAttempts, 1),
    },
    order,
    ackTimeoutMs: number('ackTimeoutMs', options.ackTimeoutMs, ACK_TIMEOUT_MS, 1),
  };
  if (faults.length === 0) return resolved;
  throw new InvalidOptionsError(`subscribe: ${faults.join('; ')}`, { details: { faults } });
}

function isStart(from: unknown): from is StartFrom {
  if (from === 'now' || from === 'beginning') return true;
  if (typeof from !== 'object' || from === null) return false;
  const { position, timeMs } = from as { position?: unknown; timeMs?: unknown };
  return (typeof position === 'number' && position >= 0) !== (typeof timeMs === 'number' && timeMs >= 0);
}
