/**
 * A machine that runs here and now: XState's own actor, on a clock of ours, kept nowhere.
 *
 * Owns: the bridge from the clock port to XState's. For parts that run the same chart as a durable actor where there is a system,
 * and without one where there is none.
 */
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EventFromLogic,
  type InputFrom,
} from 'xstate';
import type { Clock, Wait } from '../../runtime/kernel/clock.ts';

/** What is seen of a machine, as of a durable one. */
export interface LocalView {
  readonly value: unknown;
  readonly context: unknown;
  readonly tags: readonly string[];
}

export interface LocalMachine<TMachine extends AnyStateMachine> {
  readonly view: LocalView;
  send(event: EventFromLogic<TMachine>): void;
  /** Ends its timers. */
  stop(): void;
}

/** Runs `machine`; `onChange` hears of every state after the first. */
export function runLocally<TMachine extends AnyStateMachine>(
  machine: TMachine,
  options: {
    readonly input: InputFrom<TMachine>;
    readonly clock: Clock;
    readonly onChange: (view: LocalView) => void;
  },
): LocalMachine<TMachine> {
  const { input, clock, onChange } = options;
  const actor = createActor(machine as AnyStateMachine, {
    input,
    clock: {
      setTimeout: (fire: (...args: unknown[]) => void, ms: number) => clock.wait(ms, fire),
      clearTimeout: (wait: unknown) => (wait as Wait | undefined)?.cancel(),
    },
  });
  const viewNow = (snapshot: AnyMachineSnapshot): LocalView => ({
    value: snapshot.value,
    context: snapshot.context,
    tags: [...snapshot.tags],
  });
  actor.start();
  const subscription = actor.subscribe((snapshot) => onChange(viewNow(snapshot)));
  return {
    get view() {
      return viewNow(actor.getSnapshot());
    },
    send: (event) => actor.send(event),
    stop: () => {
      subscription.unsubscribe();
      actor.stop();
    },
  };
}
