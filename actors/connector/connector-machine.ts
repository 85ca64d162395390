/**
 * The life of a connector, as a statechart.
 *
 * ```
 *   disconnected ──CONNECT──▶ connecting ──OPENED──▶ online ──LOST, too many failed checks──▶ backingOff
 *        ▲                      ▲     └─FAILED, overdue─▶ backingOff ──after the wait──▶ connecting
 *        └─ RELEASE (any)       └──CONNECT── stopped ◀── STOP (any)
 *
 *   online = condition: connected ⇄ degraded     beside     check: resting ⇄ checking
 * ```
 *
 * Owns: when to connect, to check, to wait and for how long, and what state that is. It does none of it: the connector that holds the
 * live transport watches it, does what the state asks for (`workOf`), and tells it what came of that.
 *
 * Invariants:
 * CM1. Each request for work has a number, `round`, that grows; an answer to another round than the present one changes nothing.
 * CM2. A connector that was stopped stays stopped, also over restarts, until it is told to CONNECT.
 * CM3. Work that nobody answers ends at its own deadline: the chart never waits for ever.
 * CM4. Exactly one state of `ConnectorState` at a time: each is a tag.
 */
import { assign, setup } from 'xstate';
import { currentTurn } from '../../runtime/kernel/ambient.ts';
import { type Backoff, delayMs } from '../../runtime/kernel/backoff.ts';
import { systemRandom } from '../../runtime/kernel/random.ts';

export type ConnectorState = 'disconnected' | 'connecting' | 'connected' | 'degraded' | 'backingOff' | 'stopped';

export const CONNECTOR_STATES: readonly ConnectorState[] = [
  'disconnected',
  'connecting',
  'connected',
  'degraded',
  'backingOff',
  'stopped',
];

/** How a connector looks after its connection. */
export interface ConnectionSettings {
  /** Wait between two health checks, ms. Default 5,000. */
  readonly checkEveryMs: number;
  /** How long a check may take, ms. Default 2,000. */
  readonly checkTimeoutMs: number;
  /** Failed checks in a row after which the connection counts as lost; fewer make it degraded. Default 3. */
  readonly lostAfterChecks: number;
  /** How long connecting may take, ms. Default 10,000. */
  readonly connectTimeoutMs: number;
  /** Waits between tries to connect. Default: 100 ms, doubling, 30 s at most, full jitter. */
  readonly backoff: Backoff;
}

export const DEFAULT_SETTINGS: ConnectionSettings = {
  checkEveryMs: 5_000,
  checkTimeoutMs: 2_000,
  lostAfterChecks: 3,
  connectTimeoutMs: 10_000,
  backoff: {},
};

export interface ConnectorInput extends Partial<ConnectionSettings> {
  /** The system's id. */
  readonly id: string;
}

export interface ConnectorContext {
  readonly settings: ConnectionSettings;
  /** Number of the last request for work. */
  readonly round: number;
  /** Tries to connect that failed since it was last connected. */
  readonly failedTries: number;
  /** The wait that is under way in `backingOff`, ms. */
  readonly waitMs: number;
  readonly failedChecks: number;
  /** Too many of the last calls failed. */
  readonly isFaulty: boolean;
  /** Why it is not connected, or degraded. */
  readonly reason: string;
}

export type ConnectorMachineEvent =
  | { readonly type: 'CONNECT' }
  /** On purpose: it stays so. */
  | { readonly type: 'STOP' }
  /** Whoever held the transport is gone. */
  | { readonly type: 'RELEASE' }
  /** Somebody holds the transport from here on, with these settings. */
  | { readonly type: 'ATTACH'; readonly settings: ConnectionSettings }
  | { readonly type: 'OPENED'; readonly round: number }
  | { readonly type: 'FAILED'; readonly round: number; readonly reason: string; readonly retryAfterMs?: number }
  | { readonly type: 'LOST'; readonly reason: string; readonly retryAfterMs?: number }
  | { readonly type: 'HEALTHY'; readonly round: number }
  | { readonly type: 'UNHEALTHY'; readonly round: number; readonly reason: string; readonly retryAfterMs?: number }
  | { readonly type: 'FAULTY'; readonly reason: string }
  | { readonly type: 'CALM' };

const NOBODY_ANSWERS = 'no connector answers: is SystemConnector.start running?';

/** A connector may be spawned without input, by whoever only wants it to be known. */
function settingsOf(input: ConnectorInput | undefined): ConnectionSettings {
  const { id: _id, ...given } = input ?? { id: '' };
  return { ...DEFAULT_SETTINGS, ...given };
}

/** In a turn the journal's randomness, so that a replay draws the same. */
const draw = (): number => currentTurn()?.random() ?? systemRandom.next();

const reasonOf = (event: ConnectorMachineEvent, otherwise: string): string =>
  'reason' in event ? event.reason : otherwise;
const retryAfterOf = (event: ConnectorMachineEvent): number =>
  ('retryAfterMs' in event ? event.retryAfterMs : undefined) ?? 0;

