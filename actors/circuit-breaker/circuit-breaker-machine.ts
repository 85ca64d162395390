/**
 * The circuit as a statechart: closed, open, half open, isolated. The one owner of a breaker's state.
 *
 * Owns: when the circuit changes its state, the tickets for probes, and what is told of each change. What a window holds and when it trips
 * is `call-window.ts`. Knows nothing of threads: those that use the breaker report what became of their calls, and ask for tickets.
 *
 * Invariants:
 * CM1. Every change of state begins a new generation. What is reported of calls of an earlier one changes nothing: a late failure cannot
 *      open a circuit that has closed since, a late success cannot close one.
 * CM2. While half open, tickets out, successes and failures together are never more than `halfOpen.probes`, whoever asks.
 * CM3. A ticket comes back: with an outcome, unused, or as a failure when nothing is heard of it for `halfOpen.timeoutMs`.
 * CM4. Time is the turn's: `after` is a durable timer, so that an open circuit is open after a crash, until the moment it was to be.
 */
import { assign, cancel, emit, enqueueActions, setup } from 'xstate';
import { currentTurn } from '../../runtime/kernel/ambient.ts';
import { delayMs } from '../../runtime/kernel/backoff.ts';
import { systemClock } from '../../runtime/kernel/clock.ts';
import { reply } from '../machine/turn-actions.ts';
import type { BreakerSettings } from './breaker-settings.ts';
import { type CallOutcome, type CallWindow, countCalls, emptyWindow, type Run, type Trip } from './call-window.ts';

export type CircuitState = 'closed' | 'open' | 'half_open' | 'isolated';

/** A change of state, as `events()` tells it. */
export interface CircuitChange {
  readonly type: 'state_changed';
  readonly from: CircuitState;
  readonly to: CircuitState;
  /** In words, for people. */
  readonly reason: string;
  readonly atMs: number;
  readonly generation: number;
  /** For `open`: when it will be half open. */
  readonly openUntilMs: number | null;
}

/** Tickets of a half-open circuit. */
export interface Probing {
  /** Tickets given out and not back. */
  readonly out: readonly number[];
  readonly succeeded: number;
  readonly failed: number;
}

export interface CircuitContext {
  /** `null` until a thread says how the breaker is to be. Nothing is counted before. */
  readonly settings: BreakerSettings | null;
  /** Raised by every change of state. */
  readonly generation: number;
  readonly window: CallWindow | null;
  /** Why it is about to open. */
  readonly trip: Trip | null;
  /** How often it has opened since it was last closed. */
  readonly openings: number;
  readonly openUntilMs: number | null;
  readonly probing: Probing;
  /** Number of the last ticket. */
  readonly ticket: number;
  readonly change: CircuitChange;
  /** Why the next change will be. */
  readonly reason: string;
}

export type CircuitEvent =
  | { readonly type: 'CONFIGURE'; readonly settings: BreakerSettings }
  /** What became of calls that passed while closed, in order. */
  | { readonly type: 'REPORT'; readonly generation: number; readonly runs: readonly Run[] }
  /** May I probe? Answered with a `ProbeAnswer`. */
  | { readonly type: 'PROBE' }
  /** What became of a probe. `unused`: nothing was learnt of the dependency. */
  | { readonly type: 'PROBED'; readonly ticket: number; readonly outcome: CallOutcome | 'unused' }
  | { readonly type: 'PROBE_EXPIRED'; readonly ticket: number }
  | { readonly type: 'ISOLATE'; readonly reason: string }
  | { readonly type: 'RESET'; readonly reason?: string };

/** The answer to `PROBE`. */
export type ProbeAnswer =
  | { readonly granted: true; readonly ticket: number; readonly generation: number }
  | { readonly granted: false };

/** Of every definition with this chart. A chart that does anything else needs the next one, and this one as `previous`. */
export const CIRCUIT_VERSION = 1;

const NO_PROBES: Probing = { out: [], succeeded: 0, failed: 0 };

/** The turn's; that of the machine at hand where the chart runs without a runtime. */
const nowMs = (): number => currentTurn()?.nowMs ?? systemClock.now();

