/**
 * State as a fold of turns: what every actor's state must be, by running its recorded turns through its behavior once more.
 *
 * Owns: a fold that is independent of the runtime's own replay: no books, no images, no intents. The payload of a timer is found in
 * the turn that set it.
 *
 * Invariants:
 * FO1. Nothing is taken from anywhere but the turns and the definitions.
 */
import { type CellKey, childKeyOf, keyOf } from '../kernel/address.ts';
import { enterTurn } from '../kernel/ambient.ts';
import type { Behavior, Signal, SpawnSpec, Turn } from '../kernel/behavior.ts';
import { AskTimeoutError, decodeError } from '../kernel/errors.ts';
import type { ReplyTo } from '../kernel/message.ts';
import { hashOf, type Random, seededRandom } from '../kernel/random.ts';
import type { Definition } from '../kernel/definition.ts';
import type { DefinitionTable } from '../host/definition-table.ts';
import type { FinalActor, LoggedTurn } from './history.ts';

/** Timer id of an ask's deadline. */
const ASK_TIMER = '\0ask:';

/** The code that ran from a position on. */
export interface FoldEra {
  readonly from: number;
  readonly definitions: DefinitionTable;
}

/**
 * The actors that these turns make, by key. An actor whose behavior throws in the fold is `blocked`. `eras` in order; an actor of
 * an older one is moved to the newer as its definition says.
 */
export function foldActors(turns: readonly LoggedTurn[], eras: readonly FoldEra[]): FinalActor[] {
  const folds = new Map<CellKey, Fold>();
  let era = 0;
  const enter = (next: number): void => {
    era = next;
    for (const [key, fold] of folds) fold.upgrade(eras[era]?.definitions.of(key));
  };
  for (const turn of turns) {
    while (era + 1 < eras.length && turn.position >= (eras[era + 1] as FoldEra).from) enter(era + 1);
    let fold = folds.get(turn.key);
    if (fold === undefined) {
      fold = new Fold(turn.key, eras[era]?.definitions.of(turn.key));
      folds.set(turn.key, fold);
    }
    fold.add(turn);
  }
  while (era + 1 < eras.length) enter(era + 1);
  return [...folds.values()].map((fold) => fold.actor());
}

class Fold {
  readonly #key: CellKey;
  #definition: Definition | undefined;
  #logic: readonly string[] = [];
  readonly #turns: LoggedTurn[] = [];
  #behavior: Behavior | undefined;
  #state: unknown;
  #status: 'absent' | 'running' | 'stopped' | 'blocked' = 'absent';
  #parent: CellKey | undefined;
  #error: unknown;

  constructor(key: CellKey, definition: Definition | undefined) {
    this.#key = key;
    this.#definition = definition;
  }

  /** From now on this is its definition. */
  upgrade(definition: Definition | undefined): void {
    const before = this.#definition;
    if (this.#behavior === undefined) {
      this.#definition = definition;
      return;
    }
    const isMoved = this.#logic.length === 0 && before?.version !== definition?.version;
    // One that cannot be moved is blocked meanwhile, and waits for a version that can read it.
    if (definition === before || (isMoved && definition?.migrate === undefined)) return;
    this.#definition = definition;
    if (this.#status === 'blocked') return;
    const saved = this.#behavior.save(this.#state);
    this.#behavior = this.#resolve();
    this.#state = this.#loaded(isMoved ? definition?.migrate?.(saved, before?.version ?? 1) : saved);
  }

  add(turn: LoggedTurn): void {
    this.#turns.push(turn);
    if (this.#status === 'blocked') return;
    const outer = enterTurn(undefined);
    try {
      const version = this.#definition?.version;
      if (turn.version !== version)
        throw new Error(`turn ${turn.sequence} says version ${turn.version}, and version ${version} ran`);
      if (turn.outcome === 'handled') this.#handle(turn);
      if (turn.intents.some((intent) => intent.kind === 'exit')) this.#status = 'stopped';
    } catch (error) {
      this.#error = error;
      this.#status = 'blocked';
    } finally {
      enterTurn(outer);
    }
  }

  actor(): FinalActor {
    const view = this.#status === 'blocked' ? this.#error : this.#behavior?.view(this.#state);
    return { key: this.#key, status: this.#status, sequence: this.#turns.at(-1)?.sequence ?? 0, view };
  }

  #handle(record: LoggedTurn): void {
    const { control, message } = record.envelope;
    if (control?.kind === 'spawn') {
      this.#spawn(record, control);
    } else if (record.state !== undefined) {
      this.#state = this.#loaded(record.state);
    } else if (control === undefined) {
      this.#state = this.#run(record, (behavior, turn) => behavior.receive(this.#state, message, turn));
    } else {
      this.#signal(record, control);
    }
  }

  #spawn(record: LoggedTurn, control: Extract<LoggedTurn['envelope']['control'], { kind: 'spawn' }>): void {
    if (this.#status === 'running') return;
    const resumed = control.ifExists === 'resume' && this.#status === 'stopped' && this.#state !== undefined;
    this.#status = 'running';
    if (control.logic !== undefined) {
      this.#parent = control.parent;
      this.#logic = control.logic;
      this.#behavior = this.#resolve();
    }
    if (record.state !== undefined) this.#state = this.#loaded(record.state);
    else if (resumed) this.#state = this.#tell(record, { kind: 'resumed' });
    else this.#state = this.#run(record, (behavior, turn) => behavior.init(control.input, turn));
  }

  #resolve(): Behavior | undefined {
    return this.#logic.reduce<Behavior | undefined>(
      (behavior, name) => behavior?.child?.(name),
      this.#definition?.behavior,
    );
  }

