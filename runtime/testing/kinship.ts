/**
 * Parents and children: who was started by whom, and who heard of whose end.
 *
 * Owns: the rules about starts and ends, which hold for every parent, supervisor or not. Part of the checker of `invariants.ts`.
 *
 * Rules, by name:
 * kin      an end that a parent hears is the end of a start that it made, and is heard once; every end of a journaled child is
 *          heard, unless the parent has ended too, or has started another child of that name since
 * orphan   in the end no child lives whose parent has ended
 */
import type { CellKey } from '../kernel/address.ts';
import type { FinalActor, History, LoggedTurn } from './history.ts';

type Report = (rule: string, what: string) => void;

/** A start of a child: `name` by the turn `incarnation` of its parent. */
interface Start {
  readonly child: CellKey;
  readonly name: string;
  readonly incarnation: number;
  state: 'open' | 'heard' | 'replaced';
}

export function checkKinship(
  history: History,
  byKey: ReadonlyMap<CellKey, readonly LoggedTurn[]>,
  report: Report,
): void {
  const finals = new Map(history.actors.map((actor) => [actor.key, actor]));
  for (const [parent, turns] of byKey) {
    const starts = startsOf(parent, turns, report);
    if (!history.settled || finals.get(parent)?.status !== 'running') continue;
    for (const start of starts) {
      if (start.state === 'open' && hasEnded(start, parent, byKey.get(start.child)))
        report('kin', `${parent} never heard of the end of ${start.child}, its ${nameOf(start)}`);
    }
  }
  if (history.settled) checkOrphans(history, byKey, finals, report);
}

/** The starts of one parent since it was last started afresh, and what it heard of them. */
function startsOf(parent: CellKey, turns: readonly LoggedTurn[], report: Report): readonly Start[] {
  let starts: Start[] = [];
  for (const turn of turns) {
    if (turn.outcome === 'refused') continue;
    const { control } = turn.envelope;
    if (control?.kind === 'terminated' && control.childId !== undefined && control.incarnation !== undefined) {
      const start = starts.find(
        ({ name, incarnation }) => name === control.childId && incarnation === control.incarnation,
      );
      const what = `${parent}, turn ${turn.sequence}: the end of ${control.key}, ${control.childId} of turn ${control.incarnation}`;
      if (start?.state === 'heard') report('kin', `${what}, is heard twice`);
      else if (start?.child !== control.key) report('kin', `${what}, which it did not start`);
      else start.state = 'heard';
    }
    // Started afresh, it has no children: those of its last life were told to stop when it ended.
    if (control?.kind === 'spawn' && control.ifExists !== 'resume' && turn.intents.some(({ kind }) => kind === 'send'))
      starts = starts.map((start) => ({ ...start, state: start.state === 'heard' ? 'heard' : 'replaced' }));
    for (const intent of turn.intents) {
      const sent = intent.kind === 'send' ? intent.envelope.control : undefined;
      if (intent.kind !== 'send' || sent?.kind !== 'spawn' || sent.childId === undefined) continue;
      for (const start of starts) if (start.name === sent.childId && start.state === 'open') start.state = 'replaced';
      starts.push({ child: intent.envelope.to, name: sent.childId, incarnation: turn.sequence, state: 'open' });
    }
  }
  return starts;
}

/** Whether the journal says that this start of the child has ended. */
function hasEnded(start: Start, parent: CellKey, turns: readonly LoggedTurn[] | undefined): boolean {
  let isThis = false;
  for (const turn of turns ?? []) {
    const { control } = turn.envelope;
    if (control?.kind === 'spawn')
      isThis = control.parent === parent && control.childId === start.name && control.incarnation === start.incarnation;
    if (isThis && turn.intents.some(({ kind }) => kind === 'exit')) return true;
  }
  return false;
}

function checkOrphans(
  history: History,
  byKey: ReadonlyMap<CellKey, readonly LoggedTurn[]>,
  finals: ReadonlyMap<CellKey, FinalActor>,
  report: Report,
): void {
  for (const { key, status } of history.actors) {
    if (status !== 'running') continue;
    const parent = parentIn(byKey.get(key) ?? []);
    if (parent !== undefined && finals.get(parent)?.status === 'stopped')
      report('orphan', `${key} lives, its parent ${parent} has ended`);
  }
}

/** Who has started the last life of an actor. */
function parentIn(turns: readonly LoggedTurn[]): CellKey | undefined {
  let parent: CellKey | undefined;
  let isRunning = false;
  for (const { envelope, outcome, intents } of turns) {
    const { control } = envelope;
    if (control?.kind === 'spawn' && outcome === 'handled' && !isRunning) {
      isRunning = true;
      if (control.logic !== undefined) parent = control.parent;
    }
    if (intents.some(({ kind }) => kind === 'exit')) isRunning = false;
  }
  return parent;
}

function nameOf({ name, incarnation }: Start): string {
  return `${name} of turn ${incarnation}`;
}
