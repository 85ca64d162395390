/**
 * Spans and measurements of messages between systems, by OpenTelemetry's semantic conventions for messaging, 1.45.0
 * (https://opentelemetry.io/docs/specs/semconv/messaging/).
 *
 * Owns: the names, copied: the conventions are still incubating, and their package may change them under us. Without a registered
 * provider every call here is one look into a global.
 */
import { systemClock } from '../kernel/clock.ts';
import { isMeasuring, measure } from './instruments.ts';
import { openTelemetry } from './open-telemetry.ts';
import { runInSpan } from './spans.ts';
import type { TraceCarrier } from './trace-carrier.ts';

const SYSTEM_NAME = 'messaging.system.name';
const OPERATION_NAME = 'messaging.operation.name';
const OPERATION_TYPE = 'messaging.operation.type';
const DESTINATION_NAME = 'messaging.destination.name';
const MESSAGE_ID = 'messaging.message.id';
const CONVERSATION_ID = 'messaging.message.conversation_id';
const CONSUMER_GROUP = 'messaging.consumer.group.name';
const ERROR_TYPE = 'error.type';

/** A message, as spans name it. */
export interface MessageOperation {
  readonly system: string;
  readonly destination: string;
  readonly id: string;
  readonly conversationId: string;
  /** Of a message that is handled: the subscription. */
  readonly group?: string | undefined;
  /** The trace that it belongs to, where that is not the active one. */
  readonly parent?: TraceCarrier | undefined;
}

/** Whether anybody looks at spans or measurements. */
export function isObserved(): boolean {
  return openTelemetry('trace') !== undefined || isMeasuring();
}

/** Runs what sends a message in a span of its own, which what it carries then names as its parent. */
export function inSendSpan<T>(operation: MessageOperation, run: () => Promise<T>): Promise<T> {
  const attributes = {
    [SYSTEM_NAME]: operation.system,
    [OPERATION_NAME]: 'send',
    [DESTINATION_NAME]: operation.destination,
  };
  const beganMs = systemClock.monotonicMs();
  const tell = (errorType?: string): void => {
    const told = errorType === undefined ? attributes : { ...attributes, [ERROR_TYPE]: errorType };
    measure('messaging.client.sent.messages', 1, told);
    measure('messaging.client.operation.duration', (systemClock.monotonicMs() - beganMs) / 1_000, {
      ...told,
      [OPERATION_TYPE]: 'send',
    });
  };
  return runInSpan(
    `send ${operation.destination}`,
    { kind: 'producer', attributes: spanAttributes(operation, 'send'), parent: operation.parent },
    () => {
      const sent = run();
      sent.then(
        () => tell(),
        (error: unknown) => tell(errorTypeOf(error)),
      );
      return sent;
    },
  );
}

/** Runs a handler in a span that belongs to the message's trace. */
export function inProcessSpan<T>(operation: MessageOperation, run: () => T): T {
  const attributes = {
    [SYSTEM_NAME]: operation.system,
    [OPERATION_NAME]: 'process',
    [DESTINATION_NAME]: operation.destination,
    ...(operation.group === undefined ? {} : { [CONSUMER_GROUP]: operation.group }),
  };
  const beganMs = systemClock.monotonicMs();
  measure('messaging.client.consumed.messages', 1, attributes);
  const tell = (errorType?: string): void =>
    measure(
      'messaging.process.duration',
      (systemClock.monotonicMs() - beganMs) / 1_000,
      errorType === undefined ? attributes : { ...attributes, [ERROR_TYPE]: errorType },
    );
  return runInSpan(
    `process ${operation.destination}`,
    { kind: 'consumer', attributes: spanAttributes(operation, 'process'), parent: operation.parent },
    () => {
      let result: T;
      try {
        result = run();
      } catch (error) {
        tell(errorTypeOf(error));
        throw error;
      }
      if (result instanceof Promise)
        result.then(
          () => tell(),
          (error: unknown) => tell(errorTypeOf(error)),
        );
      else tell();
      return result;
    },
  );
}

function spanAttributes(operation: MessageOperation, kind: 'send' | 'process'): Record<string, string> {
  return {
    [SYSTEM_NAME]: operation.system,
    [OPERATION_NAME]: kind,
    [OPERATION_TYPE]: kind,
    [DESTINATION_NAME]: operation.destination,
    [MESSAGE_ID]: operation.id,
    [CONVERSATION_ID]: operation.conversationId,
    ...(operation.group === undefined ? {} : { [CONSUMER_GROUP]: operation.group }),
  };
}

function errorTypeOf(error: unknown): string {
  const code: unknown = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : error instanceof Error ? error.name : 'error';
}