  #signal(record: LoggedTurn, control: NonNullable<LoggedTurn['envelope']['control']>): void {
    switch (control.kind) {
      case 'watch':
      case 'unwatch':
        return;
      case 'stop': {
        if (control.reason.kind === 'killed') return;
        const state = this.#tell(record, { kind: 'stop', reason: control.reason });
        if (this.#behavior?.lingers === true) this.#state = state;
        return;
      }
      case 'timer': {
        const payload = this.#payloadOf(control.id, control.armed);
        if (control.id.startsWith(ASK_TIMER)) {
          const ask = control.id.slice(ASK_TIMER.length);
          const to = (payload as { to?: string } | undefined)?.to ?? 'a cell';
          const error = new AskTimeoutError(`${to} did not answer ask "${ask}" in time`);
          this.#state = this.#tell(record, { kind: 'ask.failed', ask, error });
        } else if (this.#behavior?.signal === undefined) {
          this.#state = this.#run(record, (behavior, turn) => behavior.receive(this.#state, payload, turn));
        } else {
          this.#state = this.#tell(record, { kind: 'timer', id: control.id, payload });
        }
        return;
      }
      case 'effect.failed':
      case 'ask.failed':
        this.#state = this.#tell(record, { ...control, error: decodeError(control.error) });
        return;
      default:
        this.#state = this.#tell(record, control as Signal);
    }
  }

  #tell(record: LoggedTurn, signal: Signal): unknown {
    if (this.#behavior?.signal === undefined) return this.#state;
    return this.#run(record, (behavior, turn) => behavior.signal?.(this.#state, signal, turn));
  }

  #run(record: LoggedTurn, step: (behavior: Behavior, turn: Turn) => unknown): unknown {
    if (this.#behavior === undefined) throw new Error(`${this.#key} has no behavior`);
    const turn = new FoldTurn(record, this.#parent);
    const outer = enterTurn(turn);
    try {
      return step(this.#behavior, turn);
    } finally {
      enterTurn(outer);
    }
  }

  #loaded(saved: unknown): unknown {
    return this.#behavior?.load(saved, { self: this.#key, parent: this.#parent });
  }

  #payloadOf(id: string, armed: number): unknown {
    const intents = this.#turns.find((turn) => turn.sequence === armed)?.intents ?? [];
    const set = intents.findLast((intent) => intent.kind === 'timer.set' && intent.id === id);
    return set?.kind === 'timer.set' ? set.payload : undefined;
  }
}

/** A turn whose intents go nowhere. */
class FoldTurn implements Turn {
  readonly self: CellKey;
  readonly parent: CellKey | undefined;
  readonly nowMs: number;
  readonly sequence: number;
  readonly from: CellKey | undefined;
  readonly replaying = true;
  readonly #record: LoggedTurn;
  #random: Random | undefined;

  constructor(record: LoggedTurn, parent: CellKey | undefined) {
    this.#record = record;
    this.self = record.key;
    this.parent = parent;
    this.nowMs = record.timeMs;
    this.sequence = record.sequence;
    this.from = record.envelope.from;
  }

  random(): number {
    this.#random ??= seededRandom(hashOf(this.self), this.sequence);
    return this.#random.next();
  }

  takeReplyTo(): ReplyTo | undefined {
    const { replyTo, idempotencyKey } = this.#record.envelope;
    return replyTo === undefined || idempotencyKey === undefined ? replyTo : { ...replyTo, idempotencyKey };
  }

  spawn(spec: SpawnSpec): CellKey {
    return spec.actor === undefined ? childKeyOf(this.self, spec.childId) : keyOf(spec.actor.definition, spec.actor.id);
  }

  send(): void {}
  reply(): void {}
  fail(): void {}
  replyTo(): void {}
  failTo(): void {}
  ask(): void {}
  stop(): void {}
  watch(): void {}
  unwatch(): void {}
  exit(): void {}
  startEffect(): void {}
  cancelEffect(): void {}
  sendToEffect(): void {}
  setTimer(): void {}
  cancelTimer(): void {}
  emit(): void {}
  log(): void {}
  stash(): void {}
  unstashAll(): void {}
}
