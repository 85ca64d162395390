/**
 * What the outside and other hosts want of a host besides delivering messages.
 *
 * Owns: which part of the host each command is for.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Envelope } from '../kernel/message.ts';
import type { Cell } from '../cell/cell.ts';
import type { Bereavements } from './bereavements.ts';
import type { Inspection } from './inspection.ts';
import type { Inbound, Outbound } from './items.ts';
import type { Pressure } from './pressure.ts';
import type { Residence } from './residence.ts';

export type Command = Exclude<Inbound, Envelope>;

export interface CommandsPorts {
  readonly pressure: Pressure;
  readonly residence: Residence;
  readonly inspection: Inspection;
  readonly bereavements: Bereavements;
  /** The cell of a key, brought into memory. */
  resident(key: CellKey): Cell;
  out(item: Outbound): void;
}

export class Commands {
  readonly #ports: CommandsPorts;

  constructor(ports: CommandsPorts) {
    this.#ports = ports;
  }

  obey(command: Command): void {
    const { pressure, residence, inspection, bereavements } = this.#ports;
    const key = command[1];
    switch (command[0]) {
      case 'hold':
        this.#hold(key, command[2]);
        break;
      case 'resume': {
        const cell = residence.get(key);
        if (cell !== undefined) pressure.admit(cell);
        break;
      }
      case 'observe':
        inspection.observe(key, command[2]);
        break;
      case 'unobserve':
        inspection.unobserve(key);
        break;
      case 'follow':
        inspection.follow(key, command[2]);
        break;
      case 'unfollow':
        inspection.unfollow(key, command[2]);
        break;
      case 'inspect':
        inspection.inspect(key, command[2]);
        break;
      case 'probe':
        bereavements.answer(command, residence.get(key));
        break;
      case 'unblock':
        inspection.unblock(key, command[2]);
        break;
    }
  }

  #hold(key: CellKey, hold: number): void {
    const ready = (room: number): void => this.#ports.out(['ready', key, hold, room]);
    const cell = this.#ports.resident(key);
    // A blocked one has no use for room: calls to it are answered at once.
    if (cell.phase.kind === 'blocked') ready(Number.POSITIVE_INFINITY);
    else this.#ports.pressure.hold(cell, ready);
  }
}
