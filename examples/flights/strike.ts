/**
 * The strike: when the ground service stops working, when it goes on, and what is told of it.
 *
 * Owns: the order of events. It begins when a tenth of its flights is serviced, and ends when the breaker has opened and some commands
 * are dead; or, in a run too small for that, a while after everything else is done.
 */
import { count } from './display.ts';
import type { GroundService } from './ground-service.ts';
import type { RunMessage } from './run-messages.ts';

const BEGINS_AT = 1 / 10;
/** Dead commands that end it. */
const DEAD_ENOUGH = 3;
const PATIENCE_MS = 3_000;

type Phase = { readonly kind: 'planned' } | { readonly kind: 'under_way' } | { readonly kind: 'over' };

type Tell = (style: 'yellow' | 'green', text: string) => void;

export class Strike {
  readonly #ground: GroundService;
  readonly #commands: number;
  readonly #tell: Tell;
  readonly #dead = new Set<string>();
  #phase: Phase = { kind: 'planned' };
  #opened = 0;
  #halfOpened = 0;
  #closed = 0;
  #deaths = 0;
  #redriven = 0;
  #allLanded = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(ground: GroundService, commands: number, tell: Tell) {
    this.#ground = ground;
    this.#commands = commands;
    this.#tell = tell;
  }

  /** The ground service is there, with what it did in earlier runs: there is one strike a folder. */
  begin(): void {
    if (this.#ground.serviced.size > this.#commands * BEGINS_AT + 1) this.#phase = { kind: 'over' };
  }

  serviced(flights: number): void {
    if (this.#phase.kind !== 'planned' || flights < this.#commands * BEGINS_AT) return;
    this.#phase = { kind: 'under_way' };
    this.#ground.strike();
    this.#hurry();
    this.#tell('yellow', `the ground service has serviced ${count(flights)} flights, and goes on strike`);
  }

  hear(message: Extract<RunMessage, { kind: 'ground' }>): void {
    switch (message.what) {
      case 'open':
        this.#opened += 1;
        if (this.#opened === 1) this.#tell('yellow', 'its breaker is open: commands wait in the broker');
        break;
      case 'half_open':
        this.#halfOpened += 1;
        break;
      case 'closed':
        this.#closed += 1;
        this.#tell('green', 'its breaker is closed again: a probe went through');
        break;
      case 'dead':
        // Both the broker and its keeper may say so.
        if (!this.#dead.has(message.messageId)) this.#deaths += 1;
        this.#dead.add(message.messageId);
        break;
      case 'redriven':
        this.#redriven += message.count;
        this.#dead.clear();
        this.#tell('green', `${count(message.count)} dead commands are sent again`);
    }
    if (this.#opened > 0 && this.#deaths >= DEAD_ENOUGH) this.#end();
  }

  /** How far the flights are. */
  landed(all: boolean): void {
    this.#allLanded ||= all;
    this.#hurry();
  }

  /** What has come of it; undefined when there was none. */
  summary(): string | undefined {
    if (this.#ground.refused === 0) return undefined;
    return (
      `The ground service refused ${count(this.#ground.refused)} commands. Its breaker opened ${times(this.#opened)}, was half open ` +
      `${times(this.#halfOpened)} and closed ${times(this.#closed)}; ${count(this.#deaths)} commands were dead, ` +
      `${count(this.#redriven)} were sent again.`
    );
  }

  /** Nothing is left but the commands: they do not wait for ever. */
  #hurry(): void {
    if (!this.#allLanded || this.#phase.kind !== 'under_way' || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#end(), PATIENCE_MS);
  }

  #end(): void {
    clearTimeout(this.#timer);
    if (this.#phase.kind !== 'under_way') return;
    this.#phase = { kind: 'over' };
    this.#ground.resume();
    this.#tell('green', `the strike is over: ${count(this.#deaths)} commands are dead letters`);
  }
}

function times(value: number): string {
  return value === 1 ? 'once' : `${count(value)} times`;
}
