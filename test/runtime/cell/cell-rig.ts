/**
 * One cell without a host: steps are recorded as the journal would have them, and a fresh cell is brought back from any image and the
 * turns after it, both through the codec that the journal uses.
 *
 * Its behavior does what its messages say, so that a generated list of messages is a generated life.
 */
import { Cell } from '../../../runtime/cell/cell.ts';
import { CellTurn } from '../../../runtime/cell/cell-turn.ts';
import { imageOf } from '../../../runtime/cell/image.ts';
import { type Recovered, recover } from '../../../runtime/cell/replay.ts';
import { park, type StepOutcome, step } from '../../../runtime/cell/step.ts';
import type { ImageRow, LoadedCell, TurnRecord } from '../../../runtime/journal/turn-record.ts';
import type { Behavior, Turn } from '../../../runtime/kernel/behavior.ts';
import { type Definition, type DefinitionOptions, defineBehavior } from '../../../runtime/kernel/definition.ts';
import type { Envelope } from '../../../runtime/kernel/message.ts';
import { decodeValue, encodeValue } from '../../../runtime/wire/value-codec.ts';

export type Op =
  | { readonly op: 'add'; readonly by: number }
  | { readonly op: 'set'; readonly id: string; readonly delayMs: number }
  | { readonly op: 'cancel'; readonly id: string }
  | { readonly op: 'effect'; readonly id: string }
  | { readonly op: 'effect.cancel'; readonly id: string }
  | { readonly op: 'ask'; readonly ask: string }
  | { readonly op: 'send' }
  | { readonly op: 'reply' }
  | { readonly op: 'fail' }
  | { readonly op: 'take' }
  | { readonly op: 'answer' }
  | { readonly op: 'stash' }
  | { readonly op: 'unstash' }
  | { readonly op: 'spawn'; readonly childId: string }
  | { readonly op: 'watch' }
  | { readonly op: 'emit' }
  | { readonly op: 'draw' }
  | { readonly op: 'throw' }
  | { readonly op: 'exit' };

export interface OpState {
  readonly n: number;
  readonly heard: readonly unknown[];
  readonly drawn: readonly number[];
  readonly taken: readonly unknown[];
}

const obey = (state: OpState, op: Op, turn: Turn): OpState => {
  switch (op.op) {
    case 'add':
      return { ...state, n: state.n + op.by };
    case 'set':
      turn.setTimer({ id: op.id, delayMs: op.delayMs, payload: { of: op.id } });
      return state;
    case 'cancel':
      turn.cancelTimer(op.id);
      return state;
    case 'effect':
      turn.startEffect({ id: op.id, source: 'work', input: { n: state.n } });
      return state;
    case 'effect.cancel':
      turn.cancelEffect(op.id);
      return state;
    case 'ask':
      turn.ask('other/o', { n: state.n }, { ask: op.ask, timeoutMs: 100 });
      return state;
    case 'send':
      turn.send('other/o', { n: state.n });
      turn.send('other/p', { n: state.n });
      return state;
    case 'reply':
      turn.reply({ n: state.n });
      return state;
    case 'fail':
      turn.fail(new RangeError(`no ${state.n}`));
      return state;
    case 'take': {
      const handle = turn.takeReplyTo();
      return handle === undefined ? state : { ...state, taken: [...state.taken, handle] };
    }
    case 'answer':
      for (const handle of state.taken) turn.replyTo(handle as never, { n: state.n });
      return { ...state, taken: [] };
    case 'stash':
      turn.stash();
      return state;
    case 'unstash':
      turn.unstashAll();
      return state;
    case 'spawn':
      turn.spawn({ childId: op.childId, actor: { definition: 'other', id: op.childId } });
      return state;
    case 'watch':
      turn.watch('other/o');
      return state;
    case 'emit':
      turn.emit({ n: state.n });
      return state;
    case 'draw':
      return { ...state, drawn: [...state.drawn, turn.random(), turn.nowMs] };
    case 'throw':
      turn.send('other/o', 'never sent');
      throw new Error('on purpose');
    case 'exit':
      turn.exit({ kind: 'normal', output: state.n });
      return state;
  }
};

export const obedient: Behavior<OpState> = {
  init: () => ({ n: 0, heard: [], drawn: [], taken: [] }),
  receive: (state, message, turn) => obey(state, message as Op, turn),
  signal: (state, signal) =>
    signal.kind === 'stop' ? state : { ...state, heard: [...state.heard, { ...signal, error: undefined }] },
  save: (state) => state,
  load: (saved) => saved as OpState,
  view: (state) => state,
  effect: () => ({ kind: 'call', run: () => 1 }),
};

export const RUN = 3;
export const KEY = 'op/one';

export const definitionOf = (behavior: Behavior<never>, options: DefinitionOptions = {}): Definition =>
  defineBehavior(import.meta.url, 'op', behavior, { idempotencyKeysLimit: 3, ...options });

const world = { isDurable: () => true, log: () => {} };

/** As it comes back from the disk. */
export const carried = <T>(value: T): T => decodeValue(encodeValue(value)) as T;

export class CellRig {
  readonly cell: Cell;
  readonly records: TurnRecord[] = [];
  readonly turn = new CellTurn(world);
  nowMs = 1_000;

  constructor(definition: Definition = definitionOf(obedient as Behavior<never>), cell = new Cell(KEY, definition)) {
    this.cell = cell;
    this.cell.run();
  }

  /** Goes on with a cell that was brought back. */
  static of(cell: Cell): CellRig {
    return new CellRig(cell.definition, cell);
  }

  spawn(): StepOutcome {
    return this.step({
      to: KEY,
      message: undefined,
      control: { kind: 'spawn', logic: [], input: undefined, ifExists: 'refuse' },
    });
  }

  /** One message, as a host would run it. */
  step(envelope: Envelope): StepOutcome {
    return step(this.cell, envelope, this.turn, this.nowMs, (outcome, consumed, intents, state) =>
      this.#record(outcome, consumed, intents, state),
    );
  }

  park(envelope: Envelope, error: Error): void {
    park(this.cell, envelope, this.turn, this.nowMs, error, (outcome, consumed, intents, state) =>
      this.#record(outcome, consumed, intents, state),
    );
  }

  image(): ImageRow {
    return carried(imageOf(this.cell, RUN));
  }

  /** A fresh cell from `image` and the turns after it. */
  static recover(
    loaded: Partial<LoadedCell>,
    definition: Definition = definitionOf(obedient as Behavior<never>),
  ): { readonly cell: Cell; readonly result: Recovered } {
    const cell = new Cell(KEY, definition);
    const result = recover(
      cell,
      { key: KEY, image: undefined, turns: [], pending: [], ...loaded },
      new CellTurn(world),
    );
    if (result.kind === 'recovered') cell.run();
    return { cell, result };
  }

  #record(outcome: TurnRecord['outcome'], envelope: Envelope, intents: TurnRecord['intents'], state: unknown): void {
    const { durability, version } = this.cell.definition;
    const record = {
      key: KEY,
      sequence: this.cell.sequence + 1,
      version,
      timeMs: this.nowMs,
      envelope,
      outcome,
      intents,
      obliged: false,
    };
    this.records.push(
      carried(
        durability === 'snapshot' && outcome === 'handled'
          ? { ...record, state: this.cell.behavior?.save(state) }
          : record,
      ),
    );
  }
}
