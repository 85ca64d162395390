/** Options of a subscription: defaults and checks. Owns: saying everything that is wrong with them at once. */
import { InvalidOptionsError } from '../kernel/errors.ts';
import { Reference } from '../kernel/reference.ts';
import { type StartFrom, SUBSCRIBE_OPTIONS, type SubscribeOptions } from './contract/broker-contract.ts';
import type { RetryPolicy } from './contract/message.ts';
import { isPlainObject, OptionFaults, show } from '../kernel/option-faults.ts';

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
const WAITING_LIMIT = 1_000_000;
const ACK_TIMEOUT_MS = 30_000;

/** @throws InvalidOptionsError */
export function resolveSubscribeOptions(
  options: SubscribeOptions,
  handler: unknown,
  retry: RetryPolicy & { readonly maxAttempts: number },
): ResolvedSubscribeOptions {
  const faults = new OptionFaults();
  if (!isPlainObject(options)) throw new InvalidOptionsError(`subscribe: ${show(options)} is not an object of options`);
  if (typeof handler !== 'function' && !(handler instanceof Reference)) {
    faults.add('handler', handler, 'a function or a reference to an actor');
  }
  faults.unknown(options, SUBSCRIBE_OPTIONS);
  const { name, queue, from = 'now', order = 'hold' } = options;
  for (const [what, value] of [['name', name] as const, ['queue', queue] as const]) {
    if (value !== undefined && (typeof value !== 'string' || !NAME.test(value))) {
      faults.add(what, value, '1 to 128 characters without spaces, "/" and "~", not beginning with "$"');
    }
  }
  if (name !== undefined && queue !== undefined) {
    faults.found.push('name and queue: subscriptions of one name share their messages already; give one of them');
  }
  if (order !== 'hold' && order !== 'pass') faults.add('order', order, "'hold' or 'pass'");
  if (!isStart(from)) {
    faults.add('from', from, "'now', 'beginning', { position } or { timeMs }");
  } else if (from !== 'now' && name === undefined) {
    faults.found.push('from: only a subscription with a name can begin in the past');
  }
  const own = faults.retry('retry', options.retry);
  const resolved: ResolvedSubscribeOptions = {
    name,
    queue,
    from,
    concurrency: faults.number('concurrency', options.concurrency, 1, { least: 1, whole: true, endless: true }),
    waitingLimit: faults.number('waitingLimit', options.waitingLimit, WAITING_LIMIT, {
      least: 1,
      whole: true,
      endless: true,
    }),
    retry: { ...retry, ...own, maxAttempts: own.maxAttempts ?? retry.maxAttempts },
    order,
    ackTimeoutMs: faults.number('ackTimeoutMs', options.ackTimeoutMs, ACK_TIMEOUT_MS, { least: 1, endless: true }),
  };
  faults.throwIfAny('subscribe');
  return resolved;
}

function isStart(from: unknown): from is StartFrom {
  if (from === 'now' || from === 'beginning') return true;
  if (typeof from !== 'object' || from === null) return false;
  const { position, timeMs } = from as { position?: unknown; timeMs?: unknown };
  return (Number.isSafeInteger(position) && (position as number) >= 0) !== (typeof timeMs === 'number' && timeMs >= 0);
}

/** @throws InvalidOptionsError */
export function assertRetention(limits: unknown): void {
  const faults = new OptionFaults();
  if (isPlainObject(limits)) {
    faults.unknown(limits, ['messages', 'ageMs']);
    const { messages, ageMs } = limits as { readonly messages?: unknown; readonly ageMs?: unknown };
    faults.number('messages', messages, undefined, { least: 1, whole: true });
    faults.number('ageMs', ageMs, undefined, { least: 1 });
  } else {
    faults.add('limits', limits, 'an object { messages, ageMs }');
  }
  faults.throwIfAny('retain');
}