export const connectorMachine = setup({
  types: {
    context: {} as ConnectorContext,
    events: {} as ConnectorMachineEvent,
    input: {} as ConnectorInput,
  },
  delays: {
    checkEvery: ({ context }) => context.settings.checkEveryMs,
    checkTimeout: ({ context }) => context.settings.checkTimeoutMs,
    connectTimeout: ({ context }) => context.settings.connectTimeoutMs,
    backoff: ({ context }) => context.waitMs,
  },
  guards: {
    isAnswer: ({ context, event }) => 'round' in event && event.round === context.round,
    isLastStraw: ({ context, event }) =>
      'round' in event && event.round === context.round && context.failedChecks + 1 >= context.settings.lostAfterChecks,
    isLastStrawUnanswered: ({ context }) => context.failedChecks + 1 >= context.settings.lostAfterChecks,
    isSound: ({ context }) => context.failedChecks === 0 && !context.isFaulty,
    isUnsound: ({ context }) => context.failedChecks > 0 || context.isFaulty,
  },
  actions: {
    askForWork: assign({ round: ({ context }) => context.round + 1 }),
    attach: assign({ settings: ({ context, event }) => (event.type === 'ATTACH' ? event.settings : context.settings) }),
    failTry: assign(({ context, event }) => {
      const failedTries = context.failedTries + 1;
      const backoffMs = delayMs(context.settings.backoff, failedTries, draw());
      return {
        failedTries,
        waitMs: Math.ceil(Math.max(backoffMs, retryAfterOf(event))),
        reason: reasonOf(event, NOBODY_ANSWERS),
      };
    }),
    startAnew: assign({ failedTries: 0, failedChecks: 0, isFaulty: false, reason: '' }),
    failCheck: assign({
      failedChecks: ({ context }) => context.failedChecks + 1,
      reason: ({ event }) => reasonOf(event, NOBODY_ANSWERS),
    }),
    passCheck: assign({ failedChecks: 0 }),
    setFaulty: assign({ isFaulty: true, reason: ({ event }) => reasonOf(event, '') }),
    clearFaulty: assign({ isFaulty: false }),
    clearReason: assign({ reason: '' }),
  },
}).createMachine({
  id: 'connector',
  context: ({ input }) => {
    return {
      settings: settingsOf(input),
      round: 0,
      failedTries: 0,
      waitMs: 0,
      failedChecks: 0,
      isFaulty: false,
      reason: '',
    };
  },
  initial: 'disconnected',
  on: {
    STOP: '.stopped',
    RELEASE: '.disconnected',
    ATTACH: { target: '.disconnected', actions: 'attach' },
  },
  states: {
    disconnected: {
      tags: 'disconnected',
      entry: 'startAnew',
      on: { CONNECT: 'connecting' },
    },
    connecting: {
      tags: 'connecting',
      entry: 'askForWork',
      after: { connectTimeout: { target: 'backingOff' } },
      on: {
        OPENED: { guard: 'isAnswer', target: 'online' },
        FAILED: { guard: 'isAnswer', target: 'backingOff' },
      },
    },
    online: {
      type: 'parallel',
      entry: 'startAnew',
      on: { LOST: 'backingOff' },
      states: {
        condition: {
          initial: 'connected',
          states: {
            connected: {
              tags: 'connected',
              entry: 'clearReason',
              always: { guard: 'isUnsound', target: 'degraded' },
            },
            degraded: {
              tags: 'degraded',
              always: { guard: 'isSound', target: 'connected' },
            },
          },
          on: {
            FAULTY: { actions: 'setFaulty' },
            CALM: { actions: 'clearFaulty' },
          },
        },
        check: {
          initial: 'resting',
          states: {
            resting: { after: { checkEvery: 'checking' } },
            checking: {
              tags: 'checking',
              entry: 'askForWork',
              after: {
                checkTimeout: [
                  { guard: 'isLastStrawUnanswered', target: '#connector.backingOff' },
                  { target: 'resting', actions: 'failCheck' },
                ],
              },
              on: {
                HEALTHY: { guard: 'isAnswer', target: 'resting', actions: 'passCheck' },
                UNHEALTHY: [
                  { guard: 'isLastStraw', target: '#connector.backingOff' },
                  { guard: 'isAnswer', target: 'resting', actions: 'failCheck' },
                ],
              },
            },
          },
        },
      },
    },
    backingOff: {
      tags: 'backingOff',
      entry: 'failTry',
      after: { backoff: 'connecting' },
      on: { CONNECT: 'connecting', LOST: {}, FAILED: {} },
    },
    stopped: {
      tags: 'stopped',
      on: { CONNECT: 'connecting', RELEASE: {}, ATTACH: { actions: 'attach' } },
    },
  },
});

/** What is seen of the chart from outside. */
export interface ConnectorView {
  readonly tags: readonly string[];
  readonly context: ConnectorContext;
}

export function stateOf({ tags }: ConnectorView): ConnectorState {
  // CM4.
  return CONNECTOR_STATES.find((state) => tags.includes(state)) as ConnectorState;
}

/** What the chart asks whoever holds the transport to do. */
export type ConnectorWork =
  | { readonly kind: 'none' }
  | { readonly kind: 'open'; readonly round: number; readonly timeoutMs: number }
  | { readonly kind: 'check'; readonly round: number; readonly timeoutMs: number };

export function workOf({ tags, context }: ConnectorView): ConnectorWork {
  const { round, settings } = context;
  if (tags.includes('connecting')) return { kind: 'open', round, timeoutMs: settings.connectTimeoutMs };
  if (tags.includes('checking')) return { kind: 'check', round, timeoutMs: settings.checkTimeoutMs };
  return { kind: 'none' };
}
