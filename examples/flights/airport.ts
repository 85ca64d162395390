/**
 * An airport: its gates, its crews, the landings it expects, and the books that are checked in the end.
 *
 * Owns: what flights ask of it and how that is answered. Every request is a step of some flight's saga (`flight.ts`), or what undoes one; it
 * may come again, and then changes nothing (PO3). A request for a gate or a crew is answered when there is one.
 */
import { enqueueActions, sendTo, setup } from 'xstate';
import { defineActor, exchangeOf, reply, replyError, replyTo, takeReplyTo } from '../../actors/index.ts';
import { isOverDuty } from './fate.ts';
import type { AirportPlan } from './flight-log.ts';
import { emptyPool, holds, isFull, leave, type Pool, take } from './pool.ts';
import { landingEvent, serviceCommand } from './systems.ts';

export interface AirportContext {
  readonly name: string;
  /** Used by a departure. */
  readonly gates: Pool;
  /** Used by a flight that has landed: its crew is back then. */
  readonly crews: Pool;
  /** Landings of flights that are on their way here, or will be. Used by the landing. */
  readonly slots: Pool;
  /** Minutes, of the departures. */
  readonly delay: number;
}

type PoolName = 'gates' | 'crews' | 'slots';

interface OfFlight {
  readonly number: number;
}

export type AirportEvent =
  | ({
      readonly type:
        | 'TAKE_GATE'
        | 'RETURN_GATE'
        | 'RETURN_CREW'
        | 'BOOK_SLOT'
        | 'CANCEL_SLOT'
        | 'LAND'
        | 'ORDER_SERVICE';
    } & OfFlight)
  | ({ readonly type: 'TAKE_CREW'; readonly distance: number; readonly delay: number } & OfFlight)
  | ({ readonly type: 'DEPART'; readonly delay: number } & OfFlight)
  /** It has landed elsewhere. */
  | ({ readonly type: 'COMPLETE'; readonly delay: number } & OfFlight);

/** A crew is busy until its flight has landed, a gate until it has departed. */
const CREWS_PER_GATE = 4;
/** Whoever is expected may land. */
const SLOTS = Number.MAX_SAFE_INTEGER;

/** The error's code: no other try would change it (`flight.ts`). */
export const CREW_OVER_DUTY = 'CREW_OVER_DUTY';

const airportMachine = setup({
  types: { context: {} as AirportContext, events: {} as AirportEvent, input: {} as AirportPlan },
  guards: {
    isFull: ({ context }, { of }: { of: PoolName }) => isFull(context[of]),
    isFree: ({ context }, { of }: { of: PoolName }) => !isFull(context[of]),
    isOverDuty: ({ event }) => event.type === 'TAKE_CREW' && isOverDuty(event),
  },
  actions: {
    take: enqueueActions(({ enqueue, context, event }, { of }: { of: PoolName }) => {
      const { pool, given } = take(context[of], event.number, takeReplyTo());
      enqueue.assign({ [of]: pool });
      for (const answer of given) enqueue(replyTo(answer));
    }),
    leave: enqueueActions(({ enqueue, context, event }, { of, as }: { of: PoolName; as: 'used' | 'returned' }) => {
      const { pool, given } = leave(context[of], event.number, as);
      enqueue.assign({ [of]: pool });
      for (const answer of given) enqueue(replyTo(answer));
      enqueue(reply());
    }),
    countDelay: enqueueActions(({ enqueue, context, event }) => {
      if (event.type !== 'DEPART' || !holds(context.gates, event.number)) return;
      enqueue.assign({ delay: context.delay + event.delay });
    }),
    // Published in the transaction of this turn, by whichever broker runs.
    announceLanding: enqueueActions(({ enqueue, context, event }) => {
      if (event.type !== 'COMPLETE' || !holds(context.crews, event.number)) return;
      const { number, delay } = event;
      enqueue(sendTo(exchangeOf(), landingEvent({ number, delay, origin: context.name })));
    }),
    // A flight does not wait for the ground service: its command is on disk, and the second with its key is the first.
    orderService: enqueueActions(({ enqueue, event }) => {
      enqueue(sendTo(exchangeOf(), serviceCommand(event.number)));
      enqueue(reply());
    }),
    refuseCrew: replyError(
      Object.assign(new Error('the crew would be on duty for too long'), { code: CREW_OVER_DUTY }),
    ),
  },
}).createMachine({
  id: 'airport',
  context: ({ input: { name, gates } }) => ({
    name,
    gates: emptyPool(gates),
    crews: emptyPool(gates * CREWS_PER_GATE),
    slots: emptyPool(SLOTS),
    delay: 0,
  }),
  type: 'parallel',
  states: {
    gates: {
      initial: 'open',
      states: {
        open: { always: { guard: { type: 'isFull', params: { of: 'gates' } }, target: 'full' } },
        full: { always: { guard: { type: 'isFree', params: { of: 'gates' } }, target: 'open' } },
      },
      on: {
        TAKE_GATE: { actions: { type: 'take', params: { of: 'gates' } } },
        RETURN_GATE: { actions: { type: 'leave', params: { of: 'gates', as: 'returned' } } },
        ORDER_SERVICE: { actions: 'orderService' },
        DEPART: { actions: ['countDelay', { type: 'leave', params: { of: 'gates', as: 'used' } }] },
      },
    },
    crews: {
      initial: 'ready',
      states: {
        ready: { always: { guard: { type: 'isFull', params: { of: 'crews' } }, target: 'out' } },
        out: { always: { guard: { type: 'isFree', params: { of: 'crews' } }, target: 'ready' } },
      },
      on: {
        TAKE_CREW: [
          { guard: 'isOverDuty', actions: 'refuseCrew' },
          { actions: { type: 'take', params: { of: 'crews' } } },
        ],
        RETURN_CREW: { actions: { type: 'leave', params: { of: 'crews', as: 'returned' } } },
        COMPLETE: { actions: ['announceLanding', { type: 'leave', params: { of: 'crews', as: 'used' } }] },
      },
    },
    runway: {
      on: {
        BOOK_SLOT: { actions: { type: 'take', params: { of: 'slots' } } },
        CANCEL_SLOT: { actions: { type: 'leave', params: { of: 'slots', as: 'returned' } } },
        LAND: { actions: { type: 'leave', params: { of: 'slots', as: 'used' } } },
      },
    },
  },
});

export const airport = defineActor(import.meta.url, 'airport', { machine: airportMachine });
