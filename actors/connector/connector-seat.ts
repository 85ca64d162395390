/**
 * Where a connector's chart runs: as a durable actor of a system, or here.
 *
 * Owns: the one way to tell the chart something and to see it, for both.
 *
 * Invariants:
 * CE1. What is told arrives in the order of the calls. A promise that resolves means: it is on disk, where there is a disk.
 */
import type { ActorHandle, ActorHost } from '../../runtime/kernel/actor-host.ts';
import type { Clock } from '../../runtime/kernel/clock.ts';
import { runLocally } from '../machine/local-machine.ts';
import { connector } from './connector-actor.ts';
import {
  connectorMachine,
  type ConnectorMachineEvent,
  type ConnectorView,
  type ConnectionSettings,
} from './connector-machine.ts';

export interface ConnectorSeat {
  readonly view: ConnectorView;
  tell(event: ConnectorMachineEvent): Promise<void>;
  /** Looks no more. The actor of a system lives on. */
  close(): Promise<void>;
}

export interface SeatListener {
  changed(view: ConnectorView): void;
  /** The actor, or its system, has stopped: the chart decides nothing any more. */
  gone(error: Error | undefined): void;
  /** The actor lives again: a supervisor has started it anew. */
  returned(): void;
}

export function localSeat(
  id: string,
  settings: ConnectionSettings,
  clock: Clock,
  listener: SeatListener,
): ConnectorSeat {
  const machine = runLocally(connectorMachine, {
    input: { id, ...settings },
    clock,
    onChange: (view) => listener.changed(view as ConnectorView),
  });
  return {
    get view() {
      return machine.view as ConnectorView;
    },
    async tell(event) {
      machine.send(event);
    },
    async close() {
      machine.stop();
    },
  };
}

/** Starts the actor of the system `id`, or attaches to the one that lives. */
export async function hostedSeat(
  host: ActorHost,
  id: string,
  settings: ConnectionSettings,
  listener: SeatListener,
): Promise<ConnectorSeat> {
  const handle = await host.spawn(connector, { id, input: { id, ...settings }, ifExists: 'attach' });
  await handle.tell({ type: 'ATTACH', settings } satisfies ConnectorMachineEvent);
  const sight = await handle.snapshot();
  const seat = new HostedSeat(handle, sight.view as ConnectorView, listener);
  seat.watch();
  return seat;
}

class HostedSeat implements ConnectorSeat {
  readonly #handle: ActorHandle;
  readonly #listener: SeatListener;
  readonly #watching = new AbortController();
  #view: ConnectorView;
  #watched: Promise<void> = Promise.resolve();

  constructor(handle: ActorHandle, view: ConnectorView, listener: SeatListener) {
    this.#handle = handle;
    this.#view = view;
    this.#listener = listener;
  }

  get view(): ConnectorView {
    return this.#view;
  }

  watch(): void {
    this.#watched = this.#watch();
  }

  tell(event: ConnectorMachineEvent): Promise<void> {
    return this.#handle.tell(event);
  }

  async close(): Promise<void> {
    this.#watching.abort();
    await this.#watched;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#watching;
    let lives = true;
    try {
      for await (const { status, view } of this.#handle.changes({ signal })) {
        if (signal.aborted) return;
        if (view === undefined || status === 'stopped' || status === 'absent') {
          if (lives) this.#listener.gone(undefined);
          lives = false;
          continue;
        }
        this.#view = view as ConnectorView;
        if (!lives) this.#listener.returned();
        lives = true;
        this.#listener.changed(this.#view);
      }
      if (!signal.aborted) this.#listener.gone(undefined);
    } catch (error) {
      if (!signal.aborted) this.#listener.gone(error as Error);
    }
  }
}