const probeTimer = (ticket: number): string => `probe ${ticket}`;

export const circuitBreakerMachine = setup({
  types: { context: {} as CircuitContext, events: {} as CircuitEvent, emitted: {} as CircuitChange },
  delays: {
    openDuration: ({ context }) => Math.max(0, (context.openUntilMs ?? 0) - nowMs()),
    probeTimeout: ({ context }) => context.settings?.halfOpen.timeoutMs ?? 0,
  },
  guards: {
    isNewSetting: ({ context, event }) =>
      event.type === 'CONFIGURE' && JSON.stringify(event.settings) !== JSON.stringify(context.settings),
    isOfThisGeneration: ({ context, event }) => event.type === 'REPORT' && event.generation === context.generation,
    isTripped: ({ context }) => context.trip !== null,
    hasTicket: ({ context: { probing, settings } }) =>
      settings !== null && probing.out.length + probing.succeeded + probing.failed < settings.halfOpen.probes,
    isTicketOut: ({ context, event }) => 'ticket' in event && context.probing.out.includes(event.ticket),
    tooManyProbesFailed: ({ context: { probing, settings } }) =>
      settings !== null && probing.failed > settings.halfOpen.toleratedFailures,
    enoughProbesSucceeded: ({ context: { probing, settings } }) =>
      settings !== null && probing.succeeded >= settings.halfOpen.probes - settings.halfOpen.toleratedFailures,
  },
  actions: {
    /** Begins a generation. */
    enter: assign(({ context }, { state }: { state: CircuitState }) => {
      const generation = context.generation + 1;
      const { reason, change, openUntilMs } = context;
      const atMs = nowMs();
      return {
        generation,
        window: null,
        trip: null,
        probing: NO_PROBES,
        change: { type: 'state_changed', from: change.to, to: state, reason, atMs, generation, openUntilMs } as const,
      };
    }),
    announce: emit(({ context }) => context.change),
    startOpenTime: assign(({ context: { settings, openings } }) => {
      const { openMs = 0, openFactor = 1, openMsLimit = 0 } = settings ?? {};
      const backoff = { initialMs: openMs, factor: openFactor, maxMs: openMsLimit, jitter: 'none' } as const;
      return { openings: openings + 1, openUntilMs: nowMs() + delayMs(backoff, openings + 1, 0) };
    }),
    endOpenTime: assign({ openUntilMs: null }),
    forgetOpenings: assign({ openings: 0 }),
    /** A window of another policy means nothing any more; deadlines that are set stay. */
    configure: assign(({ context, event }) => {
      if (event.type !== 'CONFIGURE') return {};
      const keeps = JSON.stringify(context.settings?.policy) === JSON.stringify(event.settings.policy);
      return { settings: event.settings, window: keeps ? context.window : null };
    }),
    count: assign(({ context, event }) => {
      const { settings, window } = context;
      if (event.type !== 'REPORT' || settings === null) return {};
      const counted = countCalls(window ?? emptyWindow(settings.policy), event.runs, settings, nowMs());
      return { window: counted.window, trip: counted.trip ?? null };
    }),
    giveTicket: assign(({ context: { probing, ticket } }) => ({
      ticket: ticket + 1,
      probing: { ...probing, out: [...probing.out, ticket + 1] },
    })),
    answerTicket: reply(({ context: { ticket, generation } }): ProbeAnswer => ({ granted: true, ticket, generation })),
    refuseTicket: reply((): ProbeAnswer => ({ granted: false })),
    expireTicketLater: enqueueActions(({ context: { ticket }, enqueue }) => {
      enqueue.raise({ type: 'PROBE_EXPIRED', ticket }, { id: probeTimer(ticket), delay: 'probeTimeout' });
    }),
    takeTicketBack: assign(({ context: { probing }, event }) => {
      if (event.type !== 'PROBED' && event.type !== 'PROBE_EXPIRED') return {};
      const outcome = event.type === 'PROBED' ? event.outcome : 'failure';
      const out = probing.out.filter((ticket) => ticket !== event.ticket);
      // A slow probe says that the dependency is not well yet.
      const succeeded = probing.succeeded + (outcome === 'success' ? 1 : 0);
      const failed = probing.failed + (outcome === 'success' || outcome === 'unused' ? 0 : 1);
      return { probing: { out, succeeded, failed } };
    }),
    forgetTicket: cancel(({ event }) => probeTimer('ticket' in event ? event.ticket : 0)),
    forgetTickets: enqueueActions(({ context, enqueue }) => {
      for (const ticket of context.probing.out) enqueue.cancel(probeTimer(ticket));
    }),
    because: assign((_, { reason }: { reason: string }) => ({ reason })),
    becauseOfCalls: assign(({ context }) => ({ reason: wordsOf(context.trip) })),
    becauseOfProbes: assign(({ context: { probing } }) => ({
      reason: `probes: ${probing.succeeded} succeeded, ${probing.failed} failed`,
    })),
    asTold: assign(({ event }) => ({
      reason: 'reason' in event ? (event.reason ?? 'reset by hand') : 'reset by hand',
    })),
    /** To whoever asked: which turn it was, so that a thread knows when its mirror has seen it. */
    acknowledge: reply(() => currentTurn()?.sequence ?? 0),
  },
}).createMachine({
  id: 'circuit-breaker',
  context: {
    settings: null,
    generation: 0,
    window: null,
    trip: null,
    openings: 0,
    openUntilMs: null,
    probing: NO_PROBES,
    ticket: 0,
    reason: 'new',
    change: {
      type: 'state_changed',
      from: 'closed',
      to: 'closed',
      reason: 'new',
      atMs: 0,
      generation: 0,
      openUntilMs: null,
    },
  },
  initial: 'closed',
  on: {
    CONFIGURE: [{ guard: 'isNewSetting', actions: ['configure', 'acknowledge'] }, { actions: 'acknowledge' }],
    // Of an earlier generation, or of one that had no tickets: answered, and otherwise ignored.
    REPORT: { actions: 'acknowledge' },
    PROBE: { actions: 'refuseTicket' },
    PROBED: { actions: 'acknowledge' },
    ISOLATE: { target: '.isolated', actions: ['asTold', 'acknowledge'] },
    RESET: { target: '.closed', actions: ['asTold', 'acknowledge'] },
  },
  states: {
    closed: {
      entry: ['forgetOpenings', { type: 'enter', params: { state: 'closed' } }, 'announce'],
      on: { REPORT: { guard: 'isOfThisGeneration', actions: ['count', 'acknowledge'] } },
      always: { guard: 'isTripped', target: 'open', actions: 'becauseOfCalls' },
    },
    open: {
      tags: 'refusing',
      entry: ['startOpenTime', { type: 'enter', params: { state: 'open' } }, 'announce'],
      exit: 'endOpenTime',
      after: {
        openDuration: { target: 'half_open', actions: { type: 'because', params: { reason: 'the time was up' } } },
      },
    },
    half_open: {
      entry: [{ type: 'enter', params: { state: 'half_open' } }, 'announce'],
      exit: 'forgetTickets',
      on: {
        PROBE: { guard: 'hasTicket', actions: ['giveTicket', 'answerTicket', 'expireTicketLater'] },
        PROBED: { guard: 'isTicketOut', actions: ['forgetTicket', 'takeTicketBack', 'acknowledge'] },
        PROBE_EXPIRED: { guard: 'isTicketOut', actions: 'takeTicketBack' },
      },
      always: [
        { guard: 'tooManyProbesFailed', target: 'open', actions: 'becauseOfProbes' },
        { guard: 'enoughProbesSucceeded', target: 'closed', actions: 'becauseOfProbes' },
      ],
    },
    isolated: {
      tags: 'refusing',
      entry: [{ type: 'enter', params: { state: 'isolated' } }, 'announce'],
    },
  },
});

function wordsOf(trip: Trip | null): string {
  if (trip === null) return '';
  const { because, calls, failures, slow } = trip;
  switch (because) {
    case 'consecutive_failures':
      return `${failures} failures in a row`;
    case 'failure_rate':
      return `${failures} of ${calls} calls failed`;
    case 'slow_call_rate':
      return `${slow} of ${calls} calls were slow`;
  }
}
