/**
 * The operations desk: cancels flights that are far too late, and takes down which flights did not fly.
 *
 * Owns: when a cancellation comes, which is at any moment of a flight's preparations: while it waits for a gate, has one, boards. It keeps
 * nothing that a restart would need: a flight that is over says so, whoever asks and however often.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowCoordinationEngine } from '../../actors/index.ts';
import type { CalledOff } from './check.ts';
import { addFingerprint } from './fingerprint.ts';
import { fateOf } from './fate.ts';
import type { Flight } from './flight-log.ts';
import { runIdOf } from './systems.ts';

/** Within this time after it is filed a flight is cancelled. */
const CANCELLED_WITHIN_MS = 400;

/** What an error of a run says of it: see `WorkflowFailedError`. */
interface RunError {
  readonly code?: string;
  readonly details?: { readonly steps?: Readonly<Record<string, { readonly compensation: string }>> };
}

export class Operations {
  readonly #engine: WorkflowCoordinationEngine;
  readonly #calledOff: CalledOff[] = [];

  constructor(engine: WorkflowCoordinationEngine) {
    this.#engine = engine;
  }

  /** Flights that will not fly, and have given back what they had. */
  get calledOff(): readonly CalledOff[] {
    return this.#calledOff;
  }

  /** Sees to a flight that is filed. Resolves when it is known not to fly; at once when it will. */
  async follow(flight: Flight): Promise<void> {
    const fate = fateOf(flight);
    if (fate === 'lands') return;
    if (fate === 'cancelled') await this.#cancel(flight);
    const error = await this.#endOf(flight);
    const steps = Object.entries(error?.details?.steps ?? {});
    const undone = steps.filter(([, { compensation }]) => compensation === 'undone').map(([step]) => step);
    this.#calledOff.push({ number: flight.number, code: error?.code ?? 'it flew', undone });
  }

  async #cancel({ number, delay }: Flight): Promise<void> {
    await sleep(addFingerprint(0, number) % CANCELLED_WITHIN_MS);
    try {
      await this.#engine.cancel(runIdOf(number), `${delay} minutes late`);
    } catch (error) {
      // Before the last restart already.
      if ((error as RunError).code !== 'RUN_REFUSED') throw error;
    }
  }

  async #endOf({ number }: Flight): Promise<RunError | undefined> {
    try {
      await this.#engine.result(runIdOf(number));
      return undefined;
    } catch (error) {
      return error as RunError;
    }
  }
}
